//! By how much two samples differ, as a ratio: Student's t on logarithms, which values that stand
//! apart cannot upset.
//!
//! On logarithms twice as fast and half as fast are equally far from no difference. One method serves
//! every number of values, because it has no step below which nothing can be found: a rank test of
//! four against four can never say less than 0.029, whatever the values are. What it finds with so
//! many values, and how often it is wrong, is in `docs/measuring.md`.

use statrs::distribution::{ChiSquared, Continuous, ContinuousCDF, Normal, StudentsT};

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
    /// The ratio of the geometric means: 0.95 is 5 % less.
    pub estimate: f64,
    /// What the values say about it; `None` if they are too few to tell how they vary.
    pub certainty: Option<Certainty>,
    /// How many values stand apart from the others of their sample and count less.
    pub outliers: usize,
}

/// How sure a ratio is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certainty {
    /// The interval of the ratio.
    pub interval: (f64, f64),
    /// The probability of such a ratio, on either side of 1, where there is no difference.
    pub p: f64,
    /// The standard deviation of logarithms: of values, or of the ratios of pairs.
    pub deviation: f64,
}

/// From so many robust standard deviations on a value stands apart, where there are many values. Of
/// normally distributed ones fewer than one in a million do.
const APART: f64 = 5.0;

/// The median of the distances from the median, times this, is the standard deviation of a normal
/// distribution.
const NORMAL: f64 = 1.4826;

/// Tools print at most so many decimals; what has more is not rounded.
const MOST_DECIMALS: i32 = 6;

/// The ratio of the second sample to the first. `None` where a sample is empty or has a value that is
/// not positive, and where pairs are not as many on both sides.
pub fn ratio(first: &[f64], second: &[f64], pairing: Pairing, confidence: f64) -> Option<Ratio> {
    let logarithms = |values: &[f64]| -> Option<Vec<f64>> {
        let values = finite(values)?;
        values.iter().all(|value| *value > 0.0).then(|| values.iter().map(|v| v.ln()).collect())
    };
    let (one, other) = (logarithms(first)?, logarithms(second)?);
    let rounding = rounding(first, second);
    let (mut samples, least) = match pairing {
        Pairing::Unpaired => (vec![one, other], rounding),
        Pairing::Paired if one.len() != other.len() => return None,
        Pairing::Paired => {
            let moved = one.iter().zip(&other).map(|(a, b)| b - a).collect();
            // Both values of a pair are rounded.
            (vec![moved], rounding * std::f64::consts::SQRT_2)
        }
    };
    let outliers = pull_in(&mut samples, least);
    let (shift, error) = match &samples[..] {
        [one, other] => (mean(other) - mean(one), Error::of_two(one, other, least)),
        _ => (mean(&samples[0]), Error::of_one(&samples[0], least)),
    };
    let certainty = error.and_then(|error| error.certainty(shift, confidence));
    Some(Ratio { estimate: shift.exp(), certainty, outliers })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sum of the squared distances from the mean.
fn squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// How wrong a difference of means may be.
struct Error {
    /// Its variance.
    variance: f64,
    /// How many degrees of freedom that has.
    freedom: f64,
    /// The standard deviation of values.
    deviation: f64,
}

impl Error {
    fn of_one(values: &[f64], least: f64) -> Option<Self> {
        let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)? as f64;
        let variance = (squares(values) / freedom).max(least.powi(2));
        let deviation = variance.sqrt();
        Some(Self { variance: variance / values.len() as f64, freedom, deviation })
    }

    /// Both samples together say how values vary (Student), so that a side may have one value. Where
    /// the sides are not as long and the shorter one varies more, that would be too sure, and each
    /// speaks for itself (Welch).
    fn of_two(one: &[f64], other: &[f64], least: f64) -> Option<Self> {
        let (n, m) = (one.len() as f64, other.len() as f64);
        let freedom = n + m - 2.0;
        if freedom < 1.0 {
            return None;
        }
        let both = ((squares(one) + squares(other)) / freedom).max(least.powi(2));
        let pooled = Self { variance: both * (1.0 / n + 1.0 / m), freedom, deviation: both.sqrt() };
        let Some((a, b)) = Self::of_one(one, least).zip(Self::of_one(other, least)) else {
            return Some(pooled);
        };
        let variance = a.variance + b.variance;
        // With as many on both sides the two are the same but for the last bits.
        if variance <= pooled.variance * (1.0 + 1e-9) {
            return Some(pooled);
        }
        let freedom =
            variance.powi(2) / (a.variance.powi(2) / a.freedom + b.variance.powi(2) / b.freedom);
        Some(Self { variance, freedom, ..pooled })
    }

    fn certainty(&self, shift: f64, confidence: f64) -> Option<Certainty> {
        let student = StudentsT::new(0.0, 1.0, self.freedom).ok()?;
        let error = self.variance.sqrt();
        let p = if error > 0.0 {
            (2.0 * student.sf(shift.abs() / error)).min(1.0)
        } else {
            // Nothing varies: what differs at all differs.
            f64::from(u8::from(shift == 0.0))
        };
        let reach = student.inverse_cdf(f64::midpoint(1.0, confidence)) * error;
        let interval = ((shift - reach).exp(), (shift + reach).exp());
        Some(Certainty { interval, p, deviation: self.deviation })
    }
}

/// Pulls values that stand apart from the others of their sample in to where they no longer do, and
/// says how many: a run that was disturbed must neither decide nor hide what all others say.
///
/// How values vary is the median of their distances from the medians of their samples, which a few
/// that stand apart do not move: of all samples together, and of its own where one varies more. The
/// fewer values there are, the less that is known, and the farther away one must be.
fn pull_in(samples: &mut [Vec<f64>], least: f64) -> usize {
    let distances: Vec<Vec<f64>> = samples.iter().map(|sample| distances(sample)).collect();
    let all = distances.concat();
    let Some(typical) = median(&all) else { return 0 };
    let mut outliers = 0;
    for (sample, own) in samples.iter_mut().zip(&distances) {
        let typical = median(own).map_or(typical, |own| own.max(typical));
        let reach = APART * (1.0 + 2.0 / all.len() as f64) * (NORMAL * typical).max(least);
        // More than half of the values are equal: nobody knows how they vary.
        let Some(centre) = median(sample).filter(|_| reach > 0.0) else { continue };
        for value in sample.iter_mut().filter(|value| (**value - centre).abs() > reach) {
            *value = value.clamp(centre - reach, centre + reach);
            outliers += 1;
        }
    }
    outliers
}

/// How far values are from their median, without the nearest: the median is one of them, or between
/// two that are as far from it.
fn distances(sample: &[f64]) -> Vec<f64> {
    let Some(centre) = median(sample) else { return Vec::new() };
    let distances: Vec<f64> = sample.iter().map(|value| (value - centre).abs()).collect();
    sorted(&distances).split_off(1)
}

/// The relative standard deviation that values have at least because they are printed with so many
/// decimals; 0 where they are not. Three times 45.12 do not mean that nothing varies.
fn rounding(first: &[f64], second: &[f64]) -> f64 {
    let all = || first.iter().chain(second);
    let is_multiple = |decimals: &i32| {
        let power = 10_f64.powi(*decimals);
        all().all(|value| ((value * power).round() / power - value).abs() <= f64::EPSILON * value)
    };
    let Some(decimals) = (0..=MOST_DECIMALS).find(is_multiple) else { return 0.0 };
    let mean = all().sum::<f64>() / all().count() as f64;
    // What is rounded is as likely anywhere within half a step: its variance is a twelfth of it.
    10_f64.powi(-decimals) / 12_f64.sqrt() / mean
}

/// The share of samples in which a difference is found that shall be, where a number of values is
/// called enough.
const POWER: f64 = 0.8;

/// More values than this nobody measures.
const MOST_VALUES: u32 = 1000;

/// How many values a side must have (or how many pairs there must be) so that a ratio this far from 1
/// is found in four of five cases, where values vary by `deviation` and a probability below
/// `significance` is asked for. `None` where a thousand are not enough.
pub fn needed(ratio: f64, deviation: f64, pairing: Pairing, significance: f64) -> Option<u32> {
    let shift = ratio.ln().abs();
    (2..=MOST_VALUES).find(|n| power(shift, deviation, *n, pairing, significance) >= POWER)
}

/// In which share of samples of `n` values (or pairs) a shift of logarithms is found.
fn power(shift: f64, deviation: f64, n: u32, pairing: Pairing, significance: f64) -> f64 {
    let n = f64::from(n);
    let (freedom, variance) = match pairing {
        Pairing::Unpaired => (2.0 * (n - 1.0), 2.0 / n),
        Pairing::Paired => (n - 1.0, 1.0 / n),
    };
    let expected = shift / (deviation * variance.sqrt());
    let Ok(student) = StudentsT::new(0.0, 1.0, freedom) else { return 0.0 };
    non_central(expected, student.inverse_cdf(1.0 - significance / 2.0), freedom)
}

/// The probability that a t with this expectation exceeds a critical value: over all values that the
/// measured deviation can have by chance, by Simpson's rule.
fn non_central(expected: f64, critical: f64, freedom: f64) -> f64 {
    const STEPS: u32 = 200;
    if !expected.is_finite() {
        return 1.0;
    }
    let Ok(chi) = ChiSquared::new(freedom) else { return 0.0 };
    // The ratio of the measured deviation to the true one lies within this.
    let most = 1.0 + 6.0 / freedom.sqrt();
    let step = most / f64::from(STEPS);
    let at = |index: u32| {
        let ratio = (f64::from(index) * step).max(1e-9);
        let density = 2.0 * freedom * ratio * chi.ln_pdf(freedom * ratio * ratio).exp();
        density * Normal::standard().cdf(expected - critical * ratio)
    };
    let weighed = (0..=STEPS).map(|index| {
        let weight = match index {
            0 | STEPS => 1.0,
            odd if odd % 2 == 1 => 4.0,
            _ => 2.0,
        };
        weight * at(index)
    });
    weighed.sum::<f64>() * step / 3.0
}
