//! Which scores say nothing of the model, or may not.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Answers, likelihood};

/// As many names of tasks are told; a suite has some sixty.
const MAX_NAMES: usize = 3;

/// Groups may be in groups.
const MAX_DEPTH: usize = 8;

/// What was found of the tasks of a result.
#[derive(Default)]
pub(super) struct Doubts {
    /// Why the scores of a task are chance.
    chance: BTreeMap<String, String>,
    /// Tasks in which chance decided some samples, with how many of how many.
    undecided: Vec<(String, usize, usize)>,
    /// Tasks whose samples are not there, which could be chance.
    unproven: Vec<String>,
}

impl Doubts {
    /// Looks at a task. `is_unproven` says whether it asks a server for log-likelihoods.
    pub(super) fn add(
        &mut self,
        task: &str,
        answers: &Answers,
        is_unproven: impl Fn() -> Option<bool>,
    ) {
        let undecided = likelihood::undecided(&answers.likelihoods);
        if let Some(why) = answers.chance() {
            self.chance.insert(task.to_owned(), why);
        } else if undecided > 0 {
            self.undecided.push((task.to_owned(), undecided, answers.samples.len()));
        } else if answers.samples.is_empty() && is_unproven() == Some(true) {
            self.unproven.push(task.to_owned());
        }
    }

    /// Why the scores of a task or of a group of tasks are chance.
    pub(super) fn chance(&self, task: &str, groups: Option<&Value>) -> Option<String> {
        self.chance.get(task).cloned().or_else(|| {
            let tasks = members(task, groups?, MAX_DEPTH);
            let by_chance = tasks.iter().filter(|task| self.chance.contains_key(**task)).count();
            let all = tasks.len();
            (by_chance > 0).then(|| format!("{by_chance} of the {all} tasks in it are chance"))
        })
    }

    /// What is to be known, a sentence for all tasks that it is true of.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (task, why) in &self.chance {
            by_reason.entry(why).or_default().push(task);
        }
        let chance = by_reason.into_iter().map(|(why, tasks)| {
            format!(
                "{}: {why}, so the score says nothing of the model; llama-server tells no \
                 log-probabilities of a prompt: use a task that generates its answers, with \
                 local-chat-completions",
                named(&tasks)
            )
        });
        let undecided = self.undecided.iter().map(|(task, undecided, all)| {
            format!(
                "{task}: in {undecided} of {all} samples every choice has the same \
                 log-likelihood, so that chance decided"
            )
        });
        let unproven: Vec<&str> = self.unproven.iter().map(String::as_str).collect();
        let unproven = (!unproven.is_empty()).then(|| {
            format!(
                "{}: the score follows from log-likelihoods of prompts, which llama-server does \
                 not tell, and is chance then; samples would show it (--log_samples)",
                named(&unproven)
            )
        });
        chance.chain(undecided).chain(unproven).collect()
    }
}

/// The tasks of a group and of the groups in it.
fn members<'a>(group: &str, groups: &'a Value, depth: usize) -> Vec<&'a str> {
    let own = groups.get(group).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut tasks = Vec::new();
    for name in own.iter().filter_map(Value::as_str) {
        let below = if depth > 0 { members(name, groups, depth - 1) } else { Vec::new() };
        if below.is_empty() {
            tasks.push(name);
        } else {
            tasks.extend(below);
        }
    }
    tasks
}

fn named(tasks: &[&str]) -> String {
    let names = tasks[..tasks.len().min(MAX_NAMES)].join(", ");
    match tasks.len().saturating_sub(MAX_NAMES) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}
