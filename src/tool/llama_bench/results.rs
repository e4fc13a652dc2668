//! The figures of the tests that llama-bench printed, in whatever format.

use serde_json::Value;

use super::arguments::Arguments;
use super::label::{kind, labels};
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
/// over all of them. Beside them stands what is wrong with tests that have none.
pub(super) fn parsed(tests: &[Test], arguments: &Arguments) -> (Parsed, Vec<ParseError>) {
    let mut parsed = Parsed::default();
    let mut errors = Vec::new();
    let is_named = |test: &&Test| match kind(test) {
        Ok(_) => true,
        Err(error) => {
            errors.push(error);
            false
        }
    };
    let tests: Vec<&Test> = tests.iter().filter(is_named).collect();
    let (mut versions, mut backends) = (Vec::new(), Vec::new());
    for (test, case) in tests.iter().zip(labels(&tests)) {
        // A test that failed has its place among the others all the same: the tool counts them.
        // A speed that is not above 0 is none: damage, or a tool that failed and did not notice.
        let is_speed = |value: &Value| value.as_f64().is_none_or(|speed| speed > 0.0);
        if test.fields.get("avg_ts").is_some_and(|speed| speed.is_null() || !is_speed(speed)) {
            let place = &test.place;
            parsed
                .problems
                .push(format!("{place}: {case} failed: llama-bench gives no speed for it"));
        } else if let Err(error) = rows(test, &case, arguments, &mut parsed.rows) {
            errors.push(error);
        }
        let parameters = test.fields.iter().filter(|(name, _)| !is_measured(name));
        parsed.cases.push(Case {
            task: TASK.to_owned(),
            case,
            parameters: parameters.map(|(name, value)| (name.clone(), value.clone())).collect(),
        });
        versions.extend(version(test).filter(|version| !versions.contains(version)));
        backends.extend(text(test, "backends").filter(|backend| !backends.contains(backend)));
    }
    parsed.version = (!versions.is_empty()).then(|| versions.join(", "));
    // What several compute with is told with each case.
    parsed.backend = match backends[..] {
        [backend] => Some(backend.to_owned()),
        _ => None,
    };
    (parsed, errors)
}

fn rows(
    test: &Test,
    case: &str,
    arguments: &Arguments,
    rows: &mut Vec<Row>,
) -> Result<(), ParseError> {
    let speeds = samples(test, "samples_ts")?;
    let durations: Vec<f64> = samples(test, "samples_ns")?.into_iter().map(seconds).collect();
    let (mean, deviation) = (number(test, "avg_ts")?, optional(test, "stddev_ts")?);
    let (duration, duration_deviation) = (optional(test, "avg_ns")?, optional(test, "stddev_ns")?);
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
    push(None, "tokens_per_second_mean", mean, "1/s");
    if let Some(deviation) = deviation.filter(|_| has_deviation) {
        push(None, "tokens_per_second_standard_deviation", deviation, "1/s");
    }
    if let Some(mean) = duration {
        push(None, "duration_mean", seconds(mean), "s");
    }
    if let Some(deviation) = duration_deviation.filter(|_| has_deviation) {
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
    match test.fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => number(test, name).map(Some),
    }
}

fn samples(test: &Test, name: &str) -> Result<Vec<f64>, ParseError> {
    let Some(value) = test.fields.get(name).filter(|value| !value.is_null()) else {
        return Ok(Vec::new());
    };
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
