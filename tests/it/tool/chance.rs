//! Scores that say nothing of the model: log-likelihoods that a server did not tell.

use halo::tool::{OutputFile, Parsed};
use serde_json::{Value, json};

use super::{Fixture, words};

/// Results of a task, with its samples by the log-likelihoods of what they offer; their gold answers
/// go round, and the first of the most likely ones counts.
fn results(kind: &str, model: &str, samples: Option<&[Vec<Value>]>) -> Parsed {
    let count = samples.map_or(40, <[_]>::len);
    let line = |(number, offered): (usize, &Vec<Value>)| {
        let answers: Vec<Value> = offered.iter().map(|one| json!([one, "False"])).collect();
        let solved = f64::from(u8::from(number % offered.len() == 0));
        let sample = json!({
            "doc_id": number, "filtered_resps": answers, "filter": "none", "acc": solved,
        });
        format!("{sample}\n")
    };
    let lines: String = samples.iter().flat_map(|all| all.iter()).enumerate().map(line).collect();
    let value = json!({
        "results": {"arc": {"acc,none": 0.25, "acc_stderr,none": 0.07}},
        "configs": {"arc": {"output_type": kind}},
        "config": {"model": model},
        "n-samples": {"arc": {"original": count, "effective": count}},
        "lm_eval_version": "0.4.13",
    });
    let file = |name: &str, bytes: String| OutputFile {
        path: format!("raw/files/out/m/{name}"),
        bytes: bytes.into_bytes(),
    };
    let mut files = vec![file("results_2026-11-27T10-00-00.json", value.to_string())];
    files.extend(samples.map(|_| file("samples_arc_2026-11-27T10-00-00.jsonl", lines)));
    let argv = words("lm_eval --tasks arc --output_path out --log_samples");
    Fixture { argv, stdout: Vec::new(), stderr: Vec::new(), files }.parse().unwrap()
}

fn all_alike(offered: &[&str], count: usize) -> Vec<Vec<Value>> {
    vec![offered.iter().map(|one| json!(one)).collect(); count]
}

#[test]
fn a_score_from_no_likelihoods_is_chance_and_that_is_said() {
    let zero = "every log-likelihood of every sample is 0.0";
    let alike = "every choice of every sample has the same log-likelihood";
    let constant = "every sample has the same log-likelihoods";
    for (samples, why) in [
        (all_alike(&["0.0"; 4], 40), zero),
        (all_alike(&["0.0", "-0.0"], 3), zero),
        (all_alike(&["0.0"], 40), zero),
        (all_alike(&["-2.5", "-2.5"], 8), alike),
        (all_alike(&["-inf"; 4], 8), alike),
        (all_alike(&["nan"; 4], 8), alike),
        (all_alike(&["-1.5", "-2.5", "-3.5"], 8), constant),
    ] {
        let parsed = results("multiple_choice", "local-completions", Some(&samples));
        assert_eq!(parsed.scores[0].chance.as_deref(), Some(why), "{samples:?}");
        let remark = format!(
            "arc: {why}, so the score says nothing of the model; llama-server tells no log-probabilities of a prompt"
        );
        assert!(parsed.problems[0].starts_with(&remark), "{:?}", parsed.problems);
        assert_eq!((parsed.problems.len(), parsed.failure), (1, None));
    }
}

#[test]
fn a_score_from_likelihoods_is_one_and_what_is_undecided_is_counted() {
    let mut samples = all_alike(&["-1.5", "-2.5"], 4);
    for (number, sample) in samples.iter_mut().enumerate() {
        sample[0] = json!((-1.0 - number as f64 / 10.0).to_string());
    }
    let parsed = results("multiple_choice", "local-completions", Some(&samples));
    assert_eq!((parsed.scores[0].chance.as_deref(), parsed.problems.len()), (None, 0));
    samples.extend(all_alike(&["0.0", "0.0"], 2));
    let parsed = results("multiple_choice", "local-completions", Some(&samples));
    let remark =
        "arc: in 2 of 6 samples every choice has the same log-likelihood, so that chance decided";
    assert_eq!(
        (parsed.scores[0].chance.as_deref(), &parsed.problems[..]),
        (None, &[remark.to_owned()][..])
    );
}

#[test]
fn without_samples_what_can_be_said_is_said() {
    let told = |kind, model| results(kind, model, None).problems;
    let says =
        "arc: the score follows from log-likelihoods of prompts, which llama-server does not tell";
    for (kind, model) in
        [("multiple_choice", "local-completions"), ("loglikelihood_rolling", "gguf")]
    {
        let problems = told(kind, model);
        assert!(problems.len() == 1 && problems[0].starts_with(says), "{problems:?}");
        assert!(problems[0].contains("--log_samples"));
    }
    assert!(told("generate_until", "local-completions").is_empty());
    assert!(told("multiple_choice", "hf").is_empty(), "it computes them itself");
}

/// A suite: a group with a group and tasks in it, each of them with two samples.
#[test]
fn a_mean_over_tasks_that_are_chance_is_chance_and_told_once() {
    let tasks = ["a", "b", "c", "d", "e"];
    let sample = |number: u32, task: &str| {
        let first = if task == "e" { json!(-1.5 - f64::from(number)) } else { json!(0.0) };
        let answers = json!([[first, false], [if task == "e" { -9.0 } else { 0.0 }, false]]);
        json!({"doc_id": number, "filtered_resps": answers, "filter": "none", "acc": 1.0})
    };
    let mut files: Vec<OutputFile> = tasks
        .iter()
        .map(|task| OutputFile {
            path: format!("raw/files/out/m/samples_{task}_2026-11-27T10-00-00.jsonl"),
            bytes: format!("{}\n{}\n", sample(0, task), sample(1, task)).into_bytes(),
        })
        .collect();
    let configs: serde_json::Map<String, Value> = tasks
        .iter()
        .map(|task| ((*task).to_owned(), json!({"output_type": "multiple_choice"})))
        .collect();
    let mut results: serde_json::Map<String, Value> = tasks
        .iter()
        .chain(&["all", "some", "good"])
        .map(|task| ((*task).to_owned(), json!({"acc,none": 0.25})))
        .collect();
    results.insert("empty".to_owned(), json!({"alias": "empty"}));
    let value = json!({
        "results": results, "configs": configs,
        "group_subtasks": {"all": ["some", "d"], "some": ["a", "b", "c", "e"], "good": ["e"], "a": []},
    });
    let bytes = value.to_string().into_bytes();
    files.push(OutputFile { path: "raw/files/out/m/results_1.json".to_owned(), bytes });
    let argv = words("lm_eval --tasks all --output_path out");
    let parsed = Fixture { argv, stdout: Vec::new(), stderr: Vec::new(), files }.parse().unwrap();
    let chance = |task: &str| {
        parsed.scores.iter().find(|score| score.task == task).unwrap().chance.as_deref()
    };
    assert_eq!(chance("all"), Some("4 of the 5 tasks in it are chance"));
    assert_eq!(chance("some"), Some("3 of the 4 tasks in it are chance"));
    assert_eq!((chance("good"), chance("e")), (None, None));
    assert_eq!(parsed.problems.len(), 1, "{:?}", parsed.problems);
    let says = "a, b, c and 1 more: every log-likelihood of every sample is 0.0, so the score says";
    assert!(parsed.problems[0].starts_with(says), "{:?}", parsed.problems);
}
