//! The tests in what a command printed or a file holds, in whatever format they stand there.

use super::output::{Found, Output, Test};
use super::{csv, json, label, markdown, sql};
use crate::tool::ParseError;

/// How to find the tests of a format.
type Find = fn(&Output<'_>) -> Found;

/// The formats, the one that says most first: every repetition, then every parameter, then neither.
const FORMATS: [Find; 4] = [json::find, csv::find, sql::find, markdown::find];

/// By how much the speed of one test may differ between two formats: the table has two decimals.
const ROUNDING: f64 = 0.005_001;

/// The tests of a command, in the format that says most, from the first of its outputs that has any:
/// at a terminal of a container all comes on one output, whatever was asked for on which.
///
/// # Errors
///
/// Where a test there cannot be understood.
pub(super) fn of_command(outputs: &[Output<'_>; 2]) -> Result<Vec<Test>, ParseError> {
    for find in FORMATS {
        for output in outputs {
            let Found { tests, damages, .. } = find(output);
            if let Some(damage) = damages.into_iter().next() {
                return Err(damage);
            }
            if !tests.is_empty() {
                return Ok(tests);
            }
        }
    }
    Ok(Vec::new())
}

/// The tests of a file, in all formats that are in it and in their order. What one format says is
/// left out where another says more of the same test. What cannot be understood costs only itself.
pub(super) fn of_file(output: &Output<'_>) -> (Vec<Test>, Vec<ParseError>) {
    let mut all: Vec<Test> = Vec::new();
    let mut problems = Vec::new();
    for find in FORMATS {
        let Found { tests, damages, cut } = find(output);
        problems.extend(damages);
        problems.extend(cut);
        let known = all.len();
        let mut is_told_again = vec![false; known];
        for test in tests {
            let again = (0..known).find(|at| !is_told_again[*at] && is_same(&all[*at], &test));
            match again {
                Some(at) => is_told_again[at] = true,
                None => all.push(test),
            }
        }
    }
    all.sort_by_key(|test| test.line);
    (all, problems)
}

/// Whether two formats tell one test.
fn is_same(one: &Test, other: &Test) -> bool {
    let same_kind = label::kind(one).is_ok_and(|kind| label::kind(other).is_ok_and(|o| o == kind));
    let figure = |test: &Test, name: &str| test.fields.get(name)?.as_f64();
    let is_alike = |name: &str| match (figure(one, name), figure(other, name)) {
        (Some(one), Some(other)) => (one - other).abs() <= ROUNDING,
        (one, other) => name == "stddev_ts" || one.is_none() && other.is_none(),
    };
    same_kind && is_alike("avg_ts") && is_alike("stddev_ts")
}
