//! bigcodebench (0.2.5): its results, from its source; it was not run here.

use std::ffi::OsString;

use super::document::{self, Node};
use super::{CommandLine, OutputFile, Outputs, ParseError, Parsed, Place, Tool, scores, words};
use crate::run::{Completion, EvalSample};

/// bigcodebench.
#[derive(Debug)]
pub struct BigCodeBench;

/// How result files end.
const RESULTS: &str = "eval_results.json";

impl Tool for BigCodeBench {
    fn name(&self) -> &'static str {
        "bigcodebench"
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        (name == "bigcodebench.evaluate").then_some(program)
    }

    fn contradiction(&self, argv: &[OsString]) -> Option<String> {
        let execution = words::value(argv, &["--execution"]);
        execution.is_none().then(|| {
            "bigcodebench sends what was generated to a server in the internet by default; say \
             --execution local, or --execution gradio if you mean that"
                .to_owned()
        })
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let root = words::value(command.argv, &["--root"]).unwrap_or("bcb_results");
        let root = Place::own(root, &[".jsonl", ".json"]);
        // Solutions that are there already may lie anywhere; their results lie beside them.
        let samples = words::value(command.argv, &["--samples"]);
        let beside = samples
            .and_then(|samples| samples.strip_suffix(".jsonl"))
            .map(|stem| Place::own(format!("{stem}_{RESULTS}"), &[RESULTS]));
        [root].into_iter().chain(beside).collect()
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        words::server_of_backend(command)
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed {
            model: words::value(outputs.argv, &["--model"]).map(str::to_owned),
            ..Parsed::default()
        };
        let mut results = outputs.files_ending(RESULTS).peekable();
        if results.peek().is_none() {
            parsed.failure = Some("bigcodebench left no result".to_owned());
            return Ok(parsed);
        }
        for file in results {
            read(file, &mut parsed)?;
        }
        Ok(parsed)
    }
}

fn read(file: &OutputFile, parsed: &mut Parsed) -> Result<(), ParseError> {
    let value = document::parse(&file.path, &file.bytes)?;
    let document = Node::new(file, &value);
    let tasks = document.get("eval")?.entries()?;
    // `MODEL--main--bigcodebench-hard-instruct--openai-...`.
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let task = name.split("--").find(|part| part.starts_with("bigcodebench"));
    let task = task.unwrap_or("bigcodebench");
    let mut samples = Vec::new();
    for (id, solutions) in &tasks {
        for (solution, epoch) in solutions.list()?.into_iter().zip(1..) {
            let is_solved = solution.get("status")?.text()? == "pass";
            samples.push(EvalSample {
                task: task.to_owned(),
                sample: (*id).to_owned(),
                epoch,
                score: Some(f64::from(u8::from(is_solved))),
                ..EvalSample::default()
            });
        }
    }
    let count = tasks.len() as u64;
    let before = parsed.completion.map_or(0, |completion| completion.done);
    let count = before + count;
    parsed.completion = Some(Completion { done: count, of: Some(count), ..Completion::default() });
    parsed.scores.extend(scores::pass_at_1(task, &samples));
    parsed.samples.extend(samples);
    Ok(())
}
