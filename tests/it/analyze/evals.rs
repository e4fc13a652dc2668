//! Evals whose truth is known: what was solved, and what it took.

use halo::analyze::compare::{Judgement, Named, Paired, Run, compare};
use halo::analyze::evals::{tasks, windows};
use halo::analyze::phase::Window;
use halo::analyze::stats::wilson;
use halo::analyze::telemetry::Event;
use halo::run::{EvalSample, Score};

use super::compare::run;

const SECOND: i64 = 1_000_000_000;

/// Samples of a task, with what became of them.
fn samples(solved: impl IntoIterator<Item = bool>) -> Vec<EvalSample> {
    let sample = |(number, solved): (usize, bool)| EvalSample {
        task: "humaneval+".to_owned(),
        sample: format!("HumanEval/{number}"),
        epoch: 1,
        score: Some(f64::from(u8::from(solved))),
        ..EvalSample::default()
    };
    solved.into_iter().enumerate().map(sample).collect()
}

/// A run of evalplus with these samples.
fn eval(name: &str, samples: Vec<EvalSample>) -> Run {
    let mut run = run(name, &[]);
    let count = samples.len() as u64;
    let solved = samples.iter().filter(|sample| sample.score == Some(1.0)).count() as u64;
    let interval = wilson(solved, count, 0.95).unwrap();
    "evalplus".clone_into(&mut run.manifest.tool.name);
    run.manifest.cases = Vec::new();
    run.manifest.scores = vec![Score {
        task: "humaneval+".to_owned(),
        metric: "pass@1".to_owned(),
        value: solved as f64 / count as f64,
        samples: Some(count),
        solved: Some(solved),
        standard_error: None,
        low: Some(interval.low),
        high: Some(interval.high),
        joules_per_solved: None,
        is_partial: false,
        chance: None,
    }];
    run.samples = samples;
    run
}

fn compared(first: Run, second: Run) -> halo::analyze::compare::Comparison {
    let side = |name: &str, run| Named { name: name.to_owned(), runs: vec![run] };
    compare(vec![side("a", first), side("b", second)], None).unwrap()
}

#[test]
fn the_same_samples_are_paired() {
    // Of 164, A solves 80; B solves 70 of those and 30 others: 10 against 30.
    let first = samples((0..164).map(|number| number < 80));
    let second = samples((0..164).map(|number| (10..110).contains(&number)));
    let comparison = compared(eval("a", first), eval("b", second));
    let row = &comparison.scores[0];
    let difference = row.differences[0].as_ref().unwrap();
    let paired = Paired { both: 70, only_first: 10, only_second: 30, neither: 54 };
    assert_eq!(difference.paired, Some(paired));
    assert!((difference.points - 20.0 / 164.0).abs() < 1e-12);
    // SciPy 1.17.1: binomtest(10, 40).pvalue.
    assert!((difference.p.unwrap() - 0.002_221_433_773_229_364_3).abs() < 1e-12);
    assert_eq!(difference.judgement, Judgement::Better);
    let (low, high) = difference.interval.unwrap();
    assert!(low > 0.04 && high < 0.21, "{low} {high}");
    assert!(comparison.rows.iter().all(|row| row.metric != "pass@1"), "it is told once");
}

#[test]
fn a_score_that_is_chance_is_not_compared_and_that_is_said() {
    let all = || samples((0..40).map(|number| number % 4 == 0));
    let mut chance = eval("a", all());
    chance.manifest.scores[0].chance = Some("every log-likelihood is 0.0".to_owned());
    let better = || eval("b", samples((0..40).map(|_| true)));
    let says = "humaneval+: the score of a is left out, every log-likelihood is 0.0";
    for (first, second) in [(chance.clone(), better()), (better(), chance.clone())] {
        let comparison = compared(first, second);
        assert!(comparison.scores.is_empty(), "{:?}", comparison.scores);
        assert!(comparison.remarks.iter().any(|remark| remark == says), "{:?}", comparison.remarks);
    }
    // An older run of the side that is none takes its place.
    let mut older = eval("older", all());
    older.manifest.started = "2020-01-01T00:00:00Z".parse().unwrap();
    let sides = vec![
        Named { name: "a".to_owned(), runs: vec![older, chance] },
        Named { name: "b".to_owned(), runs: vec![better()] },
    ];
    let comparison = compare(sides, None).unwrap();
    assert_eq!(comparison.scores[0].scores[0].as_ref().unwrap().run, "older");
    assert!(comparison.remarks.iter().any(|remark| remark == says), "{:?}", comparison.remarks);
}

#[test]
fn other_samples_are_not_paired_and_chance_is_no_difference() {
    let first = samples((0..100).map(|number| number < 60));
    let second = samples((0..50).map(|number| number < 33));
    let row = compared(eval("a", first), eval("b", second)).scores.remove(0);
    let difference = row.differences[0].as_ref().unwrap();
    assert_eq!((difference.paired, difference.p), (None, None));
    let (low, high) = difference.interval.unwrap();
    assert!(low < 0.0 && high > 0.0);
    assert_eq!(difference.judgement, Judgement::Same);
}

#[test]
fn a_clear_difference_of_other_samples_is_told() {
    let first = samples((0..100).map(|number| number < 90));
    let second = samples((0..50).map(|number| number < 20));
    let row = compared(eval("a", first), eval("b", second)).scores.remove(0);
    assert_eq!(row.differences[0].as_ref().unwrap().judgement, Judgement::Worse);
}

#[test]
fn a_score_that_is_no_share_is_shown_and_not_judged() {
    let graded = |name: &str, value: f64| {
        let mut run = eval(name, samples([true, false]));
        run.manifest.scores[0] =
            Score { value, solved: None, low: None, high: None, ..run.manifest.scores[0].clone() };
        run
    };
    let row = compared(graded("a", 0.5), graded("b", 0.7)).scores.remove(0);
    let difference = row.differences[0].as_ref().unwrap();
    assert_eq!((difference.interval, difference.judgement), (None, Judgement::TooFew));
}

#[test]
fn a_task_lies_where_its_samples_lie() {
    let command = Window { from: 5 * SECOND, to: 100 * SECOND };
    let start = "2026-11-24T10:00:00Z".parse().unwrap();
    let timed = |task: &str, sample: &str, from: &str, to: &str| EvalSample {
        task: task.to_owned(),
        sample: sample.to_owned(),
        epoch: 1,
        started: Some(format!("2026-11-24T10:00:{from}Z").parse().unwrap()),
        ended: Some(format!("2026-11-24T10:00:{to}Z").parse().unwrap()),
        generated_tokens: Some(10),
        ..EvalSample::default()
    };
    let all = [
        timed("one", "a", "10", "20"),
        timed("one", "b", "15", "30"),
        timed("two", "c", "40.5", "50"),
    ];
    let places = windows(&all, &[], command, Some(start));
    assert_eq!(places[1], Some(Window { from: 15 * SECOND, to: 30 * SECOND }));
    let found = tasks(&all, &places, command);
    assert_eq!(found[0].window, Window { from: 10 * SECOND, to: 30 * SECOND });
    assert_eq!((found[0].generated_tokens, found[0].prompt_tokens), (Some(20), None));
    assert!(!found[0].is_shared && !found[1].is_shared);
    // One answer that two tasks judge is paid once; numbers that are alike are no such answer.
    let numbered = [timed("base", "1", "10", "20"), timed("plus", "1", "10", "20")];
    let places = windows(&numbered, &[], command, Some(start));
    assert!(tasks(&numbered, &places, command).iter().all(|task| task.is_shared));
    let twice = numbered.map(|sample| EvalSample { answer_of: Some("base".to_owned()), ..sample });
    assert!(tasks(&twice, &places, command).iter().all(|task| !task.is_shared));
    // What an earlier run answered was not recorded.
    let earlier = [timed("one", "a", "01", "04"), timed("one", "b", "10", "20")];
    let places = windows(&earlier, &[], command, Some(start));
    assert_eq!(places, [None, Some(Window { from: 10 * SECOND, to: 20 * SECOND })]);
    let beside = [timed("one", "a", "10", "20"), timed("two", "b", "15", "25")];
    let places = windows(&beside, &[], command, Some(start));
    assert!(tasks(&beside, &places, command).iter().all(|task| task.is_shared));
}

#[test]
fn tasks_without_times_have_the_command_only_where_they_judge_the_same_answers() {
    let command = Window { from: 0, to: 100 * SECOND };
    let untimed = |task: &str, answer_of: Option<&str>| EvalSample {
        task: task.to_owned(),
        answer_of: answer_of.map(str::to_owned),
        sample: "0".to_owned(),
        epoch: 1,
        ..EvalSample::default()
    };
    // lm-eval numbers the samples of each task from 0.
    let two = [untimed("arc_easy", None), untimed("arc_challenge", None)];
    assert_eq!(tasks(&two, &[None, None], command), []);
    let judged = [untimed("humaneval", None), untimed("humaneval+", Some("humaneval"))];
    let found = tasks(&judged, &[None, None], command);
    assert_eq!(found.iter().map(|task| task.window).collect::<Vec<_>>(), [command, command]);
}

#[test]
fn a_score_over_a_part_of_the_samples_is_not_compared() {
    let mut part = eval("part", samples([true; 60]));
    part.manifest.scores[0].is_partial = true;
    let comparison = compared(eval("whole", samples([true; 100])), part);
    assert_eq!(comparison.scores, []);
    let remark = "humaneval+: the score of part is left out, it is over a part of the samples";
    assert!(comparison.remarks.contains(&remark.to_owned()), "{:?}", comparison.remarks);
}

#[test]
fn lines_of_a_tool_tell_when_samples_were_asked() {
    let command = Window { from: 0, to: 100 * SECOND };
    let event = |at: i64, name: &str, sample: &str| Event {
        at: at * SECOND,
        by: "tool".to_owned(),
        name: name.to_owned(),
        attributes: [("sample".to_owned(), sample.to_owned())].into(),
    };
    let events = [
        event(10, "sample", "HumanEval/0"),
        event(30, "sample", "HumanEval/1"),
        event(60, "scoring", ""),
    ];
    let places = windows(&samples([true, true, false]), &events, command, None);
    let window = |from, to| Some(Window { from: from * SECOND, to: to * SECOND });
    assert_eq!(places, [window(10, 30), window(30, 60), None]);
}
