//! The only door to files below a run directory: each part of a path is opened from the one above it,
//! and none of them may be a link, so that no name in an archive leads out of it.
//!
//! An archive may come from somebody else. What stands in place of a file there, as a FIFO or a
//! device, is refused before it is opened: opening it could wait for ever, or do something.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// The end of the name of a file that is not whole yet.
pub const UNFINISHED: &str = ".unfinished";

/// Paths have fewer parts than this: a tool's files lie a few directories deep.
pub const DEEPEST: usize = 32;

/// A path has fewer bytes than this, as Linux has it for the system.
const LONGEST_PATH: usize = 4096;

/// An open directory.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// What stands in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: FileType,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Opens a regular file that the user names. Links in its path are the user's own.
///
/// # Errors
///
/// Where there is none, or it is anything else.
pub fn named(path: &Path) -> io::Result<File> {
    require_file(&rustix::fs::statat(CWD, path, AtFlags::empty())?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    require_file(&rustix::fs::fstat(&file)?)?;
    Ok(file.into())
}

impl Directory {
    /// Opens a directory that the user names. Links in its path are the user's own.
    ///
    /// # Errors
    ///
    /// Where there is none, or it may not be read.
    pub fn named(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self(rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?))
    }

    /// Opens a directory of an archive. The archive may lie behind links; the directory itself is
    /// none.
    ///
    /// # Errors
    ///
    /// Where there is none, it is a link, or it may not be read.
    pub fn of_archive(path: &Path) -> io::Result<Self> {
        step(CWD, path)
    }

    /// Opens a regular file.
    ///
    /// # Errors
    ///
    /// Where there is none, it is anything else, or a part of its path is a link.
    pub fn open(&self, path: &str) -> io::Result<File> {
        self.open_with(path, OFlags::RDONLY)
    }

    /// Opens a regular file so that what is written is added to its end.
    ///
    /// # Errors
    ///
    /// As [`Directory::open`].
    pub fn append(&self, path: &str) -> io::Result<File> {
        let file = self.open_with(path, OFlags::WRONLY | OFlags::APPEND)?;
        // What has another name elsewhere may be somebody else's.
        if rustix::fs::fstat(&file)?.st_nlink > 1 {
            return Err(io::Error::other(
                "has another name elsewhere (a hard link), so nothing is added",
            ));
        }
        Ok(file)
    }

    fn open_with(&self, path: &str, how: OFlags) -> io::Result<File> {
        let (above, name) = self.above(path)?;
        let above = above.as_ref().unwrap_or(self);
        require_file(&above.look(name)?)?;
        // Between looking and opening it may have become something else.
        let flags = how | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&above.0, name, flags, Mode::empty()).map_err(refusal)?;
        require_file(&rustix::fs::fstat(&file)?)?;
        Ok(file.into())
    }

    /// Reads a regular file that has no more bytes than this.
    ///
    /// # Errors
    ///
    /// Where it has more, and as [`Directory::open`].
    pub fn read(&self, path: &str, most: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let said = file.metadata()?.len();
        if said > most {
            return Err(too_large(said, most));
        }
        let mut bytes = Vec::new();
        // It may grow meanwhile.
        file.take(most + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 {
            read if read > most => Err(too_large(read, most)),
            _ => Ok(bytes),
        }
    }

    /// Whether anything is there, even if it is nothing that can be read.
    pub fn has(&self, path: &str) -> bool {
        self.above(path)
            .is_ok_and(|(above, name)| above.as_ref().unwrap_or(self).look(name).is_ok())
    }

    /// What stands in the directory, in the order of the names, and no more of it than this.
    ///
    /// # Errors
    ///
    /// Where it has more, or cannot be read.
    pub fn entries(&self, most: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() == most {
                let text = format!("has more than {most} entries");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
            }
            // What has gone meanwhile is no entry.
            let Ok(about) = rustix::fs::statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let kind = FileType::from_raw_mode(about.st_mode);
            entries.push(Entry { name, kind, bytes: u64::try_from(about.st_size).unwrap_or(0) });
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    ///
    /// Where there is none, or a part of its path is a link.
    pub fn directory(&self, path: &str) -> io::Result<Self> {
        let mut below = None;
        for name in parts(path)? {
            below = Some(below.as_ref().unwrap_or(self).step(name)?);
        }
        below.ok_or_else(|| unfit(path))
    }

    /// Opens a directory below this one; what is missing of its path is made.
    ///
    /// # Errors
    ///
    /// Where a part of its path is a link or a file, or cannot be made.
    pub fn make(&self, path: &str) -> io::Result<Self> {
        let mut below = None;
        for name in parts(path)? {
            let above: &Self = below.as_ref().unwrap_or(self);
            match rustix::fs::mkdirat(&above.0, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            below = Some(above.step(name)?);
        }
        below.ok_or_else(|| unfit(path))
    }

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    ///
    /// Where anything has this name already, even a link that leads nowhere, and as
    /// [`Directory::open`].
    pub fn create(&self, path: &str) -> io::Result<File> {
        let (above, name) = self.above(path)?;
        Ok(create(&above.as_ref().unwrap_or(self).0, name)?.into())
    }

    /// Begins a file that appears under its name when it is whole, in the place of what was there.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`].
    pub fn begin(&self, path: &str) -> io::Result<Unfinished> {
        let (above, name) = self.above(path)?;
        let directory = match above {
            Some(above) => above.0,
            None => self.0.try_clone()?,
        };
        // Nobody knows the name before, so that nobody can have put anything there.
        let temporary = format!("{name}.{}{UNFINISHED}", uuid::Uuid::now_v7().simple());
        let file = create(&directory, &temporary)?.into();
        Ok(Unfinished { directory, temporary, name: name.to_owned(), file })
    }

    /// Removes a file; a link is removed itself, and not what it leads to.
    ///
    /// # Errors
    ///
    /// Where there is none, or it cannot be removed.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let (above, name) = self.above(path)?;
        Ok(rustix::fs::unlinkat(&above.as_ref().unwrap_or(self).0, name, AtFlags::empty())?)
    }

    /// Brings the names in it to the disk.
    ///
    /// # Errors
    ///
    /// Where the disk does not take them.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    fn look(&self, name: &str) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn step(&self, name: &str) -> io::Result<Self> {
        step(self.0.as_fd(), Path::new(name))
    }

    /// The directory that holds a file, where it is another than this, and the file's name there.
    fn above<'a>(&self, path: &'a str) -> io::Result<(Option<Self>, &'a str)> {
        let mut names = parts(path)?;
        let name = names.pop().ok_or_else(|| unfit(path))?;
        let mut above = None;
        for part in names {
            above = Some(above.as_ref().unwrap_or(self).step(part)?);
        }
        Ok((above, name))
    }
}

impl From<Directory> for OwnedFd {
    fn from(directory: Directory) -> Self {
        directory.0
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A file that is being written under a name that nobody else knows; it goes again unless it is
/// finished.
#[derive(Debug)]
pub struct Unfinished {
    directory: OwnedFd,
    temporary: String,
    name: String,
    file: File,
}

impl Unfinished {
    /// What it is written to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes the file appear, whole: a kill or a loss of power leaves the old one or the new one.
    ///
    /// # Errors
    ///
    /// Where the disk does not take it.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        rustix::fs::renameat(&self.directory, &self.temporary, &self.directory, &self.name)?;
        self.temporary.clear();
        Ok(rustix::fs::fsync(&self.directory)?)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.temporary.is_empty() {
            // What failed already is what the user is told.
            let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

fn step(above: BorrowedFd<'_>, name: &Path) -> io::Result<Directory> {
    let opened = rustix::fs::openat(above, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
    // Linux says of a link, too, that it is no directory.
    opened.map(Directory).map_err(|error| {
        match rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) if kind(&about) == FileType::Symlink => refusal(Errno::LOOP),
            _ => error.into(),
        }
    })
}

/// The parts of a path that leads down alone.
fn parts(path: &str) -> io::Result<Vec<&str>> {
    let names: Vec<&str> = path.split('/').collect();
    let leads_down = names.iter().all(|name| !["", ".", ".."].contains(name))
        && names.len() < DEEPEST
        && path.len() < LONGEST_PATH
        && !path.contains('\0');
    if leads_down { Ok(names) } else { Err(unfit(path)) }
}

fn unfit(path: &str) -> io::Error {
    let text = match path.len() {
        LONGEST_PATH.. => "the path is too long",
        _ => "the path leads out of the run, or is none",
    };
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn create(directory: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o666))?)
}

fn kind(about: &Stat) -> FileType {
    FileType::from_raw_mode(about.st_mode)
}

fn require_file(about: &Stat) -> io::Result<()> {
    match kind(about) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(refusal(Errno::LOOP)),
        other => {
            let text = format!("is no regular file ({})", in_words(other));
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
    }
}

/// What something is, for people.
pub(crate) fn in_words(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of no known kind",
    }
}

fn refusal(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => {
            let text = "is a link, and inside an archive none is followed";
            io::Error::new(io::ErrorKind::InvalidInput, text)
        }
        error => error.into(),
    }
}

pub(crate) fn too_large(bytes: u64, most: u64) -> io::Error {
    let text = format!("has {bytes} bytes, and at most {most} are read");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}
