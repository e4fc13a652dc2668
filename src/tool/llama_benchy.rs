//! llama-benchy (0.4.0): the speed of a server of models, with the times of its requests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::document::{self, Node};
use super::{
    CommandLine, OUTPUT, OutputFile, Outputs, ParseError, Parsed, Phase, Place, Plan, Row, Tool,
    ToolMoment, words,
};
use crate::run::manifest::Case;

mod table;

/// llama-benchy.
#[derive(Debug)]
pub struct LlamaBenchy;

/// The file that halo has the progress written to.
const PROGRESS: &str = "progress.jsonl";

/// What a result tells of each test, how halo calls it, its unit and what it has to be divided by.
const FIGURES: [(&str, &str, &str, f64); 6] = [
    ("pp_throughput", "tokens_per_second", "1/s", 1.0),
    ("tg_throughput", "tokens_per_second", "1/s", 1.0),
    ("peak_throughput", "peak_tokens_per_second", "1/s", 1.0),
    ("ttfr", "time_to_first_response", "s", 1000.0),
    ("est_ppt", "prompt_processing_time", "s", 1000.0),
    ("e2e_ttft", "time_to_first_token", "s", 1000.0),
];

impl Tool for LlamaBenchy {
    fn name(&self) -> &'static str {
        "llama-benchy"
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        matches!(name, "llama-benchy" | "llama_benchy").then_some(program)
    }

    fn needs_help(&self) -> bool {
        true
    }

    fn prepare(&self, plan: &mut Plan, help: Option<&str>) {
        let can = help.is_some_and(|help| help.contains("--emit-progress"));
        if can && !words::has(&plan.argv, &["--emit-progress"]) {
            plan.argv.extend(["--emit-progress".into(), format!("{OUTPUT}/{PROGRESS}").into()]);
            plan.notes.push("halo added --emit-progress, whose events become marks".to_owned());
        }
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let files = ["--save-result", "--emit-progress"];
        let named = files.iter().filter_map(|name| words::value(command.argv, &[name]));
        let is_file = |path: &&str| *path != "-";
        named.filter(is_file).map(|path| Place::own(path, &[""])).collect()
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        words::value(command.argv, &["--base-url"]).map(str::to_owned)
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed {
            model: words::value(outputs.argv, &["--served-model-name"])
                .or_else(|| words::value(outputs.argv, &["--model"]))
                .map(str::to_owned),
            ..Parsed::default()
        };
        let stdout = OutputFile { path: "raw/stdout".to_owned(), bytes: outputs.stdout.to_vec() };
        for file in outputs.files.iter().chain([&stdout]) {
            if file.bytes.starts_with(b"{\"schema\":\"llama-benchy-progress") {
                read_progress(file, &mut parsed)?;
            } else if parsed.rows.is_empty() {
                read_result(file, &mut parsed)?;
            }
        }
        if parsed.rows.is_empty() {
            parsed.failure.get_or_insert_with(|| "llama-benchy printed no result".to_owned());
        }
        Ok(parsed)
    }
}

/// A result as JSON, which may stand behind other text, or as a table.
fn read_result(file: &OutputFile, parsed: &mut Parsed) -> Result<(), ParseError> {
    let text = String::from_utf8_lossy(&file.bytes);
    let begin = text.find("{\n").filter(|_| text.contains("\"benchmarks\""));
    let Some(begin) = begin else {
        parsed.rows.extend(table::rows(&text));
        return Ok(());
    };
    let value = document::parse(&file.path, text[begin..].trim_end().as_bytes())?;
    let document = Node::new(file, &value);
    let version = document.optional("version").and_then(|version| version.text().ok());
    parsed.version = parsed.version.take().or_else(|| version.map(str::to_owned));
    let tests = document.get("benchmarks")?.list()?;
    let has_several = |key: &str| {
        let size = |test: &Node<'_>| test.value.get(key).cloned();
        tests.windows(2).any(|pair| size(&pair[0]) != size(&pair[1]))
    };
    let several = (has_several("prompt_size"), has_several("response_size"));
    for test in &tests {
        read_test(test, several, parsed)?;
    }
    Ok(())
}

/// `several` says whether there are several sizes of prompts, and of answers: one is told by the case
/// then, and the other beside it.
fn read_test(
    test: &Node<'_>,
    several: (bool, bool),
    parsed: &mut Parsed,
) -> Result<(), ParseError> {
    let count = |key: &str| test.get(key)?.count();
    let (prompt, generation) = (count("prompt_size")?, count("response_size")?);
    let (depth, concurrency) = (count("context_size")?, count("concurrency")?);
    let mut end = if depth > 0 { format!(" @ d{depth}") } else { String::new() };
    if concurrency > 1 {
        let _ = write!(end, " (c{concurrency})");
    }
    let is_prefill = test.optional("is_context_prefill_phase").and_then(|is| is.value.as_bool());
    if is_prefill == Some(true) {
        end += " (context)";
    }
    for (key, metric, unit, divisor) in FIGURES {
        let Some(figure) = test.optional(key) else { continue };
        let case = match (key, several) {
            ("tg_throughput" | "peak_throughput", (true, _)) => {
                format!("tg{generation} after pp{prompt}{end}")
            }
            ("tg_throughput" | "peak_throughput", _) => format!("tg{generation}{end}"),
            (_, (_, true)) => format!("pp{prompt} before tg{generation}{end}"),
            _ => format!("pp{prompt}{end}"),
        };
        for (value, repetition) in figure.get("values")?.list()?.iter().zip(1..) {
            parsed.rows.push(Row {
                task: "llama-benchy".to_owned(),
                case: case.clone(),
                repetition: Some(repetition),
                metric: metric.to_owned(),
                value: value.number()? / divisor,
                unit: unit.to_owned(),
            });
        }
        if !parsed.cases.iter().any(|known| known.case == case) {
            let parameters = [
                ("n_prompt", prompt),
                ("n_gen", generation),
                ("n_depth", depth),
                ("concurrency", concurrency),
            ];
            parsed.cases.push(Case {
                task: "llama-benchy".to_owned(),
                case,
                parameters: parameters
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into()))
                    .collect(),
            });
        }
    }
    Ok(())
}

/// The events that say when requests begin and end. Each token has one too, which are too many.
fn read_progress(file: &OutputFile, parsed: &mut Parsed) -> Result<(), ParseError> {
    for line in document::lines(file) {
        let (place, value) = line?;
        let node = Node::at(&place, &value);
        let name = match node.get("type")?.text()? {
            "header" => {
                let version = node.optional("llama_benchy_version");
                parsed.version = version.and_then(|version| Some(version.text().ok()?.to_owned()));
                continue;
            }
            "request_start" => "request started",
            "request_first_token" => "first token",
            "request_end" => "request ended",
            "bench_complete" => {
                let status = node.optional("status").and_then(|status| status.text().ok());
                if let Some(status) = status.filter(|status| *status != "ok") {
                    parsed.failure = Some(format!("llama-benchy ended with status {status}"));
                }
                continue;
            }
            _ => continue,
        };
        let keys = [
            ("request_id", "request"),
            ("prompt_size", "prompt_size"),
            ("response_size", "response_size"),
            ("context_size", "depth"),
            ("concurrency", "concurrency"),
            ("run_index", "repetition"),
            ("prompt_tokens", "prompt_tokens"),
            ("total_tokens", "generated_tokens"),
            ("error", "error"),
        ];
        let attribute = |(key, name): (&str, &str)| {
            let text = match node.optional(key)?.value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (!text.is_empty()).then(|| (name.to_owned(), text))
        };
        let attributes: BTreeMap<String, String> = keys.into_iter().filter_map(attribute).collect();
        parsed
            .moments
            .push(ToolMoment { at: time(&node.get("ts")?)?, phase: Phase { name, attributes } });
    }
    Ok(())
}

/// Seconds since 1970 as a fraction.
fn time(node: &Node<'_>) -> Result<Timestamp, ParseError> {
    let seconds = node.number()?;
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is refused")]
    let nanoseconds = (seconds * 1e9) as i128;
    Timestamp::from_nanosecond(nanoseconds).map_err(|_| node.wrong("seconds since 1970"))
}
