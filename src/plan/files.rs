//! Where the files of models are.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf, absolute};

use super::catalog::Entry;
use crate::config::Config;
use crate::record::model;

/// How deep a model may lie: Hugging Face's cache needs four.
const DEEPEST: usize = 8;

/// More entries than this are in no directory of models.
const MOST: usize = 100_000;

/// How Hugging Face's cache calls the directory of a repository: `models--ORGANIZATION--NAME`.
const HUB: &str = "models--";

/// The model files of this machine.
#[derive(Debug, Clone, Default)]
pub struct Files {
    found: Vec<PathBuf>,
    /// Why some may be missing, one sentence each.
    pub problems: Vec<String>,
}

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
    /// Some parts of a split one are there, and these are not.
    PartsMissing {
        /// The first part, there or not.
        path: PathBuf,
        /// The names of those that are missing.
        missing: Vec<String>,
        /// How many parts it has.
        parts: usize,
    },
    /// Its file is there and cannot be used; why.
    Broken(String),
    /// It is not there.
    Missing,
}

/// Where models are looked for: below the directories that the user names, then below those of the
/// configuration. A `~/` there is the user's home.
pub fn directories(named: &[PathBuf], config: &Config) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let configured = config.models.directories.iter().filter_map(|directory| {
        match directory.strip_prefix("~") {
            Ok(below) => home.as_ref().map(|home| home.join(below)),
            Err(_) => Some(directory.clone()),
        }
    });
    // Commands of a campaign are run from elsewhere, too.
    let named = named.iter().map(|named| absolute(named).unwrap_or_else(|_| named.clone()));
    named.chain(configured).collect()
}

impl Files {
    /// Looks below directories; one that is not there has no models.
    pub fn find(directories: &[PathBuf]) -> Self {
        let mut walk = Walk::default();
        for directory in directories {
            walk.begin(directory);
        }
        Self { found: walk.found, problems: walk.problems }
    }

    /// Where the file of a model is. Of several that are called so, one counts before the others
    /// whose path names the model's repository, and then the one that was found first.
    pub fn place(&self, entry: &Entry) -> Place {
        if entry.file.is_absolute() {
            return described(&entry.file);
        }
        let names = model::parts(&entry.file);
        let candidates = self.found.iter().filter_map(|path| {
            let kinship = names.iter().filter_map(|name| kinship(path, name, entry)).min()?;
            Some((kinship, model::parts(path).into_iter().next()?))
        });
        // Of those that are as near, the one that lacks the fewest parts.
        let best = candidates.min_by_key(|(kinship, path)| {
            (*kinship, model::parts(path).iter().filter(|part| !part.is_file()).count())
        });
        best.map_or(Place::Missing, |(_, path)| described(&path))
    }
}

/// How sure it is that a file is an entry's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kinship {
    /// Its path has the whole name of the repository.
    Repository,
    /// Its path has the name of the repository without the organization.
    Name,
    /// It is called as the file.
    File,
}

/// Whether a path can be a file of an entry, and how sure that is.
fn kinship(path: &Path, file: &Path, entry: &Entry) -> Option<Kinship> {
    let repository = entry.repository.as_deref().unwrap_or_default();
    let called = path.file_name()?.to_str()?;
    // llama.cpp puts the repository before the name, and has no directories.
    let in_cache = format!("{repository}/{}", file.to_string_lossy()).replace('/', "_");
    if called.eq_ignore_ascii_case(&in_cache) {
        return Some(Kinship::Repository);
    }
    if path.file_name() != file.file_name() {
        return None;
    }
    let directories: Vec<&str> = path
        .parent()?
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    if let Some(hub) = directories.iter().rfind(|name| name.starts_with(HUB)) {
        // Here the repository is certain, and a file of another one is another model.
        let ours = format!("{HUB}{}", repository.replace('/', "--"));
        return is(hub, &ours).then_some(Kinship::Repository);
    }
    let (organization, name) = repository.split_once('/').unwrap_or(("", repository));
    if directories.windows(2).any(|pair| is(pair[0], organization) && is(pair[1], name)) {
        Some(Kinship::Repository)
    } else if directories.iter().any(|directory| is(directory, name)) {
        Some(Kinship::Name)
    } else {
        Some(Kinship::File)
    }
}

fn described(path: &Path) -> Place {
    let parts = model::parts(path);
    let name = |part: &PathBuf| part.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let missing: Vec<String> = parts.iter().filter(|part| !part.is_file()).map(name).collect();
    if !missing.is_empty() && parts.len() > 1 {
        return Place::PartsMissing { path: path.to_owned(), missing, parts: parts.len() };
    }
    if let Some(problem) = parts.iter().find_map(|part| fault(part)) {
        return Place::Broken(problem);
    }
    match model::size(path) {
        Ok((bytes, parts)) => Place::Here { path: path.to_owned(), bytes, parts },
        Err(problem) => Place::Broken(problem),
    }
}

/// What is wrong with a file, as its first bytes tell: a checkout without git-lfs has texts in the
/// place of models, and a download that failed may leave an empty file.
fn fault(path: &Path) -> Option<String> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Some(format!("{}: {error}", path.display()))
        }
        Ok(()) if magic == *b"GGUF" => None,
        _ => Some(format!("{}: this is no GGUF file; download it again", path.display())),
    }
}

#[derive(Default)]
struct Walk {
    found: Vec<PathBuf>,
    problems: Vec<String>,
    /// Where it has been, since links may lead in circles.
    entered: BTreeSet<PathBuf>,
    /// How many entries it has seen below the directory that it began with.
    seen: usize,
}

impl Walk {
    fn begin(&mut self, directory: &Path) {
        self.seen = 0;
        self.enter(directory, 0);
        if self.seen > MOST {
            self.problems.push(format!(
                "{}: only the first {MOST} entries were looked at; name the directory of the \
                 models with --models-dir",
                directory.display()
            ));
        }
    }

    fn enter(&mut self, directory: &Path, depth: usize) {
        let Ok(real) = fs::canonicalize(directory) else { return };
        if depth > DEEPEST || !self.entered.insert(real) {
            return;
        }
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.problems.push(format!("{}: {error}", directory.display()));
                return;
            }
        };
        // Before they are sorted, so that a directory without end costs no more.
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .take(MOST.saturating_sub(self.seen) + 1)
            .collect();
        paths.sort_unstable();
        for path in paths {
            self.seen += 1;
            if self.seen > MOST {
                return;
            }
            if path.is_dir() {
                self.enter(&path, depth + 1);
            } else if is_model(&path) && path.is_file() {
                self.found.push(path);
            }
        }
    }
}

/// Whether a file is a model by its name: `mmproj` files are what a model sees with, and llama.cpp
/// puts the repository before their names, too.
pub(super) fn is_model(path: &Path) -> bool {
    let is_gguf = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    is_gguf && !name.starts_with("mmproj") && !name.contains("_mmproj")
}
