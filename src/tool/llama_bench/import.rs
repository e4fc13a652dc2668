//! Output of llama-bench in a file, whose format only its content tells.

use std::path::Path;

use serde_json::Value;

use super::arguments::Arguments;
use super::output::{Output, Test};
use super::{NAME, failure, json, markdown, read, results};
use crate::tool::{Imported, ImportedModel, ParseError};

/// What the toolkit appends to a log of a run that failed.
const FAILED: &str = "FAILED";

/// Reads a file of llama-bench, a text in which its tables or documents stand, one or several and in
/// one or several formats, or the toolkit's `summary.json`.
///
/// # Errors
///
/// Where tests are in it and none can be understood.
pub fn import(bytes: &[u8]) -> Result<Imported, ParseError> {
    let output = Output::new("raw/stdout", bytes);
    let text = output.text.trim_start();
    let is_summary = text.starts_with('{') && !text.starts_with(json::BEGIN);
    let summary =
        is_summary.then(|| crate::json::from_str(text).ok().as_ref().and_then(summary)).flatten();
    let (mut tests, mut problems) = match summary {
        Some(tests) => (tests, Vec::new()),
        None => read::of_file(&output),
    };
    for test in &mut tests {
        // Nobody knows whether it was measured once, and then 0 would be a perfect measurement.
        test.fields
            .retain(|name, value| !name.starts_with("stddev_") || value.as_f64() != Some(0.0));
    }
    let (mut parsed, errors) = results::parsed(&tests, &Arguments::of(&[], 0));
    problems.extend(errors);
    if parsed.rows.is_empty() && !problems.is_empty() {
        return Err(problems.remove(0));
    }
    parsed.problems.extend(problems.iter().map(ToString::to_string));
    let has_failed = output.text.lines().any(|line| line.trim() == FAILED);
    let why = failure::of(NAME, &output.text, !parsed.rows.is_empty());
    parsed.failure = match why {
        None if has_failed => Some("the toolkit noted that it failed".to_owned()),
        why => why,
    };
    let times = tests.iter().filter_map(|test| text_of(test, "test_time")?.parse().ok());
    Ok(Imported { tool: NAME, started: times.min(), models: models(&tests), parsed })
}

fn text_of<'a>(test: &'a Test, name: &str) -> Option<&'a str> {
    test.fields.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The models of all tests, in the order of their first ones.
fn models(tests: &[Test]) -> Vec<ImportedModel> {
    let mut models = Vec::new();
    for test in tests {
        let file = text_of(test, "model_filename");
        let stem = file.and_then(|file| Path::new(file).file_stem());
        let name = stem.map(|stem| stem.to_string_lossy().into_owned());
        let Some(name) = name.or_else(|| Some(text_of(test, "model_type")?.to_owned())) else {
            continue;
        };
        let model = ImportedModel { name, file: file.map(str::to_owned) };
        if !models.contains(&model) {
            models.push(model);
        }
    }
    models
}

/// The tests that a `summary.json` lists; none where it is something else.
fn summary(value: &Value) -> Option<Vec<Test>> {
    let results = value.get("results")?.as_array()?;
    let test = |(index, result): (usize, &Value)| {
        let text = |name: &str| result.get(name).and_then(Value::as_str);
        let mut fields = markdown::tokens(text("test")?)?;
        fields.insert("avg_ts".to_owned(), result.get("tokens_per_sec")?.as_f64()?.into());
        let copied = [("model", "model_type"), ("backend", "backends"), ("file", "file")];
        for (from, to) in copied {
            if let Some(value) = text(from) {
                fields.insert(to.to_owned(), value.into());
            }
        }
        // The toolkit's own fault: the batch stands behind the type.
        if let Some((keys, values)) = text("kv_cache").and_then(|types| types.split_once('/')) {
            let values = values.split("__").next().unwrap_or(values);
            fields.insert("type_k".to_owned(), keys.into());
            fields.insert("type_v".to_owned(), values.into());
        }
        let place = format!("raw/stdout result {}", index + 1);
        Some(Test { place, line: index, fields })
    };
    results.iter().enumerate().map(test).collect()
}
