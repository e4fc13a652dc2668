//! A run as one file for others: the copy that `src/outgoing.rs` makes of it, with hashes.

mod pack;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

pub use verify::{Verified, verify};

use crate::archive::{ArchiveError, Lock, RunDirectory};
use crate::outgoing::{self, What};
use crate::redact::Replaced;
use crate::run::JOURNAL;
use crate::run::manifest::File;

/// How a bundle's name ends.
pub const ENDING: &str = ".tar.zst";

/// A bundle that was written, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    /// Where it is.
    pub file: PathBuf,
    /// The name of the run in it.
    pub name: String,
    /// The files in it beside the manifest.
    pub files: Vec<File>,
    /// Files that are left out because nobody can look through them.
    pub left_out: u64,
    /// What was replaced in it.
    pub replaced: Replaced,
}

/// Writes a run as a bundle; with `is_trial` all but the file itself, to see what would be in it.
///
/// # Errors
///
/// Where the run is unfinished, the file is there already, or something cannot be read or written.
pub fn write(
    run: &RunDirectory,
    file: &Path,
    what: What,
    is_forced: bool,
    is_trial: bool,
) -> Result<Bundled, ArchiveError> {
    let name = run.name();
    if run.has(JOURNAL) {
        return Err(ArchiveError(format!("{name}: is unfinished; `halo-record recover {name}`")));
    }
    if file.symlink_metadata().is_ok() && !is_forced && !is_trial {
        return Err(ArchiveError::at(file, "is there already; --force replaces it"));
    }
    let _lock: Lock = run.lock()?;
    let refuse = |error: io::Error| ArchiveError::at(file, error);
    // A directory that is new, whatever stands beside the file; it goes again in any case.
    let above = file.parent().filter(|above| !above.as_os_str().is_empty() && !is_trial);
    let mut staging = tempfile::Builder::new();
    let staging = staging.prefix(".halo-");
    let staging = match above {
        Some(above) => staging.tempdir_in(above),
        None if is_trial => staging.tempdir(),
        None => staging.tempdir_in("."),
    };
    let staging = staging.map_err(refuse)?;
    let mut redactor = outgoing::redactor(run)?;
    let (name, manifest) = outgoing::copy(run, staging.path(), what, &mut redactor)?;
    let left_out = manifest.bundle.as_ref().and_then(|bundle| bundle.removed.get(outgoing::PACKED));
    let left_out = left_out.copied().unwrap_or_default();
    if !is_trial {
        pack::pack(staging.path(), &name, &manifest, file).map_err(refuse)?;
    }
    staging.close().map_err(refuse)?;
    let replaced = redactor.replaced;
    Ok(Bundled { file: file.to_owned(), name, files: manifest.files, left_out, replaced })
}
