//! The archive: a directory of run directories, which other programs read without halo.
//!
//! `docs/archive.md` describes it. A file appears whole or not at all; the journal, which grows
//! while a run lasts, is the exception that its own module explains.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, FileType, FlockOperation, fallocate, flock, statvfs};

use self::inside::{Directory, UNFINISHED, Unfinished};
use crate::json;
use crate::run::manifest::SCHEMA_VERSION;
use crate::run::{JOURNAL, MANIFEST, Manifest};

pub mod campaign;
pub mod convert;
pub mod edit;
pub mod eval_samples;
pub mod export;
pub mod files;
pub mod filter;
pub mod inside;
pub mod journal;
pub mod log;
pub mod moments;
pub mod openmetrics;
mod pages;
pub mod read;
pub mod remove;
pub mod results;
pub mod rewrite;
pub mod salvage;
pub mod schema;
pub mod select;
pub mod telemetry;
pub mod write;

/// A run with less room than this is refused: eight hours at 4 Hz take about half of it before
/// they are compressed. In bytes.
pub const LEAST_ROOM: u64 = 256 * 1024 * 1024;

/// A manifest has no more bytes: it is read as a whole, and so are those of a list, one after the other.
pub const LARGEST_MANIFEST: u64 = 4 << 20;

/// The file that keeps room, and its size: enough for two manifests.
const RESERVE: &str = "reserve.unfinished";
static RESERVED: [u8; 512 * 1024] = [0; 512 * 1024];

/// The file that tells whether files can be made; it never gets this name.
const TRIAL: &str = ".halo";

/// What helps where a newer halo wrote something.
const UPDATE: &str = "update halo";

/// Where an installed package puts the archive, writable for the group of those who record.
const SHARED: &str = "/var/lib/halo";

/// What cannot be done with the archive. Its text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ArchiveError(pub String);

impl ArchiveError {
    pub(crate) fn at(path: &Path, detail: impl fmt::Display) -> Self {
        Self(format!("{}: {detail}", path.display()))
    }
}

/// A directory of run directories.
#[derive(Debug, Clone)]
pub struct Archive {
    directory: PathBuf,
}

/// A run directory.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

/// Proof that nobody else records, repairs or removes a run.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is held while it is open")] OwnedFd);

impl Archive {
    /// The archive that the user means: the one that is named, else the machine's where it may
    /// be written to, else the user's own.
    pub fn choose(named: Option<PathBuf>) -> Result<Self, ArchiveError> {
        if let Some(directory) = named {
            let directory = std::path::absolute(&directory)
                .map_err(|error| ArchiveError::at(&directory, error))?;
            return Ok(Self { directory });
        }
        let may_write = |path: &Path| {
            rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
                .is_ok()
        };
        if may_write(Path::new(SHARED)) {
            return Ok(Self { directory: SHARED.into() });
        }
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let state = variable("XDG_STATE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/state")));
        match state {
            Some(state) => Ok(Self { directory: state.join("halo") }),
            None => Err(ArchiveError(
                "no archive: HOME is not set; name a directory with --archive".to_owned(),
            )),
        }
    }

    /// An archive at a place.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens it. Links in its path are the user's own.
    ///
    /// # Errors
    ///
    /// Where it is not there.
    pub fn opened(&self) -> io::Result<Directory> {
        Directory::named(&self.directory)
    }

    /// Makes sure that a run can be written: the directory is there, may be written to and has
    /// room.
    pub fn prepare(&self) -> Result<(), ArchiveError> {
        let advice = "name another directory with --archive";
        let refuse =
            |error: io::Error| ArchiveError::at(&self.directory, format_args!("{error}; {advice}"));
        fs::create_dir_all(&self.directory).map_err(refuse)?;
        self.opened().and_then(|place| place.begin(TRIAL)).map_err(refuse)?;
        let free = room(&self.directory).map_err(refuse)?;
        if free < LEAST_ROOM {
            return Err(ArchiveError::at(
                &self.directory,
                format_args!(
                    "{} MiB are free, and a run may need {} MiB; make room with `halo-record prune --keep N`, or {advice}",
                    free >> 20,
                    LEAST_ROOM >> 20
                ),
            ));
        }
        Ok(())
    }

    /// Free bytes where the archive is, or where it will be made.
    pub fn room(&self) -> Option<u64> {
        let place = self.directory.ancestors().find(|directory| directory.is_dir())?;
        room(place).ok()
    }

    /// Makes the directory of a new run and locks it. A name that is taken gets a number.
    pub fn create(&self, name: &str) -> Result<(RunDirectory, Lock), ArchiveError> {
        for number in 1_u32.. {
            let path = match number {
                1 => self.directory.join(name),
                _ => self.directory.join(format!("{name}-{number}")),
            };
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ArchiveError::at(&path, error)),
                Ok(()) => {
                    let run = RunDirectory { path };
                    let lock = run.lock()?;
                    sync_directory(&self.directory)
                        .map_err(|error| ArchiveError::at(&self.directory, error))?;
                    return Ok((run, lock));
                }
            }
        }
        Err(ArchiveError::at(&self.directory, "has no free name"))
    }

    /// Every run, the oldest first. What is no run is left out.
    pub fn runs(&self) -> Result<Vec<RunDirectory>, ArchiveError> {
        let directories = self.directories()?;
        Ok(directories.into_iter().filter(RunDirectory::has_begun).collect())
    }

    /// Every directory that is named as a run, the oldest first. A link to one is none: it may lead
    /// anywhere.
    pub fn directories(&self) -> Result<Vec<RunDirectory>, ArchiveError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ArchiveError::at(&self.directory, error)),
        };
        let mut names: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_run_name(name))
            .collect();
        names.sort_unstable();
        let run = |name| RunDirectory { path: self.directory.join(name) };
        Ok(names.into_iter().map(run).collect())
    }

    /// The runs that are being recorded now.
    pub fn active(&self) -> Result<Vec<RunDirectory>, ArchiveError> {
        Ok(self.runs()?.into_iter().filter(RunDirectory::is_active).collect())
    }
}

impl RunDirectory {
    /// A run directory at a place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, which names the run.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// A file in it.
    pub fn join(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// Where it is not there, or is a link.
    pub fn opened(&self) -> io::Result<Directory> {
        Directory::of_archive(&self.path)
    }

    /// Whether it has a file of this name, even if that cannot be read.
    pub fn has(&self, file: &str) -> bool {
        self.opened().is_ok_and(|run| run.has(file))
    }

    /// Reads a file of it that has no more bytes than this.
    ///
    /// # Errors
    ///
    /// Where it is no regular file, has more bytes, or its path leads out of the run.
    pub fn read(&self, file: &str, most: u64) -> Result<Vec<u8>, ArchiveError> {
        let read = self.opened().and_then(|run| run.read(file, most));
        read.map_err(|error| ArchiveError::at(&self.join(file), error))
    }

    /// Takes the lock that says that somebody works on the run.
    pub fn lock(&self) -> Result<Lock, ArchiveError> {
        let directory = self.opened().map_err(|error| ArchiveError::at(&self.path, error))?;
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock(directory.into())),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(ArchiveError(format!("{}: is being recorded; wait for its end", self.name())))
            }
            Err(error) => Err(ArchiveError::at(&self.path, error)),
        }
    }

    /// Whether somebody holds the lock: the run is being recorded.
    pub fn is_active(&self) -> bool {
        self.opened().is_ok_and(|directory| {
            flock(directory, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// Whether it has a manifest, be it one that cannot be read.
    pub(super) fn has_begun(&self) -> bool {
        self.has(MANIFEST)
    }

    /// Reads its manifest.
    pub fn manifest(&self) -> Result<Manifest, ArchiveError> {
        parse(&self.join(MANIFEST), &self.read(MANIFEST, LARGEST_MANIFEST)?)
    }

    /// Replaces its manifest.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let write = || -> io::Result<()> {
            let mut bytes = serde_json::to_vec_pretty(manifest)?;
            if bytes.len() as u64 > LARGEST_MANIFEST {
                bytes = serde_json::to_vec(manifest)?;
            }
            // What is written must be read again.
            if bytes.len() as u64 > LARGEST_MANIFEST {
                return Err(inside::too_large(bytes.len() as u64, LARGEST_MANIFEST));
            }
            let mut file = self.opened()?.begin(MANIFEST)?;
            file.file().write_all(&bytes)?;
            file.finish()
        };
        write().map_err(|error| ArchiveError::at(&self.join(MANIFEST), error))
    }

    /// Removes it. It is renamed first, so that no half of a run is ever seen.
    pub fn remove(self) -> Result<(), ArchiveError> {
        let _lock = self.lock()?;
        let hidden = self.path.with_file_name(format!(".removed-{}", self.name()));
        fs::rename(&self.path, &hidden)
            .and_then(|()| fs::remove_dir_all(&hidden))
            .map_err(|error| ArchiveError::at(&self.path, error))
    }

    /// Keeps room on the disk, so that a run whose samples filled it can still be closed.
    pub fn reserve(&self) -> io::Result<()> {
        let mut file = self.opened()?.create(RESERVE)?;
        match fallocate(&file, FallocateFlags::empty(), 0, RESERVED.len() as u64) {
            // Some file systems keep no room that is not written to.
            Err(rustix::io::Errno::OPNOTSUPP) => file.write_all(&RESERVED),
            result => Ok(result?),
        }
    }

    /// Removes its journal, where there is one: the last step of a recording.
    pub fn remove_journal(&self) -> Result<(), ArchiveError> {
        self.remove_file(JOURNAL).map_err(|error| ArchiveError::at(&self.join(JOURNAL), error))
    }

    /// Gives that room back.
    pub fn release(&self) -> io::Result<()> {
        self.remove_file(RESERVE)
    }

    /// Removes a file of it, where there is one.
    ///
    /// # Errors
    ///
    /// Where it is there and cannot be removed.
    pub fn remove_file(&self, file: &str) -> io::Result<()> {
        match self.opened()?.remove(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Removes what a kill left of files that were being written. The caller holds the lock, so that
    /// nobody writes them any more.
    pub fn tidy(&self) -> io::Result<()> {
        let run = self.opened()?;
        for entry in run.entries(files::MOST)? {
            let Some(name) = entry.name.to_str().filter(|name| name.ends_with(UNFINISHED)) else {
                continue;
            };
            if entry.kind == FileType::RegularFile {
                run.remove(name)?;
            }
        }
        Ok(())
    }
}

/// Parses a manifest or a part of it; one that a newer halo wrote is refused rather than misread.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
) -> Result<T, ArchiveError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let refuse = |error: serde_json::Error| ArchiveError::at(path, error);
    let Version { schema_version } = json::from_slice(bytes).map_err(refuse)?;
    if schema_version > SCHEMA_VERSION {
        return Err(ArchiveError::at(
            path,
            format_args!("schema_version {schema_version} is newer than this halo; {UPDATE}"),
        ));
    }
    json::from_slice(bytes).map_err(refuse)
}

/// Names of run directories begin with the time: `20261124T035512.123Z-`.
fn is_run_name(name: &str) -> bool {
    let form = b"00000000T000000.000Z-";
    name.len() > form.len()
        && name.bytes().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        })
}

/// Puts a file in the place of another, whole, so that a kill or a loss of power leaves the old
/// one or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = begin(path)?;
    file.file().write_all(bytes)?;
    file.finish()
}

/// Begins a file that appears at a place that the user names when it is whole.
pub(crate) fn begin(path: &Path) -> io::Result<Unfinished> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    Directory::named(path.parent().unwrap_or(Path::new("")))?.begin(name)
}

/// Brings the names in a directory to the disk.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    Directory::named(directory)?.sync()
}

/// Bytes that a user may still write below a directory.
fn room(directory: &Path) -> io::Result<u64> {
    let space = statvfs(directory)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}
