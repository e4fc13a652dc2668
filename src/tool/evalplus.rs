//! evalplus (0.3.1, and its repository after it): `HumanEval+` and `MBPP+`.
//!
//! 0.3.1 says the score on standard output alone, with three digits, so it is computed from the
//! status of each task; a task of `humaneval+` is solved where base tests and further ones pass.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::document::{self, Node};
use super::{
    CommandLine, OutputFile, Outputs, ParseError, Parsed, Phase, Place, Tool, scores, words,
};
use crate::run::{Completion, EvalSample};

/// evalplus.
#[derive(Debug)]
pub struct EvalPlus;

/// How result files end: `X_eval_results.json` in 0.3.1, `X.eval_results.json` in the repository after
/// it, and `eval_results.json` alone where solutions are a directory.
const RESULTS: &str = "eval_results.json";

/// What a line begins with that is printed before a task is asked.
const ASKS: &str = "Codegen: ";

/// What lines begin with that are printed when all are asked.
const SCORES: [&str; 2] = ["Computing expected output", "Reading samples"];

impl Tool for EvalPlus {
    fn name(&self) -> &'static str {
        "evalplus"
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        (name == "evalplus.evaluate").then_some(program)
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let root = words::value(command.argv, &["--root"]).unwrap_or("evalplus_results");
        let directory = Place::own(root, &[".jsonl", RESULTS]);
        // Solutions that are there already may lie anywhere; their results lie beside them.
        let samples = words::value(command.argv, &["--samples"]);
        let beside = samples.map(|samples| {
            let names = match samples.strip_suffix(".jsonl") {
                Some(stem) => ["_", "."].map(|sign| format!("{stem}{sign}{RESULTS}")).to_vec(),
                None => vec![format!("{samples}/{RESULTS}")],
            };
            names.into_iter().map(|name| Place::own(name, &[RESULTS]))
        });
        [directory].into_iter().chain(beside.into_iter().flatten()).collect()
    }

    fn server(&self, command: &CommandLine<'_>) -> Option<String> {
        words::server_of_backend(command)
    }

    fn phase(&self, line: &[u8]) -> Option<Phase> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if let Some(begin) = line.find(ASKS) {
            // The model's name behind it may stand on the next line.
            let sample = line[begin + ASKS.len()..].split_whitespace().next()?;
            let attributes = BTreeMap::from([("sample".to_owned(), sample.to_owned())]);
            return Some(Phase { name: "sample", attributes });
        }
        let scores = SCORES.iter().any(|begin| line.starts_with(begin));
        scores.then(|| Phase { name: "scoring", attributes: BTreeMap::new() })
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed {
            model: words::value(outputs.argv, &["--model"]).map(str::to_owned),
            ..Parsed::default()
        };
        let mut results = outputs.files_ending(RESULTS).peekable();
        if results.peek().is_none() {
            // A line without its end was cut off.
            let count = |file: &OutputFile| file.bytes.split(|byte| *byte == b'\n').count() - 1;
            let raw = |file: &&OutputFile| file.path.ends_with(".raw.jsonl");
            let solutions: usize = outputs.files_ending(".jsonl").filter(raw).map(count).sum();
            parsed.failure = Some(format!(
                "evalplus left no result; {solutions} solutions were generated and not scored"
            ));
            parsed.completion = Some(Completion::default());
            return Ok(parsed);
        }
        for file in results {
            read(file, outputs.argv, &mut parsed)?;
        }
        // It breaks its lines anywhere.
        let text = String::from_utf8_lossy(outputs.stdout);
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.windows(2).any(|pair| pair == ["(resuming", "from"]) {
            parsed.completion =
                parsed.completion.map(|done| Completion { is_resumed: true, ..done });
            parsed.problems.push(
                "evalplus reused solutions of an earlier run, so time and energy are not those of \
                 all samples; another --root begins anew"
                    .to_owned(),
            );
        }
        Ok(parsed)
    }
}

fn read(file: &OutputFile, argv: &[OsString], parsed: &mut Parsed) -> Result<(), ParseError> {
    let value = document::parse(&file.path, &file.bytes)?;
    let document = Node::new(file, &value);
    let tasks = document.get("eval")?.entries()?;
    // Results lie in a directory that is named after the dataset, but for those of --samples.
    let in_path = file.path.rsplit('/').nth(1).filter(|name| matches!(*name, "humaneval" | "mbpp"));
    let base = in_path.or_else(|| words::value(argv, &["--dataset"])).unwrap_or("evalplus");
    let plus = format!("{base}+");
    let (mut of_base, mut of_plus) = (Vec::new(), Vec::new());
    for (id, solutions) in &tasks {
        for (solution, epoch) in solutions.list()?.into_iter().zip(1..) {
            let sample = |task: &str, is_solved: bool| EvalSample {
                task: task.to_owned(),
                answer_of: Some(base.to_owned()),
                sample: (*id).to_owned(),
                epoch,
                score: Some(f64::from(u8::from(is_solved))),
                ..EvalSample::default()
            };
            let passes = |key: &str| -> Result<bool, ParseError> {
                let status = solution.get(key)?;
                match status.text()? {
                    "pass" => Ok(true),
                    "fail" | "timeout" => Ok(false),
                    _ => Err(status.wrong("pass, fail or timeout")),
                }
            };
            let base_passes = passes("base_status")?;
            of_base.push(sample(base, base_passes));
            // With --base-only there is none.
            if solution.optional("plus_status").is_some() {
                of_plus.push(sample(&plus, base_passes && passes("plus_status")?));
            }
        }
    }
    let count = tasks.len() as u64;
    let before = parsed.completion.map_or(0, |completion| completion.done);
    let count = before + count;
    parsed.completion = Some(Completion { done: count, of: Some(count), ..Completion::default() });
    for samples in [of_base, of_plus] {
        let task = samples.first().map(|sample| sample.task.clone()).unwrap_or_default();
        parsed.scores.extend(scores::pass_at_1(&task, &samples));
        parsed.samples.extend(samples);
    }
    Ok(())
}
