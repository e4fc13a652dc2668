//! A machine made of files: a host fixture, or a copy of one that a test damages.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use halo::config::Config;
use halo::metric::Samples;
use halo::root::{ReadError, Root};
use halo::sample::{Sampler, Snapshot};
use halo::serve::expose;
use halo::source::{Presence, SOURCES, selfstat};

/// The fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The directories below a directory of fixtures, in order.
pub(crate) fn directories(parent: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(fixtures().join(parent))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    assert!(!all.is_empty(), "no fixtures in {parent}");
    all
}

pub(crate) fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// What each source said, read once in this thread.
pub(crate) type Readings = BTreeMap<&'static str, Reading>;

pub(crate) struct Reading {
    pub(crate) outcome: Result<Presence, ReadError>,
    pub(crate) samples: Samples,
}

impl Reading {
    /// The values by series.
    pub(crate) fn series(&self) -> BTreeMap<String, f64> {
        let samples = match self.outcome {
            Ok(_) => self.samples.values(),
            Err(_) => &[],
        };
        samples.iter().map(|sample| (series(sample), sample.value)).collect()
    }

    /// What could not be read.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &ReadError> {
        self.samples.problems().iter().chain(self.outcome.as_ref().err())
    }
}

fn series(sample: &halo::metric::Sample) -> String {
    let text = sample.to_string();
    text.rsplit_once(' ').unwrap().0.to_owned()
}

/// Reads every source but the one about this process.
pub(crate) fn read(root: &Root) -> Readings {
    let config = Config::default();
    let sources = SOURCES.iter().filter(|source| source.name != selfstat::SOURCE.name);
    let readings = sources.map(|source| {
        let mut samples = Samples::default();
        let mut outcome = Ok(Presence::Absent);
        for mut reader in (source.open)(&config) {
            outcome = reader.read(root, &mut samples);
        }
        (source.name, Reading { outcome, samples })
    });
    readings.collect()
}

/// All values of a machine by series.
pub(crate) fn all_series(readings: &Readings) -> BTreeMap<String, f64> {
    readings.values().flat_map(Reading::series).collect()
}

/// Waits for a future without a server.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A snapshot of every source but the one about this process.
pub(crate) fn snapshot(root: Root) -> Snapshot {
    let sampler = Sampler::start(&Config::default(), &Arc::new(root)).unwrap();
    block_on(sampler.snapshot(|source| source.name != selfstat::SOURCE.name))
}

/// The exposition of a machine without what differs from one reading to the next.
pub(crate) fn exposition(root: Root) -> String {
    stable(&expose::render(&snapshot(root)).unwrap())
}

/// Lines of an exposition that are the same at every reading and in every build.
pub(crate) fn stable(exposition: &str) -> String {
    let volatile =
        ["halo_source_age_seconds", "halo_source_read_duration_seconds", "halo_build_info"];
    exposition
        .lines()
        .filter(|line| !volatile.iter().any(|name| line.contains(name)))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Rewrites the generated files that are stale, and fails where there were any.
pub(crate) fn ensure_contents(files: impl IntoIterator<Item = (PathBuf, String)>) {
    let mut stale = Vec::new();
    for (path, content) in files {
        if fs::read_to_string(&path).ok().as_ref() != Some(&content) {
            fs::write(&path, content).unwrap();
            stale.push(path.display().to_string());
        }
    }
    let stale = stale.join("\n");
    assert!(stale.is_empty(), "rewritten, look at the difference and commit it:\n{stale}");
}

/// A copy of a host that may be damaged. Its files are those of the fixture (hard links), so a file
/// that shall differ is cleared first.
pub(crate) struct Copy {
    directory: tempfile::TempDir,
}

impl Copy {
    pub(crate) fn of(host: &str) -> Self {
        let copy = Self { directory: tempfile::tempdir().unwrap() };
        link_children(&fixtures().join("hosts").join(host), copy.path());
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn root(&self) -> Root {
        Root::at(self.path())
    }

    /// Makes room for something else where a file or directory is, and says where that is.
    pub(crate) fn clear(&self, relative: &Path) -> PathBuf {
        let mut path = self.path().to_owned();
        for part in relative.parent().unwrap() {
            path.push(part);
            if path.is_symlink() || !path.is_dir() {
                remove(&path);
                fs::create_dir(&path).unwrap();
            }
        }
        path.push(relative.file_name().unwrap());
        remove(&path);
        path
    }

    /// Puts a FIFO where a file is: a read of it never ends, as one that waits in the kernel.
    pub(crate) fn hang(&self, relative: &Path) -> PathBuf {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.clear(relative);
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        path
    }

    /// Puts a file where a FIFO was, and lets those go on who wait for it: the driver answers.
    pub(crate) fn answer(&self, relative: &Path, content: &[u8]) {
        let (fifo, file) = (self.path().join("fifo"), self.path().join("file"));
        fs::rename(self.path().join(relative), &fifo).unwrap();
        fs::write(&file, content).unwrap();
        fs::rename(file, self.path().join(relative)).unwrap();
        drop(fs::OpenOptions::new().read(true).write(true).open(fifo).unwrap());
    }

    /// Puts a file of the copy back as it is in the fixture.
    pub(crate) fn restore(&self, host: &str, relative: &Path) {
        let path = self.clear(relative);
        link(&fixtures().join("hosts").join(host).join(relative), &path);
    }

    /// Applies a hazard: removals first, then the files that differ.
    pub(crate) fn apply(&self, hazard: &Path) {
        for relative in about(hazard).remove {
            self.clear(&relative);
        }
        let (files, links) = below(hazard);
        for relative in files {
            fs::copy(hazard.join(&relative), self.clear(&relative)).unwrap();
        }
        for relative in links {
            symlink(fs::read_link(hazard.join(&relative)).unwrap(), self.clear(&relative)).unwrap();
        }
    }
}

/// The files of a machine below a directory, relative to it, in order. Links are where open files
/// of processes lead: no content that could be damaged.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    below(directory).0
}

/// The files and the links of a machine.
fn below(directory: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    fn walk(directory: &Path, files: &mut Vec<PathBuf>, links: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                links.push(path);
            } else if path.is_dir() {
                walk(&path, files, links);
            } else {
                files.push(path);
            }
        }
    }
    let (mut files, mut links) = (Vec::new(), Vec::new());
    for part in ["proc", "sys", "root"].map(|part| directory.join(part)) {
        if part.is_dir() {
            walk(&part, &mut files, &mut links);
        }
    }
    files.sort();
    let relative = |paths: Vec<PathBuf>| {
        paths.iter().map(|path| path.strip_prefix(directory).unwrap().to_owned()).collect()
    };
    (relative(files), relative(links))
}

/// The description of a hazard.
#[derive(serde::Deserialize)]
pub(crate) struct About {
    pub(crate) hazard: String,
    pub(crate) evidence: String,
    pub(crate) base: String,
    pub(crate) remove: Vec<PathBuf>,
}

pub(crate) fn about(hazard: &Path) -> About {
    toml::from_str(&fs::read_to_string(hazard.join("about.toml")).unwrap()).unwrap()
}

fn link_children(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            // A link of the machine leads where it leads there.
            symlink(fs::read_link(from).unwrap(), to).unwrap();
        } else if kind.is_dir() {
            fs::create_dir(&to).unwrap();
            link_children(&from, &to);
        } else {
            link(&from, &to);
        }
    }
}

/// The same file in another place, or its copy where that is on another filesystem.
fn link(from: &Path, to: &Path) {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).unwrap();
    }
}

fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path).unwrap();
    } else if path.is_symlink() || path.exists() {
        fs::remove_file(path).unwrap();
    }
}

/// The exposition of halo about itself.
pub(crate) fn self_exposition() -> String {
    let sampler = Sampler::start(&Config::default(), &Arc::new(Root::live())).unwrap();
    let wanted = |source: &halo::source::Source| source.name == selfstat::SOURCE.name;
    expose::render(&block_on(sampler.snapshot(wanted))).unwrap()
}
