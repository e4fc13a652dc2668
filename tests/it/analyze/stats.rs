//! Statistics against `SciPy` (`fixtures/stats/make.py`), and by simulation.

use halo::analyze::stats::{
    Certainty, Pairing, difference_of_pairs, difference_of_shares, geometric_mean, holm,
    interval_of_error, mcnemar, median, median_interval, needed, ratio, wilson,
};
use proptest::prelude::*;
use serde_json::Value;

use super::compare::Noise;
use crate::machine::fixtures;

fn expected() -> Value {
    let text = std::fs::read(fixtures().join("stats/expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

#[track_caller]
fn is_near(found: f64, expected: &Value, what: &Value) {
    let expected = expected.as_f64().unwrap();
    let error = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(error <= 1e-9 || found.to_bits() == expected.to_bits(), "{what}: {found} {expected}");
}

#[test]
fn differences_of_shares_are_those_of_newcombe() {
    // Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10, cases a, b and c.
    for ((first, second), (low, high)) in [
        (((48, 80), (56, 70)), (0.0524, 0.3339)),
        (((3, 10), (9, 10)), (0.1705, 0.8090)),
        (((2, 7), (6, 7)), (0.0582, 0.8062)),
    ] {
        let interval = difference_of_shares(first, second, 0.95).unwrap();
        let found = (interval.low, interval.high);
        let is_near = (found.0 - low).abs() < 6e-5 && (found.1 - high).abs() < 6e-5;
        assert!(is_near, "{first:?} {second:?}: {found:?}, not {low} {high}");
    }
    assert_eq!(difference_of_shares((0, 0), (1, 2), 0.95), None);
}

#[test]
fn intervals_of_pairs_hold_the_truth_as_often_as_they_say() {
    let mut noise = Noise(11);
    let (trials, truth) = (164, 0.55 - 0.40);
    let mut held = 0;
    for _ in 0..2000 {
        let (mut only_first, mut only_second) = (0, 0);
        for _ in 0..trials {
            // Two models that agree often: what is hard for one is hard for the other.
            let hardness = noise.uniform();
            let first = hardness < 0.40;
            let second = hardness < 0.40 && noise.uniform() < 0.9
                || hardness >= 0.40 && noise.uniform() < (0.55 - 0.36) / 0.60;
            only_first += u64::from(first && !second);
            only_second += u64::from(second && !first);
        }
        let interval = difference_of_pairs(only_first, only_second, trials, 0.95).unwrap();
        held += u32::from(interval.low <= truth && truth <= interval.high);
    }
    assert!((1880..=1940).contains(&held), "{held} of 2000");
    assert_eq!(difference_of_pairs(0, 0, 0, 0.95), None);
    let none = difference_of_pairs(0, 0, 100, 0.95).unwrap();
    assert!(none.low < 0.0 && none.high > 0.0);
}

#[test]
fn scipy_says_the_same() {
    let expected = expected();
    let pairs = expected["pairs"].as_array().unwrap();
    assert!(pairs.len() >= 14);
    for pair in pairs {
        let (a, b, name) = (numbers(&pair["a"]), numbers(&pair["b"]), &pair["name"]);
        is_near(median(&a).unwrap(), &pair["median"], name);
        for (pairing, expected) in
            [(Pairing::Unpaired, &pair["unpaired"]), (Pairing::Paired, &pair["paired"])]
        {
            if expected.is_null() {
                assert_eq!(ratio(&a, &b, Pairing::Paired, 0.95), None, "{name}");
                continue;
            }
            let found = ratio(&a, &b, pairing, 0.95).unwrap();
            let certainty = found.certainty.unwrap();
            is_near(found.estimate, &expected["estimate"], name);
            is_near(certainty.p, &expected["p"], name);
            is_near(certainty.interval.0, &expected["interval"][0], name);
            is_near(certainty.interval.1, &expected["interval"][1], name);
            assert_eq!(found.outliers as u64, expected["outliers"].as_u64().unwrap(), "{name}");
        }
    }
    for case in expected["needed"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let is_paired = case["paired"].as_bool().unwrap();
        let pairing = if is_paired { Pairing::Paired } else { Pairing::Unpaired };
        let found = needed(number("ratio"), number("deviation"), pairing, number("significance"));
        assert_eq!(found.map(u64::from), case["n"].as_u64(), "{case}");
    }
    for share in expected["wilson"].as_array().unwrap() {
        let count = |name: &str| share[name].as_u64().unwrap();
        let found = wilson(count("successes"), count("trials"), 0.95).unwrap();
        for (found, expected) in
            [found.low, found.high].into_iter().zip(numbers(&share["interval"]))
        {
            assert!((found - expected).abs() <= 1e-9, "{share}: {found}");
        }
    }
    for tasks in expected["mcnemar"].as_array().unwrap() {
        let count = |name: &str| tasks[name].as_u64().unwrap();
        is_near(mcnemar(count("b"), count("c")), &tasks["p"], tasks);
    }
}

#[test]
fn probabilities_of_many_cells_are_held_against_their_number() {
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005, 0.5]);
    for (found, expected) in adjusted.iter().zip([0.04, 0.09, 0.09, 0.025, 0.5]) {
        assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
    }
    assert!(holm(&[]).is_empty());
}

#[test]
fn what_is_too_small_or_no_number_gives_nothing() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[1.0, f64::NAN]), None);
    assert_eq!(ratio(&[1.0], &[], Pairing::Unpaired, 0.95), None);
    assert_eq!(ratio(&[1.0], &[f64::INFINITY], Pairing::Unpaired, 0.95), None);
    assert_eq!(wilson(0, 0, 0.95), None);
    assert_eq!(wilson(2, 1, 0.95), None);
    assert_eq!(geometric_mean(&[]), None);
    assert_eq!(geometric_mean(&[1.0, 0.0]), None);
    assert_eq!(ratio(&[1.0, -1.0], &[1.0], Pairing::Unpaired, 0.95), None);
    assert_eq!(ratio(&[1.0, 1.0], &[1.0], Pairing::Paired, 0.95), None);
    // One value a side, or one pair, does not tell how values vary; one more does.
    assert_eq!(ratio(&[1.0], &[2.0], Pairing::Unpaired, 0.95).unwrap().certainty, None);
    assert_eq!(ratio(&[1.0], &[2.0], Pairing::Paired, 0.95).unwrap().certainty, None);
    assert!(ratio(&[1.0, 1.1], &[2.0], Pairing::Unpaired, 0.95).unwrap().certainty.is_some());
    // Five values say with 93.75 % where the median is, six with 96.875 %.
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(median_interval(&values[..5], 0.95), None);
    let interval = median_interval(&values, 0.95).unwrap();
    assert_eq!((interval.low, interval.high), (1.0, 6.0));
    assert!((interval.coverage - 0.96875).abs() < 1e-12);
}

fn certainty(a: &[f64], b: &[f64]) -> Certainty {
    ratio(a, b, Pairing::Unpaired, 0.95).unwrap().certainty.unwrap()
}

/// What does not vary differs where it differs at all, but not by less than its last decimal.
#[test]
fn values_that_do_not_vary_are_known_as_well_as_they_are_printed() {
    let equal = certainty(&[50.0; 4], &[50.0; 4]);
    assert!((equal.p - 1.0).abs() < 1e-12, "{equal:?}");
    let far = certainty(&[50.0; 3], &[45.5; 3]);
    assert!(far.p < 1e-6 && far.interval.1 < 0.92, "{far:?}");
    // Twice 45.12 and twice 45.13, from a table with two decimals.
    let near = certainty(&[45.12; 2], &[45.13; 2]);
    assert!(near.p > 0.05 && near.interval.0 < 1.0, "{near:?}");
    // A third is printed by nothing with so few decimals.
    let exact = certainty(&[1.0 / 3.0; 2], &[2.0 / 3.0; 2]);
    assert_eq!((exact.p, exact.interval.0.to_bits()), (0.0, exact.interval.1.to_bits()));
    let ties = certainty(&[50.0, 50.0, 50.1, 50.1], &[50.0, 50.1, 50.1, 50.1]);
    assert!(ties.p > 0.3, "{ties:?}");
}

#[test]
fn the_interval_of_a_standard_error_is_that_of_what_it_is_of() {
    // 7 of 10, with the error of a share as lm-eval and inspect-ai print it.
    for error in [(0.7_f64 * 0.3 / 9.0).sqrt(), (0.7_f64 * 0.3 / 10.0).sqrt()] {
        let found = interval_of_error(0.7, error, Some(10), 0.95).unwrap();
        assert_eq!(Some(found), wilson(7, 10, 0.95));
    }
    // All of 20 were solved: an error of 0 does not mean that it is certain.
    let all = interval_of_error(1.0, 0.0, Some(20), 0.95).unwrap();
    assert_eq!(Some(all), wilson(20, 20, 0.95));
    // A perplexity, and a mean of shares.
    for (value, error, samples) in [(8.5, 0.1, Some(62)), (0.62, 0.05, Some(100)), (0.7, 0.1, None)]
    {
        let found = interval_of_error(value, error, samples, 0.95).unwrap();
        assert!((found.low - (value - 1.959_963_985 * error)).abs() < 1e-8, "{found:?}");
        assert!((found.high + found.low - 2.0 * value).abs() < 1e-12, "{found:?}");
    }
    assert_eq!(interval_of_error(0.5, f64::NAN, Some(10), 0.95), None);
    assert_eq!(interval_of_error(0.5, -1.0, Some(10), 0.95), None);
}

#[test]
fn nine_values_have_the_interval_of_the_tables() {
    // From the second smallest to the second largest: 1 - 2 · (1 + 9) / 2⁹.
    let values: Vec<f64> = (1..=9).map(f64::from).collect();
    let interval = median_interval(&values, 0.95).unwrap();
    assert_eq!((interval.low, interval.high), (2.0, 8.0));
    assert!((interval.coverage - 0.960_937_5).abs() < 1e-9);
}

/// How often an interval of 95 % holds the truth.
#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    const TRIALS: u32 = 3000;
    // Three standard errors of such a count.
    let least = 0.95 - 3.0 * (0.95_f64 * 0.05 / f64::from(TRIALS)).sqrt();
    let mut noise = Noise(42);
    for (pairing, truth) in [(Pairing::Unpaired, 0.95), (Pairing::Paired, 1.1)] {
        let held = (0..TRIALS).filter(|_| {
            let a = noise.sample::<8>(50.0, 0.02);
            let b = noise.sample::<8>(50.0 * truth, 0.02);
            let (low, high) = ratio(&a, &b, pairing, 0.95).unwrap().certainty.unwrap().interval;
            (low..=high).contains(&truth)
        });
        let held = f64::from(u32::try_from(held.count()).unwrap()) / f64::from(TRIALS);
        assert!(held >= least, "{pairing:?}: {held}");
    }
}

fn samples() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    // Whole numbers, so that equal ones are frequent.
    let sample = || prop::collection::vec((1_u32..60).prop_map(f64::from), 1..14);
    (sample(), sample())
}

proptest! {
    #[test]
    fn sides_can_be_exchanged_and_units_changed((a, b) in samples()) {
        let (there, back) = (
            ratio(&a, &b, Pairing::Unpaired, 0.95).unwrap(),
            ratio(&b, &a, Pairing::Unpaired, 0.95).unwrap(),
        );
        prop_assert!((there.estimate * back.estimate - 1.0).abs() < 1e-9);
        prop_assert_eq!(there.outliers, back.outliers);
        let p = |found: halo::analyze::stats::Ratio| found.certainty.map(|certainty| certainty.p);
        prop_assert_eq!(p(there).is_some(), a.len() + b.len() > 2);
        prop_assert!((p(there).unwrap_or(1.0) - p(back).unwrap_or(1.0)).abs() < 1e-9);
    }

    #[test]
    fn an_interval_holds_its_estimate_and_agrees_with_the_test((a, b) in samples()) {
        let found = ratio(&a, &b, Pairing::Unpaired, 0.95).unwrap();
        if let Some(Certainty { interval: (low, high), p, .. }) = found.certainty {
            prop_assert!(low <= found.estimate && found.estimate <= high);
            let is_outside = low > 1.0 || high < 1.0;
            prop_assert!(is_outside == (p < 0.05) || (p - 0.05).abs() < 1e-9, "{found:?}");
        }
    }
}
