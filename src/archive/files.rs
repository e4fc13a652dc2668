//! The files of a run directory with their hashes.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::hash::sha256;
use crate::run::manifest;
use crate::run::{JOURNAL, MANIFEST};

/// What is wrong with a run directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file is not there or cannot be read.
    #[error("{path}: {detail}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// A file is not what was archived.
    #[error("{0}: changed since it was archived")]
    Changed(String),
    /// A file is there that was not archived.
    #[error("{0}: was not there when the run was archived")]
    Added(String),
}

/// The files below a run directory, with their hashes, in order. The manifest cannot hold its own
/// hash, and the journal is gone when the run is archived.
pub fn describe(run: &Path) -> io::Result<Vec<manifest::File>> {
    let mut found = Vec::new();
    walk(run, "", &mut found)?;
    found.sort();
    found.into_iter().map(|path| describe_one(run, path)).collect()
}

fn walk(run: &Path, below: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(run.join(below))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(run, &path, found)?;
        } else if kind.is_file() && !is_apart(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// What is none of the archived files: the manifest, the journal, files that are not whole.
fn is_apart(path: &str) -> bool {
    path == MANIFEST || path == JOURNAL || path.ends_with(".unfinished")
}

fn describe_one(run: &Path, path: String) -> io::Result<manifest::File> {
    let (sha256, bytes) = sha256([File::open(run.join(&path))])?;
    Ok(manifest::File { path, bytes, sha256 })
}

/// Compares a run directory with what its manifest says.
pub fn verify(run: &Path, archived: &[manifest::File]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for expected in archived {
        match describe_one(run, expected.path.clone()) {
            Ok(found) if found == *expected => {}
            Ok(_) => faults.push(Fault::Changed(expected.path.clone())),
            Err(error) => faults
                .push(Fault::Unreadable { path: expected.path.clone(), detail: error.to_string() }),
        }
    }
    let mut present = Vec::new();
    if let Err(error) = walk(run, "", &mut present) {
        faults.push(Fault::Unreadable { path: ".".to_owned(), detail: error.to_string() });
    }
    present.sort();
    let is_new = |path: &String| !archived.iter().any(|file| file.path == *path);
    faults.extend(present.into_iter().filter(is_new).map(Fault::Added));
    faults
}
