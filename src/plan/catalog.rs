//! The models that are known by name: `configs/models.toml` and the user's own file.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{self, Files};
use super::{Refusal, own_file};
use crate::record::model;

const KIND: own_file::Kind = own_file::Kind {
    key: "model",
    file: "models.toml",
    shipped: include_str!("../../configs/models.toml"),
    flag: "--catalog",
};

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Small: to see whether anything works.
    Smoke,
    /// All of it computes for every token.
    Dense,
    /// A mixture of experts.
    Moe,
    /// Guesses for a larger one.
    Draft,
}

impl Category {
    /// Its name, as the user gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Dense => "dense",
            Self::Moe => "moe",
            Self::Draft => "draft",
        }
    }
}

/// A model that is known by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// What it is called here.
    pub name: String,
    /// Where it is on Hugging Face; none for a file that the user names.
    pub repository: Option<String>,
    /// Its file in the repository, of a split one the first part; or the whole path of a file that
    /// the user names.
    pub file: PathBuf,
    /// About how large it is, in GB or GiB; none for a file that the user names.
    pub size_gb: Option<f64>,
    /// What it is for; none for a file that the user names.
    pub category: Option<Category>,
    /// For people.
    pub description: String,
}

impl Entry {
    /// A file that stands in no catalog.
    pub(super) fn of_file(path: &Path, name: String) -> Self {
        Self {
            name,
            repository: None,
            file: path.to_owned(),
            size_gb: None,
            category: None,
            description: String::new(),
        }
    }

    /// The command that downloads it into a directory of models, where it can be downloaded: a
    /// directory of its own below it, so that files of one name do not replace each other.
    pub fn download(&self, directory: &Path) -> Option<String> {
        let repository = self.repository.as_ref()?;
        let into = directory.join(repository);
        let files: Vec<String> =
            model::parts(&self.file).iter().map(|file| quoted(&file.to_string_lossy())).collect();
        Some(format!(
            "hf download {repository} {} --local-dir {}",
            files.join(" "),
            quoted(&into.to_string_lossy())
        ))
    }
}

/// A pattern of names.
fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    if word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c)) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The models that are known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
}

/// An entry of a file, where everything but the description is needed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    name: String,
    repository: String,
    file: PathBuf,
    size_gb: f64,
    category: Category,
    #[serde(default)]
    description: String,
}

impl Shape {
    /// What is wrong with it.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = own_file::fault_of_name(&self.name).into_iter().collect();
        let is_part = |part: &str| !part.is_empty() && !part.starts_with(['-', '.']);
        if !self.repository.split('/').all(is_part) || self.repository.split('/').count() != 2 {
            faults.push("repository: expected ORGANIZATION/NAME".to_owned());
        }
        let is_below = self.file.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below || !files::is_model(&self.file) || self.file.to_string_lossy().starts_with('-')
        {
            faults.push(
                "file: expected the model's .gguf file in the repository, no mmproj; a file of \
                 this machine is named instead of a model, without a catalog"
                    .to_owned(),
            );
        }
        if model::parts(&self.file).first() != Some(&self.file) {
            faults.push("file: expected the first part of the split model".to_owned());
        }
        if !(self.size_gb.is_finite() && self.size_gb > 0.0) {
            faults.push("size_gb: expected a number above 0".to_owned());
        }
        faults
    }
}

impl From<Shape> for Entry {
    fn from(shape: Shape) -> Self {
        Self {
            name: shape.name,
            repository: Some(shape.repository),
            file: shape.file,
            size_gb: Some(shape.size_gb),
            category: Some(shape.category),
            description: shape.description,
        }
    }
}

impl Catalog {
    /// The shipped models with the user's own, from the file that is named, else from
    /// `~/.config/halo/models.toml`. One of the same name replaces a shipped one.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in the files, with the file, the entry and the key.
    pub fn load(own: Option<&Path>) -> Result<Self, Vec<Refusal>> {
        let files = KIND.load::<Shape>(own)?;
        let shapes = own_file::merge(KIND, files, |shape| &shape.name, Shape::faults)?;
        Ok(Self { entries: shapes.into_iter().map(Entry::from).collect() })
    }

    /// With the models that were found and that stand in no catalog, behind the others.
    #[must_use]
    pub fn with_files(mut self, files: &Files) -> Self {
        self.entries.extend(files.unlisted(&self.entries));
        self
    }

    /// All models.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The models in whose name one of the texts stands, whatever its case, of these categories;
    /// without a text or category all of them. A text with `*` or `?` is a pattern of a whole name or
    /// path. A text that is the path of a GGUF file is that one, whatever the categories.
    ///
    /// # Errors
    ///
    /// Each text that finds nothing, with names that are near to it.
    pub fn select(
        &self,
        texts: &[String],
        categories: &[Category],
    ) -> Result<Vec<Entry>, Vec<Refusal>> {
        let is_wanted = |entry: &&Entry| {
            categories.is_empty()
                || entry.category.is_some_and(|category| categories.contains(&category))
        };
        if texts.is_empty() {
            return Ok(self.entries.iter().filter(is_wanted).cloned().collect());
        }
        let (mut found, mut refusals): (Vec<Entry>, Vec<Refusal>) = (Vec::new(), Vec::new());
        let mut add = |entry: &Entry| {
            if !found.contains(entry) {
                found.push(entry.clone());
            }
        };
        for text in texts {
            match file(text) {
                Some(Ok(path)) => {
                    add(&self.of_path(&path));
                    continue;
                }
                Some(Err(refusal)) => {
                    refusals.push(refusal);
                    continue;
                }
                None => {}
            }
            if is_pattern(text) && text.contains('/') {
                let files = Files::matching(text);
                if files.is_empty() {
                    refusals.push(Refusal(format!(
                        "model {text:?}: no model's file matches it; `halo-record models` lists all"
                    )));
                }
                for path in files {
                    add(&self.of_path(&path));
                }
                continue;
            }
            let matching = self.named(text);
            let wanted: Vec<&Entry> = matching.iter().copied().filter(is_wanted).collect();
            for entry in &wanted {
                add(entry);
            }
            if matching.is_empty() {
                refusals.push(self.unknown(text));
            } else if wanted.is_empty() {
                let names: Vec<&str> = matching.iter().map(|entry| entry.name.as_str()).collect();
                let categories: Vec<&str> = categories.iter().map(|c| c.as_str()).collect();
                refusals.push(Refusal(format!(
                    "model {text:?}: not of the category {}: {}; leave --category or the name away",
                    categories.join(" or "),
                    names.join(", ")
                )));
            }
        }
        if refusals.is_empty() { Ok(found) } else { Err(refusals) }
    }

    /// The entry of a file: that of a file that was found, so that it has one name.
    fn of_path(&self, path: &Path) -> Entry {
        let known = self.entries.iter().find(|entry| entry.file == path);
        known.cloned().unwrap_or_else(|| Entry::of_file(path, model::at(path).title()))
    }

    fn named(&self, text: &str) -> Vec<&Entry> {
        let part = text.to_lowercase();
        if is_pattern(text) {
            let file = |entry: &Entry| {
                entry.file.file_name().map(|name| name.to_string_lossy().into_owned())
            };
            let is_meant = |entry: &&Entry| {
                crate::near::matches(text, &entry.name)
                    || file(entry).is_some_and(|name| crate::near::matches(text, &name))
            };
            return self.entries.iter().filter(is_meant).collect();
        }
        // Nothing stands in every name, and nobody means that by it.
        let is_named =
            |entry: &&Entry| !part.is_empty() && entry.name.to_lowercase().contains(&part);
        self.entries.iter().filter(is_named).collect()
    }

    fn unknown(&self, text: &str) -> Refusal {
        let near = crate::near::near(text, self.entries.iter().map(|entry| entry.name.as_str()));
        let near = match near.as_slice() {
            [] => String::new(),
            near => format!("; near are {}", near.join(", ")),
        };
        Refusal(format!(
            "model {text:?}: it stands in no name of the catalog and is no file, nor is one in the \
             directories of models called so{near}; `halo-record models` lists all"
        ))
    }
}

/// A model that is a file which the user names; none where the text is no path.
fn file(text: &str) -> Option<Result<PathBuf, Refusal>> {
    let path = Path::new(text);
    let is_gguf = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    if !is_gguf || !path.is_file() {
        return None;
    }
    if !files::is_model_file(path) {
        return Some(Err(Refusal(format!(
            "{text}: this goes beside a model (mmproj, imatrix or adapter); it is not a model, name the model's own file"
        ))));
    }
    let path = std::path::absolute(path).ok()?;
    model::parts(&path).into_iter().next().map(Ok)
}
