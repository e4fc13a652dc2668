//! What the samples and tasks of an eval took: when each was worked on, and its part of the energy.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::phase::Window;
use super::telemetry::Event;
use crate::run::EvalSample;

/// The mark that a tool's line makes when a sample begins, and its attribute.
const SAMPLE: &str = "sample";

/// When each sample was worked on, in nanoseconds since the recording began at `start`; none where
/// nobody knows. What the tool wrote down counts; else what it printed when it began with a sample.
pub fn windows(
    samples: &[EvalSample],
    events: &[Event],
    command: Window,
    start: Option<Timestamp>,
) -> Vec<Option<Window>> {
    let at = |time: Timestamp| i64::try_from((time.as_nanosecond()) - start?.as_nanosecond()).ok();
    let told = told(events, command);
    // What an earlier run did, which a tool may tell again, was not recorded.
    let is_recorded = |window: &Window| window.to > command.from;
    let window = |sample: &EvalSample| {
        let written = || {
            let window = Window { from: at(sample.started?)?, to: at(sample.ended?)? };
            Some(window).filter(is_recorded)
        };
        written().or_else(|| told.get(sample.sample.as_str()).copied())
    };
    samples.iter().map(window).collect()
}

/// When samples began and ended, by the lines of the tool: a sample ends when the next thing begins.
fn told(events: &[Event], command: Window) -> BTreeMap<&str, Window> {
    let told: Vec<&Event> = events.iter().filter(|event| event.by == "tool").collect();
    let mut windows = BTreeMap::new();
    for (index, event) in told.iter().enumerate().filter(|(_, event)| event.name == SAMPLE) {
        let Some(sample) = event.attributes.get(SAMPLE) else { continue };
        let to = told.get(index + 1).map_or(command.to, |next| next.at);
        windows.insert(sample.as_str(), Window { from: event.at, to });
    }
    windows
}

/// A task of an eval and when it was worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// When, as a whole.
    pub window: Window,
    /// Whether another task was worked on at the same time, with questions of its own.
    pub is_shared: bool,
    /// Tokens of its prompts, where the tool says them of every sample that it says anything of.
    pub prompt_tokens: Option<u64>,
    /// Tokens that were generated for it.
    pub generated_tokens: Option<u64>,
}

/// The tasks in the order of their first samples. A task whose samples have no times took the whole
/// command where no other questions were asked in it, and is left out otherwise.
pub fn tasks(samples: &[EvalSample], windows: &[Option<Window>], command: Window) -> Vec<Task> {
    let mut names: Vec<&str> = Vec::new();
    for sample in samples {
        if !names.contains(&sample.task.as_str()) {
            names.push(&sample.task);
        }
    }
    let of_task = |name: &str| {
        samples
            .iter()
            .zip(windows)
            .filter(move |(sample, _)| sample.task == name)
            .collect::<Vec<_>>()
    };
    let questions = |name: &str| -> Vec<(&str, &str, u32)> {
        of_task(name).iter().map(|(sample, _)| sample.question()).collect()
    };
    let first = names.first().map(|name| questions(name)).unwrap_or_default();
    let is_only = names.iter().all(|name| questions(name) == first);
    let mut tasks: Vec<Task> = Vec::new();
    for name in &names {
        let all = of_task(name);
        let known: Vec<Window> = all.iter().filter_map(|(_, window)| **window).collect();
        let from = known.iter().map(|window| window.from).min();
        let to = known.iter().map(|window| window.to).max();
        let window = match (from, to) {
            (Some(from), Some(to)) => Window { from, to },
            _ if is_only => command,
            _ => continue,
        };
        let sum = |tokens: fn(&EvalSample) -> Option<u64>| {
            let mut told = all.iter().filter_map(|(sample, _)| tokens(sample)).peekable();
            told.peek().is_some().then(|| told.sum())
        };
        tasks.push(Task {
            name: (*name).to_owned(),
            window,
            is_shared: false,
            prompt_tokens: sum(|sample| sample.prompt_tokens),
            generated_tokens: sum(|sample| sample.generated_tokens),
        });
    }
    let all = tasks.clone();
    for task in &mut tasks {
        task.is_shared = all.iter().any(|other| {
            other.name != task.name
                && other.window.overlap(task.window).is_some()
                && questions(&other.name) != questions(&task.name)
        });
    }
    tasks
}

/// What each window took of what all took together: what is taken while several are open at the same
/// moment is shared equally among them. `joules` tells what a span of time took, as far as it is
/// known.
pub fn share(windows: &[Window], joules: impl Fn(Window) -> Option<f64>) -> Vec<Option<f64>> {
    let mut moments: Vec<(i64, bool, usize)> = Vec::new();
    for (index, window) in windows.iter().enumerate().filter(|(_, window)| window.from < window.to)
    {
        moments.push((window.from, true, index));
        moments.push((window.to, false, index));
    }
    moments.sort_unstable();
    let mut taken: Vec<Option<f64>> =
        windows.iter().map(|window| (window.from < window.to).then_some(0.0)).collect();
    let mut open: Vec<usize> = Vec::new();
    let mut before = 0;
    for (at, opens, index) in moments {
        if at > before && !open.is_empty() {
            let part = joules(Window { from: before, to: at });
            let part = part.map(|joules| joules / open.len() as f64);
            for index in &open {
                taken[*index] = taken[*index].zip(part).map(|(sum, part)| sum + part);
            }
        }
        before = at;
        if opens {
            open.push(index);
        } else {
            open.retain(|other| *other != index);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::{Window, share};

    const SECOND: i64 = 1_000_000_000;

    fn window(from: i64, to: i64) -> Window {
        Window { from: from * SECOND, to: to * SECOND }
    }

    #[test]
    fn energy_is_shared_among_those_that_are_open() {
        let windows = [window(0, 10), window(5, 15), window(20, 30), window(7, 7)];
        let shared = share(&windows, |window| Some(window.seconds() * 100.0));
        assert_eq!(shared, [Some(750.0), Some(750.0), Some(1000.0), None]);
    }

    #[test]
    fn what_is_not_known_of_a_part_is_not_known_of_all_that_hold_it() {
        let windows = [window(0, 10), window(5, 15), window(12, 15)];
        let known = |part: Window| (part.from < 12 * SECOND).then(|| part.seconds());
        assert_eq!(share(&windows, known), [Some(7.5), None, None]);
    }
}
