//! Reads the tables of a run: a few thousand rows at a time, so that memory does not grow with it.

use std::any::Any;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::{ArchiveError, RunDirectory, files, pages};

/// The end of the name of a table's file.
const ENDING: &str = ".parquet";

/// Rows that are decoded at once.
const BATCH: usize = 4096;

/// A table has no more values than this, in bytes: some of its texts may stand in it once and in each
/// of its rows.
const MOST_DECODED: usize = 1 << 30;

/// What is kept of a table that is held whole, as its figures or a family's samples: in bytes, six
/// million samples.
const MOST_KEPT: usize = 96 << 20;

/// The names of a run's tables, in order.
pub fn names(run: &RunDirectory) -> Result<Vec<String>, ArchiveError> {
    let refuse = |error| ArchiveError::at(run.path(), error);
    let entries = run.opened().and_then(|run| run.entries(files::MOST)).map_err(refuse)?;
    let table = |name: &str| name.strip_suffix(ENDING).map(str::to_owned);
    Ok(entries.iter().filter_map(|entry| table(entry.name.to_str()?)).collect())
}

/// A table of a run.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    /// Rows that are decoded at once.
    batch: usize,
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
        let file_name = format!("{name}{ENDING}");
        let path = run.join(&file_name);
        let open = || -> io::Result<(File, ArrowReaderMetadata, usize)> {
            let file = run.opened()?.open(&file_name)?;
            pages::check_footer(&file)?;
            let metadata = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?;
            let batch = pages::check(&file, &metadata, BATCH)?;
            Ok((file, metadata, batch))
        };
        let (file, metadata, batch) = open().map_err(|error| ArchiveError::at(&path, error))?;
        Ok(Self { path, file, metadata, batch })
    }

    /// Its file, from the beginning.
    pub(super) fn file(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        io::Seek::rewind(&mut file)?;
        Ok(file)
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
        // The place in the file is shared, and each read begins with finding its own.
        let file = self.file().map_err(|error| ArchiveError::at(&self.path, error))?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let reader = guarded(|| builder.with_projection(mask).with_batch_size(self.batch).build());
        let reader = reader.map_err(|error| ArchiveError::at(&self.path, error))?;
        Ok(Rows { path: self.path.clone(), reader: Some(reader), left: MOST_DECODED })
    }
}

/// The package that reads Parquet panics at some damaged files.
fn guarded<T, E: Into<io::Error>>(read: impl FnOnce() -> Result<T, E>) -> io::Result<T> {
    let damaged = |_: Box<dyn Any + Send>| {
        io::Error::new(io::ErrorKind::InvalidData, "is damaged so that its reader gives up")
    };
    catch_unwind(AssertUnwindSafe(read)).map_err(damaged)?.map_err(Into::into)
}

/// How much of a table is kept.
#[derive(Debug)]
pub(super) struct Kept {
    left: usize,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { left: MOST_KEPT }
    }

    /// Counts what is kept besides, in bytes.
    ///
    /// # Errors
    ///
    /// Where it is more than halo keeps of a table.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), ArchiveError> {
        let most = MOST_KEPT >> 20;
        let refusal = || ArchiveError(format!("has more than {most} MiB of what is looked at"));
        self.left = self.left.checked_sub(bytes).ok_or_else(refusal)?;
        Ok(())
    }
}

/// The rows of a table.
pub struct Rows {
    path: PathBuf,
    /// None behind an error.
    reader: Option<ParquetRecordBatchReader>,
    /// How many bytes may still come.
    left: usize,
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        match guarded(|| reader.next().transpose().map_err(io::Error::other)) {
            Ok(batch) => {
                let bytes = batch.as_ref().map_or(0, RecordBatch::get_array_memory_size);
                let Some(left) = self.left.checked_sub(bytes) else {
                    self.reader = None;
                    let most = MOST_DECODED >> 20;
                    let text = format!("has more than {most} MiB of values");
                    return Some(Err(ArchiveError::at(&self.path, text)));
                };
                self.left = left;
                batch.map(Ok)
            }
            Err(error) => {
                self.reader = None;
                Some(Err(ArchiveError::at(&self.path, error)))
            }
        }
    }
}
