//! Which way is better.

use std::cmp::Ordering;

/// Metrics of which more is better, by a part of their name.
const MORE: [&str; 6] =
    ["tokens_per_second", "score", "accuracy", "pass@", "solved", "requests_per_second"];

/// Metrics of which less is better.
const LESS: [&str; 5] = ["joules", "duration", "watts", "latency", "time_to_first_token"];

/// Whether a greater value of a metric is better or worse; `Equal` where nobody can say.
pub(super) fn direction(metric: &str) -> Ordering {
    let has = |parts: &[&str]| parts.iter().any(|part| metric.contains(part));
    match (has(&LESS), has(&MORE)) {
        (true, false) => Ordering::Less,
        // `tokens_per_second_per_watt` is of both.
        (_, true) => Ordering::Greater,
        (false, false) => Ordering::Equal,
    }
}
