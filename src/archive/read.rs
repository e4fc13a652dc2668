//! Reads the tables of a run: a few thousand rows at a time, so that memory does not grow with it.

use std::fs::{self, File};
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::{ArchiveError, RunDirectory};

/// The end of the name of a table's file.
const ENDING: &str = ".parquet";

/// Rows that are decoded at once.
const BATCH: usize = 4096;

/// The names of a run's tables, in order.
pub fn names(run: &RunDirectory) -> Result<Vec<String>, ArchiveError> {
    let refuse = |error| ArchiveError::at(run.path(), error);
    let mut names = Vec::new();
    for entry in fs::read_dir(run.path()).map_err(refuse)? {
        let name = entry.map_err(refuse)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(ENDING)).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// A table of a run.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl Table {
    /// Opens a table by its name.
    ///
    /// # Errors
    ///
    /// Where the run has no such table, and where its file is damaged.
    pub fn open(run: &RunDirectory, name: &str) -> Result<Self, ArchiveError> {
        let names = names(run)?;
        if !names.iter().any(|known| known == name) {
            let (run, names) = (run.name(), names.join(", "));
            return Err(ArchiveError(format!("{name}: no such table in {run}, which has {names}")));
        }
        let path = run.join(&format!("{name}{ENDING}"));
        let file = File::open(&path).map_err(|error| ArchiveError::at(&path, error))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|error| ArchiveError::at(&path, error))?;
        Ok(Self { path, metadata })
    }

    /// Where its file is.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Its columns; the metadata say which run it belongs to.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// All of its rows.
    pub fn rows(&self) -> Result<Rows, ArchiveError> {
        self.read(ProjectionMask::all())
    }

    /// All of its rows, with these columns alone, in the order of the table.
    pub fn columns(&self, columns: &[usize]) -> Result<Rows, ArchiveError> {
        let parquet = self.metadata.parquet_schema();
        self.read(ProjectionMask::roots(parquet, columns.iter().copied()))
    }

    fn read(&self, mask: ProjectionMask) -> Result<Rows, ArchiveError> {
        let file = File::open(&self.path).map_err(|error| ArchiveError::at(&self.path, error))?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let reader = builder.with_projection(mask).with_batch_size(BATCH).build();
        let reader = reader.map_err(|error| ArchiveError::at(&self.path, error))?;
        Ok(Rows { path: self.path.clone(), reader })
    }
}

/// The rows of a table.
pub struct Rows {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|error| ArchiveError::at(&self.path, error)))
    }
}
