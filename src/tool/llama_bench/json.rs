//! `-o json` and `-o jsonl`: an object a test, with every repetition.

use serde_json::{Deserializer, Value};

use super::output::{Fields, Found, Output, Test};
use crate::tool::document;

/// How a test begins in `-o jsonl`.
pub(super) const BEGIN: &str = "{\"build_commit\"";

/// Reads the objects that begin a line, wherever they stand: an array that was never closed, and
/// other text between them, cost nothing.
pub(super) fn find(output: &Output<'_>) -> Found {
    let text = output.text.as_ref();
    let mut found = Found::default();
    let mut line = 1;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let mut length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let object = match rest[..length].find(BEGIN) {
            // Behind something that did not end its line, as the dots while a model loads.
            Some(begin) => &rest[begin..],
            // Lines of `-o json` are indented.
            None => rest.trim_start_matches([' ', '\t', '\r', ',', '[', ']']),
        };
        if object.starts_with('{') {
            let begin = rest.len() - object.len();
            let line = line + rest[..begin].matches('\n').count();
            match parse(object) {
                Ok((value, end)) => {
                    length = begin + end;
                    take(value, output, line, &mut found.tests);
                }
                // Objects within one that is cut are looked for on their own lines.
                Err(error) if error.is_eof() => {
                    if found.cut.is_none() && is_test(|key| mentions(object, key)) {
                        found.cut = Some(output.cut(line));
                    }
                }
                Err(error) => {
                    let damaged = until_next(object);
                    if is_test(|key| mentions(damaged, key)) {
                        let at = line + error.line() - 1;
                        let detail = format!("no JSON: {}", without_place(&error));
                        found.damages.push(output.error(at, detail));
                    }
                }
            }
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    found
}

/// The object that a text begins with, and where it ends.
fn parse(text: &str) -> Result<(Value, usize), serde_json::Error> {
    let mut objects = Deserializer::from_str(text).into_iter::<Value>();
    match objects.next() {
        Some(Ok(value)) => Ok((value, objects.byte_offset())),
        Some(Err(error)) if error.is_eof() => Err(error),
        // printf writes numbers that JSON does not know.
        Some(Err(error)) => {
            let again = end(text).and_then(|end| {
                let value = crate::json::from_str(&document::without_nan(&text[..end])).ok()?;
                Some((value, end))
            });
            again.ok_or(error)
        }
        None => Ok((Value::Null, text.len())),
    }
}

/// Where the object that a text begins with has its last brace.
fn end(text: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth += 1,
            b'}' if !in_text => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Takes the tests that a value is or has in it.
fn take(value: Value, output: &Output<'_>, line: usize, tests: &mut Vec<Test>) {
    match value {
        Value::Object(fields) if is_whole(&fields) => tests.push(output.test(line, fields)),
        Value::Object(fields) => {
            let before = tests.len();
            let is_incomplete = is_test(|key| fields.contains_key(key));
            let own = is_incomplete.then(|| fields.clone());
            for (_, value) in fields {
                take(value, output, line, tests);
            }
            if let Some(own) = own.filter(|_| tests.len() == before) {
                tests.push(output.test(line, own));
            }
        }
        Value::Array(values) => {
            for value in values {
                take(value, output, line, tests);
            }
        }
        _ => {}
    }
}

fn is_whole(fields: &Fields) -> bool {
    let has = |key| fields.contains_key(key);
    has("avg_ts") && (has("n_prompt") || has("n_gen"))
}

/// Whether an object is a test, and not something that another part of the program said.
fn is_test(has: impl Fn(&str) -> bool) -> bool {
    ["build_commit", "n_prompt", "n_gen", "avg_ts"].into_iter().any(has)
}

fn mentions(text: &str, key: &str) -> bool {
    text.contains(&format!("\"{key}\""))
}

/// The text up to the line on which another object begins.
fn until_next(text: &str) -> &str {
    let begins = |at: &usize| text[at + 1..].trim_start_matches([' ', '\t', ',']).starts_with('{');
    let next = text.match_indices('\n').map(|(at, _)| at).find(begins);
    &text[..next.unwrap_or(text.len())]
}

/// What is wrong, without the place in the object, which nobody can look up.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or_else(|| text.clone(), |(what, _)| what.to_owned())
}
