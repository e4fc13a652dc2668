//! Conditions on which a comparison fails: `tokens_per_second < -3%`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::difference::SIGNIFICANCE;
use super::{Comparison, Difference};

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
    fn is_about(&self, metric: &str) -> bool {
        let rest = metric.strip_suffix(&self.metric);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    }

    /// How far beyond the bound a difference is; negative within it.
    fn beyond(&self, relative: f64) -> f64 {
        if self.fails_below { self.bound - relative } else { relative - self.bound }
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

/// What became of a condition: the worst over all cells. Of what is not measured nobody can tell.
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
                    (condition.outcome(difference, is_doubtful), in_words(difference))
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
        let why = format!("no cell has {} on both sides", condition.metric);
        findings.push(Finding { outcome: Outcome::Inconclusive, why });
    }
    findings
}

fn in_words(difference: &Difference) -> String {
    let percent = |share: f64| format!("{:+.2} %", 100.0 * share);
    let relative = percent(difference.relative);
    match difference.interval {
        Some((low, high)) => format!("{relative} ({} to {})", percent(low), percent(high)),
        None => format!("{relative}, too few values for an interval"),
    }
}
