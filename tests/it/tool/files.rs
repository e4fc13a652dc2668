//! Tools that write files: scores, samples, and files that are damaged.

use std::fmt::Write;

use halo::run::EvalSample;
use halo::tool::{self, Outputs, Parsed, TOOLS, ToolMoment};
use serde_json::{Value, json};

use super::Fixture;
use crate::machine::{directories, fixtures};

/// What only evals and tools with files of their own have.
pub(super) fn golden(parsed: &Parsed) -> String {
    let sample = |sample: &EvalSample| {
        let times = [sample.started, sample.ended].map(|time| time.map(|time| time.to_string()));
        let tokens = [sample.prompt_tokens, sample.generated_tokens];
        let error = sample.error.as_deref().map(|error| error.chars().take(60).collect::<String>());
        json!([sample.task, sample.sample, sample.epoch, sample.score, times, tokens, error])
    };
    let moment = |moment: &ToolMoment| {
        json!([moment.at.to_string(), moment.phase.name, moment.phase.attributes])
    };
    let all: [(&str, Vec<Value>); 5] = [
        ("model", parsed.model.iter().map(|model| json!(model)).collect()),
        ("completion", parsed.completion.iter().map(|done| json!(done)).collect()),
        ("scores", parsed.scores.iter().map(|score| json!(score)).collect()),
        ("samples", parsed.samples.iter().map(sample).collect()),
        ("moments", parsed.moments.iter().map(moment).collect()),
    ];
    let problems = ("problems", parsed.problems.iter().map(|line| json!(line)).collect());
    let mut text = String::new();
    for (key, values) in all.into_iter().chain([problems]) {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| format!("\n    {value}")).collect();
            write!(text, ",\n  \"{key}\": [{}\n  ]", values.join(",")).unwrap();
        }
    }
    text
}

#[test]
fn damaged_files_are_refused_or_read_and_never_panic() {
    for tool in TOOLS {
        for case in directories(&format!("tools/{}", tool.name())) {
            let whole = Fixture::read(&case);
            for index in 0..whole.files.len() {
                let length = whole.files[index].bytes.len();
                for part in [0, 1, length / 3, length / 2, length.saturating_sub(1)] {
                    let mut fixture = Fixture::read(&case);
                    fixture.files[index].bytes.truncate(part);
                    let _ = fixture.parse();
                    let mut fixture = Fixture::read(&case);
                    for byte in fixture.files[index].bytes.iter_mut().skip(part).take(9) {
                        *byte ^= 0x15;
                    }
                    let _ = fixture.parse();
                }
            }
        }
    }
}

#[test]
fn known_scores_come_out() {
    let parsed = |tool: &str, case: &str| {
        Fixture::read(&fixtures().join("tools").join(tool).join(case)).parse().unwrap()
    };
    let eval = parsed("inspect-ai", "eval");
    let score = &eval.scores[0];
    assert_eq!((&*score.task, &*score.metric, score.value), ("tiny", "accuracy", 0.6));
    assert_eq!((score.solved, score.samples), (Some(3), Some(5)));
    // Wilson's interval of 3 of 5, from the formula.
    assert!(
        (score.low.unwrap() - 0.230_72).abs() < 1e-4
            && (score.high.unwrap() - 0.882_38).abs() < 1e-4
    );
    let tokens: u64 = eval.samples.iter().filter_map(|sample| sample.prompt_tokens).sum();
    assert_eq!(tokens, 185 + 54, "what came from the cache was a part of the prompts");
    let plus = parsed("evalplus", "plus");
    let scores: Vec<_> = plus.scores.iter().map(|s| (&*s.task, &*s.metric, s.value)).collect();
    assert_eq!(scores, [("humaneval", "pass@1", 0.6), ("humaneval+", "pass@1", 0.4)]);
    assert_eq!(parsed("lm-eval", "samples").scores[0].value, 0.5);
    let ifeval = parsed("inspect-ai", "ifeval");
    let strict = ifeval.scores.iter().find(|s| s.metric == "prompt_strict_acc").unwrap();
    assert_eq!((strict.solved, strict.standard_error), (Some(3), Some(0.245)));
    assert!(
        ifeval
            .scores
            .iter()
            .filter(|s| s.metric != "prompt_strict_acc")
            .all(|s| { s.solved.is_none() || (s.value - 0.6).abs() < 1e-9 })
    );
}

#[test]
fn only_the_status_of_a_log_says_how_a_task_ended() {
    let parsed = |case: &str| {
        Fixture::read(&fixtures().join("tools/inspect-ai").join(case)).parse().unwrap()
    };
    let cancelled = parsed("cancelled");
    let completion = cancelled.completion.unwrap();
    assert_eq!((completion.done, completion.of, completion.is_cancelled), (109, Some(400), true));
    let why = "slow was cancelled after 109 of 400 samples";
    assert_eq!(cancelled.failure.as_deref(), Some(why));
    let error = parsed("error").failure.unwrap();
    assert!(error.starts_with("tiny ended with an error after 0 of 5 samples: "), "{error}");
    let killed = parsed("killed").failure.unwrap();
    assert_eq!(killed, "slow has no end after 0 of 4000 samples");
    assert_eq!(parsed("eval").failure, None);
    let foreign = parsed("foreign");
    assert_eq!((foreign.scores.len(), foreign.problems.len()), (1, 1));
    assert_eq!(foreign.problems[0], "raw/files/logs/other.json: eval is missing");
}

#[test]
fn lines_of_evals_tell_their_progress() {
    let phase = |tool: &str, line: &str| {
        let tool = TOOLS.iter().find(|one| one.name() == tool).unwrap();
        tool.phase(line.as_bytes()).map(|phase| format!("{} {:?}", phase.name, phase.attributes))
    };
    let asked = Some(r#"sample {"sample": "HumanEval/100"}"#.to_owned());
    for line in
        ["Codegen: HumanEval/100 @ tiny", "  Codegen: HumanEval/100 @ ", "Codegen: HumanEval/100"]
    {
        assert_eq!(phase("evalplus", line), asked, "{line}");
    }
    assert_eq!(phase("evalplus", "Reading samples..."), Some("scoring {}".to_owned()));
    let line =
        "generate     | Steps:   5/9 55% | Samples:   2/  5 | accuracy: 1.00 | HTTP retries: 0";
    let done = Some(r#"samples {"done": "2", "of": "5"}"#.to_owned());
    assert_eq!(phase("inspect-ai", line), done);
    for line in ["", "Samples: 2/5", "x | Samples: many | y", "Running 1 tasks..."] {
        assert_eq!(phase("inspect-ai", line), None, "{line}");
    }
}

#[test]
fn several_sizes_of_prompts_and_answers_are_cases_of_their_own() {
    let test = |prompt: u32, answer: u32| {
        json!({
            "concurrency": 1, "context_size": 0, "prompt_size": prompt, "response_size": answer,
            "is_context_prefill_phase": false,
            "pp_throughput": {"values": [1.0, 2.0]}, "tg_throughput": {"values": [3.0, 4.0]},
        })
    };
    let result = json!({"version": "0.4.0", "benchmarks": [test(512, 32), test(4096, 32)]});
    let stdout = serde_json::to_vec_pretty(&result).unwrap();
    let argv = ["llama-benchy".into()];
    let (tool, program) = tool::recognize(&argv).unwrap();
    let outputs = Outputs { argv: &argv, program, stdout: &stdout, stderr: b"", files: &[] };
    let parsed = tool.parse(&outputs).unwrap();
    let cases: Vec<&str> = parsed.cases.iter().map(|case| case.case.as_str()).collect();
    assert_eq!(cases, ["pp512", "tg32 after pp512", "pp4096", "tg32 after pp4096"]);
    assert!(parsed.rows.iter().all(|row| row.repetition.is_some_and(|number| number < 3)));
}

/// Samples that `inspect eval-retry` takes over were answered before its log was begun.
#[test]
fn samples_of_an_earlier_run_are_told() {
    let mut fixture = Fixture::read(&fixtures().join("tools/inspect-ai/json"));
    let mut log: Value = serde_json::from_slice(&fixture.files[0].bytes).unwrap();
    log["eval"]["created"] = json!("2030-01-01T00:00:00+00:00");
    fixture.files[0].bytes = serde_json::to_vec(&log).unwrap();
    let parsed = fixture.parse().unwrap();
    assert!(parsed.completion.unwrap().is_resumed);
    assert!(parsed.problems[0].contains("samples of an earlier run were taken over"));
}

/// With `--no-fail-on-error` a log says success where samples are missing.
#[test]
fn a_success_with_missing_samples_is_a_part() {
    let mut fixture = Fixture::read(&fixtures().join("tools/inspect-ai/json"));
    let mut log: Value = serde_json::from_slice(&fixture.files[0].bytes).unwrap();
    log["results"]["completed_samples"] = json!(3);
    fixture.files[0].bytes = serde_json::to_vec(&log).unwrap();
    let parsed = fixture.parse().unwrap();
    assert_eq!(parsed.failure, None);
    assert!(parsed.scores.iter().all(|score| score.is_partial));
    let says = "tiny: 3 of 5 samples were completed, and its scores are theirs";
    assert_eq!(parsed.problems, [says]);
}
