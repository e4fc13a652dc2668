//! A run as a copy for strangers: it holds what is known to be harmless.
//!
//! What halo made or measured is taken over as each field and column declares it; what a user or a
//! tool wrote is cleaned (`src/redact.rs`); anything else stays here. `bundle`, `export` and `report`
//! give away such a copy.

mod raw;
mod redactor;
mod tables;

use std::fs;
use std::io;
use std::path::Path;

pub use redactor::redactor;

use crate::archive::{ArchiveError, RunDirectory, files};
use crate::redact::Redactor;
use crate::run::manifest::{Bundle, File, Manifest};
use crate::run::{RAW, Share};

/// How files are counted that are left out because nobody can look through them.
const PACKED: &str = "packed file";

/// Writes a copy of a run into a new directory, and gives the run's name and its manifest there.
/// `has_raw`: with what the tool printed and wrote.
///
/// # Errors
///
/// Where something cannot be read or written.
pub fn copy(
    run: &RunDirectory,
    to: &Path,
    has_raw: bool,
    redactor: &mut Redactor,
) -> Result<(String, Manifest), ArchiveError> {
    let manifest = run.manifest()?;
    let name = redactor.clean(run.name());
    tables::copy(run, &manifest, to, redactor)?;
    let mut left_out = 0;
    if has_raw {
        for file in manifest.files.iter().filter(|file| is_raw(file)) {
            left_out += u64::from(!raw::copy(run, file, to, redactor)?);
        }
    }
    let originals = manifest.files.iter().map(|file| File {
        path: raw::path(&file.path, redactor),
        ..file.clone()
    });
    let originals = originals.collect();
    let mut shared = manifest.share(redactor);
    shared.files = files::describe(to).map_err(|error| ArchiveError::at(to, error))?;
    let replaced = redactor.replaced.counts.iter();
    let mut removed: std::collections::BTreeMap<String, u64> =
        replaced.map(|(kind, count)| (kind.as_str().to_owned(), *count)).collect();
    if left_out > 0 {
        removed.insert(PACKED.to_owned(), left_out);
    }
    shared.bundle = Some(Bundle { removed, originals });
    RunDirectory::at(to).write_manifest(&shared)?;
    Ok((name, shared))
}

fn is_raw(file: &File) -> bool {
    file.path.strip_prefix(RAW).is_some_and(|rest| rest.starts_with('/'))
}

/// A new directory that nobody else can guess or read, for copies.
///
/// # Errors
///
/// Where none can be made.
pub fn directory() -> io::Result<tempfile::TempDir> {
    let directory = tempfile::Builder::new().prefix("halo-").tempdir()?;
    fs::create_dir_all(directory.path())?;
    Ok(directory)
}
