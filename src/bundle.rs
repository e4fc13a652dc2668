//! A run as one file for others: its manifest, tables and raw output with their hashes, without
//! what tells who and where somebody is.

mod contents;
mod pack;
mod redact;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

pub use redact::Redactor;
pub use verify::{Verified, verify};

use crate::archive::{ArchiveError, Lock, RunDirectory};
use crate::run::JOURNAL;
use crate::run::manifest::Manifest;

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
    if run.has(JOURNAL) {
        return Err(ArchiveError(format!("{name}: is unfinished; `halo-record recover {name}`")));
    }
    if file.exists() && !is_forced {
        return Err(ArchiveError::at(file, "is there already; --force replaces it"));
    }
    let _lock: Lock = run.lock()?;
    let manifest = run.manifest()?;
    let mut redactor = redactor(&manifest);
    let refuse = |error: io::Error| ArchiveError::at(file, error);
    // A directory that is new, whatever stands beside the file; it goes again in any case.
    let above = file.parent().filter(|above| !above.as_os_str().is_empty());
    let staging = tempfile::Builder::new()
        .prefix(".halo-")
        .tempdir_in(above.unwrap_or(Path::new(".")))
        .map_err(refuse)?;
    let (name, manifest) = contents::stage(run, &manifest, staging.path(), &mut redactor)?;
    pack::pack(staging.path(), &name, &manifest, file).map_err(refuse)?;
    staging.close().map_err(refuse)?;
    let counts = redactor.counts.into_iter();
    let removed = counts.map(|(kind, count)| (kind.to_owned(), count)).collect();
    Ok(Bundled { file: file.to_owned(), removed })
}

fn redactor(manifest: &Manifest) -> Redactor {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let short = host.split('.').next().unwrap_or_default().to_owned();
    let variables =
        ["USER", "LOGNAME", "SUDO_USER"].into_iter().filter_map(|v| std::env::var(v).ok());
    let mut users: BTreeSet<String> = variables.collect();
    // Who recorded it may be somebody else than who bundles it.
    let text = serde_json::to_string(manifest).unwrap_or_default();
    for home in HOMES {
        users.extend(text.split(home).skip(1).filter_map(|rest| {
            let name = rest.split(|c: char| !c.is_alphanumeric() && !"_.-".contains(c)).next()?;
            (!name.is_empty()).then(|| name.to_owned())
        }));
    }
    let users: Vec<String> = users.into_iter().collect();
    Redactor::new(&[host, short], &users, vec![manifest.id.clone()])
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
