//! Writes a finished run in formats that other programs read.
//!
//! What appears under the name that the user gave is whole, and nothing is overwritten.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::csv::WriterBuilder;
use arrow::datatypes::TimestampNanosecondType;
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;

use super::openmetrics::{self, Target};
use super::read::{self, Table};
use super::{ArchiveError, RunDirectory};
use crate::run::JOURNAL;
use crate::visible::{Form, Visible};

/// How tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Comma-separated values with a line of names.
    Csv,
    /// JSON Lines; what is unknown has no key.
    Json,
    /// The archive's own file.
    Parquet,
}

impl Encoding {
    /// The extension of such a file's name.
    const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// One text or file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Single {
    /// A table.
    Table(String, Encoding),
    /// All series, for Prometheus.
    OpenMetrics(Target),
}

/// What is exported, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Export {
    /// Every table, each a file of a new or empty directory.
    Tables(Encoding, PathBuf),
    /// One thing, to a new file or to the stream.
    Single(Single, Option<PathBuf>),
}

/// Why nothing, or not all, was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run cannot be read, or the place not be written to.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The stream takes no more.
    #[error(transparent)]
    Stream(#[from] io::Error),
}

/// Exports a run, and gives what the user must know about it.
///
/// # Errors
///
/// Where the run is unfinished or damaged, the place is taken, or nothing more can be written.
pub fn export(
    run: &RunDirectory,
    export: &Export,
    stream: &mut dyn Write,
) -> Result<Option<String>, ExportError> {
    refuse_unfinished(run)?;
    match export {
        Export::Tables(encoding, directory) => {
            make_directory(directory)?;
            for name in read::names(run)? {
                let file = directory.join(format!("{name}.{}", encoding.extension()));
                let single = Single::Table(name, *encoding);
                write_file(&file, |output| write(run, &single, output))?;
            }
            Ok(None)
        }
        Export::Single(single, Some(file)) => write_file(file, |output| write(run, single, output)),
        Export::Single(single, None) => {
            let mut output = BufWriter::new(stream);
            let remark = write(run, single, &mut output)?;
            output.flush()?;
            Ok(remark)
        }
    }
}

/// Refuses a run that has not ended: half of one would look like a whole one in every other format.
///
/// # Errors
///
/// Where it is being recorded or was interrupted.
pub fn refuse_unfinished(run: &RunDirectory) -> Result<(), ArchiveError> {
    let name = run.name();
    if run.is_active() {
        return Err(ArchiveError(format!("{name}: is being recorded; wait for its end")));
    }
    if run.has(JOURNAL) {
        return Err(ArchiveError(format!("{name}: was interrupted; `halo-record recover {name}`")));
    }
    Ok(())
}

fn write(
    run: &RunDirectory,
    single: &Single,
    output: &mut dyn Write,
) -> Result<Option<String>, ExportError> {
    match single {
        Single::OpenMetrics(target) => return openmetrics::write(run, target, output),
        Single::Table(name, Encoding::Csv) => write_csv(&Table::open(run, name)?, output)?,
        Single::Table(name, Encoding::Json) => write_json(&Table::open(run, name)?, output)?,
        Single::Table(name, Encoding::Parquet) => {
            let table = Table::open(run, name)?;
            let mut file = table.file().map_err(|error| ArchiveError::at(table.path(), error))?;
            io::copy(&mut file, output)?;
        }
    }
    Ok(None)
}

fn write_csv(table: &Table, output: &mut dyn Write) -> Result<(), ExportError> {
    let encode = |has_names: bool| {
        move |batch: &RecordBatch, text: &mut Vec<u8>| {
            WriterBuilder::new().with_header(has_names).build(text).write(batch)
        }
    };
    // The line of names stands also above no rows.
    let names = RecordBatch::new_empty(table.schema().clone());
    write_batch(table, &names, output, encode(true))?;
    table.rows()?.try_for_each(|batch| write_batch(table, &batch?, output, encode(false)))
}

fn write_json(table: &Table, output: &mut dyn Write) -> Result<(), ExportError> {
    let encode =
        |batch: &RecordBatch, text: &mut Vec<u8>| LineDelimitedWriter::new(text).write(batch);
    // The same texts to whoever reads JSON.
    let mut output = Visible::new(output, Form::Json);
    table.rows()?.try_for_each(|batch| write_batch(table, &batch?, &mut output, encode))
}

/// Each batch is encoded in memory first: arrow's writers turn the error of a stream into a text.
fn write_batch(
    table: &Table,
    batch: &RecordBatch,
    output: &mut dyn Write,
    encode: impl FnOnce(&RecordBatch, &mut Vec<u8>) -> Result<(), ArrowError>,
) -> Result<(), ExportError> {
    let mut text = Vec::new();
    with_offset(batch)
        .and_then(|batch| encode(&batch, &mut text))
        .map_err(|error| ArchiveError::at(table.path(), error))?;
    Ok(output.write_all(&text)?)
}

/// The same times with UTC as an offset: arrow would need a data base of zones for its name.
fn with_offset(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    RecordBatch::try_from_iter_with_nullable(columns.map(|(field, column)| {
        let column = match column.as_primitive_opt::<TimestampNanosecondType>() {
            Some(times) => Arc::new(times.clone().with_timezone("+00:00")),
            None => Arc::clone(column),
        };
        (field.name(), column, field.is_nullable())
    }))
}

fn make_directory(path: &Path) -> Result<(), ArchiveError> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path).map_err(|error| ArchiveError::at(path, error))
        }
        Err(error) => Err(ArchiveError::at(path, format_args!("{error}; name a new directory"))),
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(ArchiveError::at(path, "is not empty; name a new or empty directory")),
            None => Ok(()),
        },
    }
}

/// Writes a file beside its name, and gives it the name when it is whole.
fn write_file<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    // A link that leads nowhere is something too.
    if path.symlink_metadata().is_ok() {
        return Err(ArchiveError::at(path, "exists already; name a new file").into());
    }
    let at = |error: io::Error| ExportError::from(ArchiveError::at(path, error));
    // What fails goes again.
    let mut file = super::begin(path).map_err(at)?;
    let mut output = BufWriter::new(file.file());
    let written = write(&mut output).and_then(|remark| {
        output.flush()?;
        Ok(remark)
    });
    drop(output);
    let written = written.map_err(|error| match error {
        ExportError::Stream(error) => at(error),
        error @ ExportError::Archive(_) => error,
    });
    let remark = written?;
    file.finish().map_err(at)?;
    Ok(remark)
}
