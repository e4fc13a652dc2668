//! Copies the files that a tool wrote into the run, so that the archive needs no other place.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::archive::RunDirectory;
use crate::run::manifest::Manifest;
use crate::run::{OUTPUT_FILES, RAW};
use crate::tool::{self, CommandLine, OutputFile};

/// A larger file is copied and not read: halo holds a file in memory while it reads it.
const LARGEST: u64 = 512 << 20;

/// How deep below a named directory files are looked for.
const DEPTH: usize = 4;

/// Clocks of filesystems are coarser than that of the system, by a tick of the kernel at most.
const COARSE: Duration = Duration::from_millis(20);

/// Where the files of a run's tool are kept.
pub(super) fn directory(run: &RunDirectory) -> PathBuf {
    run.join(RAW).join(OUTPUT_FILES)
}

/// Copies what the tool wrote since its command was started, or the recording where nobody knows that. What is there already stays, so that a
/// run can be closed twice.
///
/// Files that it names and that are older are of an earlier run: they are told and left alone.
pub(super) fn collect(
    run: &RunDirectory,
    manifest: &mut Manifest,
    started: Timestamp,
    until: SystemTime,
) {
    let argv: Vec<OsString> = manifest.command.executed.iter().map(OsString::from).collect();
    let Some((tool, program)) = tool::recognize(&argv) else { return };
    let Ok(age) = Duration::try_from(started.duration_since(Timestamp::UNIX_EPOCH)) else { return };
    let since = SystemTime::UNIX_EPOCH + age - COARSE;
    let variable = |name: &str| variable(&argv[..program], name);
    let working = Path::new(&manifest.command.directory);
    let target = directory(run);
    let mut problems = Vec::new();
    let mut stale = Vec::new();
    for place in tool.places(&CommandLine { argv: &argv, program, variable: &variable }) {
        let from = working.join(&place.path);
        // What the tool was told to write here is here.
        if from.starts_with(run.path()) || target.starts_with(&from) {
            continue;
        }
        let name = from.file_name().map(PathBuf::from).unwrap_or_default();
        let mut found = Vec::new();
        find(&from, &name, 0, &mut found);
        for (file, name) in found {
            let text = name.as_os_str().as_bytes();
            if !place.endings.iter().any(|ending| text.ends_with(ending.as_bytes())) {
                continue;
            }
            let times = fs::metadata(&file).and_then(|about| {
                let written = about.modified()?;
                // Not every filesystem tells when a file was made.
                Ok((written, about.created().unwrap_or(written)))
            });
            match times {
                Ok((written, _)) if written < since => stale.push(file),
                Ok((_, made)) if made > until => {}
                Ok((written, _)) => {
                    if written > until {
                        problems.push(format!(
                            "{}: was written after the recording ended; a later run may have done it",
                            file.display()
                        ));
                    }
                    if let Err(error) = copy(&file, &target.join(&name)) {
                        problems.push(format!("{}: is not archived: {error}", file.display()));
                    }
                }
                Err(error) => problems.push(format!("{}: {error}", file.display())),
            }
        }
    }
    // Many tools keep what earlier runs wrote: that is worth a word only where nothing new came.
    let has_new = fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_some());
    if let Some(file) = stale.first().filter(|_| !has_new) {
        let more =
            if stale.len() > 1 { format!(" and {} more", stale.len() - 1) } else { String::new() };
        problems.push(format!(
            "{}{more}: of an earlier run, so left out; this run wrote no such file",
            file.display()
        ));
    }
    for problem in problems {
        if !manifest.problems.contains(&problem) {
            manifest.problems.push(problem);
        }
    }
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

/// The files at or below a path, with their names from there on.
fn find(path: &Path, name: &Path, depth: usize, found: &mut Vec<(PathBuf, PathBuf)>) {
    // A link may lead anywhere.
    let Ok(about) = fs::symlink_metadata(path) else { return };
    if about.is_file() {
        found.push((path.to_owned(), name.to_owned()));
    } else if about.is_dir() && depth < DEPTH {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        for entry in names {
            find(&path.join(&entry), &name.join(&entry), depth + 1, found);
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".unfinished");
    fs::copy(from, &unfinished)?;
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, to)
}

/// The files that are archived of the tool, in the order of their names.
///
/// # Errors
///
/// Where one cannot be read, with its name.
pub(super) fn read(run: &RunDirectory) -> io::Result<Vec<OutputFile>> {
    let mut found = Vec::new();
    find(&directory(run), &Path::new(RAW).join(OUTPUT_FILES), 0, &mut found);
    let mut files = Vec::new();
    for (file, name) in found {
        let path = name.to_string_lossy().into_owned();
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
        if fs::metadata(&file).map_err(at)?.len() > LARGEST {
            return Err(at(io::ErrorKind::FileTooLarge.into()));
        }
        let bytes = fs::read(&file).map_err(at)?;
        files.push(OutputFile { path, bytes });
    }
    Ok(files)
}
