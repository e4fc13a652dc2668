//! `-o sql`: an INSERT a test; quotes inside of values are not escaped.
//!
//! The table is called `llama_bench`, and `test` until 2025. What `sqlite3` dumps has no names of
//! columns, but those of the table before it.

use serde_json::Value;

use super::output::{Fields, Found, Output, typed};

/// Reads the INSERT statements of tables that have a speed.
pub(super) fn find(output: &Output<'_>) -> Found {
    let mut found = Found::default();
    let mut columns: Vec<&str> = Vec::new();
    let mut is_in_table = false;
    for line in output.lines() {
        let text = line.text.trim();
        if text.starts_with("CREATE TABLE") {
            is_in_table = true;
            columns.clear();
        } else if is_in_table {
            is_in_table = !text.starts_with(')') && !text.ends_with(");");
            columns.extend(text.split_whitespace().next().filter(|name| !name.starts_with(')')));
        }
        let Some(statement) = text.strip_prefix("INSERT INTO ") else { continue };
        let (target, values) = match statement.split_once(" VALUES") {
            Some((target, values)) => (target, Some(values)),
            None => (statement, None),
        };
        let names: Vec<&str> = match target.split_once(" (") {
            Some((_, names)) => names.split(')').next().unwrap_or_default().split(", ").collect(),
            None => columns.clone(),
        };
        if !names.contains(&"avg_ts") {
            continue;
        }
        let values = values.and_then(|values| {
            let values = values.trim_start().strip_prefix('(')?.strip_suffix(");")?;
            self::values(values)
        });
        match values {
            Some(values) if values.len() == names.len() => {
                let fields: Fields = names
                    .iter()
                    .zip(values)
                    .map(|(name, value)| {
                        ((*name).to_owned(), value.map_or(Value::Null, |value| typed(name, &value)))
                    })
                    .collect();
                found.tests.push(output.test(line.number, fields));
            }
            _ if !line.is_ended => found.cut = Some(output.cut(line.number)),
            Some(values) => {
                let detail = format!("{} values for {} columns", values.len(), names.len());
                found.damages.push(output.error(line.number, detail));
            }
            None => {
                found.damages.push(output.error(line.number, "an INSERT without values"));
            }
        }
    }
    found
}

/// The values of a statement; none for NULL.
fn values(text: &str) -> Option<Vec<Option<String>>> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let value = if let Some(begun) = rest.strip_prefix('\'') {
            let (value, after) = quoted(begun)?;
            rest = after;
            Some(value.replace("''", "'"))
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let value = rest[..end].trim();
            rest = &rest[end..];
            (value != "NULL").then(|| value.to_owned())
        };
        values.push(value);
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if rest.trim().is_empty() => return Some(values),
            None => return None,
        }
    }
}

/// A value up to its quote: one that another value, NULL, a number or the end follows. A quote alone
/// may be part of a file's name.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let is_end = |(at, _): &(usize, &str)| {
        let after = text[at + 1..].trim_start();
        let next = after.strip_prefix(',').map(str::trim_start);
        after.is_empty()
            || next.is_some_and(|next| {
                next.starts_with(['\'', '-']) || next.starts_with("NULL") || {
                    next.starts_with(|c: char| c.is_ascii_digit())
                }
            })
    };
    let (at, _) = text.match_indices('\'').find(is_end)?;
    Some((&text[..at], &text[at + 1..]))
}
