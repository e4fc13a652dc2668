//! Tools that write files: scores, samples, and files that are damaged.

use std::fmt::Write;

use halo::run::EvalSample;
use halo::tool::{Parsed, TOOLS, ToolMoment};
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
    assert_eq!((score.solved, score.samples), (Some(3), 5));
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
