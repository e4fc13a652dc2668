//! Adds a mark to a run that is being recorded, from inside its command or from outside.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::archive::{Archive, ArchiveError, RunDirectory, journal};
use crate::clock;
use crate::run::JOURNAL;
use crate::run::journal::{By, Line, Mark};

/// Adds a mark to the run that `inside` names, the directory of the run that this program is in,
/// else to the one that is active in the archive.
///
/// # Errors
///
/// Where no run or more than one is active, or where it ended in this moment.
pub fn mark(
    archive: &Archive,
    inside: Option<PathBuf>,
    name: &str,
    attributes: BTreeMap<String, String>,
) -> Result<String, ArchiveError> {
    let at = clock::now();
    let run = match inside {
        Some(directory) => RunDirectory::at(directory),
        None => only_active(archive)?,
    };
    let line = Line::Mark(Mark { at, by: By::User, name: name.to_owned(), attributes });
    journal::append_to(&run, &line).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::NotFound => {
            ArchiveError(format!("{}: is not being recorded (any more)", run.path().display()))
        }
        _ => ArchiveError(format!("{}: {error}", run.join(JOURNAL).display())),
    })?;
    Ok(run.name().to_owned())
}

fn only_active(archive: &Archive) -> Result<RunDirectory, ArchiveError> {
    let mut active = archive.active()?;
    match active.len() {
        1 => Ok(active.remove(0)),
        0 => Err(ArchiveError(format!(
            "no run is being recorded in {}; a mark belongs to an active run",
            archive.directory().display()
        ))),
        _ => {
            let names: Vec<&str> = active.iter().map(RunDirectory::name).collect();
            Err(ArchiveError(format!(
                "several runs are being recorded, say which with --run: {}",
                names.join(", ")
            )))
        }
    }
}
