//! Finishes what a kill or a loss of power left unfinished, and reads a tool's output again.

use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use super::{close, collect, machine};
use crate::archive::filter::Listed;
use crate::archive::inside::UNFINISHED;
use crate::archive::{Archive, ArchiveError, RunDirectory, salvage};
use crate::run::manifest::{Manifest, Origin, State};
use crate::run::{JOURNAL, MANIFEST};
use crate::tool;

/// How long after the journal's last line a file of the tool may have been made: a line comes once
/// an interval, and what a killed recorder left behind goes on for a moment.
const AFTER: Duration = Duration::from_secs(10);

/// A run has its manifest a moment after its directory.
const BIRTH: Duration = Duration::from_secs(10);

/// The runs of an archive that were left unfinished: nobody records them, and they lack their end.
pub fn unfinished(archive: &Archive) -> Result<Vec<RunDirectory>, ArchiveError> {
    let is_unfinished = |run: &RunDirectory| Listed::read(run).is_ok_and(|run| run.unfinished);
    Ok(archive.runs()?.into_iter().filter(is_unfinished).collect())
}

/// Finishes a run, as far as its journal goes.
///
/// # Errors
///
/// Where somebody records it, or a file could not be written; the journal is kept then.
pub fn recover(run: &RunDirectory) -> Result<Manifest, ArchiveError> {
    let _lock = run.lock()?;
    let mut manifest = run.manifest()?;
    let is_tidy = run.release().and_then(|()| run.tidy());
    is_tidy.map_err(|error| ArchiveError::at(run.path(), error))?;
    if manifest.state != State::Running {
        // At most the last step is missing.
        run.remove_journal()?;
        return Ok(manifest);
    }
    manifest.origin = Origin::Recovered;
    // What was written after the journal's last line is of somebody else.
    let journal = run.opened().and_then(|run| run.open(JOURNAL));
    let last = journal.and_then(|journal| journal.metadata()?.modified());
    // A run that comes from elsewhere may name any file of this machine.
    let is_of_here =
        manifest.command.machine.is_some() && manifest.command.machine == machine::of(&manifest.id);
    if !is_of_here && tool::recognize(&words(&manifest.command.executed)).is_some() {
        manifest.add_problem(
            "it was not begun on this machine, or before halo knew: files of its tool are left where they are"
                .to_owned(),
        );
    }
    if let (Ok(last), true) = (last, is_of_here) {
        let started = manifest.command.started.unwrap_or(manifest.started);
        collect::collect(run, &mut manifest, started, last + AFTER);
    }
    // Nor is anything told of a file that it calls a model.
    let models = if is_of_here { None } else { Some(std::mem::take(&mut manifest.models)) };
    let result = close::close(run, &mut manifest);
    if let Some(models) = models {
        manifest.models = models;
        run.write_manifest(&manifest)?;
    }
    result?;
    Ok(manifest)
}

fn words(command: &[String]) -> Vec<OsString> {
    command.iter().map(OsString::from).collect()
}

/// Reads what the tool printed once more: with a newer halo it may be understood. What a damaged
/// manifest lacks is taken from there again, as far as it can be.
///
/// # Errors
///
/// Where the run is unfinished, or a file could not be written.
pub fn reparse(run: &RunDirectory) -> Result<Manifest, ArchiveError> {
    let _lock = run.lock()?;
    let (mut manifest, lost) = match run.manifest() {
        Ok(manifest) => (manifest, Vec::new()),
        Err(error) => salvage::salvage(run).map_err(|_| error)?,
    };
    for name in lost {
        manifest.add_problem(format!("the manifest was damaged: what it said of {name} is lost"));
    }
    run.tidy().map_err(|error| ArchiveError::at(run.path(), error))?;
    if run.has(JOURNAL) {
        let name = run.name();
        return Err(ArchiveError(format!("{name}: was interrupted; `halo-record recover {name}`")));
    }
    write_results(run, &mut manifest)?;
    Ok(manifest)
}

/// Reads the raw output of a run and writes its results and its manifest.
///
/// # Errors
///
/// Where a file could not be written.
pub fn write_results(run: &RunDirectory, manifest: &mut Manifest) -> Result<(), ArchiveError> {
    let output = close::read_output(run, manifest);
    if manifest.state != State::Interrupted {
        manifest.state = close::state(manifest);
    }
    close::write_results(run, manifest, output)?;
    close::seal(run, manifest)
}

/// Removes directories that were made for runs which never began: halo was killed before it
/// could write their manifest.
pub fn remove_unborn(archive: &Archive) -> Result<(), ArchiveError> {
    for run in archive.directories()? {
        let age = fs::metadata(run.path()).and_then(|about| about.modified()).ok();
        let is_old = age.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > BIRTH);
        // What halo did not make there is somebody's, whatever the directory is called.
        let entries = run.opened().and_then(|run| run.entries(1));
        let is_empty = entries.is_ok_and(|entries| {
            entries.iter().all(|entry| entry.name.to_string_lossy().ends_with(UNFINISHED))
        });
        if is_old && is_empty && !run.is_active() && !run.has(MANIFEST) {
            run.remove()?;
        }
    }
    Ok(())
}
