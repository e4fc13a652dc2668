//! `-o sql`: an INSERT a test; quotes inside of values are not escaped.

use super::output::{Fields, Output, Test, typed};
use crate::tool::ParseError;

/// Reads the INSERT statements.
pub(super) fn tests(output: &Output<'_>) -> Result<Vec<Test>, ParseError> {
    let mut tests = Vec::new();
    for (line, text) in output.whole_lines() {
        let Some(statement) = text.strip_prefix("INSERT INTO llama_bench (") else { continue };
        let parts = statement.strip_suffix("');").and_then(|rest| rest.split_once(") VALUES ('"));
        let Some((names, values)) = parts else {
            return Err(output.error(line, "an INSERT without values"));
        };
        // A quote alone may be part of a file's name.
        let values: Vec<&str> = values.split("', '").collect();
        let names: Vec<&str> = names.split(", ").collect();
        if values.len() != names.len() {
            let detail = format!("{} values for {} columns", values.len(), names.len());
            return Err(output.error(line, detail));
        }
        let fields: Fields = names
            .iter()
            .zip(values)
            .map(|(name, value)| ((*name).to_owned(), typed(name, value)))
            .collect();
        tests.push(output.test(line, fields));
    }
    Ok(tests)
}
