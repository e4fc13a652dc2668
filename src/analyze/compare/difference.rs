//! How far two sides are apart, and what may be said of it.

use std::cmp::Ordering;

use super::pairing::Pairs;
use super::{CONFIDENCE, Difference, Judgement, Row, metrics};
use crate::analyze::stats::{Pairing, holm, mann_whitney, ratio, smallest_p, wilcoxon_signed_rank};

/// The chance of a false alarm that is accepted, over all cells of a comparison together.
pub(super) const SIGNIFICANCE: f64 = 0.05;

/// The difference of two samples; none where it cannot be said as a ratio. What may be said of it is
/// decided when all cells are known.
pub(super) fn between(first: &[f64], second: &[f64], pairs: Option<&Pairs>) -> Option<Difference> {
    let (ratio, test, least) = if let Some(Pairs { first, second }) = pairs {
        let moved: Vec<f64> = first.iter().zip(second).map(|(a, b)| b.ln() - a.ln()).collect();
        (
            ratio(first, second, Pairing::Paired, CONFIDENCE)?,
            wilcoxon_signed_rank(&moved),
            smallest_p(first.len(), second.len(), true),
        )
    } else {
        (
            ratio(first, second, Pairing::Unpaired, CONFIDENCE)?,
            mann_whitney(first, second),
            smallest_p(first.len(), second.len(), false),
        )
    };
    let p = test.filter(|_| least <= SIGNIFICANCE).map(|test| test.p);
    Some(Difference {
        relative: ratio.estimate - 1.0,
        interval: ratio.interval.map(|(low, high)| (low - 1.0, high - 1.0)),
        p,
        adjusted_p: None,
        is_paired: pairs.is_some(),
        judgement: Judgement::TooFew,
    })
}

/// Says of each difference what may be said.
pub(super) fn judge(rows: &mut [Row], is_doubtful: bool) {
    let all = rows.iter().flat_map(|row| row.differences.iter().flatten());
    let probabilities: Vec<f64> = all.filter_map(|difference| difference.p).collect();
    let mut adjusted = holm(&probabilities).into_iter();
    for row in rows {
        let direction = metrics::direction(&row.metric);
        for difference in row.differences.iter_mut().flatten() {
            difference.adjusted_p = difference.p.and_then(|_| adjusted.next());
            difference.judgement = match difference.adjusted_p {
                None => Judgement::TooFew,
                Some(_) if is_doubtful => Judgement::NotComparable,
                Some(p) if p >= SIGNIFICANCE => Judgement::Same,
                Some(_) => in_words(difference.relative, direction),
            };
        }
    }
}

fn in_words(relative: f64, better: Ordering) -> Judgement {
    let moved = relative.total_cmp(&0.0);
    match better {
        Ordering::Equal => Judgement::Different,
        _ if moved == better => Judgement::Better,
        _ => Judgement::Worse,
    }
}
