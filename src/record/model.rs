//! What is known about the model file of a run: its size, its metadata and its hash.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gguf;
use crate::hash::sha256;
use crate::redact::keys;
use crate::run::manifest::Model;
use crate::run::model::title;
pub use crate::run::model::{name_of_file, parts};

/// What was found out about a model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// What is known; the name and the file always are.
    pub model: Model,
    /// What could not be found out, and why: one sentence each. None of it stops a run: the path
    /// may be that of a container.
    pub problems: Vec<String>,
}

/// How many blocks of a file its fingerprint is made of, evenly over it.
const SAMPLES: u64 = 64;

/// How large they are: a page, so that a model on a slow disk costs a moment.
const SAMPLE: u64 = 4096;

/// Describes a model file. Its hash is made where `hash` says so, and remembered in `cache`: a
/// large model takes minutes. The hash of a split model is that of all its parts, one after the
/// other, as `cat` would give them to `sha256sum`.
pub fn describe(file: &Path, hash: bool, cache: Option<&Path>) -> Description {
    let mut model = at(file);
    let mut problems = Vec::new();
    match metadata(file) {
        Ok(metadata) => {
            model.metadata = metadata;
            for (name, value) in &mut model.metadata {
                keys::hide_in_json(name, value);
            }
        }
        Err(problem) => problems.push(problem),
    }
    if let Some(name) = model.metadata.get("general.name").and_then(|name| name.as_str()) {
        // Some converters write an empty one.
        if !name.trim().is_empty() {
            name.trim().clone_into(&mut model.name);
        }
    }
    // One sentence is enough where the file itself cannot be opened.
    if problems.is_empty() || file.is_file() {
        match Parts::of(file) {
            Ok(parts) => {
                model.bytes = Some(parts.bytes);
                match parts.fingerprint() {
                    Ok(fingerprint) => model.fingerprint = Some(fingerprint),
                    Err(error) => problems.push(about(file, &error)),
                }
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

/// A model of which nothing is known but its file's path.
pub fn at(file: &Path) -> Model {
    let name = file.file_name().unwrap_or(file.as_os_str());
    Model {
        name: name.to_string_lossy().into_owned(),
        file: file.to_string_lossy().into_owned(),
        ..Model::default()
    }
}

/// A model of which nothing is known but how the command names it, which is no file.
pub fn referred(reference: &str) -> Model {
    Model {
        name: title("", "", Some(reference)),
        reference: Some(reference.to_owned()),
        ..Model::default()
    }
}

/// Finds out what can be found out about models whose files became known by what the tool said: of
/// `-hf` nobody knows the file before the tool has got it.
pub fn complete(models: &mut [Model]) {
    let is_new = |model: &&mut Model| model.bytes.is_none() && model.metadata.is_empty();
    for model in models.iter_mut().filter(is_new) {
        let file = Path::new(&model.file);
        if file.is_file() {
            let reference = model.reference.take();
            *model = Model { reference, ..describe(file, false, None).model };
        }
    }
}

/// A model of which nothing is known but what its server calls it.
pub fn served(name: &str) -> Model {
    Model { name: name.to_owned(), ..Model::default() }
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

/// The short metadata of a GGUF file's header.
///
/// # Errors
///
/// Where it is no file, or none of GGUF, with the path.
pub fn metadata(path: &Path) -> Result<BTreeMap<String, serde_json::Value>, String> {
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

    /// The hash of the size and of [`SAMPLES`] blocks of each part. Fine-tunes of one model may have
    /// the same header and size; almost all their weights differ.
    fn fingerprint(&self) -> io::Result<String> {
        let mut sampled = self.bytes.to_le_bytes().to_vec();
        for path in &self.paths {
            let mut file = File::open(path)?;
            let length = file.metadata()?.len();
            for sample in 0..SAMPLES {
                file.seek(SeekFrom::Start(length / SAMPLES * sample))?;
                (&mut file).take(SAMPLE).read_to_end(&mut sampled)?;
            }
        }
        sha256([Ok(Cursor::new(sampled))]).map(|(hash, _)| hash)
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
