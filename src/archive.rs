//! The archive: a directory of run directories, which other programs read without halo.
//!
//! `docs/archive.md` describes it. A file appears whole or not at all; the journal, which grows
//! while a run lasts, is the exception that its own module explains.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, statvfs};

use crate::run::manifest::SCHEMA_VERSION;
use crate::run::{JOURNAL, MANIFEST, Manifest};

pub mod campaign;
pub mod convert;
pub mod edit;
pub mod eval_samples;
pub mod export;
pub mod files;
pub mod filter;
pub mod journal;
pub mod log;
pub mod moments;
pub mod openmetrics;
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

/// The file that keeps room, and its size: enough for two manifests.
const RESERVE: &str = "reserve.unfinished";
static RESERVED: [u8; 512 * 1024] = [0; 512 * 1024];

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
pub struct Lock(#[expect(dead_code, reason = "the lock is held while it is open")] File);

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

    /// Makes sure that a run can be written: the directory is there, may be written to and has
    /// room.
    pub fn prepare(&self) -> Result<(), ArchiveError> {
        let advice = "name another directory with --archive";
        let refuse =
            |error: io::Error| ArchiveError::at(&self.directory, format_args!("{error}; {advice}"));
        fs::create_dir_all(&self.directory).map_err(refuse)?;
        tempfile(&self.directory).map_err(refuse)?;
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

    /// Every directory that is named as a run, the oldest first.
    pub fn directories(&self) -> Result<Vec<RunDirectory>, ArchiveError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ArchiveError::at(&self.directory, error)),
        };
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
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

    /// Takes the lock that says that somebody works on the run.
    pub fn lock(&self) -> Result<Lock, ArchiveError> {
        let directory =
            File::open(&self.path).map_err(|error| ArchiveError::at(&self.path, error))?;
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock(directory)),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(ArchiveError(format!("{}: is being recorded; wait for its end", self.name())))
            }
            Err(error) => Err(ArchiveError::at(&self.path, error)),
        }
    }

    /// Whether somebody holds the lock: the run is being recorded.
    pub fn is_active(&self) -> bool {
        File::open(&self.path).is_ok_and(|directory| {
            flock(directory, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// Whether it has a manifest, be it one that cannot be read.
    pub(super) fn has_begun(&self) -> bool {
        self.join(MANIFEST).symlink_metadata().is_ok()
    }

    /// Reads its manifest.
    pub fn manifest(&self) -> Result<Manifest, ArchiveError> {
        let path = self.join(MANIFEST);
        let bytes = fs::read(&path).map_err(|error| ArchiveError::at(&path, error))?;
        parse(&path, &bytes)
    }

    /// Replaces its manifest.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let path = self.join(MANIFEST);
        serde_json::to_vec_pretty(manifest)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&path, &bytes))
            .map_err(|error| ArchiveError::at(&path, error))
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
        let mut file = File::create(self.join(RESERVE))?;
        match fallocate(&file, FallocateFlags::empty(), 0, RESERVED.len() as u64) {
            // Some file systems keep no room that is not written to.
            Err(rustix::io::Errno::OPNOTSUPP) => file.write_all(&RESERVED),
            result => Ok(result?),
        }
    }

    /// Removes its journal, where there is one: the last step of a recording.
    pub fn remove_journal(&self) -> Result<(), ArchiveError> {
        let path = self.join(JOURNAL);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ArchiveError::at(&path, error))
            }
            _ => Ok(()),
        }
    }

    /// Gives that room back.
    pub fn release(&self) -> io::Result<()> {
        match fs::remove_file(self.join(RESERVE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
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
    let Version { schema_version } = serde_json::from_slice(bytes).map_err(refuse)?;
    if schema_version > SCHEMA_VERSION {
        return Err(ArchiveError::at(
            path,
            format_args!("schema_version {schema_version} is newer than this halo; {UPDATE}"),
        ));
    }
    serde_json::from_slice(bytes).map_err(refuse)
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
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    let unfinished = PathBuf::from(name);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    // A file of the working directory has an empty parent.
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_directory(parent),
        None => sync_directory(Path::new(".")),
    }
}

/// Brings the names in a directory to the disk.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Tries whether files can be made.
fn tempfile(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".halo-{}", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    fs::remove_file(path)
}

/// Bytes that a user may still write below a directory.
fn room(directory: &Path) -> io::Result<u64> {
    let space = statvfs(directory)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}
