//! A log: one task for one model.

use jiff::Timestamp;
use serde_json::Value;

use super::archive;
use super::sample;
use crate::run::{EvalSample, Score};
use crate::tool::document::{self, Node};
use crate::tool::{OutputFile, ParseError, scores};

/// How a task ended, as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Started,
    Success,
    Cancelled,
    Error,
}

/// What is read of a log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) task: String,
    /// The same for a task that was tried again.
    pub(super) task_id: String,
    pub(super) status: Status,
    pub(super) version: Option<String>,
    pub(super) model: Option<String>,
    /// Samples that have a score.
    pub(super) done: u64,
    pub(super) of: Option<u64>,
    pub(super) scores: Vec<Score>,
    pub(super) samples: Vec<EvalSample>,
    /// When the log was begun.
    pub(super) created: Option<Timestamp>,
    error: Option<String>,
}

impl Log {
    pub(super) fn read(file: &OutputFile) -> Result<Self, ParseError> {
        let (header, summaries, has_end) = if file.bytes.starts_with(b"PK") {
            let members = archive::read(file)?;
            (members.header, members.summaries, members.has_end)
        } else {
            let mut header = document::parse(&file.path, &file.bytes)?;
            let samples = match header.get_mut("samples").map(Value::take) {
                Some(Value::Array(samples)) => samples,
                _ => Vec::new(),
            };
            (header, samples, true)
        };
        let header = Node::new(file, &header);
        let eval = header.get("eval")?;
        let full_name = eval.get("task")?.text()?;
        let task = full_name.rsplit('/').next().unwrap_or(full_name);
        let status = if has_end { status(&header.get("status")?)? } else { Status::Started };
        let results = header.optional("results");
        let scorer = match &results {
            Some(results) => counting_scorer(results),
            None => None,
        };
        let summaries = summaries.iter().map(|value| Node::new(file, value));
        let samples: Vec<EvalSample> =
            summaries.map(|node| sample::read(&node, task, scorer.as_deref())).collect();
        let text = |node: &Node<'_>, key: &str| Some(node.optional(key)?.text().ok()?.to_owned());
        let error = header.optional("error").and_then(|error| text(&error, "message"));
        let answered = samples.iter().filter(|sample| sample.score.is_some()).count() as u64;
        let count = |key: &str| results.as_ref()?.optional(key)?.count().ok();
        let (done, of) = (
            count("completed_samples").unwrap_or(answered),
            count("total_samples").or_else(|| planned(&eval)),
        );
        let mut figures = match &results {
            Some(results) => read_scores(results, task, &samples)?,
            None => Vec::new(),
        };
        for score in &mut figures {
            score.is_partial = of.is_some_and(|of| done < of);
        }
        Ok(Self {
            task: task.to_owned(),
            task_id: text(&eval, "task_id").unwrap_or_else(|| file.path.clone()),
            status,
            version: eval.optional("packages").and_then(|packages| text(&packages, "inspect_ai")),
            model: text(&eval, "model").map(|model| without_provider(&model).to_owned()),
            done,
            of,
            scores: figures,
            samples,
            created: eval.optional("created").and_then(|created| created.time().ok()),
            error,
        })
    }

    /// Whether samples were answered before the log was begun, as those that `inspect eval-retry`
    /// takes over.
    pub(super) fn is_resumed(&self) -> bool {
        let Some(created) = self.created else { return false };
        self.samples.iter().any(|sample| sample.ended.is_some_and(|ended| ended < created))
    }

    /// What its scores and figures do not say.
    pub(super) fn remarks(&self) -> Vec<String> {
        let (task, done) = (&self.task, self.done);
        let resumed = self.is_resumed().then(|| {
            format!(
                "{task}: samples of an earlier run were taken over, so time and energy are not \
                 those of all samples"
            )
        });
        let of = self.of.filter(|of| done < *of && self.status == Status::Success);
        let partial = of.map(|of| {
            format!("{task}: {done} of {of} samples were completed, and its scores are theirs")
        });
        resumed.into_iter().chain(partial).collect()
    }

    /// Why the task has no score that counts.
    pub(super) fn failure(&self) -> Option<String> {
        let of = self.of.map_or_else(String::new, |of| format!(" of {of}"));
        let how = match self.status {
            Status::Success => return None,
            Status::Started => "has no end",
            Status::Cancelled => "was cancelled",
            Status::Error => "ended with an error",
        };
        let error = self.error.as_deref().and_then(|error| error.lines().next());
        let error = error.map_or_else(String::new, |error| format!(": {error}"));
        Some(format!("{} {how} after {}{of} samples{error}", self.task, self.done))
    }
}

fn status(node: &Node<'_>) -> Result<Status, ParseError> {
    match node.text()? {
        "started" => Ok(Status::Started),
        "success" => Ok(Status::Success),
        "cancelled" => Ok(Status::Cancelled),
        "error" => Ok(Status::Error),
        _ => Err(node.wrong("started, success, cancelled or error")),
    }
}

/// The samples that were planned, each as often as it was to be asked.
fn planned(eval: &Node<'_>) -> Option<u64> {
    // A part of the dataset may have been asked for; the number of samples is that of all.
    let samples = eval.optional("dataset")?.optional("sample_ids")?.list().ok()?.len() as u64;
    let config = eval.optional("config");
    let epochs = config.and_then(|config| config.optional("epochs")?.count().ok()).unwrap_or(1);
    Some(samples * epochs)
}

/// The scorer whose scores tell which samples were solved.
fn counting_scorer(results: &Node<'_>) -> Option<String> {
    let headline = results.optional("headline").and_then(|headline| headline.optional("scorer"));
    let first = || results.optional("scores")?.list().ok()?.first()?.optional("scorer");
    Some(headline.or_else(first)?.text().ok()?.to_owned())
}

/// Metrics that are about another one, and none of their own.
fn is_beside(metric: &str) -> bool {
    matches!(metric, "std" | "var" | "variance") || is_error(metric)
}

fn is_error(metric: &str) -> bool {
    metric.ends_with("stderr")
}

/// What a scorer is called among the others: with several reducers each has its name several times.
fn name_of(scorer: &Node<'_>, all: &[Node<'_>]) -> Result<String, ParseError> {
    let name = scorer.get("name")?.text()?;
    let is_same = |other: &&Node<'_>| other.value.get("name") == scorer.value.get("name");
    let reducer = scorer.optional("reducer").and_then(|reducer| reducer.text().ok());
    Ok(match reducer {
        Some(reducer) if all.iter().filter(is_same).count() > 1 => format!("{name}/{reducer}"),
        _ => name.to_owned(),
    })
}

fn read_scores(
    results: &Node<'_>,
    task: &str,
    samples: &[EvalSample],
) -> Result<Vec<Score>, ParseError> {
    let Some(all) = results.optional("scores") else { return Ok(Vec::new()) };
    let all = all.list()?;
    let mut read = Vec::new();
    for scorer in &all {
        let name = name_of(scorer, &all)?;
        let count = scorer.optional("scored_samples").map(|node| node.count()).transpose()?;
        let metrics = scorer.get("metrics")?.entries()?;
        let value = |wanted: &str| {
            let (_, node) = metrics.iter().find(|(metric, _)| *metric == wanted)?;
            node.optional("value")?.number().ok()
        };
        for (metric, node) in metrics.iter().filter(|(metric, _)| !is_beside(metric)) {
            // What could not be computed is null.
            let Some(figure) = node.optional("value") else { continue };
            let error = value("stderr").filter(|_| metrics.len() == 2);
            let error =
                error.or_else(|| value(&format!("{}_stderr", metric.trim_end_matches("_acc"))));
            let metric =
                if all.len() > 1 { format!("{name}/{metric}") } else { (*metric).to_owned() };
            let count = count.unwrap_or(samples.len() as u64);
            let score = Score::of(task, metric, figure.number()?, count);
            let score = Score { standard_error: error, ..score };
            // A second metric with the same value is about something else.
            let has_share = read.iter().any(|score: &Score| score.solved.is_some());
            read.push(if has_share { score } else { scores::with_interval(score, samples) });
        }
    }
    Ok(read)
}

/// A model's name without that of the provider that serves it here.
fn without_provider(model: &str) -> &str {
    let rest = |prefix: &str| model.strip_prefix(prefix);
    if let Some(rest) = rest("openai-api/") {
        return rest.split_once('/').map_or(rest, |(_, name)| name);
    }
    ["openai/", "ollama/", "vllm/", "llama-cpp-python/"].into_iter().find_map(rest).unwrap_or(model)
}
