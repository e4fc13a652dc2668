//! Changes to runs that have ended: tags, remarks, removal.

use jiff::Timestamp;

use super::{Archive, ArchiveError, RunDirectory};
use crate::run::Manifest;
use crate::run::manifest::{Note, Tags};

/// Tags a run, and takes tags away.
///
/// # Errors
///
/// Where the run is being recorded or cannot be written, or has no tag that is to be taken away.
pub fn tag(run: &RunDirectory, add: Tags, remove: &[String]) -> Result<(), ArchiveError> {
    let known = run.manifest()?.tags;
    if let Some(unknown) = remove.iter().find(|name| !known.contains_key(*name)) {
        return Err(ArchiveError(format!("--remove {unknown}: {} has no such tag", run.name())));
    }
    change(run, |manifest| {
        manifest.tags.retain(|name, _| !remove.contains(name));
        manifest.tags.extend(add);
    })
}

/// Adds a remark to a run.
///
/// # Errors
///
/// Where the run is being recorded, or cannot be written.
pub fn note(run: &RunDirectory, text: String) -> Result<(), ArchiveError> {
    change(run, |manifest| manifest.notes.push(Note { time: Timestamp::now(), text }))
}

fn change(run: &RunDirectory, how: impl FnOnce(&mut Manifest)) -> Result<(), ArchiveError> {
    let _lock = run.lock()?;
    let mut manifest = run.manifest()?;
    how(&mut manifest);
    run.write_manifest(&manifest)
}

/// The oldest runs beyond as many as are kept. One that is being recorded counts and stays.
///
/// # Errors
///
/// Where the archive cannot be listed.
pub fn surplus(archive: &Archive, keep: usize) -> Result<Vec<RunDirectory>, ArchiveError> {
    let mut runs = archive.runs()?;
    runs.truncate(runs.len().saturating_sub(keep));
    runs.retain(|run| !run.is_active());
    Ok(runs)
}
