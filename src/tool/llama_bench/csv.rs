//! `-o csv`: a line a test; every value is quoted, unless another program wrote it again.

use csv::{ByteRecord, ReaderBuilder};

use super::output::{Fields, Found, Line, Output, typed};

/// What stands between values: a spreadsheet may have written its own.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// The names of the columns.
struct Head {
    separator: char,
    names: Vec<String>,
}

/// Reads the lines below the names of the columns, which may stand there several times.
pub(super) fn find(output: &Output<'_>) -> Found {
    let mut found = Found::default();
    let mut head: Option<Head> = None;
    for line in output.lines() {
        if let Some(another) = Head::of(line.text) {
            head = Some(another).filter(|_| line.is_ended);
        } else if let Some(head) = &head {
            read(line, head, output, &mut found);
        }
    }
    found
}

impl Head {
    fn of(line: &str) -> Option<Self> {
        SEPARATORS.into_iter().find_map(|separator| {
            let names: Vec<String> =
                line.split(separator).map(|name| name.trim_matches('"').to_owned()).collect();
            names.iter().any(|name| name == "avg_ts").then_some(Self { separator, names })
        })
    }
}

fn read(line: Line<'_>, head: &Head, output: &Output<'_>, found: &mut Found) {
    let is_quoted = line.text.trim_start().starts_with('"');
    // What cannot be a test is what the program said meanwhile.
    if !is_quoted && !line.text.contains(head.separator) {
        return;
    }
    let separator = u8::try_from(head.separator).unwrap_or(b',');
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(line.text.as_bytes());
    let mut record = ByteRecord::new();
    if !matches!(reader.read_byte_record(&mut record), Ok(true)) {
        return;
    }
    let is_whole = record.len() == head.names.len();
    // A number that was cut is a number, too.
    let is_closed = line.text.ends_with('"') && line.text.matches('"').count().is_multiple_of(2);
    let has_end = line.is_ended || is_whole && is_quoted && is_closed;
    if !has_end {
        found.cut = Some(output.cut(line.number));
        return;
    }
    if !is_whole {
        if is_quoted {
            let detail = format!("{} values for {} columns", record.len(), head.names.len());
            found.damages.push(output.error(line.number, detail));
        }
        return;
    }
    let values = record.iter().map(String::from_utf8_lossy);
    let fields: Fields = head
        .names
        .iter()
        .zip(values)
        // An index of rows has no name.
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.clone(), typed(name, &value)))
        .collect();
    found.tests.push(output.test(line.number, fields));
}
