//! Adds to the marks of a run what its tool wrote down with its own times.

use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use jiff::Timestamp;

use super::read::{Kept, Table};
use super::schema::{self, MONOTONIC, TIME};
use super::write::{Identity, Output};
use super::{ArchiveError, RunDirectory};
use crate::run::Manifest;
use crate::tool::ToolMoment;

const NAME: &str = "marks";

/// Who says so: the tool, in a file that it wrote.
const BY_FILE: &str = "file";

struct Row {
    time: i64,
    monotonic: i64,
    by: String,
    name: String,
    attributes: String,
}

/// Writes the marks of a run again, with these in their places and without those that were added
/// like this before.
///
/// # Errors
///
/// Where they cannot be read or written.
pub fn replace(
    run: &RunDirectory,
    manifest: &Manifest,
    moments: &[ToolMoment],
) -> Result<(), ArchiveError> {
    if !run.has("marks.parquet") {
        return Ok(());
    }
    let (mut rows, had_some) = read(run)?;
    let start = rows.first().map(|row| row.time.saturating_sub(row.monotonic));
    let Some(start) = start.filter(|_| had_some || !moments.is_empty()) else { return Ok(()) };
    for moment in moments {
        let Ok(time) = i64::try_from(moment.at.as_nanosecond()) else { continue };
        rows.push(Row {
            time,
            // The clock of the machine is taken to have gone on evenly.
            monotonic: time.saturating_sub(start),
            by: BY_FILE.to_owned(),
            name: moment.phase.name.to_owned(),
            attributes: serde_json::to_string(&moment.phase.attributes).unwrap_or_default(),
        });
    }
    rows.sort_by_key(|row| row.monotonic);
    let refuse = |error: io::Error| ArchiveError::at(run.path(), error);
    write(run, manifest, &rows).map_err(refuse)
}

/// When the recording of a run began, as its marks tell; none where it has none.
///
/// # Errors
///
/// Where they cannot be read.
pub fn start(run: &RunDirectory) -> Result<Option<Timestamp>, ArchiveError> {
    if !run.has("marks.parquet") {
        return Ok(None);
    }
    let (rows, _) = read(run)?;
    let start = rows.first().map(|row| row.time.saturating_sub(row.monotonic));
    Ok(start.and_then(|start| Timestamp::from_nanosecond(start.into()).ok()))
}

/// The marks but for those of files, and whether there were any of these.
fn read(run: &RunDirectory) -> Result<(Vec<Row>, bool), ArchiveError> {
    let (mut rows, mut had_some, mut kept) = (Vec::new(), false, Kept::new());
    for batch in Table::open(run, NAME)?.rows()? {
        let batch = batch?;
        kept.add(batch.num_rows() * size_of::<Row>() + batch.get_array_memory_size())?;
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let columns = || {
            let time = batch.column_by_name(TIME)?.as_primitive_opt::<TimestampNanosecondType>()?;
            let monotonic = batch.column_by_name(MONOTONIC)?.as_primitive_opt::<Int64Type>()?;
            Some((time, monotonic, text("by")?, text("name")?, text("attributes")?))
        };
        let (time, monotonic, by, name, attributes) = columns()
            .ok_or_else(|| ArchiveError(format!("{}: marks.parquet lacks a column", run.name())))?;
        for row in 0..batch.num_rows() {
            if by.value(row) == BY_FILE {
                had_some = true;
                continue;
            }
            rows.push(Row {
                time: time.value(row),
                monotonic: monotonic.value(row),
                by: by.value(row).to_owned(),
                name: name.value(row).to_owned(),
                attributes: attributes.value(row).to_owned(),
            });
        }
    }
    Ok((rows, had_some))
}

fn write(run: &RunDirectory, manifest: &Manifest, rows: &[Row]) -> io::Result<()> {
    let identity = Identity::of(manifest, run.name().to_owned());
    let mut output = Output::create(run.path(), NAME, schema::marks(), &identity)?;
    let times = rows.iter().map(|row| row.time);
    let times = TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC");
    let monotonic = Int64Array::from_iter_values(rows.iter().map(|row| row.monotonic));
    let text = |of: fn(&Row) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    output.write(vec![
        Arc::new(times),
        Arc::new(monotonic),
        text(|row| &row.by),
        text(|row| &row.name),
        text(|row| &row.attributes),
    ])?;
    output.finish()
}
