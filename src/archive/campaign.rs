//! The campaigns of an archive: one file each in `campaigns/`, beside the run directories.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::filter::{self, Filter};
use super::salvage::{self, Unreadable};
use super::{Archive, ArchiveError, Lock, RunDirectory, parse, replace};
use crate::run::{Campaign, Manifest};

/// The directory of the archive that holds them.
const DIRECTORY: &str = "campaigns";

/// Writes a new campaign and locks it. A name that is taken gets a number.
///
/// # Errors
///
/// Where it cannot be written.
pub fn create(archive: &Archive, campaign: &mut Campaign) -> Result<Lock, ArchiveError> {
    let directory = archive.directory().join(DIRECTORY);
    fs::create_dir_all(&directory).map_err(|error| ArchiveError::at(&directory, error))?;
    // Held while a free name is looked for, so that the file itself appears whole or not at all.
    let _naming = File::open(&directory)
        .and_then(|file| Ok(flock(&file, FlockOperation::LockExclusive).map(|()| file)?))
        .map_err(|error| ArchiveError::at(&directory, error))?;
    let wanted = campaign.name.clone();
    let mut number = 1;
    while path(archive, &campaign.name).exists() {
        number += 1;
        campaign.name = format!("{wanted}-{number}");
    }
    write(archive, campaign)?;
    lock(archive, campaign)
}

fn write(archive: &Archive, campaign: &Campaign) -> Result<(), ArchiveError> {
    let path = path(archive, &campaign.name);
    serde_json::to_vec_pretty(campaign)
        .map_err(io::Error::from)
        .and_then(|bytes| replace(&path, &bytes))
        .map_err(|error| ArchiveError::at(&path, error))
}

/// Takes the lock that says that somebody runs the campaign.
///
/// # Errors
///
/// Where somebody does.
pub fn lock(archive: &Archive, campaign: &Campaign) -> Result<Lock, ArchiveError> {
    let path = path(archive, &campaign.name);
    let file = File::open(&path).map_err(|error| ArchiveError::at(&path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(ArchiveError(format!("{}: is running; wait for its end", campaign.name)))
        }
        Err(error) => Err(ArchiveError::at(&path, error)),
    }
}

/// The campaign that a user means: its name, a part of it, or `latest`.
///
/// # Errors
///
/// Where there is none, several, or it cannot be read.
pub fn find(archive: &Archive, text: &str) -> Result<Campaign, ArchiveError> {
    let mut names = names(archive)?;
    // Every name contains nothing.
    names.retain(|_| !text.is_empty());
    let none =
        || ArchiveError(format!("{text}: no such campaign in {}", archive.directory().display()));
    let name = if text == "latest" {
        names.pop().ok_or_else(none)?
    } else if names.iter().any(|name| name == text) {
        text.to_owned()
    } else {
        names.retain(|name| name.contains(text));
        match &names[..] {
            [] => return Err(none()),
            [_] => names.remove(0),
            _ => {
                let names = names.join(", ");
                return Err(ArchiveError(format!(
                    "{text}: several campaigns are called so, say which: {names}"
                )));
            }
        }
    };
    let path = path(archive, &name);
    let bytes = fs::read(&path).map_err(|error| ArchiveError::at(&path, error))?;
    parse(&path, &bytes)
}

/// What the archive has of a campaign.
#[derive(Debug, Default)]
pub struct Runs {
    /// Its runs, the oldest first.
    pub runs: Vec<(RunDirectory, Manifest)>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// The runs of a campaign.
///
/// # Errors
///
/// Where the archive cannot be listed.
pub fn runs(archive: &Archive, name: &str) -> Result<Runs, ArchiveError> {
    let filter = Filter { campaign: Some(name.to_owned()), ..Filter::default() };
    let (listed, mut unreadable) = filter::list(archive, &filter)?;
    let mut runs = Vec::new();
    for listed in listed {
        let run = RunDirectory::at(archive.directory().join(&listed.run));
        match salvage::manifest(&run) {
            // What was left unfinished says `running` itself.
            Ok(manifest) => runs.push((run, Manifest { state: listed.brief.state, ..manifest })),
            Err(error) => unreadable.push(error),
        }
    }
    Ok(Runs { runs, unreadable })
}

/// Whether there is a campaign of exactly this name.
pub(super) fn exists(archive: &Archive, name: &str) -> bool {
    !name.contains('/') && path(archive, name).is_file()
}

/// Whether it runs now.
pub fn is_active(archive: &Archive, name: &str) -> bool {
    File::open(path(archive, name)).is_ok_and(|file| {
        flock(file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    })
}

/// Changes the file of a campaign.
///
/// # Errors
///
/// If the campaign runs, or its file cannot be read or written.
pub(super) fn change(
    archive: &Archive,
    campaign: &mut Campaign,
    how: impl FnOnce(&mut Campaign),
) -> Result<(), ArchiveError> {
    let _lock = lock(archive, campaign)?;
    how(campaign);
    write(archive, campaign)
}

/// Removes the file of a campaign; its runs are removed before.
///
/// # Errors
///
/// If the campaign runs, or its file cannot be removed.
pub(super) fn remove(archive: &Archive, campaign: &Campaign) -> Result<(), ArchiveError> {
    let _lock = lock(archive, campaign)?;
    let path = path(archive, &campaign.name);
    fs::remove_file(&path).map_err(|error| ArchiveError::at(&path, error))
}

fn path(archive: &Archive, name: &str) -> PathBuf {
    archive.directory().join(DIRECTORY).join(format!("{name}.json"))
}

fn names(archive: &Archive) -> Result<Vec<String>, ArchiveError> {
    let directory = archive.directory().join(DIRECTORY);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ArchiveError::at(&directory, error)),
    };
    let file_names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        file_names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    names.sort_unstable();
    Ok(names)
}
