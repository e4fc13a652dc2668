//! What is known about the model file of a run: its size, its metadata and its hash.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gguf;
use crate::hash::sha256;
use crate::run::manifest::Model;

/// What was found out about a model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// What is known; the name and the file always are.
    pub model: Model,
    /// What could not be found out, and why: one sentence each. None of it stops a run: the path
    /// may be that of a container.
    pub problems: Vec<String>,
}

/// Describes a model file. Its hash is made where `hash` says so, and remembered in `cache`: a
/// large model takes minutes. The hash of a split model is that of all its parts, one after the
/// other, as `cat` would give them to `sha256sum`.
pub fn describe(file: &Path, hash: bool, cache: Option<&Path>) -> Description {
    let name = file.file_name().unwrap_or(file.as_os_str());
    let mut model = Model {
        name: name.to_string_lossy().into_owned(),
        file: file.to_string_lossy().into_owned(),
        bytes: None,
        sha256: None,
        metadata: BTreeMap::new(),
    };
    let mut problems = Vec::new();
    match metadata(file) {
        Ok(metadata) => model.metadata = metadata,
        Err(problem) => problems.push(problem),
    }
    if let Some(name) = model.metadata.get("general.name").and_then(|name| name.as_str()) {
        name.trim().clone_into(&mut model.name);
    }
    // One sentence is enough where the file itself cannot be opened.
    if problems.is_empty() || file.is_file() {
        match Parts::of(file) {
            Ok(parts) => {
                model.bytes = Some(parts.bytes);
                if hash {
                    match parts.hash(cache, &mut problems) {
                        Ok(sha256) => model.sha256 = Some(sha256),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    Description { model, problems }
}

/// A model of which nothing is known but what its server calls it.
pub fn served(name: &str) -> Model {
    Model {
        name: name.to_owned(),
        file: String::new(),
        bytes: None,
        sha256: None,
        metadata: BTreeMap::new(),
    }
}

/// The size of a model file in bytes, all parts of a split one together, and how many parts it has.
///
/// # Errors
///
/// Where it or a part of it is not there, with the path.
pub fn size(file: &Path) -> Result<(u64, usize), String> {
    Parts::of(file).map(|parts| (parts.bytes, parts.paths.len()))
}

/// Where hashes are remembered: `model-hashes.json` below the cache directory, as `XDG_CACHE_HOME`
/// and `HOME` tell.
pub fn cache_path(xdg_cache_home: Option<&OsStr>, home: Option<&OsStr>) -> Option<PathBuf> {
    // The specification tells to ignore paths that are not absolute.
    let given = xdg_cache_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let directory = given.or_else(|| {
        home.map(|home| Path::new(home).join(".cache")).filter(|path| path.is_absolute())
    });
    Some(directory?.join("halo/model-hashes.json"))
}

fn metadata(path: &Path) -> Result<BTreeMap<String, serde_json::Value>, String> {
    let mut file = BufReader::new(open(path)?);
    gguf::metadata(&mut file).map_err(|refusal| format!("{}: {refusal}", path.display()))
}

/// Opens a regular file; a FIFO would keep halo waiting for ever.
fn open(path: &Path) -> Result<File, String> {
    regular(path)?;
    File::open(path).map_err(|error| about(path, &error))
}

fn regular(path: &Path) -> Result<Metadata, String> {
    let metadata = fs::metadata(path).map_err(|error| about(path, &error))?;
    if metadata.is_file() {
        Ok(metadata)
    } else {
        Err(format!("{}: this is no file", path.display()))
    }
}

fn about(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// The file of a model, or all files of a split one in order.
struct Parts {
    paths: Vec<PathBuf>,
    identity: String,
    bytes: u64,
}

impl Parts {
    fn of(file: &Path) -> Result<Self, String> {
        let paths = parts(file);
        let mut identities = Vec::new();
        let mut bytes = 0_u64;
        for path in &paths {
            let metadata = regular(path).map_err(|problem| {
                if path == file {
                    problem
                } else {
                    format!("a part of the model is missing: {problem}")
                }
            })?;
            bytes = bytes.saturating_add(metadata.len());
            identities.push(identity(&metadata));
        }
        Ok(Self { paths, identity: identities.join(","), bytes })
    }

    fn hash(&self, cache: Option<&Path>, problems: &mut Vec<String>) -> Result<String, String> {
        let mut hashes = cache.map(Hashes::read).unwrap_or_default();
        if let Some(known) = hashes.models.iter().find(|known| known.identity == self.identity) {
            return Ok(known.sha256.clone());
        }
        for path in &self.paths {
            regular(path)?;
        }
        let (sha256, _) = sha256(self.paths.iter().map(File::open))
            .map_err(|error| about(&self.paths[0], &error))?;
        // A download that goes on would otherwise be remembered as it was in the middle.
        if Self::of(&self.paths[0])?.identity != self.identity {
            return Err(format!("{}: it changed while it was hashed", self.paths[0].display()));
        }
        if let Some(cache) = cache {
            hashes.models.push(Known { identity: self.identity.clone(), sha256: sha256.clone() });
            if let Err(error) = hashes.write(cache) {
                problems.push(format!(
                    "{}: the model's hash is not remembered: {error}",
                    cache.display()
                ));
            }
        }
        Ok(sha256)
    }
}

/// All files of a model, the first first: one, or the parts of a split one, whether they are there
/// or not. Any part's path will do.
pub fn parts(file: &Path) -> Vec<PathBuf> {
    let Some(Split { start, count, total }) = Split::of(file) else {
        return vec![file.to_owned()];
    };
    let part = |number| file.with_file_name(format!("{start}-{number:05}-of-{count}.gguf"));
    (1..=total).map(part).collect()
}

/// The name of a model file without its ending and without the number of a part.
pub fn name_of_file(file: &Path) -> String {
    match Split::of(file) {
        Some(Split { start, .. }) => start.to_owned(),
        None => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// What the name of a part of a model says, as `x-00001-of-00003.gguf`.
struct Split<'a> {
    start: &'a str,
    count: &'a str,
    total: u32,
}

impl<'a> Split<'a> {
    fn of(file: &'a Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (start, count) = name.rsplit_once("-of-")?;
        let (start, number) = start.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(number) || !digits(count) {
            return None;
        }
        let (number, total): (u32, u32) = (number.parse().ok()?, count.parse().ok()?);
        (1..=total).contains(&number).then_some(Self { start, count, total })
    }
}

/// What changes where the content of a file does.
fn identity(file: &Metadata) -> String {
    let (seconds, nanoseconds) = (file.mtime(), file.mtime_nsec());
    format!("{}:{}:{}:{seconds}.{nanoseconds:09}", file.dev(), file.ino(), file.len())
}

/// The hashes that are remembered, the newest last.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Hashes {
    models: Vec<Known>,
}

/// The hash of a model that was seen.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    /// Device, inode, size and modification time of each part.
    identity: String,
    sha256: String,
}

/// How many models are remembered; nobody compares more.
const MOST_REMEMBERED: usize = 512;

impl Hashes {
    /// What cannot be read is forgotten: it can be made again.
    fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Replaces the file in one step. It is not synchronized with the disk: after a loss of power
    /// an empty file is as good as none.
    fn write(&mut self, path: &Path) -> io::Result<()> {
        let surplus = self.models.len().saturating_sub(MOST_REMEMBERED);
        self.models.drain(..surplus);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let temporary = path.with_extension(format!("json.{}", std::process::id()));
        let written = fs::write(&temporary, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}
