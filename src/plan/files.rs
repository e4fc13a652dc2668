//! Where the files of models are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::catalog::Entry;
use crate::record::model;

/// Directories below which models are looked for where the user names none: those of the toolkit,
/// of llama.cpp (`LLAMA_CACHE`) and of Hugging Face.
const USUAL: [&str; 5] = [
    "models",
    ".local/share/halo/models",
    ".cache/llama.cpp",
    ".cache/huggingface/hub",
    ".lmstudio/models",
];

/// The directory that the toolkit keeps models in.
const TOOLKIT: &str = "/data/models";

/// How deep a model may lie: Hugging Face's cache needs four.
const DEEPEST: usize = 8;

/// More files than this are in no directory of models.
const MOST: usize = 100_000;

/// The model files of this machine.
#[derive(Debug, Clone, Default)]
pub struct Files(Vec<PathBuf>);

/// A model and its file.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// It is there.
    Here {
        /// Its file, or the first part of it.
        path: PathBuf,
        /// Its size in bytes, all parts together.
        bytes: u64,
        /// How many parts it has.
        parts: usize,
    },
    /// Something of it is there and cannot be used; why.
    Broken(String),
    /// It is not there.
    Missing,
}

impl Files {
    /// Looks below directories; below the usual ones where none are named.
    pub fn find(directories: &[PathBuf]) -> Self {
        let mut walk = Walk::default();
        if directories.is_empty() {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            for directory in USUAL.iter().map(|name| home.join(name)).chain([TOOLKIT.into()]) {
                walk.enter(&directory, 0);
            }
        }
        for directory in directories {
            walk.enter(directory, 0);
        }
        Self(walk.found)
    }

    /// Where the file of a model is.
    pub fn place(&self, entry: &Entry) -> Place {
        if entry.file.is_absolute() {
            return described(&entry.file);
        }
        let mut named: Vec<&PathBuf> =
            self.0.iter().filter(|path| is_called(path, &entry.file)).collect();
        // Files of one name in several repositories are told apart by their directories.
        named.sort_by_key(|path| !is_of(path, entry));
        named.first().map_or(Place::Missing, |path| described(path))
    }
}

/// Whether a path ends as an entry says; llama.cpp puts the repository before the file's name.
fn is_called(path: &Path, file: &Path) -> bool {
    if path.ends_with(file) {
        return true;
    }
    let (Some(path), Some(file)) = (path.file_name(), file.file_name()) else { return false };
    path.to_string_lossy().ends_with(&format!("_{}", file.to_string_lossy()))
}

fn is_of(path: &Path, entry: &Entry) -> bool {
    let Some(repository) = &entry.repository else { return false };
    let path = path.to_string_lossy();
    [repository.clone(), repository.replace('/', "--"), repository.replace('/', "_")]
        .iter()
        .any(|form| path.contains(form.as_str()))
}

fn described(path: &Path) -> Place {
    match model::size(path) {
        Ok((bytes, parts)) => Place::Here { path: path.to_owned(), bytes, parts },
        Err(problem) => Place::Broken(problem),
    }
}

#[derive(Default)]
struct Walk {
    found: Vec<PathBuf>,
    /// Where it has been, since links may lead in circles.
    entered: BTreeSet<PathBuf>,
    seen: usize,
}

impl Walk {
    fn enter(&mut self, directory: &Path, depth: usize) {
        let Ok(real) = fs::canonicalize(directory) else { return };
        if depth > DEEPEST || !self.entered.insert(real) {
            return;
        }
        let Ok(entries) = fs::read_dir(directory) else { return };
        let mut paths: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort_unstable();
        for path in paths {
            self.seen += 1;
            if self.seen > MOST {
                return;
            }
            if path.is_dir() {
                self.enter(&path, depth + 1);
            } else if is_model(&path) {
                self.found.push(path);
            }
        }
    }
}

/// Whether a file is a model by its name: `mmproj-*` files are what a model sees with.
fn is_model(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    Path::new(&name).extension().is_some_and(|end| end == "gguf")
        && !name.starts_with("mmproj")
        && !name.contains("_mmproj-")
}
