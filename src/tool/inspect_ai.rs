//! inspect-ai of the UK AI Security Institute (0.3.285): its logs, as ZIP files or as JSON.
//!
//! Its exit code is 0 where a task ended with an error, and a log that was cancelled may hold a
//! score over what was done: only `status` tells.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::{CommandLine, Outputs, ParseError, Parsed, Phase, Place, Tool, words};
use crate::run::Completion;
use log::{Log, Status};

mod archive;
mod log;
mod sample;

/// inspect-ai.
#[derive(Debug)]
pub struct InspectAi;

/// The variable that names the directory of its logs.
const LOG_DIRECTORY: &str = "INSPECT_LOG_DIR";

/// Files of inspect-ai beside its logs: what a set of evals consists of, and a listing of logs.
const NO_LOGS: [&str; 2] = ["eval-set.json", "logs.json"];

impl Tool for InspectAi {
    fn name(&self) -> &'static str {
        "inspect-ai"
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        let command = argv.get(program + 1)?.to_str()?;
        let is_eval = matches!(command, "eval" | "eval-set" | "eval-retry");
        (matches!(name, "inspect" | "inspect_ai") && is_eval).then_some(program + 1)
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let named = words::value(command.argv, &["--log-dir"]).map(OsString::from);
        let directory = named.or_else(|| (command.variable)(LOG_DIRECTORY)).map(PathBuf::from);
        let path = directory.or_else(|| (command.dotenv)(LOG_DIRECTORY));
        vec![Place::own(path.unwrap_or_else(|| "logs".into()), &[".eval", ".json"])]
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        if let Some(url) = words::value(command.argv, &["--model-base-url"]) {
            return Some(url.to_owned());
        }
        // Each provider has a variable of its own.
        let model = words::value(command.argv, &["--model"])?;
        let provider = match model.split('/').collect::<Vec<_>>()[..] {
            ["openai-api", provider, ..] => provider,
            ["openai", ..] => "openai",
            _ => return None,
        };
        let variable = format!("{}_BASE_URL", provider.to_uppercase().replace('-', "_"));
        (command.variable)(&variable)?.into_string().ok()
    }

    fn phase(&self, line: &[u8]) -> Option<Phase> {
        // With --display plain: `generate | Steps: 5/9 55% | Samples: 2/ 5 | accuracy: 0.5 | ...`.
        let line = String::from_utf8_lossy(line);
        let (_, rest) = line.split_once("| Samples:")?;
        let (done, of) = rest.split('|').next()?.split_once('/')?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let attributes = BTreeMap::from([
            ("done".to_owned(), number(done)?.to_string()),
            ("of".to_owned(), number(of)?.to_string()),
        ]);
        Some(Phase { name: "samples", attributes })
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed::default();
        let (mut logs, mut errors) = (Vec::new(), Vec::new());
        for file in outputs.files {
            if NO_LOGS.iter().any(|name| file.path.ends_with(name)) {
                continue;
            }
            match Log::read(file) {
                Ok(log) => logs.push(log),
                Err(error) => errors.push(error),
            }
        }
        if logs.is_empty() && !errors.is_empty() {
            return Err(errors.remove(0));
        }
        parsed.problems.extend(errors.iter().map(ToString::to_string));
        if logs.is_empty() {
            parsed.failure = Some("inspect-ai left no log".to_owned());
            return Ok(parsed);
        }
        // What was tried again counts as it was the last time.
        logs.sort_by_key(|log| log.created);
        let all: Vec<String> = logs.iter().map(|log| log.task_id.clone()).collect();
        let mut index = 0;
        logs.retain(|log| {
            index += 1;
            !all[index..].contains(&log.task_id)
        });
        name_apart(&mut logs);
        parsed.version = logs.iter().find_map(|log| log.version.clone());
        parsed.model = logs.iter().find_map(|log| log.model.clone());
        let sum = |count: fn(&Log) -> Option<u64>| logs.iter().map(count).sum::<Option<u64>>();
        // Where one log does not tell how many samples were done, nobody knows how many all were.
        let of = sum(|log| log.of);
        parsed.completion = sum(|log| log.done).filter(|_| of != Some(0)).map(|done| Completion {
            done,
            of,
            is_cancelled: logs.iter().any(|log| log.status == Status::Cancelled),
            is_resumed: logs.iter().any(Log::is_resumed),
        });
        for log in &logs {
            parsed.problems.extend(log.remarks());
        }
        let failures: Vec<String> = logs.iter().filter_map(Log::failure).collect();
        parsed.failure = (!failures.is_empty()).then(|| failures.join("; "));
        for log in logs {
            parsed.scores.extend(log.scores);
            parsed.samples.extend(log.samples);
        }
        Ok(parsed)
    }
}

/// Tasks of one name, as those of several models, get numbers.
fn name_apart(logs: &mut [Log]) {
    for index in 1..logs.len() {
        let (before, rest) = logs.split_at_mut(index);
        let log = &mut rest[0];
        let wanted = log.task.clone();
        let mut number = 1;
        while before.iter().any(|other| other.task == log.task) {
            number += 1;
            log.task = format!("{wanted} {number}");
        }
        for score in &mut log.scores {
            score.task.clone_from(&log.task);
        }
        for sample in &mut log.samples {
            sample.task.clone_from(&log.task);
        }
    }
}
