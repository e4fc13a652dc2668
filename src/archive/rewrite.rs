//! A table again, with other texts in it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;

use super::read::Table;
use super::write::{Identity, Output};
use super::{ArchiveError, RunDirectory};
use crate::run::Manifest;

/// Writes a table of a run into another directory, each text of it as `clean` gives it; everything
/// else stays as it is.
///
/// # Errors
///
/// Where it cannot be read or written.
pub fn texts(
    run: &RunDirectory,
    manifest: &Manifest,
    table: &str,
    to: &Path,
    mut clean: impl FnMut(&str) -> String,
) -> Result<(), ArchiveError> {
    let identity = Identity::of(manifest, clean(run.name()));
    let (name, table) = (table, Table::open(run, table)?);
    let refuse = |error: io::Error| ArchiveError::at(to, error);
    let schema = Arc::clone(table.schema());
    let mut output = Output::create(to, name, schema, &identity).map_err(refuse)?;
    for batch in table.rows()? {
        let batch = batch?;
        let columns = batch.columns().iter().map(|column| -> ArrayRef {
            if column.data_type() != &DataType::Utf8 {
                return Arc::clone(column);
            }
            let texts = column.as_string::<i32>().iter();
            Arc::new(texts.map(|text| text.map(&mut clean)).collect::<StringArray>())
        });
        output.write(columns.collect()).map_err(refuse)?;
    }
    output.finish().map_err(refuse)
}
