//! The campaigns of an archive: one file each in `campaigns/`, beside the run directories.

use std::io::{self, Write};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::filter::{self, Filter};
use super::inside::Directory;
use super::salvage::{self, Unreadable};
use super::{Archive, ArchiveError, Lock, RunDirectory, files, parse};
use crate::run::{Campaign, Manifest};

/// The directory of the archive that holds them.
const DIRECTORY: &str = "campaigns";

/// The file of a campaign has no more bytes: a cell takes some hundreds.
const LARGEST: u64 = 4 << 20;

/// Writes a new campaign and locks it. A name that is taken gets a number.
///
/// # Errors
///
/// Where it cannot be written.
pub fn create(archive: &Archive, campaign: &mut Campaign) -> Result<Lock, ArchiveError> {
    let at = |error: io::Error| ArchiveError::at(&archive.directory().join(DIRECTORY), error);
    std::fs::create_dir_all(archive.directory()).map_err(at)?;
    let directory = archive.opened().and_then(|archive| archive.make(DIRECTORY)).map_err(at)?;
    // Held while a free name is looked for, so that the file itself appears whole or not at all.
    flock(&directory, FlockOperation::LockExclusive).map_err(|error| at(error.into()))?;
    let wanted = campaign.name.clone();
    let mut number = 1;
    while directory.has(&file(&campaign.name)) {
        number += 1;
        campaign.name = format!("{wanted}-{number}");
    }
    write(archive, campaign)?;
    lock(archive, campaign)
}

fn write(archive: &Archive, campaign: &Campaign) -> Result<(), ArchiveError> {
    let write = || -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(campaign)?;
        let mut file = opened(archive)?.begin(&file(&campaign.name))?;
        file.file().write_all(&bytes)?;
        file.finish()
    };
    write().map_err(|error| ArchiveError::at(&path(archive, &campaign.name), error))
}

/// Takes the lock that says that somebody runs the campaign.
///
/// # Errors
///
/// Where somebody does.
pub fn lock(archive: &Archive, campaign: &Campaign) -> Result<Lock, ArchiveError> {
    let path = path(archive, &campaign.name);
    let opened = opened(archive).and_then(|campaigns| campaigns.open(&file(&campaign.name)));
    let opened = opened.map_err(|error| ArchiveError::at(&path, error))?;
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(opened.into())),
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
    let read = opened(archive).and_then(|campaigns| campaigns.read(&file(&name), LARGEST));
    let bytes = read.map_err(|error| ArchiveError::at(&path, error))?;
    let campaign: Campaign = parse(&path, &bytes)?;
    // What is written or removed later is named by what the file says.
    if campaign.name != name {
        return Err(ArchiveError::at(&path, "says that it is another campaign"));
    }
    Ok(campaign)
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
    opened(archive).is_ok_and(|campaigns| campaigns.has(&file(name)))
}

/// Whether it runs now.
pub fn is_active(archive: &Archive, name: &str) -> bool {
    opened(archive).and_then(|campaigns| campaigns.open(&file(name))).is_ok_and(|file| {
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
    opened(archive)
        .and_then(|campaigns| campaigns.remove(&file(&campaign.name)))
        .map_err(|error| ArchiveError::at(&path(archive, &campaign.name), error))
}

fn opened(archive: &Archive) -> io::Result<Directory> {
    archive.opened()?.directory(DIRECTORY)
}

fn file(name: &str) -> String {
    format!("{name}.json")
}

/// Where the file of a campaign is, for messages.
fn path(archive: &Archive, name: &str) -> PathBuf {
    archive.directory().join(DIRECTORY).join(file(name))
}

fn names(archive: &Archive) -> Result<Vec<String>, ArchiveError> {
    let entries = match opened(archive).and_then(|campaigns| campaigns.entries(files::MOST)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ArchiveError::at(&archive.directory().join(DIRECTORY), error)),
    };
    let names = entries.into_iter().filter_map(|entry| entry.name.into_string().ok());
    Ok(names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect())
}
