//! A table again, with other texts in it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::read::Table;
use super::write::{Identity, Output};
use super::{ArchiveError, RunDirectory};
use crate::run::Manifest;

/// The name of no column: under it what a column says of itself is given to be cleaned.
pub const ABOUT_COLUMN: &str = "";

/// What a column says of itself.
const ABOUT: [&str; 3] = ["unit", "help", "from"];

/// Writes a table of a run into another directory, each text of it as `clean` gives it for its column;
/// numbers, times and truths stay as they are. Columns of other kinds are left out: halo writes none.
///
/// # Errors
///
/// Where it cannot be read or written.
pub fn texts(
    run: &RunDirectory,
    manifest: &Manifest,
    table: &str,
    to: &Path,
    name: &str,
    mut clean: impl FnMut(&str, &str) -> String,
) -> Result<(), ArchiveError> {
    let identity = Identity::of(manifest, name.to_owned());
    let (file, table) = (table, Table::open(run, table)?);
    let refuse = |error: io::Error| ArchiveError::at(to, error);
    let fields = table.schema().fields().iter();
    let kept: Vec<usize> =
        (0..).zip(fields).filter(|(_, field)| is_kept(field)).map(|(at, _)| at).collect();
    let schema = table.schema().project(&kept);
    let schema = schema.map_err(|error| ArchiveError::at(table.path(), error))?;
    // What is said of the file itself is written anew; of a column what halo says of one.
    let fields = schema.fields().iter().map(|field| {
        let about = field.metadata().iter().filter(|(key, _)| ABOUT.contains(&key.as_str()));
        let about = about.map(|(key, text)| (key.clone(), clean(ABOUT_COLUMN, text)));
        field.as_ref().clone().with_metadata(about.collect::<HashMap<_, _>>())
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut output = Output::create(to, file, Arc::clone(&schema), &identity).map_err(refuse)?;
    for batch in table.columns(&kept)? {
        let batch = batch?;
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| -> ArrayRef {
            if column.data_type() != &DataType::Utf8 {
                return Arc::clone(column);
            }
            let texts = column.as_string::<i32>().iter();
            let texts = texts.map(|text| text.map(|text| clean(field.name(), text)));
            Arc::new(texts.collect::<StringArray>())
        });
        output.write(columns.collect()).map_err(refuse)?;
    }
    output.finish().map_err(refuse)
}

/// Whether a column is of a kind that halo writes.
fn is_kept(field: &Field) -> bool {
    let kind = field.data_type();
    let is_name = field.name().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_plain = kind.is_numeric()
        || matches!(kind, DataType::Timestamp(..) | DataType::Boolean | DataType::Utf8);
    is_name && is_plain
}
