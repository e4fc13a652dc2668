//! A run as one file for others: its manifest, tables and raw output with their hashes, without
//! what tells who and where somebody is.

mod pack;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use verify::{Verified, verify};

use crate::archive::{ArchiveError, Lock, RunDirectory};
use crate::run::manifest::Manifest;
use crate::run::{JOURNAL, RAW};

/// How a bundle's name ends.
pub const ENDING: &str = ".tar.zst";

/// Directories below which a user's own stand.
const HOMES: [&str; 3] = ["/home/", "/var/home/", "/Users/"];

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    /// Where it is.
    pub file: PathBuf,
    /// What was taken out, by kind, and how often.
    pub removed: BTreeMap<String, u64>,
}

/// Writes a run as a bundle.
///
/// # Errors
///
/// Where the run is unfinished, the file is there already, or something cannot be read or written.
pub fn write(run: &RunDirectory, file: &Path, is_forced: bool) -> Result<Bundled, ArchiveError> {
    let name = run.name();
    if run.join(JOURNAL).exists() {
        return Err(ArchiveError(format!("{name}: is unfinished; `halo-record recover {name}`")));
    }
    if file.exists() && !is_forced {
        return Err(ArchiveError::at(file, "is there already; --force replaces it"));
    }
    let _lock: Lock = run.lock()?;
    let manifest = run.manifest()?;
    let mut redactor = redactor(&manifest);
    let staging = beside(file, ".staging");
    let refuse = |error: io::Error| ArchiveError::at(&staging, error);
    remove(&staging)
        .and_then(|()| fs::create_dir(&staging))
        .and_then(|()| fs::create_dir(staging.join(RAW)))
        .map_err(refuse)?;
    let written = contents::stage(run, &manifest, &staging, &mut redactor)
        .and_then(|(name, manifest)| pack::pack(&staging, &name, &manifest, file));
    remove(&staging).map_err(refuse)?;
    written?;
    let counts = redactor.counts.into_iter();
    let removed = counts.map(|(kind, count)| (kind.to_owned(), count)).collect();
    Ok(Bundled { file: file.to_owned(), removed })
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Bundled {
    /// What was taken out, in words.
    pub fn in_words(&self) -> String {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let removed = self.removed.iter();
        let removed = removed.map(|(kind, count)| format!("{count} {kind}{}", plural(*count)));
        let removed: Vec<String> = removed.collect();
        if removed.is_empty() { "nothing".to_owned() } else { removed.join(", ") }
    }
}
