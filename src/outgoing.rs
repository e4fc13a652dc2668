//! A run as a copy for strangers: it holds what is known to be harmless.
//!
//! What halo made or measured is taken over as each field and column declares it; what a user or a
//! tool wrote is cleaned (`src/redact.rs`); anything else stays here. `bundle`, `export` and `report`
//! give away such a copy.

mod raw;
mod redactor;
mod tables;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;

pub use redactor::redactor;

use crate::archive::{ArchiveError, RunDirectory, files};
use crate::redact::Redactor;
use crate::run::manifest::{Bundle, File, Manifest};
use crate::run::{RAW, Share, share};

/// How files are counted that are left out because nobody can look through them.
pub const PACKED: &str = "packed file";

/// What a copy of a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The manifest and the tables.
    Figures,
    /// Also what the tool printed and wrote.
    Raw,
}

/// Writes a copy of a run into a new directory, and gives the run's name and its manifest there.
///
/// # Errors
///
/// Where something cannot be read or written.
pub fn copy(
    run: &RunDirectory,
    to: &Path,
    what: What,
    redactor: &mut Redactor,
) -> Result<(String, Manifest), ArchiveError> {
    let manifest = run.manifest()?;
    let name = redactor.clean(run.name());
    tables::copy(run, &manifest, to, redactor)?;
    // Names of files that are alike when they are cleaned get numbers.
    let (mut given, mut used) = (HashMap::new(), HashSet::new());
    let mut left_out = 0;
    for file in &manifest.files {
        if given.contains_key(file.path.as_str()) {
            continue;
        }
        let path = raw::path(&file.path, redactor);
        let path = share::unused(path, |path| used.contains(path));
        if what == What::Raw && is_raw(file) {
            left_out += u64::from(!raw::copy(run, file, to, &path, redactor)?);
        }
        used.insert(path.clone());
        given.insert(file.path.as_str(), path);
    }
    let originals = manifest.files.iter();
    let originals =
        originals.map(|file| File { path: given[file.path.as_str()].clone(), ..file.clone() });
    let originals = originals.collect();
    let mut shared = manifest.share(redactor);
    (shared.files, _) = files::describe(to).map_err(|error| ArchiveError::at(to, error))?;
    let replaced = redactor.replaced.counts.iter();
    let mut removed: BTreeMap<String, u64> =
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

/// A copy of a run that is there as long as this is.
#[derive(Debug)]
pub struct Copied {
    run: RunDirectory,
    redactor: Redactor,
    _directory: tempfile::TempDir,
}

impl Copied {
    /// Copies the manifest and the tables of a run.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or there is no room for temporary files.
    pub fn of(run: &RunDirectory) -> Result<Self, ArchiveError> {
        let refuse = |error: io::Error| ArchiveError::at(&std::env::temp_dir(), error);
        let directory = tempfile::Builder::new().prefix("halo-").tempdir().map_err(refuse)?;
        let mut redactor = redactor(run)?;
        let to = directory.path().join(redactor.clean(run.name()));
        std::fs::create_dir(&to).map_err(refuse)?;
        copy(run, &to, What::Figures, &mut redactor)?;
        Ok(Self { run: RunDirectory::at(to), redactor, _directory: directory })
    }

    /// A text of the user about the run, as it may stand beside the copy.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.clone().clean(text)
    }

    /// The copy.
    pub fn run(&self) -> &RunDirectory {
        &self.run
    }
}
