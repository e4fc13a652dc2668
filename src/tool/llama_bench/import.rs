//! Output of llama-bench in a file, whose format only its content tells.

use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::arguments::{Arguments, Format};
use super::output::{Output, Test};
use super::{csv, failure, json, markdown, results, sql};
use crate::tool::{ParseError, Parsed};

/// What the toolkit appends to a log of a run that failed.
const FAILED: &str = "FAILED";

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// The results.
    pub parsed: Parsed,
    /// When the first test began, where the format says so.
    pub started: Option<Timestamp>,
    /// The model's name, as its file is called or the table says.
    pub model: Option<String>,
    /// The model's file, where the format says so.
    pub model_file: Option<String>,
}

/// Reads a file of llama-bench, a log in which its table stands, or the toolkit's `summary.json`.
///
/// # Errors
///
/// Where its format is told by its content, and the content is damaged.
pub fn import(bytes: &[u8]) -> Result<Imported, ParseError> {
    let output = Output::new("raw/stdout", bytes);
    let text = output.text.trim_start();
    let is_summary = text.starts_with('{') && !text.starts_with(json::BEGIN);
    let summary =
        is_summary.then(|| serde_json::from_str(text).ok().as_ref().and_then(summary)).flatten();
    let mut tests = match (summary, format(text)) {
        (Some(tests), _) => tests,
        (None, Some(Format::Csv)) => csv::tests(&output)?,
        (None, Some(Format::Sql)) => sql::tests(&output)?,
        (None, Some(Format::Json | Format::JsonLines)) => json::tests(&output)?,
        (None, Some(Format::Markdown)) => markdown::tests(&output)?,
        (None, None) => Vec::new(),
    };
    for test in &mut tests {
        // Nobody knows whether it was measured once, and then 0 would be a perfect measurement.
        test.fields
            .retain(|name, value| !name.starts_with("stddev_") || value.as_f64() != Some(0.0));
    }
    let mut parsed = results::parsed(&tests, &Arguments::of(&[], 0))?;
    let has_failed = output.text.lines().any(|line| line.trim() == FAILED);
    let why = failure::of(bytes, !parsed.rows.is_empty());
    parsed.failure = match why {
        None if has_failed => Some("the toolkit noted that it failed".to_owned()),
        why => why,
    };
    let text = |name: &str| tests.first()?.fields.get(name)?.as_str().map(str::to_owned);
    let model_file = text("model_filename");
    let stem =
        |file: &String| Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(Imported {
        started: text("test_time").and_then(|time| time.parse().ok()),
        model: model_file.as_ref().and_then(stem).or_else(|| text("model_type")),
        model_file,
        parsed,
    })
}

/// The format of a file, by what stands in it. A log has other lines around the table.
fn format(text: &str) -> Option<Format> {
    if text.starts_with("build_commit,") {
        Some(Format::Csv)
    } else if text.contains("INSERT INTO") {
        Some(Format::Sql)
    } else if text.contains(json::BEGIN) || text.starts_with('[') || text.starts_with('{') {
        Some(Format::Json)
    } else if text.lines().any(|line| line.trim_start().starts_with('|')) {
        Some(Format::Markdown)
    } else {
        None
    }
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
        Some(Test { place: format!("raw/stdout result {}", index + 1), fields })
    };
    results.iter().enumerate().map(test).collect()
}
