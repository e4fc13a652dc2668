//! The models that are known by name: `configs/models.toml` and the user's own file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Refusal, own_file};

/// The catalog that halo ships.
const SHIPPED: &str = include_str!("../../configs/models.toml");

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

/// A model that is known by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is called here.
    pub name: String,
    /// Where it is on Hugging Face; none for a file that the user names.
    pub repository: Option<String>,
    /// The name of its file, or the path of one that the user names.
    pub file: PathBuf,
    /// About how large it is, in GB or GiB; none for a file that the user names.
    pub size_gb: Option<f64>,
    /// What it is for.
    pub category: Option<Category>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

impl Entry {
    /// The command that downloads it, where it can be downloaded.
    pub fn download(&self) -> Option<String> {
        let repository = self.repository.as_ref()?;
        Some(format!("hf download {repository} {}", self.file.display()))
    }
}

/// The models that are known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<Shape>,
}

/// An entry of a file, where everything but the description is needed.
#[derive(Deserialize)]
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

impl Catalog {
    /// The shipped models with the user's own, from the file that is named, else from
    /// `~/.config/halo/models.toml`.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, with the file, the line and the key.
    pub fn load(own: Option<&Path>) -> Result<Self, Refusal> {
        let mut catalog = Self::default();
        catalog.add("configs/models.toml", own_file::parse("configs/models.toml", SHIPPED)?)?;
        if let Some(path) = own_file::own_file(own, "models.toml")? {
            catalog.add(&path.display().to_string(), own_file::read(&path)?)?;
        }
        Ok(catalog)
    }

    fn add(&mut self, name: &str, file: File) -> Result<(), Refusal> {
        let mut seen: Vec<String> = Vec::new();
        for shape in file.model {
            let refuse = |what: &str| Refusal(format!("{name}: model {:?}: {what}", shape.name));
            if shape.name.is_empty() || shape.file.as_os_str().is_empty() {
                return Err(refuse("name and file must not be empty"));
            }
            if seen.contains(&shape.name) {
                return Err(refuse("stands there twice; rename one"));
            }
            if !(shape.size_gb.is_finite() && shape.size_gb > 0.0) {
                return Err(refuse("size_gb must be above 0"));
            }
            seen.push(shape.name.clone());
            let entry = Entry {
                name: shape.name,
                repository: Some(shape.repository),
                file: shape.file,
                size_gb: Some(shape.size_gb),
                category: Some(shape.category),
                description: shape.description,
            };
            match self.entries.iter_mut().find(|known| known.name == entry.name) {
                Some(known) => *known = entry,
                None => self.entries.push(entry),
            }
        }
        Ok(())
    }

    /// The models in whose name one of the texts stands, whatever its case, of these categories;
    /// without a text or category all of them. A text that is the path of a GGUF file is that.
    ///
    /// # Errors
    ///
    /// Where texts find nothing: those.
    pub fn select(&self, texts: &[String], categories: &[Category]) -> Result<Vec<Entry>, Refusal> {
        let is_wanted = |entry: &Entry| {
            categories.is_empty()
                || entry.category.is_some_and(|category| categories.contains(&category))
        };
        if texts.is_empty() {
            return Ok(self.entries.iter().filter(|entry| is_wanted(entry)).cloned().collect());
        }
        let (mut found, mut unknown): (Vec<Entry>, Vec<&str>) = (Vec::new(), Vec::new());
        for text in texts {
            if let Some(entry) = file(text) {
                found.push(entry);
                continue;
            }
            let part = text.to_lowercase();
            let named: Vec<&Entry> =
                self.entries.iter().filter(|e| e.name.to_lowercase().contains(&part)).collect();
            if named.is_empty() {
                unknown.push(text);
            }
            for entry in named.into_iter().filter(|entry| is_wanted(entry)) {
                if !found.contains(entry) {
                    found.push(entry.clone());
                }
            }
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        let known: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        Err(Refusal(format!(
            "{}: no such model and no such file; there are {}",
            unknown.join(", "),
            known.join(", ")
        )))
    }
}

/// A model that is a file which the user names.
fn file(text: &str) -> Option<Entry> {
    let path = Path::new(text);
    if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf")) || !path.is_file() {
        return None;
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Some(Entry {
        name,
        repository: None,
        file: std::path::absolute(path).ok()?,
        size_gb: None,
        category: None,
        description: String::new(),
    })
}
