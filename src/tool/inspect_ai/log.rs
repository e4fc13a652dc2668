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
    /// Samples that were answered, and scored where they are; none where nothing tells.
    pub(super) done: Option<u64>,
    pub(super) of: Option<u64>,
    pub(super) scores: Vec<Score>,
    pub(super) samples: Vec<EvalSample>,
    /// When the log was begun.
    pub(super) created: Option<Timestamp>,
    error: Option<String>,
}

impl Log {
    /// Reads a log.
    ///
    /// # Errors
    ///
    /// Where it cannot be understood, with the version that wrote it.
    pub(super) fn read(file: &OutputFile) -> Result<Self, ParseError> {
        let (header, summaries, reductions, has_end) = if file.bytes.starts_with(b"PK") {
            let members = archive::read(file)?;
            (members.header, members.summaries, members.reductions, members.has_end)
        } else {
            let mut header = document::parse(&file.path, &file.bytes)?;
            let samples = match header.get_mut("samples").map(Value::take) {
                Some(Value::Array(samples)) => samples,
                _ => Vec::new(),
            };
            let reductions = header.get_mut("reductions").map(Value::take);
            (header, samples, reductions, true)
        };
        let header = Node::new(file, &header);
        let version = version(&header);
        let read = Self::of(file, &header, &summaries, reductions.as_ref(), has_end);
        read.map_err(|error| match &version {
            Some(version) => ParseError {
                detail: format!("{}; inspect-ai {version} wrote it", error.detail),
                ..error
            },
            None => error,
        })
    }

    fn of(
        file: &OutputFile,
        header: &Node<'_>,
        summaries: &[Value],
        reductions: Option<&Value>,
        has_end: bool,
    ) -> Result<Self, ParseError> {
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
        let mut samples: Vec<EvalSample> =
            summaries.map(|node| sample::read(&node, task, scorer.as_deref())).collect();
        if let Some(reductions) = reductions.filter(|_| samples.is_empty() && epochs(&eval) == 1) {
            samples = sample::reduced(reductions, task, scorer.as_deref());
        }
        let text = |node: &Node<'_>, key: &str| Some(node.optional(key)?.text().ok()?.to_owned());
        let error = header.optional("error").and_then(|error| text(&error, "message"));
        let count = |key: &str| results.as_ref()?.optional(key)?.count().ok();
        let of = count("total_samples").or_else(|| planned(&eval));
        // Early versions do not count; what had an error that was not let pass was no success then.
        let of_success = of.filter(|_| status == Status::Success && samples.is_empty());
        let done = count("completed_samples").or(of_success);
        let done = done.or_else(|| finished(&samples, status));
        let mut figures = match &results {
            Some(results) => read_scores(results, task, &samples, done)?,
            None => Vec::new(),
        };
        // What is over no sample is no score.
        if done == Some(0) {
            figures.clear();
        }
        for score in &mut figures {
            score.is_partial = done.zip(of).is_some_and(|(done, of)| done < of);
        }
        Ok(Self {
            task: task.to_owned(),
            task_id: text(&eval, "task_id").unwrap_or_else(|| file.path.clone()),
            status,
            version: version(header),
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
        let task = &self.task;
        let resumed = self.is_resumed().then(|| {
            format!(
                "{task}: samples of an earlier run were taken over, so time and energy are not \
                 those of all samples"
            )
        });
        let is_success = self.status == Status::Success;
        let done = self.done.filter(|_| is_success);
        let partial = done.zip(self.of).filter(|(done, of)| done < of).map(|(done, of)| {
            format!("{task}: {done} of {of} samples were completed, and its scores are theirs")
        });
        let unscored = done.filter(|done| *done > 0 && self.scores.is_empty());
        let unscored =
            unscored.map(|done| format!("{task}: {done} samples were completed and none scored"));
        resumed.into_iter().chain(partial).chain(unscored).collect()
    }

    /// Why the task has no score that counts.
    pub(super) fn failure(&self) -> Option<String> {
        let of = self.of.map_or_else(String::new, |of| format!(" of {of}"));
        let after = self.done.map_or_else(String::new, |done| format!(" after {done}{of} samples"));
        let is_empty = self.scores.is_empty() && self.done.is_none_or(|done| done == 0);
        let how = match self.status {
            Status::Success if is_empty => {
                return Some(format!("{} has no sample and no score", self.task));
            }
            Status::Success => return None,
            Status::Started => "has no end",
            Status::Cancelled => "was cancelled",
            Status::Error => "ended with an error",
        };
        let error = self.error.as_deref().and_then(|error| error.lines().next());
        let error = error.map_or_else(String::new, |error| format!(": {error}"));
        Some(format!("{} {how}{after}{error}", self.task))
    }
}

/// What inspect-ai says of its version; early logs do not.
fn version(header: &Node<'_>) -> Option<String> {
    let packages = header.optional("eval")?.optional("packages")?;
    Some(packages.optional("inspect_ai")?.text().ok()?.to_owned())
}

/// How many samples were answered, by what is said of each: where no scorer was used, those without
/// an error. Of an end that says nothing of any sample nobody knows.
fn finished(samples: &[EvalSample], status: Status) -> Option<u64> {
    let has_scores = samples.iter().any(|sample| sample.score.is_some());
    let is_finished = |sample: &&EvalSample| {
        if has_scores { sample.score.is_some() } else { sample.error.is_none() }
    };
    let finished = samples.iter().filter(is_finished).count() as u64;
    let says_nothing = samples.is_empty() && status == Status::Success;
    (!says_nothing).then_some(finished)
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
    let dataset = eval.optional("dataset")?;
    if let Some(ids) = dataset.optional("sample_ids") {
        return Some(ids.list().ok()?.len() as u64 * epochs(eval));
    }
    // Early logs have no list.
    let all = dataset.optional("samples")?.count().ok()?;
    let limit = eval.optional("config").and_then(|config| config.optional("limit"));
    let samples = match limit.map(|limit| limit.value.clone()) {
        Some(Value::Array(range)) => {
            let ends: Vec<u64> = range.iter().filter_map(Value::as_u64).collect();
            let [from, to] = ends[..] else { return None };
            to.min(all).saturating_sub(from)
        }
        Some(limit) => limit.as_u64().map_or(all, |limit| limit.min(all)),
        None => all,
    };
    Some(samples * epochs(eval))
}

/// How often each sample is asked.
fn epochs(eval: &Node<'_>) -> u64 {
    let config = eval.optional("config");
    config.and_then(|config| config.optional("epochs")?.count().ok()).unwrap_or(1)
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
    done: Option<u64>,
) -> Result<Vec<Score>, ParseError> {
    let all = match results.optional("scores") {
        Some(all) => all.list()?,
        // Logs of early versions have one scorer, whose metrics stand beside it.
        None if results.optional("metrics").is_some() => vec![results.clone()],
        None => return Ok(Vec::new()),
    };
    let mut read = Vec::new();
    for scorer in &all {
        let name = if all.len() > 1 { name_of(scorer, &all)? } else { String::new() };
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
            let told = Some(samples.len() as u64).filter(|count| *count > 0);
            let count = count.or(told).or(done);
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
