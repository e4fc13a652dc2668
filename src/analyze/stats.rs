//! Statistics of small samples, without assumptions about how values are distributed.
//!
//! Throughputs have long tails and a few values each, so medians, ranks and order statistics are
//! used, as benchstat does. Tests are exact while that can be counted; a sample that is too small
//! to tell anything gives nothing, not a guess. Values that are not finite give nothing either.

mod adjust;
mod location;
mod null;
mod order;
mod proportion;
mod rank;

pub use adjust::{geometric_mean, holm};
pub use location::{Pairing, Ratio, ratio};
pub use order::{Interval, median, median_interval};
pub use proportion::{difference_of_pairs, difference_of_shares, mcnemar, wilson};
pub use rank::{Method, Test, mann_whitney, smallest_p, wilcoxon_signed_rank};

/// The values, where all of them are finite.
fn finite(values: &[f64]) -> Option<&[f64]> {
    (!values.is_empty() && values.iter().all(|value| value.is_finite())).then_some(values)
}

/// The values in their order.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
