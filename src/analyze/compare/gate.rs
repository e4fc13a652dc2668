//! Conditions on which a comparison fails: `tokens_per_second < -3%`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::difference::{self, SIGNIFICANCE};
use super::{Comparison, Difference};
use crate::quantity;

/// Metrics that are known whether or not a side measured them: of the tools whose metrics have fixed
/// names, and those that halo derives.
pub const KNOWN: [&str; 27] = [
    "accuracy",
    "duration",
    "generated_tokens",
    "generation_joules_per_token",
    "joules",
    "joules_per_solved",
    "joules_per_token",
    "latency",
    "latency_between_tokens",
    "mean_watts",
    "pass@1",
    "peak_tokens_per_second",
    "prompt_joules_per_token",
    "prompt_processing_time",
    "prompt_tokens",
    "requests_per_second",
    "score",
    "server_generated_tokens",
    "server_generated_tokens_per_second",
    "server_prompt_tokens",
    "server_prompt_tokens_per_second",
    "time_per_token",
    "time_to_first_response",
    "time_to_first_token",
    "tokens_per_second",
    "tokens_per_second_per_watt",
    "total_tokens_per_second",
];

/// A condition that must not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The metric, or the end of its name after an underscore.
    pub metric: String,
    /// Whether less than the bound fails, rather than more.
    pub fails_below: bool,
    /// The relative difference that is the bound: -0.03.
    pub bound: f64,
}

/// What became of a condition or of all of them, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The interval of every difference lies within the bound.
    Fine,
    /// Nobody can tell: too few values, an interval on both sides of the bound, or runs that cannot
    /// be compared.
    Inconclusive,
    /// A difference beyond the bound that is more than chance.
    Regression,
}

/// What became of a condition, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What became of it.
    pub outcome: Outcome,
    /// The cell and its figures, in a sentence.
    pub why: String,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || "expected a metric, < or >, and percent, as 'tokens_per_second < -3%'".to_owned();
        let at = text.find(['<', '>']).ok_or_else(expected)?;
        let (metric, rest) = text.split_at(at);
        let (metric, fails_below) = (metric.trim(), rest.starts_with('<'));
        let number = rest[1..].trim().strip_suffix('%').ok_or_else(expected)?.trim();
        let percent: f64 = number.parse().map_err(|_| expected())?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_@.".contains(c);
        if metric.is_empty() || !metric.chars().all(is_word) || !percent.is_finite() {
            return Err(expected());
        }
        Ok(Self { metric: metric.to_owned(), fails_below, bound: percent / 100.0 })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.fails_below { '<' } else { '>' };
        write!(formatter, "{} {sign} {}%", self.metric, 100.0 * self.bound)
    }
}

impl Condition {
    /// Whether it is about a metric: `joules_per_token` is about `prompt_joules_per_token` too.
    pub fn is_about(&self, metric: &str) -> bool {
        let rest = metric.strip_suffix(&self.metric);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    }

    /// How far beyond the bound a difference is; negative within it.
    fn beyond(&self, relative: f64) -> f64 {
        if self.fails_below { self.bound - relative } else { relative - self.bound }
    }

    /// Why nobody can tell, and how many values would tell.
    fn why_unknown(&self, difference: &Difference) -> String {
        match (difference.deviation, difference.needed(self.bound)) {
            (None, Some(needed)) => format!("; n too small: {needed} needed"),
            _ if self.bound == 0.0 => String::new(),
            (_, needed) if needed.is_none_or(|needed| needed > difference.count) => {
                let needed = needed.map_or("more than 1000".to_owned(), |n| n.to_string());
                let bound = quantity::percent(self.bound.abs());
                format!("; n too small: {needed} needed to call {bound} at this noise")
            }
            _ => "; it may lie on either side of the bound".to_owned(),
        }
    }

    fn outcome(&self, difference: &Difference, is_doubtful: bool) -> Outcome {
        let is_more_than_chance = difference.adjusted_p.is_some_and(|p| p < SIGNIFICANCE);
        let worst =
            difference.interval.map(|(low, high)| if self.fails_below { low } else { high });
        match worst {
            _ if is_doubtful => Outcome::Inconclusive,
            _ if is_more_than_chance && self.beyond(difference.relative) > 0.0 => {
                Outcome::Regression
            }
            Some(worst) if self.beyond(worst) <= 0.0 => Outcome::Fine,
            _ => Outcome::Inconclusive,
        }
    }
}

/// Judges what the conditions name as one question, so that all of them together raise a false alarm
/// no more often than one would, and nothing else counts.
pub fn ask(conditions: &[Condition], comparison: &mut Comparison) {
    let is_doubtful = !comparison.doubts.is_empty();
    let is_asked = |metric: &str| conditions.iter().any(|condition| condition.is_about(metric));
    difference::judge_question(&mut comparison.rows, |row| is_asked(&row.metric), is_doubtful);
}

/// What became of a condition, for each cell. Of what is not measured nobody can tell.
pub fn check(condition: &Condition, comparison: &Comparison) -> Vec<Finding> {
    let is_doubtful = !comparison.doubts.is_empty();
    let mut findings = Vec::new();
    for row in comparison.rows.iter().filter(|row| condition.is_about(&row.metric)) {
        let cell: Vec<&str> = row.cell.iter().map(|(_, value)| value.as_str()).collect();
        let what = if row.case.is_empty() { &row.task } else { &row.case };
        let cell = [&cell[..], &[what, &row.metric]].concat().join(", ");
        for (difference, side) in row.differences.iter().zip(&comparison.sides[1..]) {
            let (outcome, figure) = match difference {
                Some(difference) => {
                    let outcome = condition.outcome(difference, is_doubtful);
                    let why = match outcome {
                        Outcome::Inconclusive if is_doubtful => "; not comparable".to_owned(),
                        Outcome::Inconclusive => condition.why_unknown(difference),
                        _ => String::new(),
                    };
                    (outcome, in_words(difference) + &why)
                }
                None => (Outcome::Inconclusive, "not measured on both sides".to_owned()),
            };
            let side = match comparison.sides.len() {
                2 => String::new(),
                _ => format!(" of {}", side.name),
            };
            findings.push(Finding { outcome, why: format!("{cell}{side}: {figure}") });
        }
    }
    if findings.is_empty() {
        let metric = &condition.metric;
        let why = if comparison.scores.iter().any(|row| condition.is_about(&row.metric)) {
            format!("{metric} is a score, which is judged by its samples and by no condition")
        } else {
            format!("no cell has {metric} on both sides")
        };
        findings.push(Finding { outcome: Outcome::Inconclusive, why });
    }
    findings
}

fn in_words(difference: &Difference) -> String {
    quantity::relative(difference.relative, difference.interval)
}
