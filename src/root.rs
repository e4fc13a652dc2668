//! The only door to the kernel's files.
//!
//! Sources name files as the kernel does (`/sys/class/drm`, `/proc/stat`, `/etc/os-release`);
//! where those really lie is decided here, so that a captured machine is read like the live one.
//! That includes symbolic links: `/etc/static/os-release` of a machine below `/host` is
//! `/host/etc/static/os-release`, and no link leads out of the three directories.

mod error;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, FsWord, Mode, OFlags, flock, statfs};
use rustix::io::Errno;

pub use error::{ReadError, Reason};

/// The largest sysfs attribute: the kernel never gives more than a page.
const ATTRIBUTE_BYTES: usize = 4096;

/// The longest name or version; the longest that firmware gives (DMI) has 64.
const LARGEST_WORD: usize = 128;

/// The largest text file that is believed: `/proc/stat` of a machine with 1,024 threads is a
/// third of this.
const TEXT_BYTES: usize = 256 * 1024;

/// The largest table that is read line by line: the sockets of a kernel with as many in `TIME_WAIT`
/// as it keeps by default (`tcp_max_tw_buckets`: 262,144 lines of 150 bytes) are less.
const TABLE_BYTES: u64 = 64 * 1024 * 1024;

/// As many links the kernel follows on the way to one file (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Where `/proc`, `/sys` and `/` are, and what was opened below them.
#[derive(Debug)]
pub struct Root {
    procfs: Part,
    sysfs: Part,
    rootfs: Part,
    faults: Vec<(String, Errno)>,
    opened: Option<Mutex<Vec<Opened>>>,
}

/// One of the three directories.
#[derive(Debug)]
struct Part {
    directory: PathBuf,
    /// Whether the kernel follows the links in it to where they lead on this machine.
    is_followed_by_kernel: bool,
}

impl Part {
    /// A directory that stands for `name`.
    fn new(directory: PathBuf, name: &str) -> Self {
        // The links of a real sysfs are relative and stay in it, and those of a real procfs are
        // the kernel's own, wherever either is mounted (linux/magic.h).
        const SYSFS: FsWord = 0x6265_6572;
        const PROCFS: FsWord = 0x9fa0;
        let is_kernels =
            || statfs(&directory).is_ok_and(|about| matches!(about.f_type, SYSFS | PROCFS));
        let is_followed_by_kernel = directory == Path::new(name) || is_kernels();
        Self { directory, is_followed_by_kernel }
    }
}

/// One thing that was read, as [`Root::take_opened`] gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opened {
    /// A file and its content.
    File(String, Vec<u8>),
    /// A directory that was listed, with the names in it.
    Directory(String, Vec<String>),
    /// A symbolic link and where it points.
    Link(String, String),
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its inode: in sysfs a device that is registered anew gets another one.
    pub inode: u64,
}

/// The links that [`Root::links`] found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Links {
    /// Their names, sorted.
    pub names: Vec<String>,
    /// How many links were looked at.
    pub looked_at: usize,
}

/// What a file or directory looked like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Root {
    /// The machine that this program runs on.
    pub fn live() -> Self {
        Self::new("/proc", "/sys", "/")
    }

    /// A captured machine: a directory that holds `proc`, `sys` and, for the rest, `root`.
    pub fn at(directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        Self::new(directory.join("proc"), directory.join("sys"), directory.join("root"))
    }

    /// A machine whose three parts lie where the caller says.
    pub fn new(
        procfs: impl Into<PathBuf>,
        sysfs: impl Into<PathBuf>,
        rootfs: impl Into<PathBuf>,
    ) -> Self {
        Self {
            procfs: Part::new(procfs.into(), "/proc"),
            sysfs: Part::new(sysfs.into(), "/sys"),
            rootfs: Part::new(rootfs.into(), "/"),
            faults: Vec::new(),
            opened: None,
        }
    }

    /// Remembers everything that is read from now on, for [`Root::take_opened`].
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.opened = Some(Mutex::default());
        self
    }

    /// Makes one path fail with an error of the system that a test cannot reason otherwise: the
    /// tests may run as root, whom no file refuses, and no driver is there to answer EBUSY.
    #[must_use]
    pub fn failing(mut self, path: &str, errno: Errno) -> Self {
        self.faults.push((path.to_owned(), errno));
        self
    }

    /// What was read since the last call, sorted, each thing once.
    pub fn take_opened(&self) -> Vec<Opened> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let mut all = std::mem::take(&mut *opened.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort();
        all.dedup();
        all
    }

    /// The text of a file that a user of the machine may have put there: what is no file is refused,
    /// as a FIFO, which would be waited for.
    pub fn read_of_user(&self, path: &str) -> Result<String, ReadError> {
        let location = self.locate(path);
        let about = self.fault(path).and_then(|()| std::fs::metadata(self.resolve(path)?));
        let about = about.map_err(|error| ReadError::system(&location, &error))?;
        if !about.is_file() {
            return Err(ReadError::garbage(location, "is no file"));
        }
        self.read(path)
    }

    /// The text of a file without surrounding white space and without trailing NUL bytes, which
    /// some drivers leave (`pp_od_clk_voltage`).
    pub fn read(&self, path: &str) -> Result<String, ReadError> {
        let location = self.locate(path);
        let limit = if path.starts_with("/sys/") { ATTRIBUTE_BYTES } else { TEXT_BYTES };
        let bytes = self.content(path, &location, limit)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ReadError::garbage(&location, "is not UTF-8 text"))?;
        Ok(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// A text of one short line: a name, a version, a label.
    pub fn word(&self, path: &str) -> Result<String, ReadError> {
        let text = self.read(path)?;
        if is_word(&text) { Ok(text) } else { Err(self.not_a("short text", path, &text)) }
    }

    /// The bytes of an attribute: one open, one read, close. `gpu_metrics` must not be read in
    /// pieces, because each read is a new reading of the sensors.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        self.content(path, &self.locate(path), ATTRIBUTE_BYTES)
    }

    /// The bytes of a file that is no attribute and no text: the variables of a process.
    pub fn content_of(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        self.content(path, &self.locate(path), TEXT_BYTES)
    }

    /// The bytes of a file that is the user's business alone, as a key or the command line of a
    /// process: it is not remembered, so that `--capture` does not copy it.
    pub fn private(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        self.unremembered(path, &self.locate(path), TEXT_BYTES)
    }

    /// The lines of a table of the kernel that may be too long to keep, as that of the sockets, one
    /// after the other; not remembered, as with [`Root::private`].
    pub fn private_lines(&self, path: &str, each: impl FnMut(&str)) -> Result<(), ReadError> {
        self.fault(path)
            .and_then(|()| for_each_line(&self.resolve(path)?, each))
            .map_err(|error| ReadError::system(&self.locate(path), &error))
    }

    /// The number that is the whole content of a file.
    pub fn number<T: FromStr>(&self, path: &str) -> Result<T, ReadError> {
        let text = self.read(path)?;
        text.parse().map_err(|_| self.not_a("number", path, &text))
    }

    /// The error for a file whose text is not what it should be, with the beginning of the text.
    pub fn not_a(&self, what: &str, path: &str, text: &str) -> ReadError {
        let beginning: String = text.chars().take(40).collect();
        ReadError::garbage(self.locate(path), format!("is not a {what}: {beginning:?}"))
    }

    /// The names in a directory, sorted. Names that are not UTF-8 are left out: the kernel
    /// makes none.
    pub fn list(&self, path: &str) -> Result<Vec<String>, ReadError> {
        Ok(self.entries(path)?.into_iter().map(|entry| entry.name).collect())
    }

    /// The entries of a directory, sorted by name.
    pub fn entries(&self, path: &str) -> Result<Vec<Entry>, ReadError> {
        let location = self.locate(path);
        let entries = self
            .fault(path)
            .and_then(|()| std::fs::read_dir(self.resolve(path)?))
            .map_err(|error| ReadError::system(&location, &error))?;
        let entry = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?;
            Some(Entry { name: entry.file_name().into_string().ok()?, inode: entry.ino() })
        };
        let mut entries: Vec<Entry> = entries.filter_map(entry).collect();
        entries.sort_by(|a, b| natural_order(&a.name).cmp(&natural_order(&b.name)));
        self.remember(|| {
            let names = entries.iter().map(|entry| entry.name.clone()).collect();
            Opened::Directory(path.to_owned(), names)
        });
        Ok(entries)
    }

    /// The last part of where a symbolic link points: the name of a device or driver.
    pub fn link(&self, path: &str) -> Result<String, ReadError> {
        let location = self.locate(path);
        let target = self
            .fault(path)
            .and_then(|()| std::fs::read_link(self.resolve_parent(path)?))
            .map_err(|error| ReadError::system(&location, &error))?;
        let name = target
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| ReadError::garbage(&location, "points nowhere"))?;
        self.remember(|| Opened::Link(path.to_owned(), target.to_string_lossy().into_owned()));
        Ok(name.to_owned())
    }

    /// The links in a directory whose target's last part is wanted, of at most the first `most`.
    ///
    /// Only those are remembered: what else a process has open is its user's business.
    pub fn links(
        &self,
        path: &str,
        most: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Links, ReadError> {
        let location = self.locate(path);
        let entries = self
            .fault(path)
            .and_then(|()| std::fs::read_dir(self.resolve(path)?))
            .map_err(|error| ReadError::system(&location, &error))?;
        let mut links = Links::default();
        for entry in entries.take(most) {
            links.looked_at += 1;
            // A file that was closed in this moment is none any more.
            let Ok(entry) = entry else { continue };
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let is_wanted = target.file_name().and_then(OsStr::to_str).is_some_and(&wanted);
            let Some(name) = entry.file_name().to_str().filter(|_| is_wanted).map(str::to_owned)
            else {
                continue;
            };
            self.remember(|| {
                Opened::Link(format!("{path}/{name}"), target.to_string_lossy().into_owned())
            });
            links.names.push(name);
        }
        links.names.sort_by(|a, b| natural_order(a).cmp(&natural_order(b)));
        Ok(links)
    }

    /// How long ago a file was written.
    pub fn age(&self, path: &str) -> Result<Duration, ReadError> {
        let location = self.locate(path);
        let modified = self
            .fault(path)
            .and_then(|()| std::fs::metadata(self.resolve(path)?)?.modified())
            .map_err(|error| ReadError::system(&location, &error))?;
        // A clock that was set back makes a file of the future, which is as new as can be.
        Ok(modified.elapsed().unwrap_or_default())
    }

    /// When a file or directory was changed last, to tell whether it was since then.
    pub fn stamp(&self, path: &str) -> Result<Stamp, ReadError> {
        let location = self.locate(path);
        let about = self
            .fault(path)
            .and_then(|()| std::fs::metadata(self.resolve(path)?))
            .map_err(|error| ReadError::system(&location, &error))?;
        Ok(Stamp {
            inode: about.ino(),
            bytes: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
        })
    }

    /// Whether somebody holds an exclusive lock (flock) on a directory.
    pub fn is_locked(&self, path: &str) -> Result<bool, ReadError> {
        let location = self.locate(path);
        self.fault(path)
            .and_then(|()| open_directory(&self.resolve(path)?))
            .and_then(|directory| match flock(directory, FlockOperation::NonBlockingLockShared) {
                Err(Errno::WOULDBLOCK) => Ok(true),
                result => Ok(result.map(|()| false)?),
            })
            .map_err(|error| ReadError::system(&location, &error))
    }

    /// Where a kernel path lies, links aside: for messages.
    pub fn locate(&self, path: &str) -> PathBuf {
        let (part, rest) = self.part(Path::new(path));
        part.directory.join(rest)
    }

    /// The name that a kernel path has in the kernel's list of mounts: where it is mounted, and in
    /// a captured machine its own.
    pub fn name_in_mounts(&self, path: &str) -> String {
        let (part, _) = self.part(Path::new(path));
        if part.is_followed_by_kernel {
            self.locate(path).to_string_lossy().into_owned()
        } else {
            path.to_owned()
        }
    }

    /// The directory that a kernel path lies in, and the rest of the path.
    fn part<'a>(&self, path: &'a Path) -> (&Part, &'a Path) {
        let parts = [(&self.sysfs, "/sys"), (&self.procfs, "/proc"), (&self.rootfs, "/")];
        let found =
            parts.iter().find_map(|(part, name)| Some((*part, path.strip_prefix(name).ok()?)));
        found.unwrap_or((&self.rootfs, path))
    }

    /// Where a kernel path really lies, with every link on the way followed as the machine that
    /// the files belong to would.
    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let (part, rest) = self.part(Path::new(path));
        if part.is_followed_by_kernel {
            return Ok(part.directory.join(rest));
        }
        // What is still to be walked, the next one last, and where that has led so far.
        let mut left: Vec<OsString> = Vec::new();
        let mut place = PathBuf::from("/");
        let mut links = 0;
        walk_later(&mut left, Path::new(path));
        while let Some(name) = left.pop() {
            if name == ".." {
                // Above the top there is the top.
                place.pop();
                continue;
            }
            place.push(&name);
            let (part, rest) = self.part(&place);
            let location = part.directory.join(rest);
            // What the user names is taken as it is, be it a link.
            let target = if rest.as_os_str().is_empty() {
                None
            } else {
                match std::fs::read_link(&location) {
                    Ok(target) => Some(target),
                    Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => None,
                    Err(error) => return Err(error),
                }
            };
            let Some(target) = target else { continue };
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            place.pop();
            if target.is_absolute() {
                place = PathBuf::from("/");
            }
            walk_later(&mut left, &target);
        }
        let (part, rest) = self.part(&place);
        Ok(part.directory.join(rest))
    }

    /// As [`Root::resolve`], without following a link that the path itself names.
    fn resolve_parent(&self, path: &str) -> io::Result<PathBuf> {
        match path.rsplit_once('/') {
            Some((parent, name)) if !parent.is_empty() => Ok(self.resolve(parent)?.join(name)),
            _ => Ok(self.locate(path)),
        }
    }

    fn content(&self, path: &str, location: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
        let bytes = self.unremembered(path, location, limit)?;
        self.remember(|| Opened::File(path.to_owned(), bytes.clone()));
        Ok(bytes)
    }

    fn unremembered(
        &self,
        path: &str,
        location: &Path,
        limit: usize,
    ) -> Result<Vec<u8>, ReadError> {
        let bytes = self
            .fault(path)
            .and_then(|()| read_at_most(&self.resolve(path)?, limit))
            .map_err(|error| ReadError::system(location, &error))?;
        if bytes.len() > limit {
            return Err(ReadError::garbage(location, format!("is larger than {limit} bytes")));
        }
        Ok(bytes)
    }

    fn fault(&self, path: &str) -> io::Result<()> {
        match self.faults.iter().find(|(faulty, _)| faulty == path) {
            Some((_, errno)) => Err((*errno).into()),
            None => Ok(()),
        }
    }

    fn remember(&self, what: impl FnOnce() -> Opened) {
        if let Some(opened) = &self.opened {
            opened.lock().unwrap_or_else(PoisonError::into_inner).push(what());
        }
    }
}

/// Puts the names of a path before what is left to be walked.
fn walk_later(left: &mut Vec<OsString>, path: &Path) {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    left.extend(names);
}

/// Opens a directory; a FIFO in its place is not waited for.
fn open_directory(location: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(location, flags, Mode::empty())?.into())
}

/// At most `limit + 1` bytes, so that the caller can tell a file that is too large.
///
/// A read that does not fill the buffer of an attribute is its end: sysfs gives an attribute
/// whole, and asking again would make the driver produce it again.
fn read_at_most(location: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(location)?;
    if limit == ATTRIBUTE_BYTES {
        let mut buffer = [0; ATTRIBUTE_BYTES + 1];
        let length = loop {
            match file.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        return Ok(buffer[..length].to_vec());
    }
    let mut bytes = Vec::with_capacity(8 * 1024);
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn for_each_line(location: &Path, mut each: impl FnMut(&str)) -> io::Result<()> {
    let mut table = BufReader::new(File::open(location)?.take(TABLE_BYTES));
    let mut line = Vec::new();
    while table.read_until(b'\n', &mut line)? > 0 {
        each(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

/// Whether a text can be the value of a label: short, and on one line.
pub fn is_word(text: &str) -> bool {
    text.len() <= LARGEST_WORD && !text.contains(|c: char| c.is_control())
}

/// Sorts `card2` before `card10`: the text before the last run of digits, then the number.
fn natural_order(name: &str) -> (&str, u64, &str) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem, name[stem.len()..].parse().unwrap_or(0), name)
}
