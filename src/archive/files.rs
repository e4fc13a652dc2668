//! The files of a run directory with their hashes.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::inside::{self, Directory, Entry};
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

/// A run directory has no more files than this: tools write some tens, evals some thousands.
pub const MOST: usize = 100_000;

/// Larger files are not hashed: reading more takes minutes, and no tool writes as much. In bytes.
pub const LARGEST: u64 = 16 << 30;

/// The files below a run directory with their hashes, in order, and what is too large to have one. The
/// manifest cannot hold its own hash, and the journal is gone when the run is archived.
pub fn describe(run: &Path) -> io::Result<(Vec<manifest::File>, Vec<String>)> {
    let run = Directory::of_archive(run)?;
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for Found { path, kind, bytes } in walk(&run)? {
        if kind != FileType::RegularFile || is_apart(&path) {
            continue;
        }
        if bytes > LARGEST {
            left_out.push(format!("{path}: {}", inside::too_large(bytes, LARGEST)));
            continue;
        }
        let (sha256, bytes) = sha256([run.open(&path)])?;
        files.push(manifest::File { path, bytes, sha256 });
    }
    Ok((files, left_out))
}

/// What stands below a directory.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its path from there.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: FileType,
    /// Its size.
    pub(crate) bytes: u64,
}

impl Found {
    /// Whether it was written to its end.
    pub(crate) fn is_whole(&self) -> bool {
        !self.path.ends_with(inside::UNFINISHED)
    }
}

/// Everything but directories, in the order of the paths. A name that is no text is told with
/// replacement characters, so that nothing opens it.
pub(crate) fn walk(run: &Directory) -> io::Result<Vec<Found>> {
    let (mut found, mut open) = (Vec::new(), vec![String::new()]);
    while let Some(below) = open.pop() {
        let entries = match below.as_str() {
            "" => run.entries(MOST)?,
            below => run.directory(below)?.entries(MOST)?,
        };
        for Entry { name, kind, bytes } in entries {
            let name = name.to_string_lossy();
            let path = if below.is_empty() { name.into() } else { format!("{below}/{name}") };
            if found.len() + open.len() == MOST {
                let text = format!("has more than {MOST} files");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
            }
            match kind {
                FileType::Directory => open.push(path),
                _ => found.push(Found { path, kind, bytes }),
            }
        }
    }
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// What is none of the archived files: the manifest, the journal, files that are not whole.
fn is_apart(path: &str) -> bool {
    path == MANIFEST || path == JOURNAL || path.ends_with(inside::UNFINISHED)
}

/// Compares a run directory with what its manifest says.
pub fn verify(run: &Path, archived: &[manifest::File]) -> Vec<Fault> {
    let unreadable = |path: &str, error: io::Error| Fault::Unreadable {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let run = match Directory::of_archive(run) {
        Ok(run) => run,
        Err(error) => return vec![unreadable(".", error)],
    };
    let (mut faults, mut known) = (Vec::new(), HashSet::new());
    for expected in archived {
        // A file that stands there twice is read once.
        if known.insert(expected.path.as_str()) {
            match compare(&run, expected) {
                Ok(true) => {}
                Ok(false) => faults.push(Fault::Changed(expected.path.clone())),
                Err(error) => faults.push(unreadable(&expected.path, error)),
            }
        }
    }
    match walk(&run) {
        Ok(found) => faults.extend(
            found
                .into_iter()
                .filter(|found| !known.contains(found.path.as_str()) && !is_apart(&found.path))
                .map(|found| Fault::Added(found.path)),
        ),
        Err(error) => faults.push(unreadable(".", error)),
    }
    faults
}

fn compare(run: &Directory, expected: &manifest::File) -> io::Result<bool> {
    let file = run.open(&expected.path)?;
    let bytes = file.metadata()?.len();
    // What has another size need not be read.
    if bytes != expected.bytes {
        return Ok(false);
    }
    if bytes > LARGEST {
        return Err(inside::too_large(bytes, LARGEST));
    }
    let (sha256, read) = sha256([Ok(file)])?;
    Ok(sha256 == expected.sha256 && read == expected.bytes)
}
