//! A run as one file for others: its manifest, tables and raw output with their hashes, without
//! what tells who and where somebody is.

mod redact;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use tar::{EntryType, Header};

pub use redact::Redactor;

use crate::archive::files::{self, Fault};
use crate::archive::{ArchiveError, Lock, RunDirectory, read, rewrite};
use crate::hash::sha256;
use crate::run::manifest::{Bundle, Manifest};
use crate::run::{JOURNAL, MANIFEST, OUTPUT_FILES, RAW};

/// How a bundle's name ends.
pub const ENDING: &str = ".tar.zst";

/// Directories below which a user's own stand.
const HOMES: [&str; 3] = ["/home/", "/var/home/", "/Users/"];

/// More than this is in no bundle: one that says so wants to fill a disk.
const LARGEST: u64 = 16 << 30;

/// Facts that look like addresses and are versions.
const VERSION: &str = "firmware";

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    /// Where it is.
    pub file: PathBuf,
    /// What was taken out, by kind, and how often.
    pub removed: BTreeMap<String, u64>,
}

/// Writes a run as a bundle.
///
/// # Errors
///
/// Where the run is unfinished, the file is there already, or something cannot be read or written.
pub fn write(run: &RunDirectory, file: &Path, is_forced: bool) -> Result<Bundled, ArchiveError> {
    let name = run.name();
    if run.join(JOURNAL).exists() {
        return Err(ArchiveError(format!("{name}: is unfinished; `halo-record recover {name}`")));
    }
    if file.exists() && !is_forced {
        return Err(ArchiveError::at(file, "is there already; --force replaces it"));
    }
    let _lock: Lock = run.lock()?;
    let manifest = run.manifest()?;
    let mut redactor = redactor(&manifest);
    let staging = beside(file, ".staging");
    let refuse = |error: io::Error| ArchiveError::at(&staging, error);
    remove(&staging)
        .and_then(|()| fs::create_dir(&staging))
        .and_then(|()| fs::create_dir(staging.join(RAW)))
        .map_err(refuse)?;
    let written = stage(run, &manifest, &staging, &mut redactor)
        .and_then(|(name, manifest)| pack(&staging, &name, &manifest, file));
    remove(&staging).map_err(refuse)?;
    written?;
    let counts = redactor.counts.into_iter();
    let removed = counts.map(|(kind, count)| (kind.to_owned(), count)).collect();
    Ok(Bundled { file: file.to_owned(), removed })
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn redactor(manifest: &Manifest) -> Redactor {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let short = host.split('.').next().unwrap_or_default().to_owned();
    let variables =
        ["USER", "LOGNAME", "SUDO_USER"].into_iter().filter_map(|v| std::env::var(v).ok());
    let mut users: BTreeSet<String> = variables.collect();
    // Who recorded it may be somebody else than who bundles it.
    let text = serde_json::to_string(manifest).unwrap_or_default();
    for home in HOMES {
        users.extend(text.split(home).skip(1).filter_map(|rest| {
            let name = rest.split(|c: char| !c.is_alphanumeric() && !"_.-".contains(c)).next()?;
            (!name.is_empty()).then(|| name.to_owned())
        }));
    }
    let users: Vec<String> = users.into_iter().collect();
    Redactor::new(&[host, short], &users, vec![manifest.id.clone()])
}

/// How files are counted that are left out.
const PACKED: &str = "packed file";

/// Writes all files of the bundle into a directory, and gives the name and the manifest of the run.
fn stage(
    run: &RunDirectory,
    manifest: &Manifest,
    staging: &Path,
    redactor: &mut Redactor,
) -> Result<(String, Manifest), ArchiveError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| ArchiveError::at(&path, error)
    };
    let mut known: HashMap<String, String> = HashMap::new();
    for table in read::names(run)? {
        rewrite::texts(run, manifest, &table, staging, |text| {
            let clean = known.entry(text.to_owned()).or_insert_with(|| redactor.clean(text));
            clean.clone()
        })?;
    }
    for file in manifest.files.iter().filter(|file| file.path.starts_with(RAW)) {
        let bytes = fs::read(run.join(&file.path)).map_err(at(&run.join(&file.path)))?;
        // What is packed cannot be looked through, as the logs of inspect-ai.
        let is_of_tool = file.path.starts_with(&format!("{RAW}/{OUTPUT_FILES}"));
        if is_of_tool && std::str::from_utf8(&bytes).is_err() {
            *redactor.counts.entry(PACKED).or_default() += 1;
            continue;
        }
        let clean = redactor.clean(&String::from_utf8_lossy(&bytes));
        let to = staging.join(redactor.clean(&file.path));
        fs::create_dir_all(to.parent().unwrap_or(staging)).map_err(at(&to))?;
        fs::write(&to, clean).map_err(at(&to))?;
    }
    let mut value =
        serde_json::to_value(manifest).map_err(|error| ArchiveError::at(run.path(), error))?;
    clean_value(&mut value, redactor);
    let mut clean: Manifest =
        serde_json::from_value(value).map_err(|error| ArchiveError::at(run.path(), error))?;
    clean.files = files::describe(staging).map_err(at(staging))?;
    clean.bundle = Some(Bundle {
        removed: redactor.counts.iter().map(|(k, count)| ((*k).to_owned(), *count)).collect(),
        originals: manifest.files.clone(),
    });
    RunDirectory::at(staging).write_manifest(&clean)?;
    Ok((redactor.clean(run.name()), clean))
}

fn clean_value(value: &mut Value, redactor: &mut Redactor) {
    match value {
        Value::String(text) => *text = redactor.clean(text),
        Value::Array(all) => all.iter_mut().for_each(|value| clean_value(value, redactor)),
        Value::Object(all) => {
            for (key, value) in all.iter_mut().filter(|(key, _)| !key.ends_with(VERSION)) {
                // Hashes and paths of files are those of the bundle, written afterwards.
                if key != "files" {
                    clean_value(value, redactor);
                }
            }
        }
        _ => {}
    }
}

/// The same run gives the same bytes: names in order, and no time or owner of this machine.
fn pack(staging: &Path, name: &str, manifest: &Manifest, file: &Path) -> Result<(), ArchiveError> {
    let unfinished = beside(file, ".unfinished");
    let pack = || -> io::Result<()> {
        let output = File::create(&unfinished)?;
        let mut packed = tar::Builder::new(zstd::Encoder::new(output, 0)?);
        let time = u64::try_from(manifest.started.as_second()).unwrap_or_default();
        let paths = manifest.files.iter().map(|file| file.path.as_str());
        for path in std::iter::once(MANIFEST).chain(paths) {
            let from = File::open(staging.join(path))?;
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(from.metadata()?.len());
            header.set_mode(0o644);
            header.set_mtime(time);
            packed.append_data(&mut header, format!("{name}/{path}"), from)?;
        }
        let output = packed.into_inner()?.finish()?;
        output.sync_all()?;
        fs::rename(&unfinished, file)
    };
    pack().map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        ArchiveError::at(file, error)
    })
}

/// What a bundle holds, held against its own hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The name of the run.
    pub run: String,
    /// How many files have hashes.
    pub files: usize,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Reads a bundle and compares its files with the hashes in its manifest.
///
/// # Errors
///
/// Where it is no bundle, or is damaged so that it cannot be read to its end.
pub fn verify(file: &Path) -> Result<Verified, ArchiveError> {
    let refuse = |error: io::Error| ArchiveError::at(file, error);
    let input = File::open(file).map_err(refuse)?;
    let unpacked = zstd::Decoder::new(input).map_err(refuse)?;
    let mut packed = tar::Archive::new(unpacked.take(LARGEST));
    let (mut found, mut manifest, mut run) = (BTreeMap::new(), None, String::new());
    for entry in packed.entries().map_err(refuse)? {
        let mut entry = entry.map_err(refuse)?;
        let path = entry.path().map_err(refuse)?.into_owned();
        let (name, inside) = member(&path, entry.header().entry_type()).ok_or_else(|| {
            ArchiveError::at(file, format_args!("{}: stands in no bundle", path.display()))
        })?;
        if !run.is_empty() && run != name {
            return Err(ArchiveError::at(file, "holds several runs"));
        }
        run = name;
        if inside == MANIFEST {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(refuse)?;
            manifest = Some(crate::archive::parse::<Manifest>(&file.join(MANIFEST), &text)?);
        } else {
            let hash = sha256([Ok(&mut entry)]).map_err(refuse)?;
            found.insert(inside, hash);
        }
    }
    let manifest = manifest.ok_or_else(|| ArchiveError::at(file, "has no manifest.json"))?;
    let mut faults = Vec::new();
    for expected in &manifest.files {
        match found.remove(&expected.path) {
            Some((hash, bytes)) if hash == expected.sha256 && bytes == expected.bytes => {}
            Some(_) => faults.push(Fault::Changed(expected.path.clone())),
            None => faults.push(Fault::Unreadable {
                path: expected.path.clone(),
                detail: "is not in the bundle".to_owned(),
            }),
        }
    }
    faults.extend(found.into_keys().map(Fault::Added));
    Ok(Verified { run, files: manifest.files.len(), faults })
}

/// The run and the file that a member of a bundle is; none where it is anything else: a link, a
/// device, a path that leads elsewhere.
fn member(path: &Path, kind: EntryType) -> Option<(String, String)> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let (run, inside) = parts.as_deref()?.split_first()?;
    let is_fit = kind == EntryType::Regular && !inside.is_empty();
    is_fit.then(|| ((*run).to_owned(), inside.join("/")))
}

impl Bundled {
    /// What was taken out, in words.
    pub fn in_words(&self) -> String {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let removed = self.removed.iter();
        let removed = removed.map(|(kind, count)| format!("{count} {kind}{}", plural(*count)));
        let removed: Vec<String> = removed.collect();
        if removed.is_empty() { "nothing".to_owned() } else { removed.join(", ") }
    }
}
