//! The optimization log of an archive: `log.jsonl`, to which lines are only ever added.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::inside::{self, Directory};
use super::{Archive, ArchiveError, sync_directory};
use crate::json;
use crate::run::Change;
use crate::run::manifest::SCHEMA_VERSION;

/// The file of the archive.
const FILE: &str = "log.jsonl";

/// The log has no more bytes: an entry takes some hundreds, and a person writes them.
const LARGEST: u64 = 4 << 20;

/// What the log says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// The entries by number, each as it was written last.
    pub changes: Vec<Change>,
    /// Lines that cannot be read, in a sentence each; the others are shown all the same.
    pub damaged: Vec<String>,
}

/// Reads the log; it is empty where there is none.
///
/// # Errors
///
/// Where the file cannot be read.
pub fn read(archive: &Archive) -> Result<Log, ArchiveError> {
    let text = match archive.opened().and_then(|archive| archive.read(FILE, LARGEST)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Log::default()),
        Err(error) => return Err(ArchiveError::at(&path(archive), error)),
        Ok(text) => text,
    };
    let (mut changes, mut damaged) = (BTreeMap::new(), Vec::new());
    let lines = text.split(|byte| *byte == b'\n').zip(1..);
    for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
        match json::from_slice::<Change>(line) {
            Ok(change) if change.schema_version > SCHEMA_VERSION => {
                damaged.push(format!("{FILE} line {number}: is of a newer halo"));
            }
            Ok(change) => _ = changes.insert(change.number, change),
            Err(error) => damaged.push(format!("{FILE} line {number}: {error}")),
        }
    }
    Ok(Log { changes: changes.into_values().collect(), damaged })
}

/// Adds a line to the log. `make` gets what the log says and gives the entry, while nobody else
/// adds one.
///
/// # Errors
///
/// Where the file cannot be written, and what `make` refuses.
pub fn add(
    archive: &Archive,
    make: impl FnOnce(&Log) -> Result<Change, ArchiveError>,
) -> Result<Change, ArchiveError> {
    let path = path(archive);
    let at = |error: io::Error| ArchiveError::at(&path, error);
    std::fs::create_dir_all(archive.directory()).map_err(at)?;
    let mut file = archive.opened().and_then(|archive| open(&archive)).map_err(at)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| at(error.into()))?;
    let change = make(&read(archive)?)?;
    let mut line = serde_json::to_vec(&change).map_err(|error| at(error.into()))?;
    line.push(b'\n');
    // A line that a kill or a full disk cut off must not take the next one with it.
    if is_torn(archive).map_err(at)? {
        line.insert(0, b'\n');
    }
    // What is written must be read again.
    let bytes = file.metadata().map_err(at)?.len() + line.len() as u64;
    if bytes > LARGEST {
        return Err(at(inside::too_large(bytes, LARGEST)));
    }
    file.write_all(&line).and_then(|()| file.sync_all()).map_err(at)?;
    sync_directory(archive.directory()).map_err(at)?;
    Ok(change)
}

/// Opens the log so that lines are added, and makes it where there is none.
fn open(archive: &Directory) -> io::Result<File> {
    match archive.create(FILE) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => archive.append(FILE),
        created => created,
    }
}

fn is_torn(archive: &Archive) -> io::Result<bool> {
    let text = archive.opened()?.read(FILE, LARGEST)?;
    Ok(text.last().is_some_and(|byte| *byte != b'\n'))
}

fn path(archive: &Archive) -> PathBuf {
    archive.directory().join(FILE)
}
