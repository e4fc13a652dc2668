//! What tests are called, so that no two of a run are called the same.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::output::{Fields, Test};
use super::results::{is_measured, tokens};
use crate::tool::ParseError;

/// Fields that the name begins with, or that say nothing of how a test was measured.
const UNNAMED: &[&str] = &["n_prompt", "n_gen", "n_depth", "test_time"];

/// The name of each test: llama-bench's own, as `pp512 @ d4096`, and the parameters in which
/// tests differ that would be called the same without them.
pub(super) fn labels(tests: &[&Test]) -> Vec<String> {
    let mut labels: Vec<String> = tests.iter().map(|test| kind(test).unwrap_or_default()).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in tests.iter().flat_map(|test| test.fields.keys()) {
        if !names.contains(&name.as_str())
            && !is_measured(name)
            && !UNNAMED.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    // Of several models that is what counts, whatever else differs between their documents.
    names.sort_by_key(|name| !name.starts_with("model_"));
    let values: Vec<(&str, Vec<Option<String>>)> =
        names.into_iter().map(|name| (name, values(tests, name))).collect();
    // What one test has and another has not, since their formats or versions differ, is looked at
    // where nothing else tells them apart.
    for is_absence_told in [false, true] {
        for (name, values) in &values {
            // Of which build a table is that does not say it nobody knows.
            if is_absence_told && name.starts_with("build_") {
                continue;
            }
            if tells_apart(&labels, values, is_absence_told) {
                let key = if *name == "model_filename" { "model" } else { name };
                for (label, value) in labels.iter_mut().zip(values) {
                    if let Some(value) = value {
                        *label = format!("{label} {key}={value}");
                    }
                }
            }
        }
    }
    number_repeated(&mut labels);
    labels
}

/// As the table of llama-bench says it.
pub(super) fn kind(test: &Test) -> Result<String, ParseError> {
    let count = |name| tokens(test, name);
    let (prompt, generated) = (count("n_prompt")?, count("n_gen")?);
    let kind = match (prompt, generated) {
        (prompt, 0) => format!("pp{prompt}"),
        (0, generated) => format!("tg{generated}"),
        (prompt, generated) => format!("pp{prompt}+tg{generated}"),
    };
    // Old versions have no depth.
    Ok(match test.fields.get("n_depth") {
        Some(depth) if depth.as_u64() != Some(0) => format!("{kind} @ d{depth}"),
        _ => kind,
    })
}

/// Whether tests of the same name differ in a value, so that the name needs it. What follows
/// from a parameter that is named already, as the size from the model, does not.
fn tells_apart(labels: &[String], values: &[Option<String>], is_absence_told: bool) -> bool {
    let mut first = BTreeMap::new();
    let mut known =
        labels.iter().zip(values).filter(|(_, value)| is_absence_told || value.is_some());
    known.any(|(label, value)| first.entry(label).or_insert(value) != &value)
}

fn values(tests: &[&Test], name: &str) -> Vec<Option<String>> {
    let shown = |fields: &Fields| fields.get(name).map(shown);
    let whole: Vec<_> = tests.iter().map(|test| shown(&test.fields)).collect();
    if name != "model_filename" {
        return whole;
    }
    let short: Vec<_> = whole.iter().map(|path| path.as_deref().map(file_name)).collect();
    // Models of the same name in several directories are told apart by their paths.
    let distinct =
        |values: &[Option<String>]| values.iter().collect::<std::collections::BTreeSet<_>>().len();
    if distinct(&short) == distinct(&whole) { short } else { whole }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn file_name(path: &str) -> String {
    Path::new(path)
        .file_name()
        .map_or_else(|| path.to_owned(), |n| n.to_string_lossy().into_owned())
}

/// The same test asked for twice, as `-p 512,512`.
fn number_repeated(labels: &mut [String]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for label in labels {
        let count = seen.entry(label.clone()).or_default();
        *count += 1;
        if *count > 1 {
            *label = format!("{label} #{count}");
        }
    }
}
