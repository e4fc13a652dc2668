//! lm-evaluation-harness (0.4.13): `results_*.json`, and `samples_*.jsonl` of `--log_samples`. What
//! versions before 0.4 wrote is read, too: metrics without filters, in the file that was named.

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::document::{self, Node};
use super::{
    CommandLine, OUTPUT, OutputFile, Outputs, ParseError, Parsed, Place, Plan, Tool, scores, words,
};
use crate::run::{Completion, EvalSample, Score};
use doubts::Doubts;

mod doubts;
mod likelihood;

/// lm-evaluation-harness.
#[derive(Debug)]
pub struct LmEval;

/// What stands in a metric's name behind the metric when answers were not filtered.
const NO_FILTER: &str = "none";

impl Tool for LmEval {
    fn name(&self) -> &'static str {
        "lm-eval"
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        let is_run = words::has(argv, &["--tasks", "-t", "--config", "-C"]);
        (matches!(name, "lm_eval" | "lm-eval") && is_run).then_some(program)
    }

    fn contradiction(&self, argv: &[OsString]) -> Option<String> {
        let key = words::value(argv, &["--model_args", "-a"])?.split(',').find_map(|part| {
            let (name, _) = part.split_once('=')?;
            matches!(name, "api_key" | "auth_token" | "header").then_some(name)
        })?;
        Some(format!(
            "lm-eval writes {key} of --model_args into its results, which are archived; give the \
             key in the variable OPENAI_API_KEY instead"
        ))
    }

    fn prepare(&self, plan: &mut Plan, _help: Option<&str>) {
        if !words::has(&plan.argv, &["--output_path", "-o"]) {
            plan.argv.extend(["--output_path".into(), OUTPUT.into()]);
            plan.notes
                .push("halo added --output_path, without which lm-eval writes no file".into());
        }
        if !words::has(&plan.argv, &["--log_samples", "-s"]) {
            plan.argv.push("--log_samples".into());
            plan.notes.push("halo added --log_samples, which tells what became of each".into());
        }
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let Some(path) = words::value(command.argv, &["--output_path", "-o"]) else {
            return Vec::new();
        };
        let Some(stem) = file_stem(path) else {
            return vec![Place::own(path, &[".json", ".jsonl"])];
        };
        // A file is named: what is written lies beside it, with the time in its name.
        let parent = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
        let begin = vec![format!("{stem}_"), format!("{stem}."), "samples_".to_owned()];
        vec![Place::shared(parent.unwrap_or(Path::new(".")), &[".json", ".jsonl"], begin)]
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        words::base_url_in_list(command.argv).map(str::to_owned)
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed::default();
        let output = words::value(outputs.argv, &["--output_path", "-o"]);
        let Some(file) = result(outputs, output.and_then(file_stem)) else {
            parsed.failure = Some("lm-eval left no result".to_owned());
            return Ok(parsed);
        };
        let value = document::parse(&file.path, &file.bytes)?;
        let document = Node::new(file, &value);
        let text = |key: &str| Some(document.optional(key)?.text().ok()?.to_owned());
        parsed.model = text("model_name");
        let results = document.get("results")?.entries()?;
        let is_old = results.iter().all(|(_, metrics)| !has_filters(metrics));
        parsed.version = text("lm_eval_version").or_else(|| is_old.then(|| OLD.to_owned()));
        let counted = document.optional("n-samples");
        // A group of tasks has a mean of theirs, whose samples are those of its tasks.
        let config = |task: &str| value.get("configs")?.get(task);
        let is_task = |task: &str| value.get("configs").is_none() || config(task).is_some();
        let mut doubts = Doubts::default();
        for (task, metrics) in results {
            let metrics = Metrics::of(&metrics)?;
            let answers = match metrics.first() {
                Some(first) if is_task(task) => Answers::read(task, outputs, first)?,
                _ => Answers::default(),
            };
            let effective = counted
                .as_ref()
                .and_then(|all| all.optional(task)?.optional("effective")?.count().ok())
                .filter(|count| *count > 0);
            doubts.add(task, &answers, || is_unproven(config(task)?, &value));
            parsed.scores.extend(metrics.scores(task, effective, &answers.samples));
            parsed.samples.extend(answers.samples);
        }
        for score in &mut parsed.scores {
            score.chance = doubts.chance(&score.task, value.get("group_subtasks"));
        }
        parsed.problems.extend(doubts.remarks());
        if parsed.scores.is_empty() {
            let version = parsed.version.as_deref().unwrap_or("of an unknown version");
            parsed.failure = Some(format!("{}: lm-eval {version} tells no score", file.path));
        } else if is_old && counted.is_none() && parsed.samples.is_empty() {
            let remark = "lm-eval before 0.4 does not tell over how many samples its scores are";
            parsed.problems.push(remark.to_owned());
        }
        let of: Option<u64> = counted.and_then(|all| {
            let tasks = all.entries().ok()?;
            tasks.iter().map(|(_, task)| task.optional("effective")?.count().ok()).sum()
        });
        // A sample that has no figure of its own, as where a metric is over all of them, was done.
        let answered = Some(parsed.samples.len() as u64).filter(|answered| *answered > 0);
        parsed.completion = answered.or(of).filter(|done| *done > 0).map(|done| Completion {
            done,
            of,
            ..Completion::default()
        });
        Ok(parsed)
    }
}

/// How versions are called that do not tell theirs, by the form of their results.
const OLD: &str = "before 0.4";

/// The results: `results_TIME.json`, or the file that was named, which has the time in its name since
/// 0.4.3.
fn result<'a>(outputs: &Outputs<'a>, stem: Option<&str>) -> Option<&'a OutputFile> {
    let is_result = |file: &&OutputFile| {
        let name = base_name(file);
        match stem {
            Some(stem) => {
                let rest = name.strip_prefix(stem);
                rest.is_some_and(|rest| rest == ".json" || rest.starts_with('_'))
            }
            None => name.starts_with("results_") || name == "results.json",
        }
    };
    outputs.files_ending(".json").filter(is_result).last()
}

/// Whether metrics are told for each filter, as they are since 0.4.
fn has_filters(metrics: &Node<'_>) -> bool {
    metrics.entries().is_ok_and(|entries| entries.iter().any(|(key, _)| parts(key).is_some()))
}

/// The name without its end, where a file is named and no directory.
fn file_stem(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.strip_suffix(".json").filter(|stem| !stem.is_empty())
}

fn base_name(file: &OutputFile) -> &str {
    file.path.rsplit('/').next().unwrap_or_default()
}

/// `exact_match,strict-match` without its filter, and the filter.
fn parts(key: &str) -> Option<(&str, &str)> {
    key.split_once(',')
}

/// Whether a task compares log-likelihoods that a server was asked for.
fn is_unproven(config: &Value, results: &Value) -> Option<bool> {
    let kind = config.get("output_type")?.as_str()?;
    let is_likelihood = kind == "multiple_choice" || kind.starts_with("loglikelihood");
    let model = results.pointer("/config/model")?.as_str()?;
    Some(is_likelihood && SERVERS.contains(&model))
}

/// Models of lm-eval that ask a server to complete texts.
const SERVERS: [&str; 4] = ["local-completions", "openai-completions", "gguf", "ggml"];

/// A metric of a task.
struct Metric<'a> {
    name: &'a str,
    filter: &'a str,
    value: f64,
    error: Option<f64>,
}

/// All metrics of a task, in the order of the results.
struct Metrics<'a>(Vec<Metric<'a>>);

impl<'a> Metrics<'a> {
    fn of(node: &Node<'a>) -> Result<Self, ParseError> {
        let is_old = !has_filters(node);
        let entries = node.entries()?;
        let error = |key: &str| node.value.get(key).and_then(Value::as_f64);
        let metric = |(key, value): &(&'a str, Node<'a>)| {
            let (name, filter) = match parts(key) {
                Some(parts) => parts,
                // Since 0.4 what has no filter is no metric.
                None if is_old => (*key, NO_FILTER),
                None => return None,
            };
            // What could not be computed is "N/A".
            let value = value.value.as_f64().filter(|_| !is_error(name))?;
            let error = if is_old {
                error(&format!("{name}_stderr"))
            } else {
                error(&format!("{name}_stderr,{filter}"))
            };
            Some(Metric { name, filter, value, error })
        };
        Ok(Self(entries.iter().filter_map(metric).collect()))
    }

    /// The one that the scores of samples are of.
    fn first(&self) -> Option<&Metric<'a>> {
        self.0.first()
    }

    fn scores(&self, task: &str, effective: Option<u64>, samples: &[EvalSample]) -> Vec<Score> {
        let has_filters = self.0.iter().any(|one| {
            self.0.iter().any(|other| one.name == other.name && one.filter != other.filter)
        });
        let answered = Some(samples.len() as u64).filter(|count| *count > 0);
        let score = |(index, metric): (usize, &Metric<'_>)| {
            let name = if has_filters && metric.filter != NO_FILTER {
                format!("{}/{}", metric.name, metric.filter)
            } else {
                metric.name.to_owned()
            };
            let score = Score::of(task, name, metric.value, effective.or(answered));
            let score = Score { standard_error: metric.error, ..score };
            if index == 0 { scores::with_interval(score, samples) } else { score }
        };
        self.0.iter().enumerate().map(score).collect()
    }
}

fn is_error(metric: &str) -> bool {
    metric.ends_with("_stderr")
}

/// What became of the samples of a task, by its first metric.
#[derive(Default)]
struct Answers {
    samples: Vec<EvalSample>,
    /// The log-likelihoods of what each sample offers, where it is about those.
    likelihoods: Vec<Vec<f64>>,
}

impl Answers {
    fn read(task: &str, outputs: &Outputs<'_>, metric: &Metric<'_>) -> Result<Self, ParseError> {
        // `samples_TASK_TIME.jsonl`, and a task's name may have the beginning of another's.
        let begin = format!("samples_{task}_");
        let is_of_task = |file: &&OutputFile| {
            let rest = base_name(file).strip_prefix(&begin);
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let mut answers = Self::default();
        let Some(file) = outputs.files_ending(".jsonl").filter(is_of_task).last() else {
            return Ok(answers);
        };
        let text = String::from_utf8_lossy(&file.bytes);
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = format!("{} line {}", file.path, index + 1);
            let value = document::parse(&place, line.as_bytes())?;
            let node = Node::at(&place, &value);
            let of_filter = node.optional("filter").and_then(|filter| filter.text().ok());
            if of_filter.is_some_and(|of_filter| of_filter != metric.filter) {
                continue;
            }
            let score = node.optional(metric.name).and_then(|score| match score.value {
                Value::Bool(is_solved) => Some(f64::from(u8::from(*is_solved))),
                other => other.as_f64(),
            });
            answers.likelihoods.extend(likelihood::of(&value));
            answers.samples.push(EvalSample {
                task: task.to_owned(),
                sample: node.get("doc_id")?.value.to_string(),
                epoch: 1,
                score,
                ..EvalSample::default()
            });
        }
        Ok(answers)
    }

    /// Why the score of the task is chance, where it is.
    fn chance(&self) -> Option<String> {
        let are_all = !self.samples.is_empty() && self.likelihoods.len() == self.samples.len();
        likelihood::chance(&self.likelihoods).filter(|_| are_all)
    }
}
