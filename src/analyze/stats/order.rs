//! The median and its interval.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{finite, sorted};

/// An interval and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The probability from 0 to 1 with which such an interval holds the truth: at least what was
    /// asked for.
    pub coverage: f64,
}

/// The median; none without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(finite(values)?);
    let middle = sorted.len() / 2;
    Some(match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    })
}

/// The interval of the median between two values as far from the ends: the narrowest that is sure
/// enough. None where there are too few values, which for 95 % are fewer than six.
///
/// How many values lie below the true median is binomial, whatever their distribution.
pub fn median_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let sorted = sorted(finite(values)?);
    let below = Binomial::new(0.5, sorted.len() as u64).ok()?;
    let coverage = |rank: usize| 1.0 - 2.0 * below.cdf(rank as u64);
    // With `rank` values beyond each end.
    let rank = (0..sorted.len().div_ceil(2)).take_while(|rank| coverage(*rank) >= confidence);
    let rank = rank.last()?;
    let (low, high) = (sorted[rank], sorted[sorted.len() - 1 - rank]);
    Some(Interval { low, high, coverage: coverage(rank) })
}
