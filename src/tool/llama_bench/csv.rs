//! `-o csv`: a line a test; every value is quoted.

use csv::{ByteRecord, ReaderBuilder};

use super::output::{Fields, Output, Test, typed};
use crate::tool::ParseError;

/// Reads the lines below the names of the columns.
pub(super) fn tests(output: &Output<'_>) -> Result<Vec<Test>, ParseError> {
    let is_head = |line: &str| line.split(',').any(|name| name == "avg_ts");
    let Some((head, names)) = output.whole_lines().find(|(_, line)| is_head(line)) else {
        return Ok(Vec::new());
    };
    let names: Vec<&str> = names.split(',').collect();
    let below: usize = output.text.split_inclusive('\n').take(head).map(str::len).sum();
    let below = &output.text.as_bytes()[below..];

    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(below);
    let mut record = ByteRecord::new();
    let mut tests = Vec::new();
    loop {
        let start = reader.position().clone();
        let line = head + usize::try_from(start.line()).unwrap_or(0);
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(tests),
            Err(error) => return Err(output.error(line, error.to_string())),
        }
        let [begin, end] = [start.byte(), reader.position().byte()]
            .map(|byte| usize::try_from(byte).unwrap_or(below.len()).min(below.len()));
        let written = &below[begin..end];
        // A number that was cut is a number, too.
        if !written.ends_with(b"\n") && !written.ends_with(b"\r") {
            return Ok(tests);
        }
        if !written.trim_ascii_start().starts_with(b"\"") {
            continue;
        }
        if record.len() != names.len() {
            let detail = format!("{} values for {} columns", record.len(), names.len());
            return Err(output.error(line, detail));
        }
        let values = record.iter().map(String::from_utf8_lossy);
        let fields: Fields = names
            .iter()
            .zip(values)
            .map(|(name, value)| ((*name).to_owned(), typed(name, &value)))
            .collect();
        tests.push(output.test(line, fields));
    }
}
