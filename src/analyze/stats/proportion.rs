//! Shares of tasks that were solved.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

use super::Interval;

/// Wilson's interval of a share, from 0 to 1. None where nothing was tried.
pub fn wilson(successes: u64, trials: u64, confidence: f64) -> Option<Interval> {
    if trials == 0 || successes > trials {
        return None;
    }
    let (n, share) = (trials as f64, successes as f64 / trials as f64);
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence));
    let weight = 1.0 + z * z / n;
    let middle = (share + z * z / (2.0 * n)) / weight;
    let reach = z / weight * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let (low, high) = ((middle - reach).max(0.0), (middle + reach).min(1.0));
    Some(Interval { low, high, coverage: confidence })
}

/// The interval of a mean over so many samples, where that is known, whose standard error alone is
/// told: Wilson's where the error is that of a share of samples, which are solved or not, else the
/// normal distribution's. `None` where the error is no number.
pub fn interval_of_error(
    value: f64,
    error: f64,
    samples: Option<u64>,
    confidence: f64,
) -> Option<Interval> {
    if !(value.is_finite() && error.is_finite() && error >= 0.0) {
        return None;
    }
    if let Some(successes) = samples.and_then(|samples| solved(value, error, samples)) {
        return wilson(successes, samples?, confidence);
    }
    let reach = error * Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence));
    Some(Interval { low: value - reach, high: value + reach, coverage: confidence })
}

/// How many of so many samples were solved, where value and standard error are those of a share.
fn solved(share: f64, error: f64, samples: u64) -> Option<u64> {
    let successes = share * samples as f64;
    let is_count = (0.0..=1.0).contains(&share) && (successes - successes.round()).abs() < 1e-6;
    // Tools divide by the number of samples or by one less.
    let is_error_of_share = [samples, samples.saturating_sub(1)].into_iter().any(|n| {
        n > 0 && ((share * (1.0 - share) / n as f64).sqrt() - error).abs() <= 1e-3 * error
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let successes = successes.round() as u64;
    (is_count && is_error_of_share).then_some(successes)
}

/// Newcombe's interval of the second share less the first (his method 10, from two of Wilson's), each
/// given as successes and trials. None where nothing was tried on a side.
pub fn difference_of_shares(
    (first, of_first): (u64, u64),
    (second, of_second): (u64, u64),
    confidence: f64,
) -> Option<Interval> {
    let (one, two) = (wilson(first, of_first, confidence)?, wilson(second, of_second, confidence)?);
    let (a, b) = (first as f64 / of_first as f64, second as f64 / of_second as f64);
    let below = (b - two.low).hypot(one.high - a);
    let above = (two.high - b).hypot(a - one.low);
    Some(Interval { low: b - a - below, high: b - a + above, coverage: confidence })
}

/// The interval of the second share less the first, where both tried the same tasks (Bonett and Price
/// 2012): those that only one of them solved, of so many. None where nothing was tried.
pub fn difference_of_pairs(
    only_first: u64,
    only_second: u64,
    trials: u64,
    confidence: f64,
) -> Option<Interval> {
    if trials == 0 || only_first + only_second > trials {
        return None;
    }
    let n = trials as f64 + 2.0;
    let (down, up) = ((only_first as f64 + 1.0) / n, (only_second as f64 + 1.0) / n);
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence));
    let reach = z * ((down + up - (up - down).powi(2)) / n).sqrt();
    let (low, high) = ((up - down - reach).max(-1.0), (up - down + reach).min(1.0));
    Some(Interval { low, high, coverage: confidence })
}

/// `McNemar`'s exact test of two who tried the same tasks: how likely it is that those which only one
/// of them solved are so unequally many, where there is no difference (two-sided).
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let Ok(fair) = Binomial::new(0.5, only_first + only_second) else { return 1.0 };
    (2.0 * fair.cdf(only_first.min(only_second))).min(1.0)
}
