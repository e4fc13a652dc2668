//! How often a comparison finds what is there, and what is not, by the number of runs.
//!
//! `docs/measuring.md` has the table that this prints; the noise is seeded, so it is the same always.

use std::fmt::Write;

use halo::analyze::compare::needed_rounds;
use halo::analyze::stats::{Pairing, ratio};

use super::Noise;

/// The sizes of sides in the table.
const COUNTS: std::ops::RangeInclusive<usize> = 3..=20;
/// llama-bench measures prompt and generation, so a gate on its speed is about two cells.
const CELLS: usize = 2;
const SIGNIFICANCE: f64 = 0.05;

/// What is simulated, so often: the true change, and the deviation of a run, as shares.
const CASES: [(f64, f64, usize); 8] = [
    (0.0, 0.01, 6000),
    (-0.03, 0.005, 1000),
    (-0.03, 0.01, 1000),
    (-0.03, 0.02, 1000),
    (-0.05, 0.01, 1000),
    (-0.05, 0.02, 1000),
    (-0.09, 0.01, 1000),
    (-0.09, 0.02, 1000),
];

/// In what share of experiments the first cell is called different, and lower where there is an
/// effect, for each number of runs. More runs are the same ones and some more, as when somebody
/// measures again.
fn found(effect: f64, deviation: f64, trials: usize, pairing: Pairing) -> Vec<f64> {
    let most = *COUNTS.end();
    let mut noise = Noise(20_261_127);
    let mut counts = vec![0_u32; most + 1];
    for _ in 0..trials {
        let mut side = |mean: f64| -> Vec<f64> {
            (0..most).map(|_| mean * (1.0 + deviation * noise.normal())).collect()
        };
        let (first, second) = (side(50.0), side(50.0 * (1.0 + effect)));
        for n in COUNTS {
            let found = ratio(&first[..n], &second[..n], pairing, 0.95).unwrap();
            let is_lower = effect == 0.0 || found.estimate < 1.0;
            // As the first of several cells by Holm's method; without an effect each is alone.
            let family = if effect == 0.0 { 1 } else { CELLS };
            let p = found.certainty.unwrap().p * family as f64;
            counts[n] += u32::from(p < SIGNIFICANCE && is_lower);
        }
    }
    counts[*COUNTS.start()..].iter().map(|count| f64::from(*count) / trials as f64).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// The table of the document, and what it must hold.
#[test]
fn more_runs_find_more_and_false_alarms_stay_rare() {
    let mut table = String::new();
    for (pairing, name) in [(Pairing::Unpaired, "no"), (Pairing::Paired, "yes")] {
        for (effect, deviation, trials) in CASES {
            let shares = found(effect, deviation, trials, pairing);
            let what = format!("{pairing:?}, {effect}, {deviation}: {shares:?}");
            if effect == 0.0 {
                let error = (0.05_f64 * 0.95 / trials as f64).sqrt();
                assert!(shares.iter().all(|share| *share <= 0.05 + 2.5 * error), "{what}");
                let mean = shares.iter().sum::<f64>() / shares.len() as f64;
                assert!(mean <= 0.05 + error, "{what}");
            } else {
                // No run more makes it worse, but for what so many experiments cannot tell.
                for pair in shares.windows(2) {
                    assert!(pair[1] >= pair[0] - 0.01, "{what}");
                }
            }
            let shown: Vec<String> =
                [3, 4, 5, 6, 8, 10, 15, 20].map(|n| percent(shares[n - COUNTS.start()])).into();
            let effect =
                if effect == 0.0 { "none".to_owned() } else { format!("{}", 100.0 * effect) };
            let shown = shown.join(" | ");
            let _ = writeln!(table, "| {name} | {effect} | {} | {shown} |", 100.0 * deviation);
        }
    }
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/measuring.md");
    let text = std::fs::read_to_string(document).unwrap();
    assert!(text.contains(&table), "{document} has other figures than:\n{table}");
}

/// What the gate is for: three runs a side find 9 %, and so does every number after them.
#[test]
fn three_runs_call_nine_percent_and_no_further_run_disarms_them() {
    for pairing in [Pairing::Unpaired, Pairing::Paired] {
        let shares = found(-0.09, 0.01, 1000, pairing);
        assert!(shares[0] >= 0.95 && shares[1..].iter().all(|share| *share >= 0.999), "{shares:?}");
    }
}

/// The default of `ab` calls 3 % where runs vary by 1 %.
#[test]
fn ten_rounds_call_three_percent() {
    let shares = found(-0.03, 0.01, 1000, Pairing::Paired);
    assert!(shares[10 - COUNTS.start()] >= 0.99, "{shares:?}");
    // The least number that halo names finds it in four of five cases, and one less does not.
    let needed = needed_rounds(0.03, 0.01, CELLS).unwrap() as usize;
    assert!((3..=10).contains(&needed), "{needed}");
    let at = |n: usize| shares[n - COUNTS.start()];
    assert!(at(needed) >= 0.78 && at(needed - 1) < 0.80, "{needed}: {shares:?}");
}

/// A run that was disturbed hides nothing from six runs on, and never makes an alarm.
#[test]
fn one_run_that_stands_apart_decides_nothing() {
    let mut noise = Noise(5);
    for (by, on_first) in [(0.8, true), (0.8, false), (1.1, false), (0.5, true)] {
        let mut share = |n: usize, effect: f64| {
            let trials = 500;
            let is_called = |noise: &mut Noise| {
                let mut side = |mean: f64| -> Vec<f64> {
                    (0..n).map(|_| mean * (1.0 + 0.01 * noise.normal())).collect()
                };
                let mut sides = [side(50.0), side(50.0 * effect)];
                sides[usize::from(!on_first)][0] *= by;
                let found = ratio(&sides[0], &sides[1], Pairing::Unpaired, 0.95).unwrap();
                found.certainty.unwrap().p < SIGNIFICANCE / CELLS as f64
            };
            let called = (0..trials).filter(|_| is_called(&mut noise)).count();
            called as f64 / f64::from(trials)
        };
        for n in [6, 8, 12] {
            let found = share(n, 0.91);
            assert!(found >= 0.85, "{by} {on_first} {n}: {found}");
            let alarms = share(n, 1.0);
            assert!(alarms <= 0.05, "{by} {on_first} {n}: {alarms}");
        }
    }
}

/// Where one side varies four times as much as the other and has fewer runs, its own runs speak.
#[test]
fn a_side_that_varies_more_is_not_taken_for_one_that_varies_less() {
    let mut noise = Noise(9);
    let trials = 4000;
    let alarms = (0..trials).filter(|_| {
        let mut side = |n: usize, deviation: f64| -> Vec<f64> {
            (0..n).map(|_| 50.0 * (1.0 + deviation * noise.normal())).collect()
        };
        let (first, second) = (side(3, 0.02), side(6, 0.005));
        let found = ratio(&first, &second, Pairing::Unpaired, 0.95).unwrap();
        found.certainty.unwrap().p < SIGNIFICANCE
    });
    let alarms = alarms.count() as f64 / f64::from(trials);
    // Student's test alone says 20 %.
    assert!(alarms <= 0.08, "{alarms}");
}
