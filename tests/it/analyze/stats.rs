//! Statistics against `SciPy` (`fixtures/stats/make.py`), and by simulation.

use halo::analyze::stats::{
    Method, Pairing, difference_of_pairs, difference_of_shares, geometric_mean, holm, mann_whitney,
    mcnemar, median, median_interval, ratio, smallest_p, wilcoxon_signed_rank, wilson,
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
    assert!(pairs.len() >= 9);
    for pair in pairs {
        let (a, b, name) = (numbers(&pair["a"]), numbers(&pair["b"]), &pair["name"]);
        is_near(median(&a).unwrap(), &pair["median"], name);
        let test = mann_whitney(&a, &b).unwrap();
        is_near(test.statistic, &pair["mann_whitney"]["statistic"], name);
        is_near(test.p, &pair["mann_whitney"]["p"], name);
        let is_counted = a.len() + b.len() <= 60;
        assert_eq!(test.method == Method::Exact, is_counted, "{name}");
        is_near(
            ratio(&a, &b, Pairing::Unpaired, 0.95).unwrap().estimate,
            &pair["hodges_lehmann"],
            name,
        );
        if !pair["paired"].is_null() {
            let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
            let test = wilcoxon_signed_rank(&differences).unwrap();
            is_near(test.statistic, &pair["paired"]["statistic"], name);
            is_near(test.p, &pair["paired"]["p"], name);
        }
    }
    let long = &expected["long_differences"];
    let test = wilcoxon_signed_rank(&numbers(&long["values"])).unwrap();
    assert_eq!(test.method, Method::Normal);
    is_near(test.p, &long["wilcoxon"]["p"], &"80 differences".into());
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
    assert_eq!(mann_whitney(&[1.0], &[]), None);
    assert_eq!(mann_whitney(&[1.0], &[f64::INFINITY]), None);
    assert_eq!(wilson(0, 0, 0.95), None);
    assert_eq!(wilson(2, 1, 0.95), None);
    assert_eq!(geometric_mean(&[]), None);
    assert_eq!(geometric_mean(&[1.0, 0.0]), None);
    assert_eq!(ratio(&[1.0, -1.0], &[1.0], Pairing::Unpaired, 0.95), None);
    assert_eq!(ratio(&[1.0, 1.0], &[1.0], Pairing::Paired, 0.95), None);
    // Five values say with 93.75 % where the median is, six with 96.875 %.
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(median_interval(&values[..5], 0.95), None);
    let interval = median_interval(&values, 0.95).unwrap();
    assert_eq!((interval.low, interval.high), (1.0, 6.0));
    assert!((interval.coverage - 0.96875).abs() < 1e-12);
    // Three against three differ by chance with 0.1, four against four with 2/70.
    assert!((smallest_p(3, 3, false) - 0.1).abs() < 1e-12);
    assert!((smallest_p(4, 4, false) - 2.0 / 70.0).abs() < 1e-12);
    assert!((smallest_p(6, 6, true) - 2.0 / 64.0).abs() < 1e-12);
    assert_eq!(ratio(&values[..3], &values[3..], Pairing::Unpaired, 0.95).unwrap().interval, None);
    assert!(ratio(&values[..5], &values[..5], Pairing::Paired, 0.95).unwrap().interval.is_none());
    assert!(ratio(&values, &values, Pairing::Paired, 0.95).unwrap().interval.is_some());
}

#[test]
fn nine_values_have_the_interval_of_the_tables() {
    // From the second smallest to the second largest: 1 - 2 · (1 + 9) / 2⁹.
    let values: Vec<f64> = (1..=9).map(f64::from).collect();
    let interval = median_interval(&values, 0.95).unwrap();
    assert_eq!((interval.low, interval.high), (2.0, 8.0));
    assert!((interval.coverage - 0.960_937_5).abs() < 1e-9);
}

/// How often an interval of 95 % holds the truth, which it may exceed, since ranks move in steps.
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
            let (low, high) = ratio(&a, &b, pairing, 0.95).unwrap().interval.unwrap();
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
        let (there, back) = (mann_whitney(&a, &b).unwrap(), mann_whitney(&b, &a).unwrap());
        prop_assert!((there.p - back.p).abs() < 1e-12);
        prop_assert!((there.statistic + back.statistic - (a.len() * b.len()) as f64).abs() < 1e-9);
        let scaled: Vec<Vec<f64>> =
            [&a, &b].map(|side| side.iter().map(|value| value * 1000.0).collect()).into();
        let scaled = mann_whitney(&scaled[0], &scaled[1]).unwrap();
        prop_assert!((there.p - scaled.p).abs() < 1e-12);
        let (up, down) = (
            ratio(&a, &b, Pairing::Unpaired, 0.95).unwrap(),
            ratio(&b, &a, Pairing::Unpaired, 0.95).unwrap(),
        );
        prop_assert!((up.estimate * down.estimate - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_interval_holds_its_estimate_and_agrees_with_the_test((a, b) in samples()) {
        let found = ratio(&a, &b, Pairing::Unpaired, 0.95).unwrap();
        if let Some((low, high)) = found.interval {
            prop_assert!(low <= found.estimate && found.estimate <= high);
            // Without equal values, no difference lies outside exactly where the test finds one.
            let mut all = [&a[..], &b[..]].concat();
            all.sort_by(f64::total_cmp);
            let has_equal = all.windows(2).any(|pair| pair[1] - pair[0] < 0.5);
            let test = mann_whitney(&a, &b).unwrap();
            let is_outside = low > 1.0 || high < 1.0;
            prop_assert!(has_equal || is_outside == (test.p <= 0.05), "{found:?} {test:?}");
        }
    }
}
