//! `-o json` and `-o jsonl`: an object a test, with every repetition.

use serde_json::Deserializer;

use super::output::{Fields, Output, Test};
use crate::tool::ParseError;

/// How a test begins in `-o jsonl`.
pub(super) const BEGIN: &str = "{\"build_commit\"";

/// Reads the objects that begin a line, wherever they stand: an array that was never closed, and
/// other text between them, cost nothing. One that was torn at the end is left out.
pub(super) fn tests(output: &Output<'_>) -> Result<Vec<Test>, ParseError> {
    let text = output.text.as_ref();
    let mut tests = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let mut length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let object = match rest[..length].find(BEGIN) {
            // Behind something that did not end its line, as the dots while a model loads.
            Some(begin) => &rest[begin..],
            // Lines of `-o json` are indented.
            None => rest.trim_start_matches([' ', '\t', ',', '[']),
        };
        if object.starts_with('{') {
            let mut objects = Deserializer::from_str(object).into_iter::<Fields>();
            match objects.next() {
                Some(Ok(fields)) => {
                    length = rest.len() - object.len() + objects.byte_offset();
                    if is_test(|key| fields.contains_key(key)) {
                        tests.push(output.test(line, fields));
                    }
                }
                Some(Err(error)) if error.is_eof() => break,
                Some(Err(error)) => {
                    let damaged = until_next(object);
                    if is_test(|key| damaged.contains(&format!("\"{key}\""))) {
                        let at = line + error.line() - 1;
                        return Err(output.error(at, format!("no JSON: {}", without_place(&error))));
                    }
                }
                None => {}
            }
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    Ok(tests)
}

/// Whether an object is a test, and not something that another part of the program said.
fn is_test(has: impl Fn(&str) -> bool) -> bool {
    ["build_commit", "n_prompt", "n_gen", "avg_ts"].into_iter().any(has)
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
