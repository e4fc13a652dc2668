//! Logs of evals without samples, of old versions, and such as were never finished.

use std::io::{Cursor, Write};

use halo::tool::{OutputFile, ParseError, Parsed};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{Fixture, words};

fn parse(line: &str, files: Vec<OutputFile>) -> Result<Parsed, ParseError> {
    Fixture { argv: words(line), stdout: Vec::new(), stderr: Vec::new(), files }.parse()
}

fn file(path: &str, value: &Value) -> OutputFile {
    OutputFile { path: format!("raw/files/{path}"), bytes: value.to_string().into_bytes() }
}

fn inspect(log: &Value) -> Result<Parsed, ParseError> {
    parse("inspect eval t.py --model m", vec![file("logs/a.json", log)])
}

/// What one score is: value, samples, solved.
fn scores(parsed: &Parsed) -> Vec<(&str, f64, Option<u64>, Option<u64>)> {
    let score = |score: &'_ halo::run::Score| (score.value, score.samples, score.solved);
    parsed
        .scores
        .iter()
        .map(|one| {
            let (value, samples, solved) = score(one);
            (one.metric.as_str(), value, samples, solved)
        })
        .collect()
}

fn done(parsed: &Parsed) -> Option<(u64, Option<u64>)> {
    parsed.completion.map(|completion| (completion.done, completion.of))
}

/// A log without samples.
fn log() -> Value {
    json!({
        "version": 2, "status": "success",
        "eval": {
            "task": "tiny", "task_id": "T", "created": "2025-05-12T20:28:13-04:00",
            "model": "openai/gpt", "dataset": {"samples": 100, "sample_ids": [1, 2, 3]},
            "config": {"limit": 3, "epochs": 1}, "packages": {"inspect_ai": "0.3.95"},
        },
        "results": {
            "total_samples": 3, "completed_samples": 3,
            "scores": [{"name": "match", "scorer": "match",
                "metrics": {"accuracy": {"name": "accuracy", "value": 2.0 / 3.0},
                            "stderr": {"name": "stderr", "value": 0.333}}}],
        },
        "samples": [],
        "reductions": [{"scorer": "match", "samples": [
            {"value": 1.0, "sample_id": 1}, {"value": "C", "sample_id": "b"}, {"value": 0, "sample_id": 3}]}],
    })
}

#[test]
fn a_log_without_samples_has_its_scores_over_those_that_were_asked() {
    let parsed = inspect(&log()).unwrap();
    assert_eq!(scores(&parsed), [("accuracy", 2.0 / 3.0, Some(3), Some(2))]);
    assert_eq!((done(&parsed), parsed.failure), (Some((3, Some(3))), None));
    let samples: Vec<_> = parsed.samples.iter().map(|s| (s.sample.as_str(), s.score)).collect();
    assert_eq!(samples, [("1", Some(1.0)), ("b", Some(1.0)), ("3", Some(0.0))]);

    let mut without = log();
    without.as_object_mut().unwrap().remove("reductions");
    let parsed = inspect(&without).unwrap();
    assert_eq!(scores(&parsed), [("accuracy", 2.0 / 3.0, Some(3), None)]);
    // What is over several times that a sample was asked tells of none of them.
    let mut epochs = log();
    epochs["eval"]["config"]["epochs"] = json!(2);
    epochs["results"]["completed_samples"] = json!(6);
    epochs["results"]["total_samples"] = json!(6);
    let parsed = inspect(&epochs).unwrap();
    assert_eq!(scores(&parsed), [("accuracy", 2.0 / 3.0, Some(6), None)]);
    assert!(parsed.samples.is_empty());
    let mut cancelled = log();
    cancelled["status"] = json!("cancelled");
    let parsed = inspect(&cancelled).unwrap();
    assert_eq!(parsed.failure.as_deref(), Some("tiny was cancelled after 3 of 3 samples"));
    assert_eq!(scores(&parsed).len(), 1);
}

#[test]
fn early_logs_have_one_scorer_and_count_nothing() {
    let early = |samples: Value| {
        json!({
            "version": 1, "status": "success",
            "eval": {"task": "suite/tiny", "model": "m", "dataset": {"samples": 10},
                     "config": {"limit": [2, 6]}, "packages": {"inspect_ai": "0.3.5"}},
            "results": {"scorer": {"name": "match", "params": {}},
                        "metrics": {"accuracy": {"name": "accuracy", "value": 0.25}}},
            "samples": samples,
        })
    };
    let parsed = inspect(&early(Value::Null)).unwrap();
    assert_eq!(scores(&parsed), [("accuracy", 0.25, Some(4), None)]);
    assert_eq!((done(&parsed), parsed.version.as_deref()), (Some((4, Some(4))), Some("0.3.5")));
    let sample = |id: u32, value: &str| json!({"id": id, "epoch": 1, "score": {"value": value}});
    let samples: Vec<Value> = vec![sample(1, "C"), sample(2, "I"), sample(3, "I"), sample(4, "I")];
    let parsed = inspect(&early(samples.into())).unwrap();
    assert_eq!(scores(&parsed), [("accuracy", 0.25, Some(4), Some(1))]);
    assert_eq!(done(&parsed), Some((4, Some(4))));
}

#[test]
fn a_log_with_nothing_in_it_is_no_success() {
    let mut nothing = log();
    for (key, value) in [("results", Value::Null), ("reductions", Value::Null)] {
        nothing[key] = value;
    }
    nothing["eval"]["dataset"] = json!({"name": "x"});
    let parsed = inspect(&nothing).unwrap();
    assert_eq!(parsed.failure.as_deref(), Some("tiny has no sample and no score"));
    assert_eq!(parsed.completion, None, "nobody knows how many");
    // A mean over no samples is none.
    let mut none = log();
    none["results"]["total_samples"] = json!(0);
    none["results"]["completed_samples"] = json!(0);
    none["reductions"] = Value::Null;
    let parsed = inspect(&none).unwrap();
    assert_eq!(parsed.failure.as_deref(), Some("tiny has no sample and no score"));
    assert!(parsed.scores.is_empty() && parsed.completion.is_none());
    // Samples that no scorer judged were answered.
    let mut unscored = log();
    unscored["results"]["scores"] = json!([]);
    unscored["samples"] =
        json!([{"id": 1, "epoch": 1}, {"id": 2, "epoch": 1}, {"id": 3, "epoch": 1}]);
    let parsed = inspect(&unscored).unwrap();
    assert_eq!((done(&parsed), parsed.failure), (Some((3, Some(3))), None));
    assert_eq!(parsed.problems, ["tiny: 3 samples were completed and none scored"]);
    // What cannot be read names who wrote it.
    let mut newer = log();
    newer["status"] = json!("paused");
    newer["eval"]["packages"]["inspect_ai"] = json!("0.9.0");
    let error = inspect(&newer).unwrap_err().to_string();
    assert!(
        error.contains("not started, success") && error.ends_with("; inspect-ai 0.9.0 wrote it"),
        "{error}"
    );
}

/// A `.eval` file with these members, one after the other.
fn archive(members: &[(&str, Value)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Zstd);
    for (name, value) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(value.to_string().as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_log_that_was_never_finished_tells_what_was_done() {
    let mut start = log();
    start.as_object_mut().unwrap().retain(|key, _| matches!(key.as_str(), "version" | "eval"));
    let summary = |id: u32, value: &str| json!({"id": id, "epoch": 1, "scores": {"match": {"value": value}}, "padding": "x".repeat(300)});
    let members = [
        ("_journal/start.json", start),
        ("samples/1_epoch_1.json", json!({"id": 1})),
        ("_journal/summaries/1.json", json!([summary(1, "C")])),
        ("_journal/summaries/2.json", json!([summary(2, "I")])),
    ];
    let whole = archive(&members);
    let read = |bytes: &[u8]| {
        let file = OutputFile { path: "raw/files/logs/a.eval".to_owned(), bytes: bytes.to_vec() };
        parse("inspect eval t.py --model m", vec![file])
    };
    let parsed = read(&whole).unwrap();
    assert_eq!(parsed.failure.as_deref(), Some("tiny has no end after 2 of 3 samples"));
    assert_eq!((done(&parsed), parsed.samples.len()), (Some((2, Some(3))), 2));
    // Killed while it wrote: the list of the members is missing, and then members.
    let mut seen = std::collections::BTreeSet::new();
    for at in 0..whole.len() {
        let Ok(parsed) = read(&whole[..at]) else { continue };
        let (count, of) = done(&parsed).unwrap();
        assert_eq!(of, Some(3));
        assert!(parsed.failure.unwrap().starts_with("tiny has no end after "));
        seen.insert(count);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

fn lm_eval(name: &str, line: &str, result: &Value) -> Parsed {
    parse(line, vec![file(name, result)]).unwrap()
}

#[test]
fn results_before_0_4_have_their_scores_and_no_number_of_samples() {
    let old = json!({
        "results": {
            "arc_easy": {"acc": 0.25, "acc_stderr": 0.009, "acc_norm": 0.24, "acc_norm_stderr": 0.008},
            "wikitext": {"word_perplexity": 12.5},
        },
        "versions": {"arc_easy": 0, "wikitext": 1},
        "config": {"model": "hf-causal", "model_args": "pretrained=x", "limit": null},
    });
    let expected = [
        ("acc", 0.25, None, None),
        ("acc_norm", 0.24, None, None),
        ("word_perplexity", 12.5, None, None),
    ];
    for (name, line) in [
        ("out/results_arc_easy.json", "lm_eval --tasks arc_easy --output_path out"),
        ("out/results.json", "lm_eval --tasks arc_easy --output_path out"),
        ("mine.json", "lm_eval --tasks arc_easy --output_path mine.json"),
    ] {
        let parsed = lm_eval(name, line, &old);
        assert_eq!(scores(&parsed), expected, "{name}");
        assert_eq!(parsed.scores[0].standard_error, Some(0.009));
        assert_eq!((parsed.completion, parsed.version.as_deref()), (None, Some("before 0.4")));
        let remark = "lm-eval before 0.4 does not tell over how many samples its scores are";
        assert_eq!((parsed.problems, parsed.failure), (vec![remark.to_owned()], None));
    }
    // Early versions of 0.4 have filters and no numbers of samples.
    let early = json!({"results": {"a": {"acc,none": 0.5, "acc_stderr,none": 0.1, "alias": "a"}}, "configs": {"a": {}}});
    let parsed = lm_eval("out/results.json", "lm_eval --tasks a --output_path out", &early);
    assert_eq!(scores(&parsed), [("acc", 0.5, None, None)]);
    assert_eq!((parsed.completion, parsed.version), (None, None));
}

#[test]
fn results_without_a_score_are_no_success() {
    let line = "lm_eval --tasks a --output_path out";
    for (result, version) in [
        (json!({"results": {}, "lm_eval_version": "0.9.1"}), "0.9.1"),
        (json!({"results": {"a": {"alias": "a"}}, "lm_eval_version": "0.4.9"}), "0.4.9"),
        (json!({"results": {"a": {"acc": "N/A"}}}), "before 0.4"),
    ] {
        let parsed = lm_eval("out/results_1.json", line, &result);
        let why = format!("raw/files/out/results_1.json: lm-eval {version} tells no score");
        assert_eq!((parsed.failure, parsed.completion), (Some(why), None));
    }
    let error = parse(line, vec![file("out/results_1.json", &json!({"scores": {}}))]).unwrap_err();
    assert_eq!(error.to_string(), "raw/files/out/results_1.json: results is missing");
}
