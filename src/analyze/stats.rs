//! Statistics of small samples.
//!
//! A sample that is too small to tell anything gives nothing, not a guess. Values that are not finite
//! give nothing either.

mod adjust;
mod location;
mod order;
mod proportion;
mod spread;

pub use adjust::{geometric_mean, holm};
pub use location::{Certainty, Pairing, Ratio, needed, ratio};
pub use order::{Interval, median, median_interval};
pub use proportion::{
    difference_of_pairs, difference_of_shares, interval_of_error, mcnemar, wilson,
};
pub use spread::{mean, standard_deviation};

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
