//! Gates on runs as people have them: few, of unequal number, disturbed, or without a figure.

use halo::analyze::compare::gate::{Condition, Finding, Outcome, ask, check};
use halo::analyze::compare::{Comparison, Judgement, Run};
use halo::run::Row;

use super::{Noise, in_round, of, run};

const SPEED: &str = "tokens_per_second < -3%";

/// Runs that vary by a share, each with one value of these metrics, which are moved by another.
fn side(noise: &mut Noise, name: &str, runs: usize, by: f64, deviation: f64) -> Vec<Run> {
    (0..runs)
        .map(|index| {
            let mut run = run(&format!("{name}{index}"), &[]);
            for (case, metric, mean) in [
                ("pp512", "tokens_per_second", 1000.0),
                ("tg128", "tokens_per_second", 50.0),
                ("tg128", "generation_joules_per_token", 1.5),
                ("command", "joules", 900.0),
                ("command", "mean_watts", 80.0),
            ] {
                let is_speed = metric == "tokens_per_second";
                let mean = if is_speed { mean * (1.0 + by) } else { mean };
                run.rows.push(Row {
                    task: "llama-bench".to_owned(),
                    case: case.to_owned(),
                    repetition: Some(1),
                    metric: metric.to_owned(),
                    value: mean * (1.0 + deviation * noise.normal()),
                    unit: String::new(),
                });
            }
            run
        })
        .collect()
}

/// The worst outcome of conditions that are one question, and what was found.
fn gate(comparison: &Comparison, conditions: &[&str]) -> (Outcome, Vec<Finding>) {
    let conditions: Vec<Condition> =
        conditions.iter().map(|condition| condition.parse().unwrap()).collect();
    let mut comparison = comparison.clone();
    ask(&conditions, &mut comparison);
    let findings: Vec<Finding> =
        conditions.iter().flat_map(|condition| check(condition, &comparison)).collect();
    (findings.iter().map(|finding| finding.outcome).max().unwrap(), findings)
}

/// The reported case: with five figures shown, four runs a side could not say what three had said.
#[test]
fn a_fourth_run_disarms_no_gate() {
    for seed in 1..=5 {
        let mut noise = Noise(seed);
        let (first, second) =
            (side(&mut noise, "a", 12, 0.0, 0.005), side(&mut noise, "b", 12, -0.09, 0.005));
        for runs in 3..=12 {
            let comparison = of(first[..runs].to_vec(), second[..runs].to_vec());
            let (outcome, findings) = gate(&comparison, &[SPEED]);
            assert_eq!(outcome, Outcome::Regression, "seed {seed}, {runs}: {findings:?}");
            assert_eq!(findings.len(), 2, "pp512 and tg128 are asked about, nothing else");
        }
    }
}

#[test]
fn what_stands_below_the_answer_does_not_weaken_it() {
    let mut noise = Noise(3);
    let (first, second) =
        (side(&mut noise, "a", 3, 0.0, 0.01), side(&mut noise, "b", 3, -0.05, 0.01));
    let with_all = of(first.clone(), second.clone());
    let only_speed = |mut runs: Vec<Run>| {
        for run in &mut runs {
            run.rows.retain(|row| row.metric == "tokens_per_second");
        }
        runs
    };
    let alone = of(only_speed(first), only_speed(second));
    let adjusted = |comparison: &Comparison| -> Vec<Option<f64>> {
        let speeds = comparison.rows.iter().filter(|row| row.metric == "tokens_per_second");
        speeds.map(|row| row.differences[0].as_ref().unwrap().adjusted_p).collect()
    };
    assert_eq!(adjusted(&with_all), adjusted(&alone));
    let of_speed = with_all.rows[0].differences[0].as_ref().unwrap();
    assert_eq!(of_speed.compared_with, 2);
}

/// Several metrics in one gate are one question: each false alarm would be one of the gate.
#[test]
fn several_conditions_are_corrected_together() {
    let mut noise = Noise(11);
    let comparison = of(side(&mut noise, "a", 5, 0.0, 0.01), side(&mut noise, "b", 5, -0.09, 0.01));
    let all = [SPEED, "joules_per_token > 5%", "mean_watts > 5%"];
    let (outcome, findings) = gate(&comparison, &all);
    assert_eq!((outcome, findings.len()), (Outcome::Regression, 4), "{findings:?}");
    let mut asked = comparison.clone();
    let conditions: Vec<Condition> = all.iter().map(|one| one.parse().unwrap()).collect();
    ask(&conditions, &mut asked);
    let counts: Vec<usize> =
        asked.rows.iter().map(|row| row.differences[0].as_ref().unwrap().compared_with).collect();
    // Two speeds, joules per token and watts; the joules of the command are nobody's question.
    assert_eq!(counts, [4, 4, 4, 1, 4]);
}

/// Of gates on equals and on several metrics at most 5 % fail, but for what 100 of them cannot tell.
#[test]
fn a_gate_on_equals_fails_rarely() {
    let mut noise = Noise(17);
    for runs in [3, 4] {
        let failed = (0..100).filter(|_| {
            let first = side(&mut noise, "a", runs, 0.0, 0.02);
            let comparison = of(first, side(&mut noise, "b", runs, 0.0, 0.02));
            let all = ["tokens_per_second < 0%", "joules_per_token > 0%", "mean_watts > 0%"];
            gate(&comparison, &all).0 == Outcome::Regression
        });
        let failed = failed.count();
        assert!(failed <= 8, "{runs}: {failed} of 100");
    }
}

#[test]
fn what_noise_hides_is_inconclusive_and_says_how_many_runs_would_tell() {
    let mut noise = Noise(23);
    let mut measure = |runs: usize| {
        let first = side(&mut noise, "a", runs, 0.0, 0.02);
        gate(&of(first, side(&mut noise, "b", runs, -0.04, 0.02)), &[SPEED])
    };
    let found: Vec<_> = (0..40).map(|_| measure(3)).collect();
    let unknown: Vec<_> =
        found.iter().filter(|(outcome, _)| *outcome == Outcome::Inconclusive).collect();
    assert!(unknown.len() >= 15, "{found:?}");
    let mut all = Vec::new();
    for (_, findings) in unknown {
        let why = findings.iter().find(|one| one.outcome == Outcome::Inconclusive).unwrap();
        let why = &why.why;
        // Where three runs happen to lie close, they seem to be enough.
        let Some((_, after)) = why.split_once("; n too small: ") else {
            assert!(why.ends_with("; it may lie on either side of the bound"), "{why}");
            continue;
        };
        let (needed, rest) = after.split_once(' ').unwrap();
        assert_eq!(rest, "needed to call 3 % at this noise");
        all.push(needed.parse::<usize>().unwrap());
    }
    all.sort_unstable();
    assert!(all.len() >= 12 && all[0] > 3, "{all:?}");
    // At 2 % it is ten with two cells; three runs tell roughly how much they vary.
    let needed = all[all.len() / 2];
    assert!((7..=14).contains(&needed), "{all:?}");
    let told = (0..40).filter(|_| measure(needed).0 == Outcome::Regression).count();
    assert!(told >= 30, "{needed} runs: {told} of 40");
}

#[test]
fn sides_need_not_be_as_long() {
    let mut noise = Noise(29);
    for (first, second) in [(3, 6), (6, 3), (1, 4), (8, 1), (2, 5)] {
        let comparison = of(
            side(&mut noise, "a", first, 0.0, 0.005),
            side(&mut noise, "b", second, -0.09, 0.005),
        );
        let (outcome, findings) = gate(&comparison, &[SPEED]);
        assert_eq!(outcome, Outcome::Regression, "{first} and {second}: {findings:?}");
    }
}

#[test]
fn a_run_that_stands_apart_is_named_and_hides_nothing() {
    let mut noise = Noise(31);
    for (on_first, by) in [(true, 0.8), (false, 1.15), (false, 0.7)] {
        let mut first = side(&mut noise, "a", 8, 0.0, 0.005);
        let mut second = side(&mut noise, "b", 8, -0.09, 0.005);
        let disturbed = if on_first { &mut first[3] } else { &mut second[3] };
        disturbed.rows.iter_mut().for_each(|row| row.value *= by);
        let comparison = of(first, second);
        let (outcome, findings) = gate(&comparison, &[SPEED]);
        assert_eq!(outcome, Outcome::Regression, "{by}: {findings:?}");
        let said = comparison.remarks.iter().any(|text| {
            text.starts_with("pp512, tokens_per_second: 1 value stands apart from the others")
        });
        assert!(said, "{:?}", comparison.remarks);
    }
}

#[test]
fn values_that_are_equal_are_the_same_or_surely_different() {
    let equal = |name: &str, speed: f64| -> Vec<Run> {
        (0..3).map(|index| run(&format!("{name}{index}"), &[speed])).collect()
    };
    let judged = |first: f64, second: f64| {
        let comparison = of(equal("a", first), equal("b", second));
        (gate(&comparison, &[SPEED]).0, super::judgement(&comparison))
    };
    assert_eq!(judged(50.0, 50.0), (Outcome::Fine, Judgement::Same));
    assert_eq!(judged(50.0, 45.5), (Outcome::Regression, Judgement::Worse));
    assert_eq!(judged(45.5, 50.0), (Outcome::Fine, Judgement::Better));
    // Ties between the sides, as tools that print two decimals give them.
    let ties = |name: &str, speeds: [f64; 4]| -> Vec<Run> {
        let numbered = speeds.iter().enumerate();
        numbered.map(|(index, speed)| run(&format!("{name}{index}"), &[*speed])).collect()
    };
    let comparison = of(ties("a", [50.1, 50.1, 50.2, 50.2]), ties("b", [50.2, 50.1, 50.2, 50.2]));
    assert_eq!(super::judgement(&comparison), Judgement::Same);
}

#[test]
fn a_metric_that_one_side_lacks_is_inconclusive_and_known() {
    let mut noise = Noise(37);
    let mut second = side(&mut noise, "b", 4, 0.0, 0.005);
    for run in &mut second {
        run.rows.retain(|row| row.metric != "mean_watts");
    }
    let comparison = of(side(&mut noise, "a", 4, 0.0, 0.005), second);
    let (outcome, findings) = gate(&comparison, &["mean_watts > 3%"]);
    assert_eq!(outcome, Outcome::Inconclusive);
    assert_eq!(findings[0].why, "no cell has mean_watts on both sides");
    assert!(comparison.metrics.contains("mean_watts"), "{:?}", comparison.metrics);
    // The other metrics are judged all the same.
    assert_eq!(gate(&comparison, &[SPEED]).0, Outcome::Fine);
}

/// Rounds on a machine that slows down by a fifth meanwhile: pairs see the change of 4 %, and the
/// same runs without their rounds do not.
#[test]
fn rounds_see_through_drift() {
    let mut noise = Noise(41);
    for rounds in [4, 6, 8] {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let drift = 50.0 * (1.0 - 0.2 * f64::from(round) / f64::from(rounds));
            for (runs, name, by) in [(&mut first, 'a', 1.0), (&mut second, 'b', 0.94)] {
                let speed = drift * by * (1.0 + 0.004 * noise.normal());
                runs.push(run(&format!("{name}{round}"), &[speed]));
            }
        }
        let paired = |runs: &[Run]| -> Vec<Run> {
            runs.iter().cloned().zip(0..).map(|(run, round)| in_round(run, round)).collect()
        };
        let (outcome, findings) = gate(&of(paired(&first), paired(&second)), &[SPEED]);
        assert_eq!(outcome, Outcome::Regression, "{rounds}: {findings:?}");
        assert_eq!(gate(&of(first, second), &[SPEED]).0, Outcome::Inconclusive, "{rounds}");
    }
}

/// A score is judged by its samples, and a condition on one says so instead of passing.
#[test]
fn a_condition_on_a_score_is_inconclusive_and_says_why() {
    let scored = |name: &str| {
        let mut run = run(name, &[50.0, 50.1]);
        run.manifest.scores = vec![halo::run::Score::of("gsm8k", "exact_match", 0.7, Some(100))];
        run
    };
    let comparison = of(vec![scored("1")], vec![scored("2")]);
    let (outcome, findings) = gate(&comparison, &["exact_match < -3%"]);
    assert_eq!(outcome, Outcome::Inconclusive);
    assert!(findings[0].why.starts_with("exact_match is a score"), "{findings:?}");
    assert!(comparison.metrics.contains("exact_match"), "{:?}", comparison.metrics);
}

/// Without a gate, too: what is no more than chance may be so because there are few runs.
#[test]
fn a_comparison_that_finds_nothing_says_what_it_could_have_found() {
    let mut noise = Noise(43);
    for (runs, deviation, is_said) in [(3, 0.02, true), (4, 0.02, true), (12, 0.004, false)] {
        let first = side(&mut noise, "a", runs, 0.0, deviation);
        let comparison = of(first, side(&mut noise, "b", runs, 0.0, deviation));
        let said = comparison.remarks.iter().any(|text| text.contains("n too small to call 3 %"));
        assert_eq!(said, is_said, "{runs}: {:?}", comparison.remarks);
    }
}
