//! Copies the files that a tool wrote into the run, so that the archive needs no other place.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use rustix::fs::FileType;

use crate::archive::RunDirectory;
use crate::archive::files::{self, Found};
use crate::archive::inside::{self, Directory};
use crate::run::manifest::{Command, Manifest};
use crate::run::{OUTPUT_FILES, RAW};
use crate::tool::{self, CommandLine, OutputFile, Place};

/// What is more than this together is copied and not read: halo holds the files in memory while it
/// reads them. In bytes.
const MOST_READ: u64 = 64 << 20;

/// How much of a `.env` is read, in bytes.
const LARGEST_ENV: u64 = 256 * 1024;

/// In how many files it looks for figures.
const MOST_FILES: usize = 10_000;

/// How deep below a named directory files are looked for.
const DEPTH: usize = 4;

/// Clocks of filesystems are coarser than that of the system, by a tick of the kernel at most.
const COARSE: Duration = Duration::from_millis(20);

/// Where the files of a run's tool are kept.
pub(super) fn directory(run: &RunDirectory) -> PathBuf {
    run.join(RAW).join(OUTPUT_FILES)
}

/// Copies what the tool wrote since its command was started, or since the recording began where
/// nobody knows that. What is there already stays, so that a run can be closed twice.
///
/// Files that it names and that are older are of an earlier run: they are told and left alone.
pub(super) fn collect(
    run: &RunDirectory,
    manifest: &mut Manifest,
    started: Timestamp,
    until: SystemTime,
) {
    let places = places(&manifest.command);
    if places.is_empty() {
        return;
    }
    let Ok(age) = Duration::try_from(started.duration_since(Timestamp::UNIX_EPOCH)) else { return };
    let span = (SystemTime::UNIX_EPOCH + age - COARSE, until);
    let opened = match run.opened() {
        Ok(opened) => opened,
        Err(error) => return manifest.add_problem(error.to_string()),
    };
    let mut collected = Collected::default();
    for (index, place) in places.into_iter().enumerate() {
        // Who recovers a run may have other variables than who recorded it.
        let known = manifest.command.places.get(index).map(PathBuf::from);
        let from = known.unwrap_or_else(|| place.path.clone());
        // What the tool was told to write here is here.
        if !from.starts_with(run.path()) {
            let archive = run.path().parent().unwrap_or(run.path());
            for (file, name) in files_of(&place, &from, archive) {
                collected.take(&file, &opened, &name, span);
            }
        }
    }
    // Many tools keep what earlier runs wrote: that is worth a word only where nothing new came.
    let target = opened.directory(&format!("{RAW}/{OUTPUT_FILES}"));
    let entries = target.and_then(|target| target.entries(files::MOST));
    let has_new = entries.is_ok_and(|entries| !entries.is_empty());
    if let Some(file) = collected.stale.first().filter(|_| !has_new) {
        let others = collected.stale.len() - 1;
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        collected.problems.push(format!(
            "{}{more}: of an earlier run, so left out; this run wrote no such file",
            file.display()
        ));
    }
    for problem in collected.problems {
        manifest.add_problem(problem);
    }
}

/// Where the tool of a command writes, as whole paths.
pub(super) fn places(command: &Command) -> Vec<Place> {
    let argv: Vec<OsString> = command.executed.iter().map(OsString::from).collect();
    let Some((tool, program)) = tool::recognize(&argv) else { return Vec::new() };
    let working = working_directory(&argv[..program], Path::new(&command.directory));
    let variable = |name: &str| variable(&argv[..program], name);
    let dotenv = |name: &str| dotenv(&working, name);
    let mut places =
        tool.places(&CommandLine { argv: &argv, program, variable: &variable, dotenv: &dotenv });
    for place in &mut places {
        place.path = working.join(&place.path);
    }
    places
}

#[derive(Default)]
struct Collected {
    /// Files of an earlier run.
    stale: Vec<PathBuf>,
    problems: Vec<String>,
}

impl Collected {
    /// Copies a file that was written in this span of time.
    fn take(
        &mut self,
        file: &Path,
        run: &Directory,
        name: &Path,
        (since, until): (SystemTime, SystemTime),
    ) {
        let times = fs::metadata(file).and_then(|about| {
            let written = about.modified()?;
            // Not every filesystem tells when a file was made.
            Ok((written, about.created().unwrap_or(written)))
        });
        match times {
            Ok((written, _)) if written < since => self.stale.push(file.to_owned()),
            Ok((_, made)) if made > until => {}
            Ok((written, _)) => {
                if written > until {
                    self.problems.push(format!(
                        "{}: was written after the recording ended; a later run may have done it",
                        file.display()
                    ));
                }
                if let Err(error) = copy(file, run, name) {
                    self.problems.push(format!("{}: is not archived: {error}", file.display()));
                }
            }
            Err(error) => self.problems.push(format!("{}: {error}", file.display())),
        }
    }
}

/// The files that a place means, with their names in the archive. The archive itself, which may lie
/// below a directory where users work, is passed over.
fn files_of(place: &Place, from: &Path, archive: &Path) -> Vec<(PathBuf, PathBuf)> {
    // A directory that is named may be a link, as to a larger disk.
    let root = fs::canonicalize(from).unwrap_or_else(|_| from.to_owned());
    let archive = fs::canonicalize(archive).unwrap_or_else(|_| archive.to_owned());
    let name = from.file_name().map(PathBuf::from).unwrap_or_default();
    let depth = if place.beginnings.is_some() { DEPTH - 1 } else { 0 };
    let mut found = Vec::new();
    find(&root, &name, depth, &archive, &mut found);
    found.retain(|(file, name)| {
        let text = name.as_os_str().as_bytes();
        let base = file.file_name().unwrap_or_default().as_bytes();
        let begins = place.beginnings.as_ref();
        place.endings.iter().any(|ending| text.ends_with(ending.as_bytes()))
            && begins.is_none_or(|all| all.iter().any(|begin| base.starts_with(begin.as_bytes())))
    });
    found
}

/// Where the command behind `env --chdir` runs.
fn working_directory(before: &[OsString], from: &Path) -> PathBuf {
    let words: Vec<&str> = before.iter().filter_map(|word| word.to_str()).collect();
    let named = words.iter().enumerate().rev().find_map(|(index, word)| match *word {
        "-C" | "--chdir" => words.get(index + 1).copied(),
        word => word.strip_prefix("--chdir="),
    });
    named.map_or_else(|| from.to_owned(), |named| from.join(named))
}

/// A path that the nearest file `.env` at or above a directory gives a variable; it is relative to
/// that file.
fn dotenv(working: &Path, name: &str) -> Option<PathBuf> {
    let file = working.ancestors().map(|above| above.join(".env")).find(|file| file.is_file())?;
    let mut text = String::new();
    inside::named(&file).ok()?.take(LARGEST_ENV).read_to_string(&mut text).ok()?;
    let value = text.lines().rev().find_map(|line| {
        let line = line.trim();
        let (variable, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        (variable.trim() == name).then(|| value.trim().trim_matches(['"', '\'']))
    })?;
    Some(file.parent()?.join(value))
}

/// What the command sees of a variable: what stands before it in the command line, as behind
/// `env`, else what halo has.
pub(super) fn variable(before: &[OsString], name: &str) -> Option<OsString> {
    let assigned = before.iter().rev().find_map(|word| {
        let (variable, value) = word.to_str()?.split_once('=')?;
        (variable == name).then(|| OsString::from(value))
    });
    assigned.or_else(|| std::env::var_os(name))
}

/// The files at or below a path, with their names from there on, but for those in one directory.
fn find(path: &Path, name: &Path, depth: usize, but: &Path, found: &mut Vec<(PathBuf, PathBuf)>) {
    if path == but {
        return;
    }
    // A link may lead anywhere.
    let Ok(about) = fs::symlink_metadata(path) else { return };
    if about.is_file() {
        found.push((path.to_owned(), name.to_owned()));
    } else if about.is_dir() && depth < DEPTH {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        for entry in names {
            find(&path.join(&entry), &name.join(&entry), depth + 1, but, found);
        }
    }
}

/// Copies a file into the run, below [`OUTPUT_FILES`].
fn copy(from: &Path, run: &Directory, name: &Path) -> io::Result<()> {
    let to = below(name);
    if run.has(&to) {
        return Ok(());
    }
    let directory = Directory::named(from.parent().unwrap_or(Path::new("")))?;
    let mut file = directory.open(&from.file_name().unwrap_or_default().to_string_lossy())?;
    if let Some((above, _)) = to.rsplit_once('/') {
        run.make(above)?;
    }
    // A full disk needs the room for the tables of the run: what cannot be finished goes again.
    let mut copied = run.begin(&to)?;
    io::copy(&mut file, copied.file())?;
    copied.finish()
}

/// The place of a tool's file in the run.
fn below(name: &Path) -> String {
    format!("{RAW}/{OUTPUT_FILES}/{}", name.to_string_lossy())
}

/// The files that are archived of the tool, in the order of their names, and why one is not among
/// them.
///
/// # Errors
///
/// Where one cannot be read, with its name.
pub(super) fn read(run: &RunDirectory) -> io::Result<(Vec<OutputFile>, Vec<String>)> {
    let run = run.opened()?;
    let target = format!("{RAW}/{OUTPUT_FILES}");
    let found = match run.directory(&target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        target => files::walk(&target?)?,
    };
    let (mut files, mut problems, mut left) = (Vec::new(), Vec::new(), MOST_READ);
    let is_file = |found: &Found| found.kind == FileType::RegularFile && found.is_whole();
    for found in found.into_iter().filter(is_file) {
        let path = format!("{target}/{}", found.path);
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
        if found.bytes > left || files.len() == MOST_FILES {
            problems.push(format!("{path}: is too large to be read"));
            continue;
        }
        let bytes = run.read(&path, left).map_err(at)?;
        left -= bytes.len() as u64;
        files.push(OutputFile { path, bytes });
    }
    Ok((files, problems))
}
