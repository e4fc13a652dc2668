//! Where the files of models are.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf, absolute};

use super::catalog::Entry;
use crate::config::Config;
use crate::record::model;
use crate::run::model::HUB;

/// How deep a model may lie: Hugging Face's cache needs four.
const DEEPEST: usize = 8;

/// More entries than this are in no directory of models.
const MOST: usize = 100_000;

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

    /// The models that are there and that none of these entries is: each is called as its file, with
    /// the directory before it where several are called so.
    pub fn unlisted(&self, listed: &[Entry]) -> Vec<Entry> {
        let mut real = BTreeSet::new();
        let mut own: Vec<PathBuf> = Vec::new();
        for path in &self.found {
            let first = model::parts(path).into_iter().next().unwrap_or_else(|| path.clone());
            let is_listed = listed.iter().any(|entry| is_of(path, entry));
            // One file may be found at several places.
            let is_new = real.insert(fs::canonicalize(&first).unwrap_or_else(|_| first.clone()));
            if is_new && !is_listed {
                own.push(first);
            }
        }
        own.retain(|path| !path.is_file() || is_model_file(path));
        let name = |path: &PathBuf| model::at(path).title();
        let directory = |path: &Path| path.parent()?.file_name()?.to_str().map(str::to_owned);
        let names: Vec<String> = own.iter().map(name).collect();
        let is_alone = |names: &[String], name: &String| {
            names.iter().filter(|other| *other == name).count() == 1
                && listed.iter().all(|entry| entry.name != *name)
        };
        let longer: Vec<String> = own
            .iter()
            .zip(&names)
            .map(|(path, name)| match directory(path) {
                Some(directory) if !is_alone(&names, name) => format!("{directory}/{name}"),
                _ => name.clone(),
            })
            .collect();
        own.iter()
            .zip(&longer)
            .map(|(path, name)| {
                let is_alone = is_alone(&longer, name);
                Entry::of_file(
                    path,
                    if is_alone { name.clone() } else { path.display().to_string() },
                )
            })
            .collect()
    }

    /// The files whose whole path a pattern matches.
    pub(super) fn matching(pattern: &str) -> Vec<PathBuf> {
        let is_plain = |part: &&str| !part.contains(['*', '?']);
        let base: Vec<&str> = pattern.split('/').take_while(is_plain).collect();
        let base = match base.join("/") {
            base if !base.is_empty() => PathBuf::from(base),
            _ if pattern.starts_with('/') => PathBuf::from("/"),
            _ => PathBuf::from("."),
        };
        let whole = absolute(pattern).unwrap_or_else(|_| pattern.into());
        let found = Self::find(&[absolute(&base).unwrap_or(base)]).found;
        let is_meant = |path: &PathBuf| {
            crate::near::matches(&whole.to_string_lossy(), &path.to_string_lossy())
        };
        let firsts = found
            .into_iter()
            .filter(is_meant)
            .filter_map(|path| model::parts(&path).into_iter().next());
        let mut firsts: Vec<PathBuf> = firsts.filter(|path| is_model_file(path)).collect();
        firsts.dedup();
        firsts
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

/// Whether a file is an entry's.
fn is_of(path: &Path, entry: &Entry) -> bool {
    if entry.file.is_absolute() {
        return model::parts(path).first() == Some(&entry.file);
    }
    model::parts(&entry.file).iter().any(|name| kinship(path, name, entry).is_some())
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
            } else if has_ending(&path) && !has_word(&path, "mmproj") && path.is_file() {
                // Its header is read only where nothing else decides.
                if is_model(&path) || is_model_file(&path) {
                    self.found.push(path);
                }
            }
        }
    }
}

/// Whether a file is a model by its name: `mmproj` files are what a model sees with, imatrix files
/// what it is quantized with, and both may stand anywhere in a name.
pub(super) fn is_model(path: &Path) -> bool {
    has_ending(path) && !has_word(path, "mmproj") && !has_word(path, "imatrix")
}

/// The same for a file that is there, of which its header says more than its name: models that were
/// quantized with an imatrix are called so, too. Nothing to be read leaves it to the name.
fn is_model_here(path: &Path, metadata: Option<&Metadata>) -> bool {
    let text = |key: &str| metadata?.get(key)?.as_str();
    let (kind, architecture) = (text("general.type"), text("general.architecture"));
    if kind.is_some_and(|kind| kind != "model")
        || architecture.is_some_and(|a| NO_MODELS.contains(&a))
    {
        return false;
    }
    has_ending(path) && !has_word(path, "mmproj") && (architecture.is_some() || is_model(path))
}

type Metadata = std::collections::BTreeMap<String, serde_json::Value>;

/// `general.architecture` of files that go beside a model.
const NO_MODELS: [&str; 3] = ["clip", "controlvector", "imatrix"];

/// Whether the file that a user names is a model.
pub(super) fn is_model_file(path: &Path) -> bool {
    is_model_here(path, model::metadata(path).ok().as_ref())
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

/// Whether a word stands in a file's name, between what is no letter and no digit.
fn has_word(path: &Path, word: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word)
}
