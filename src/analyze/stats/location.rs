//! By how much two samples differ, as a ratio: the estimate of Hodges and Lehmann and its interval.
//!
//! It is computed on logarithms, so that twice as fast and half as fast are equally far from no
//! difference. The interval is that of the rank test: it holds 1 unless the test finds something.

use super::null::Counts;
use super::{finite, median, sorted};

/// Whether values belong together by their position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// The first with the first, and so on: they were measured in turn.
    Paired,
    /// They do not.
    Unpaired,
}

/// The second sample by the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The estimate: 0.95 is 5 % less.
    pub estimate: f64,
    /// Its interval; none where there are too few values.
    pub interval: Option<(f64, f64)>,
}

/// The most differences that are looked at: samples of 2,000 values each.
const MOST: usize = 4_000_000;

/// The ratio of the second sample to the first, with its interval. None where a sample is empty or
/// has a value that is not positive, and where pairs are not as many on both sides.
pub fn ratio(first: &[f64], second: &[f64], pairing: Pairing, confidence: f64) -> Option<Ratio> {
    let logarithms = |values: &[f64]| -> Option<Vec<f64>> {
        let values = finite(values)?;
        values.iter().all(|value| *value > 0.0).then(|| values.iter().map(|v| v.ln()).collect())
    };
    let (first, second) = (logarithms(first)?, logarithms(second)?);
    let (shifts, beyond) = match pairing {
        Pairing::Unpaired => {
            if first.len() * second.len() > MOST {
                return None;
            }
            let shifts = second.iter().flat_map(|b| first.iter().map(move |a| b - a)).collect();
            (shifts, beyond_unpaired(first.len(), second.len(), confidence))
        }
        Pairing::Paired => {
            if first.len() != second.len() || first.len() * first.len() > MOST {
                return None;
            }
            let moved: Vec<f64> = first.iter().zip(&second).map(|(a, b)| b - a).collect();
            (walsh(&moved), beyond_paired(moved.len(), confidence))
        }
    };
    let shifts: Vec<f64> = sorted(&shifts);
    let interval =
        beyond.map(|beyond| (shifts[beyond].exp(), shifts[shifts.len() - 1 - beyond].exp()));
    Some(Ratio { estimate: median(&shifts)?.exp(), interval })
}

/// The means of all pairs of differences, each with itself too.
fn walsh(differences: &[f64]) -> Vec<f64> {
    let pairs = differences.iter().enumerate().flat_map(|(index, one)| {
        differences[index..].iter().map(move |other| f64::midpoint(*one, *other))
    });
    pairs.collect()
}

/// How many of the sorted shifts lie beyond each end of the interval; none where not even all of
/// them together are sure enough.
fn beyond_unpaired(first: usize, second: usize, confidence: f64) -> Option<usize> {
    if first + second > super::rank::EXACT {
        let (a, b) = (first as f64, second as f64);
        return Some(by_normal(a * b / 2.0, a * b * (a + b + 1.0) / 12.0, confidence));
    }
    let ranks: Vec<usize> = (1..=first + second).collect();
    let least: usize = (1..=first).sum();
    let counts = Counts::of_choices(&ranks, first);
    last_below(first * second / 2, confidence, |u| counts.at_most(least + u))
}

fn beyond_paired(pairs: usize, confidence: f64) -> Option<usize> {
    let n = pairs as f64;
    if pairs > super::rank::EXACT {
        let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0;
        return Some(by_normal(n * (n + 1.0) / 4.0, variance, confidence));
    }
    let counts = Counts::of_subsets(&(1..=pairs).collect::<Vec<_>>());
    last_below(pairs * (pairs + 1) / 4, confidence, |sum| counts.at_most(sum))
}

/// The greatest statistic up to the middle that is too unlikely, which is also the number of shifts
/// that an interval leaves out on each side but for one.
fn last_below(middle: usize, confidence: f64, at_most: impl Fn(usize) -> f64) -> Option<usize> {
    let too_unlikely = |statistic: &usize| 2.0 * at_most(*statistic) <= 1.0 - confidence;
    (0..=middle).take_while(too_unlikely).last()
}

fn by_normal(mean: f64, variance: f64, confidence: f64) -> usize {
    use statrs::distribution::{ContinuousCDF, Normal};
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive")]
    let beyond = (mean - z * variance.sqrt() - 0.5).floor().max(0.0) as usize;
    beyond
}
