//! How far two sides are apart, and what may be said of it.

use std::cmp::Ordering;

use super::pairing::Pairs;
use super::{CONFIDENCE, Difference, Judgement, Row, metrics};
use crate::analyze::stats::{Pairing, holm, needed, ratio};

/// The chance of a false alarm that is accepted, over all cells of a question together.
pub(super) const SIGNIFICANCE: f64 = 0.05;

/// Two values a side are the fewest that tell how values vary.
const FEWEST: u32 = 2;

/// The difference that a comparison should be able to find where nobody asks for another: 3 %.
pub(super) const WORTH_FINDING: f64 = 0.03;

/// The difference of two samples; `None` if it cannot be said as a ratio. What may be said of it is
/// decided when all cells are known.
pub(super) fn between(first: &[f64], second: &[f64], pairs: Option<&Pairs>) -> Option<Difference> {
    let (first, second, pairing) = match pairs {
        Some(pairs) => (&pairs.first[..], &pairs.second[..], Pairing::Paired),
        None => (first, second, Pairing::Unpaired),
    };
    // Of the largest number to the smallest there is no ratio.
    let ratio =
        ratio(first, second, pairing, CONFIDENCE).filter(|ratio| ratio.estimate.is_finite())?;
    let certainty = ratio.certainty;
    Some(Difference {
        relative: ratio.estimate - 1.0,
        interval: certainty
            .map(|found| (found.interval.0 - 1.0, found.interval.1 - 1.0))
            .filter(|(low, high)| low.is_finite() && high.is_finite()),
        p: certainty.map(|found| found.p),
        adjusted_p: None,
        is_paired: pairs.is_some(),
        deviation: certainty.map(|found| found.deviation),
        outliers: ratio.outliers,
        count: first.len().min(second.len()).try_into().unwrap_or(u32::MAX),
        compared_with: 0,
        needed: None,
        judgement: Judgement::TooFew,
    })
}

/// Says of each difference what may be said. Each metric is a question of its own: how fast it was is
/// not less sure because joules and watts stand below.
pub(super) fn judge(rows: &mut [Row], is_doubtful: bool) {
    let mut metrics: Vec<String> = rows.iter().map(|row| row.metric.clone()).collect();
    metrics.sort();
    metrics.dedup();
    for metric in metrics {
        judge_question(rows, |row| row.metric == metric, is_doubtful);
    }
}

/// The same of all rows that one question is about: the chance of a false alarm is that of all of
/// them together.
pub(super) fn judge_question(rows: &mut [Row], is_asked: impl Fn(&Row) -> bool, is_doubtful: bool) {
    let asked = || rows.iter().filter(|row| is_asked(row));
    let all = asked().flat_map(|row| row.differences.iter().flatten());
    let probabilities: Vec<f64> = all.filter_map(|difference| difference.p).collect();
    let count = probabilities.len();
    let mut adjusted = holm(&probabilities).into_iter();
    for row in rows.iter_mut().filter(|row| is_asked(row)) {
        let direction = metrics::direction(&row.metric);
        for difference in row.differences.iter_mut().flatten() {
            difference.adjusted_p = difference.p.and_then(|_| adjusted.next());
            difference.compared_with = count;
            difference.needed = difference.needed(WORTH_FINDING);
            difference.judgement = match difference.adjusted_p {
                None => Judgement::TooFew,
                Some(_) if is_doubtful => Judgement::NotComparable,
                Some(p) if p >= SIGNIFICANCE => Judgement::Same,
                Some(_) => in_words(difference.relative, direction),
            };
        }
    }
}

impl Difference {
    /// How many values a side must have so that a relative difference this great is called one in
    /// four of five cases, at the noise that was seen and among all that is asked. `None` if a
    /// thousand are not enough.
    pub fn needed(&self, relative: f64) -> Option<u32> {
        let Some(deviation) = self.deviation else { return Some(FEWEST) };
        let pairing = if self.is_paired { Pairing::Paired } else { Pairing::Unpaired };
        let significance = SIGNIFICANCE / self.compared_with.max(1) as f64;
        needed(1.0 + relative, deviation, pairing, significance)
    }
}

/// How many rounds of two commands in turn call a relative difference in four of five cases, where a
/// run varies by `noise` (a share) and each measures so many cells.
pub fn needed_rounds(relative: f64, noise: f64, cells: usize) -> Option<u32> {
    // Both runs of a round vary.
    let deviation = noise * std::f64::consts::SQRT_2;
    let significance = SIGNIFICANCE / cells.max(1) as f64;
    needed(1.0 + relative, deviation, Pairing::Paired, significance)
}

fn in_words(relative: f64, better: Ordering) -> Judgement {
    let moved = relative.total_cmp(&0.0);
    match better {
        Ordering::Equal => Judgement::Different,
        _ if moved == better => Judgement::Better,
        _ => Judgement::Worse,
    }
}
