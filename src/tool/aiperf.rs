//! aiperf of NVIDIA (0.13): figures of a server, and the times of each request.

use std::collections::BTreeMap;
use std::ffi::OsString;

use jiff::Timestamp;

use super::document::{self, Node};
use super::{
    CommandLine, OutputFile, Outputs, ParseError, Parsed, Phase, Place, Row, Tool, ToolMoment,
    words,
};

/// aiperf.
#[derive(Debug)]
pub struct AiPerf;

const NAME: &str = "aiperf";

/// The figures over all requests, and each request.
const FIGURES_FILE: &str = "profile_export_aiperf.json";
const REQUESTS_FILE: &str = "profile_export.jsonl";

/// What it tells once, and how halo calls it. Its units are in the file.
const SINGLE: [(&str, &str, &str); 3] = [
    ("output_token_throughput", "tokens_per_second", "1/s"),
    ("request_throughput", "requests_per_second", "1/s"),
    ("benchmark_duration", "duration", "s"),
];

/// Times in milliseconds, of which it tells how they are distributed.
const TIMES: [(&str, &str); 3] = [
    ("time_to_first_token", "time_to_first_token"),
    ("inter_token_latency", "latency_between_tokens"),
    ("request_latency", "latency"),
];

impl Tool for AiPerf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        let profiles = argv.get(program + 1).is_some_and(|word| word == "profile");
        (name == NAME && profiles).then_some(program + 1)
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let names = ["--output-artifact-dir", "--artifact-dir"];
        let directory = words::value(command.argv, &names).unwrap_or("artifacts");
        vec![Place::own(directory, &[FIGURES_FILE, REQUESTS_FILE])]
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        let url = words::value(command.argv, &["--url", "-u"])?;
        Some(if url.contains("://") { url.to_owned() } else { format!("http://{url}") })
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed {
            model: words::value(outputs.argv, &["--model", "--model-names", "-m"])
                .map(str::to_owned),
            ..Parsed::default()
        };
        for file in outputs.files_ending(FIGURES_FILE) {
            read_figures(file, &mut parsed)?;
        }
        for file in outputs.files_ending(REQUESTS_FILE) {
            read_requests(file, &mut parsed)?;
        }
        if parsed.rows.is_empty() {
            parsed.failure = Some("aiperf left no result".to_owned());
        }
        Ok(parsed)
    }
}

fn read_figures(file: &OutputFile, parsed: &mut Parsed) -> Result<(), ParseError> {
    let value = document::parse(&file.path, &file.bytes)?;
    let document = Node::new(file, &value);
    let version = document.optional("aiperf_version");
    parsed.version = version.and_then(|version| Some(version.text().ok()?.to_owned()));
    // Several runs have a directory each, whose name says how they differ.
    let case = file.path.rsplit('/').nth(1).unwrap_or("profile").to_owned();
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
    document.get("request_throughput")?;
    for (key, metric, unit) in SINGLE {
        if let Some(node) = document.optional(key) {
            push(metric.to_owned(), node.get("avg")?.number()?, unit);
        }
    }
    for (key, metric) in TIMES {
        let Some(node) = document.optional(key) else { continue };
        let unit = node.get("unit")?;
        if unit.text()? != "ms" {
            return Err(unit.wrong("ms"));
        }
        let ends =
            [("avg", "_mean"), ("std", "_standard_deviation"), ("p50", "_median"), ("p99", "_p99")];
        for (key, end) in ends {
            if let Some(figure) = node.optional(key) {
                push(format!("{metric}{end}"), figure.number()? / 1000.0, "s");
            }
        }
    }
    let failed = document.optional("error_request_count");
    let failed = failed.and_then(|failed| failed.optional("avg")?.number().ok());
    if let Some(failed) = failed.filter(|failed| *failed > 0.0) {
        parsed.failure = Some(format!("{failed} requests of aiperf failed"));
    }
    if document.optional("was_cancelled").is_some_and(|is| is.value == true) {
        parsed.failure = Some("aiperf was cancelled".to_owned());
    }
    Ok(())
}

fn read_requests(file: &OutputFile, parsed: &mut Parsed) -> Result<(), ParseError> {
    for (index, line) in document::lines(file).enumerate() {
        let (place, value) = line?;
        let node = Node::at(&place, &value);
        let request = node.get("metadata")?;
        let attributes = |more: &[(&str, &str)]| {
            let tokens = |key: &str| {
                let count = node.optional("metrics")?.optional(key)?.optional("value")?;
                Some(count.value.to_string())
            };
            let mut attributes = BTreeMap::from([("request".to_owned(), index.to_string())]);
            for (key, name) in more {
                attributes.extend(tokens(key).map(|count| ((*name).to_owned(), count)));
            }
            attributes
        };
        let counts = [
            ("input_sequence_length", "prompt_tokens"),
            ("output_sequence_length", "generated_tokens"),
        ];
        for (key, name, counts) in [
            ("request_start_ns", "request started", &[][..]),
            ("request_end_ns", "request ended", &counts[..]),
        ] {
            let Some(node) = request.optional(key) else { continue };
            let at = Timestamp::from_nanosecond(node.count()?.into());
            let at = at.map_err(|_| node.wrong("nanoseconds since 1970"))?;
            let phase = Phase { name, attributes: attributes(counts) };
            parsed.moments.push(ToolMoment { at, phase });
        }
    }
    Ok(())
}
