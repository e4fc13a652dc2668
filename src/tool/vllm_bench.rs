//! `vllm bench serve` (from its source; it was not run here): one JSON document a file.

use std::ffi::OsString;
use std::path::PathBuf;

use super::document::{self, Node};
use super::{
    CommandLine, OUTPUT, OutputFile, Outputs, ParseError, Parsed, Place, Plan, Row, Tool, words,
};
use crate::run::manifest::Case;

/// `vllm bench serve`.
#[derive(Debug)]
pub struct VllmBench;

const NAME: &str = "vllm-bench";

/// What a result tells, how halo calls it, and the unit.
const FIGURES: [(&str, &str, &str); 6] = [
    ("request_throughput", "requests_per_second", "1/s"),
    ("output_throughput", "tokens_per_second", "1/s"),
    ("total_token_throughput", "total_tokens_per_second", "1/s"),
    ("duration", "duration", "s"),
    ("total_input_tokens", "prompt_tokens", ""),
    ("total_output_tokens", "generated_tokens", ""),
];

/// Latencies in milliseconds, of which it tells mean, median, standard deviation and percentiles.
const LATENCIES: [(&str, &str); 4] = [
    ("ttft", "time_to_first_token"),
    ("tpot", "time_per_token"),
    ("itl", "latency_between_tokens"),
    ("e2el", "latency"),
];

impl Tool for VllmBench {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        let is = |at: usize, word: &str| argv.get(at).is_some_and(|found| found == word);
        let serves = is(program + 1, "bench") && is(program + 2, "serve");
        (name == "vllm" && serves).then_some(program + 2)
    }

    fn prepare(&self, plan: &mut Plan, _help: Option<&str>) {
        if !words::has(&plan.argv, &["--save-result"]) {
            plan.argv.extend(["--save-result".into(), "--result-dir".into(), OUTPUT.into()]);
            plan.notes.push("halo added --save-result, without which there is no file".to_owned());
        }
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let named = words::value(command.argv, &["--result-dir"]);
        let directory = PathBuf::from(named.unwrap_or("."));
        vec![match words::value(command.argv, &["--result-filename"]) {
            Some(file) => Place::own(directory.join(file), &[".json"]),
            None if named.is_some() => Place::own(directory, &[".json"]),
            None => {
                let label = words::value(command.argv, &["--label"]);
                let backend = words::value(command.argv, &["--backend"]).unwrap_or("openai");
                // `LABEL-RATEqps-MODEL-TIME.json`, without a label the backend.
                let begins = format!("{}-", label.unwrap_or(backend));
                Place::shared(directory, &[".json"], vec![begins])
            }
        }]
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        words::value(command.argv, &["--base-url"]).map(str::to_owned)
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed::default();
        for file in outputs.files_ending(".json") {
            // With --append-result there is one document a line.
            let text = String::from_utf8_lossy(&file.bytes);
            match document::parse(&file.path, &file.bytes) {
                Ok(value) => read(file, &value, &mut parsed)?,
                Err(error) if text.lines().count() < 2 => return Err(error),
                Err(_) => {
                    for line in text.lines().filter(|line| !line.trim().is_empty()) {
                        read(file, &document::parse(&file.path, line.as_bytes())?, &mut parsed)?;
                    }
                }
            }
        }
        if parsed.rows.is_empty() {
            let nothing = || "vllm bench serve left no result".to_owned();
            parsed.failure.get_or_insert_with(nothing);
        }
        Ok(parsed)
    }
}

fn read(
    file: &OutputFile,
    value: &serde_json::Value,
    parsed: &mut Parsed,
) -> Result<(), ParseError> {
    let document = Node::new(file, value);
    // The rate may be a number or the text inf.
    let text = |node: Node<'_>| match node.value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rate = document.optional("request_rate").map_or_else(|| "?".to_owned(), text);
    let concurrency = document.optional("max_concurrency").map(text);
    let concurrency = concurrency.map_or_else(String::new, |count| format!(" (c{count})"));
    let case = format!("serve rate {rate}{concurrency}");
    let model = document.optional("model_id").and_then(|model| model.text().ok());
    parsed.model = parsed.model.take().or_else(|| model.map(str::to_owned));
    let mut push = |metric: String, value: f64, unit: &str| {
        parsed.rows.push(Row {
            task: NAME.to_owned(),
            case: case.clone(),
            repetition: None,
            metric,
            value,
            unit: unit.to_owned(),
        });
    };
    document.get("output_throughput")?.number()?;
    for (key, metric, unit) in FIGURES {
        if let Some(node) = document.optional(key) {
            push(metric.to_owned(), node.number()?, unit);
        }
    }
    for (key, metric) in LATENCIES {
        for (begin, end) in [
            ("mean", "_mean"),
            ("std", "_standard_deviation"),
            ("median", "_median"),
            ("p99", "_p99"),
        ] {
            if let Some(node) = document.optional(&format!("{begin}_{key}_ms")) {
                push(format!("{metric}{end}"), node.number()? / 1000.0, "s");
            }
        }
    }
    let (completed, failed) = (document.optional("completed"), document.optional("failed"));
    let count = |node: &Option<Node<'_>>| node.as_ref().map(Node::count).transpose();
    let (completed, failed) = (count(&completed)?, count(&failed)?.unwrap_or(0));
    if failed > 0 || completed == Some(0) {
        parsed.failure = Some(format!("{failed} requests of vllm bench serve failed"));
    }
    parsed.cases.push(Case { task: NAME.to_owned(), case, parameters: super::Parameters::new() });
    Ok(())
}
