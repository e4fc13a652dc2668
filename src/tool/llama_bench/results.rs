//! The figures of the tests that llama-bench printed, in whatever format.

use serde_json::Value;

use super::arguments::Arguments;
use super::label::labels;
use super::output::Test;
use crate::run::manifest::Case;
use crate::tool::{ParseError, Parsed, Row};

/// The name of the task.
const TASK: &str = "llama-bench";

/// Whether a field is a figure, and no parameter.
pub(super) fn is_measured(name: &str) -> bool {
    ["avg_", "stddev_", "samples_"].iter().any(|start| name.starts_with(start))
}

/// Turns tests into rows, in their order; the repetitions of a test stand before what is said
/// over all of them.
pub(super) fn parsed(tests: &[Test], arguments: &Arguments) -> Result<Parsed, ParseError> {
    let mut parsed = Parsed::default();
    for (test, case) in tests.iter().zip(labels(tests)?) {
        rows(test, &case, arguments, &mut parsed.rows)?;
        let parameters = test.fields.iter().filter(|(name, _)| !is_measured(name));
        parsed.cases.push(Case {
            task: TASK.to_owned(),
            case,
            parameters: parameters.map(|(name, value)| (name.clone(), value.clone())).collect(),
        });
        if parsed.version.is_none() {
            parsed.version = version(test);
            parsed.backend = text(test, "backends").map(str::to_owned);
        }
    }
    Ok(parsed)
}

fn rows(
    test: &Test,
    case: &str,
    arguments: &Arguments,
    rows: &mut Vec<Row>,
) -> Result<(), ParseError> {
    let speeds = samples(test, "samples_ts")?;
    let durations: Vec<f64> = samples(test, "samples_ns")?.into_iter().map(seconds).collect();
    let mut push = |repetition, metric: &str, value, unit: &str| {
        rows.push(Row {
            task: TASK.to_owned(),
            case: case.to_owned(),
            repetition,
            metric: metric.to_owned(),
            value,
            unit: unit.to_owned(),
        });
    };
    for (index, repetition) in (0..speeds.len().max(durations.len())).zip(1..) {
        if let Some(&speed) = speeds.get(index) {
            push(Some(repetition), "tokens_per_second", speed, "1/s");
        }
        if let Some(&duration) = durations.get(index) {
            push(Some(repetition), "duration", duration, "s");
        }
    }
    // Of a single repetition llama-bench says 0, which would be a perfect measurement.
    let has_deviation = !arguments.measures_once && speeds.len().max(durations.len()) != 1;
    push(None, "tokens_per_second_mean", number(test, "avg_ts")?, "1/s");
    if let Some(deviation) = optional(test, "stddev_ts")?.filter(|_| has_deviation) {
        push(None, "tokens_per_second_standard_deviation", deviation, "1/s");
    }
    if let Some(mean) = optional(test, "avg_ns")? {
        push(None, "duration_mean", seconds(mean), "s");
    }
    if let Some(deviation) = optional(test, "stddev_ns")?.filter(|_| has_deviation) {
        push(None, "duration_standard_deviation", seconds(deviation), "s");
    }
    Ok(())
}

fn seconds(nanoseconds: f64) -> f64 {
    nanoseconds / 1e9
}

/// `b11434 (0a1b2c3)`: the number and the commit that the build says it is of.
fn version(test: &Test) -> Option<String> {
    let number = test.fields.get("build_number").and_then(Value::as_u64).filter(|n| *n > 0);
    let number = number.map(|number| format!("b{number}"));
    let commit = text(test, "build_commit").filter(|commit| *commit != "unknown");
    match (number, commit) {
        (Some(number), Some(commit)) if number != commit => Some(format!("{number} ({commit})")),
        (Some(number), _) => Some(number),
        (None, commit) => commit.map(str::to_owned),
    }
}

fn text<'a>(test: &'a Test, name: &str) -> Option<&'a str> {
    test.fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A number of tokens.
pub(super) fn tokens(test: &Test, name: &str) -> Result<u64, ParseError> {
    let value = required(test, name)?;
    value.as_u64().ok_or_else(|| wrong(test, name, value, "a number of tokens"))
}

fn number(test: &Test, name: &str) -> Result<f64, ParseError> {
    let value = required(test, name)?;
    value.as_f64().ok_or_else(|| wrong(test, name, value, "a number"))
}

fn optional(test: &Test, name: &str) -> Result<Option<f64>, ParseError> {
    if test.fields.contains_key(name) { number(test, name).map(Some) } else { Ok(None) }
}

fn samples(test: &Test, name: &str) -> Result<Vec<f64>, ParseError> {
    let Some(value) = test.fields.get(name) else { return Ok(Vec::new()) };
    let numbers = value.as_array().map(|all| all.iter().map(Value::as_f64).collect());
    numbers.flatten().ok_or_else(|| wrong(test, name, value, "a list of numbers"))
}

fn required<'a>(test: &'a Test, name: &str) -> Result<&'a Value, ParseError> {
    test.fields.get(name).ok_or_else(|| ParseError {
        place: test.place.clone(),
        detail: format!("{name} is missing"),
    })
}

fn wrong(test: &Test, name: &str, value: &Value, expected: &str) -> ParseError {
    ParseError { place: test.place.clone(), detail: format!("{name} is {value}, not {expected}") }
}
