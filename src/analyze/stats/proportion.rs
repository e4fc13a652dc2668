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

/// `McNemar`'s exact test of two who tried the same tasks: how likely it is that those which only one
/// of them solved are so unequally many, where there is no difference (two-sided).
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let Ok(fair) = Binomial::new(0.5, only_first + only_second) else { return 1.0 };
    (2.0 * fair.cdf(only_first.min(only_second))).min(1.0)
}
