//! Whether two samples differ: the tests of Mann and Whitney, and of Wilcoxon for pairs.

use statrs::distribution::{ContinuousCDF, Normal};

use super::finite;
use super::null::{Counts, doubled_ranks};

/// Up to so many values together the distribution is counted.
pub(super) const EXACT: usize = 60;

/// How a probability was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By counting all outcomes, equal values included.
    Exact,
    /// By the normal distribution, corrected for equal values and for continuity.
    Normal,
}

/// What a test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Mann-Whitney's U of the first sample, or Wilcoxon's sum of the ranks of positive differences.
    pub statistic: f64,
    /// The probability of such an outcome, on either side, where there is no difference.
    pub p: f64,
    /// How that was found.
    pub method: Method,
}

/// Whether values of one sample tend to be greater than those of another (two-sided).
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<Test> {
    let (first, second) = (finite(first)?, finite(second)?);
    let all = [first, second].concat();
    let (ranks, groups) = doubled_ranks(&all);
    let sum: usize = ranks[..first.len()].iter().sum();
    let (a, b) = (first.len() as f64, second.len() as f64);
    let statistic = sum as f64 / 2.0 - a * (a + 1.0) / 2.0;
    if all.len() <= EXACT {
        let p = Counts::of_choices(&ranks, first.len()).two_sided(sum);
        return Some(Test { statistic, p, method: Method::Exact });
    }
    let n = a + b;
    let ties: f64 = groups.iter().map(|group| cubic(*group)).sum();
    let variance = a * b / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    let p = by_normal(statistic - a * b / 2.0, variance);
    Some(Test { statistic, p, method: Method::Normal })
}

/// Whether paired differences tend to one side (two-sided). Differences of zero say nothing and are
/// left out.
pub fn wilcoxon_signed_rank(differences: &[f64]) -> Option<Test> {
    let moved: Vec<f64> =
        finite(differences)?.iter().copied().filter(|difference| *difference != 0.0).collect();
    let sizes: Vec<f64> = moved.iter().map(|difference| difference.abs()).collect();
    let (ranks, groups) = doubled_ranks(&sizes);
    let of_positive = moved.iter().zip(&ranks).filter(|(difference, _)| **difference > 0.0);
    let sum: usize = of_positive.map(|(_, rank)| rank).sum();
    let statistic = sum as f64 / 2.0;
    if moved.len() <= EXACT {
        let p = Counts::of_subsets(&ranks).two_sided(sum);
        return Some(Test { statistic, p, method: Method::Exact });
    }
    let n = moved.len() as f64;
    let ties: f64 = groups.iter().map(|group| cubic(*group)).sum();
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    let p = by_normal(statistic - n * (n + 1.0) / 4.0, variance);
    Some(Test { statistic, p, method: Method::Normal })
}

/// The least probability that a test of samples of these sizes can give: with one above what is
/// asked for, no values whatever could show a difference. Of pairs there are as many as of either.
pub fn smallest_p(first: usize, second: usize, is_paired: bool) -> f64 {
    let outcomes: f64 = if is_paired {
        2_f64.powi(i32::try_from(first.min(second)).unwrap_or(i32::MAX))
    } else {
        let all = first + second;
        (1..=first).map(|n| (all - first + n) as f64 / n as f64).product()
    };
    (2.0 / outcomes).min(1.0)
}

fn cubic(group: usize) -> f64 {
    let size = group as f64;
    size * size * size - size
}

/// Two-sided, with half a step towards the middle, since sums move in steps.
fn by_normal(distance: f64, variance: f64) -> f64 {
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (distance.abs() - 0.5).max(0.0) / variance.sqrt();
    (2.0 * Normal::standard().sf(z)).min(1.0)
}
