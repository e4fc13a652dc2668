//! lm-evaluation-harness (0.4.13): `results_*.json`, and `samples_*.jsonl` of `--log_samples`.

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::document::{self, Node};
use super::{
    CommandLine, OUTPUT, OutputFile, Outputs, ParseError, Parsed, Place, Plan, Tool, scores, words,
};
use crate::run::{Completion, EvalSample, Score};

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
        let begin = vec![format!("{stem}_"), "samples_".to_owned()];
        vec![Place::shared(parent.unwrap_or(Path::new(".")), &[".json", ".jsonl"], begin)]
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        words::base_url_in_list(command.argv).map(str::to_owned)
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed::default();
        let output = words::value(outputs.argv, &["--output_path", "-o"]).and_then(file_stem);
        let begin = output.map_or_else(|| "results_".to_owned(), |stem| format!("{stem}_"));
        let is_result = |file: &&OutputFile| base_name(file).starts_with(&begin);
        let Some(file) = outputs.files_ending(".json").filter(is_result).last() else {
            parsed.failure = Some("lm-eval left no result".to_owned());
            return Ok(parsed);
        };
        let value = document::parse(&file.path, &file.bytes)?;
        let document = Node::new(file, &value);
        let text = |key: &str| Some(document.optional(key)?.text().ok()?.to_owned());
        parsed.version = text("lm_eval_version");
        parsed.model = text("model_name");
        let results = document.get("results")?.entries()?;
        // A group of tasks has a mean of theirs, whose samples are those of its tasks.
        let is_task =
            |task: &str| value.pointer("/configs").is_none_or(|all| all.get(task).is_some());
        for (task, metrics) in results {
            let samples =
                if is_task(task) { read_samples(task, outputs, &metrics)? } else { Vec::new() };
            let effective = document
                .optional("n-samples")
                .and_then(|all| all.optional(task)?.optional("effective")?.count().ok());
            parsed.scores.extend(read_scores(task, &metrics, effective, &samples)?);
            parsed.samples.extend(samples);
        }
        let of: Option<u64> = document.optional("n-samples").and_then(|all| {
            let tasks = all.entries().ok()?;
            tasks.iter().map(|(_, task)| task.optional("effective")?.count().ok()).sum()
        });
        // A sample that has no figure of its own, as where a metric is over all of them, was done.
        let done = match parsed.samples.len() as u64 {
            0 => of.unwrap_or(0),
            answered => answered,
        };
        parsed.completion = Some(Completion { done, of, ..Completion::default() });
        Ok(parsed)
    }
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

fn read_scores(
    task: &str,
    metrics: &Node<'_>,
    effective: Option<u64>,
    samples: &[EvalSample],
) -> Result<Vec<Score>, ParseError> {
    let entries = metrics.entries()?;
    let is_error = |metric: &str| metric.ends_with("_stderr");
    let figures = || {
        entries.iter().filter_map(|(key, node)| {
            let (metric, filter) = parts(key)?;
            // What could not be computed is "N/A".
            Some((metric, filter, node.value.as_f64()?)).filter(|_| !is_error(metric))
        })
    };
    let has_filters = figures().any(|(metric, filter, _)| {
        figures().any(|(other, another, _)| metric == other && filter != another)
    });
    let mut read = Vec::new();
    for (index, (metric, filter, value)) in figures().enumerate() {
        let error = metrics.value.get(format!("{metric}_stderr,{filter}")).and_then(Value::as_f64);
        let name = if has_filters && filter != NO_FILTER {
            format!("{metric}/{filter}")
        } else {
            metric.to_owned()
        };
        let count = effective.unwrap_or(samples.len() as u64);
        let score = Score { standard_error: error, ..Score::of(task, name, value, count) };
        // The scores of samples are those of the first metric.
        let is_of_samples = index == 0;
        read.push(if is_of_samples { scores::with_interval(score, samples) } else { score });
    }
    Ok(read)
}

/// What became of the samples of a task, by its first metric.
fn read_samples(
    task: &str,
    outputs: &Outputs<'_>,
    metrics: &Node<'_>,
) -> Result<Vec<EvalSample>, ParseError> {
    let Some((metric, filter)) = metrics.entries()?.iter().find_map(|(key, node)| {
        let (metric, filter) = parts(key)?;
        (node.value.is_number() && !metric.ends_with("_stderr"))
            .then(|| (metric.to_owned(), filter.to_owned()))
    }) else {
        return Ok(Vec::new());
    };
    // `samples_TASK_TIME.jsonl`, and a task's name may have the beginning of another's.
    let begin = format!("samples_{task}_");
    let is_of_task = |file: &&OutputFile| {
        let rest = base_name(file).strip_prefix(&begin);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let Some(file) = outputs.files_ending(".jsonl").filter(is_of_task).last() else {
        return Ok(Vec::new());
    };
    let mut samples = Vec::new();
    let text = String::from_utf8_lossy(&file.bytes);
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{} line {}", file.path, index + 1);
        let value = document::parse(&place, line.as_bytes())?;
        let node = Node::at(&place, &value);
        let of_filter = node.optional("filter").and_then(|filter| filter.text().ok());
        if of_filter.is_some_and(|of_filter| of_filter != filter) {
            continue;
        }
        let score = node.optional(&metric).and_then(|score| match score.value {
            Value::Bool(is_solved) => Some(f64::from(u8::from(*is_solved))),
            other => other.as_f64(),
        });
        samples.push(EvalSample {
            task: task.to_owned(),
            sample: node.get("doc_id")?.value.to_string(),
            epoch: 1,
            score,
            ..EvalSample::default()
        });
    }
    Ok(samples)
}
