//! The models of the catalog as text for a terminal: which are there, and which fit.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::screen;
use super::terminal::{align_right, plain_table};
use crate::plan::catalog::Entry;
use crate::plan::files::Place;
use crate::plan::memory::{Bounds, Fit, GIB, MARGIN, Memory};
use crate::{gguf, quantity};

const COLUMNS: [&str; 8] =
    ["model", "category", "quant", "state", "size", "fits", "now", "file, or how to get it"];

/// Those of which a narrow terminal has no room, the first to go first: a command that is broken into
/// lines cannot be copied.
const OPTIONAL: [&str; 5] = [COLUMNS[7], "category", "now", "quant", "fits"];

/// A model in a list.
#[derive(Debug, Serialize)]
pub struct ListedModel {
    /// What the catalog says of it.
    #[serde(flatten)]
    pub entry: Entry,
    /// `present`, `parts missing`, `broken` or `missing`.
    pub state: &'static str,
    /// Its file, or its first part.
    pub path: Option<PathBuf>,
    /// Its size in bytes, where it is there.
    pub bytes: Option<u64>,
    /// How many parts it has.
    pub parts: Option<usize>,
    /// The parts that are missing.
    pub missing: Vec<String>,
    /// Why its file cannot be used.
    pub problem: Option<String>,
    /// Whether it fits where nothing else is there; none is unknown.
    pub fits: Option<bool>,
    /// Whether it fits beside what is there now.
    pub fits_now: Option<bool>,
    /// What its header calls it.
    pub general_name: Option<String>,
    /// How its weights are stored, as its header says: `Q4_K_M`.
    pub quantization: Option<&'static str>,
    /// The command that downloads it, where it is not there.
    pub download: Option<String>,
}

impl ListedModel {
    /// What there is to say of a model. `directory` is where it would be downloaded to.
    pub fn new(entry: Entry, place: Place, memory: &Memory, directory: Option<&Path>) -> Self {
        let fit = match &place {
            Place::Here { bytes, .. } => memory.fits(*bytes),
            _ => entry.size_gb.map_or(Fit::default(), |size| memory.fits_listed(size)),
        };
        let mut listed = Self {
            state: "missing",
            path: None,
            bytes: None,
            parts: None,
            missing: Vec::new(),
            problem: None,
            fits: fit.alone,
            fits_now: fit.now,
            general_name: None,
            quantization: None,
            download: directory.and_then(|directory| entry.download(directory)),
            entry,
        };
        match place {
            Place::Here { path, bytes, parts } => {
                listed.state = "present";
                (listed.path, listed.bytes, listed.parts) = (Some(path), Some(bytes), Some(parts));
                listed.download = None;
            }
            Place::PartsMissing { path, missing, parts } => {
                listed.state = "parts missing";
                (listed.path, listed.parts, listed.missing) = (Some(path), Some(parts), missing);
            }
            Place::Broken(problem) => {
                listed.state = "broken";
                listed.problem = Some(problem);
            }
            Place::Missing => {}
        }
        listed
    }

    /// Takes over what its header says.
    pub fn describe(&mut self, header: &BTreeMap<String, Value>) {
        let name = header.get("general.name").and_then(Value::as_str).map(str::trim);
        self.general_name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        self.quantization = gguf::file_type(header);
    }

    /// Its size in GB of 10⁹ bytes: of its file, else about what the catalog lists.
    pub fn gigabytes(&self) -> Option<f64> {
        self.bytes.map(|bytes| bytes as f64 / 1e9).or(self.entry.size_gb)
    }

    /// Where it is, or what is wrong and how it is got.
    fn where_or_how(&self) -> String {
        let parts = self.parts.filter(|parts| *parts > 1);
        let here = self.path.as_ref().filter(|_| self.state == "present").map(|path| {
            let parts = parts.map_or_else(String::new, |parts| format!(" ({parts} parts)"));
            let name = self.general_name.as_ref().filter(|name| **name != self.entry.name);
            let name = name.map_or_else(String::new, |name| format!(" ({name})"));
            format!("{}{parts}{name}", path.display())
        });
        let missing = parts
            .filter(|_| !self.missing.is_empty())
            .map(|parts| format!("{} of {parts} parts are missing", self.missing.len()));
        let pieces = [here, missing, self.problem.clone(), self.download.clone()];
        pieces.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// A list of models, and what their fitting was measured with.
pub fn models(models: &[ListedModel], memory: &Memory) -> String {
    let mut table = plain_table(&COLUMNS);
    for model in models {
        let entry = &model.entry;
        let listed = entry.size_gb.map_or_else(String::new, |size| format!("listed {size} GB"));
        table.add_row([
            entry.name.clone(),
            entry.category.map_or("", |category| category.as_str()).to_owned(),
            model.quantization.unwrap_or_default().to_owned(),
            model.state.to_owned(),
            model.bytes.map_or(listed, |bytes| quantity::bytes(bytes as f64)),
            answer(model.fits).to_owned(),
            answer(model.fits_now).to_owned(),
            model.where_or_how(),
        ]);
    }
    align_right(&mut table, &[4]);
    let text = screen::table(&table, &OPTIONAL);
    let mut legend = format!(
        "fits: with {:.1} GiB for context and buffers in the GPU's memory, GTT and VRAM: {}; now: in \
         what is free of it: {}",
        MARGIN / GIB,
        size(&memory.size),
        size(&memory.free)
    );
    legend.push('\n');
    for (name, bounds) in [("all", &memory.size), ("free", &memory.free)] {
        if !bounds.evidence.is_empty() {
            let _ = writeln!(legend, "{name}: {}", bounds.evidence);
        }
    }
    format!("{text}\n{}", screen::wrapped(&legend, 2))
}

/// A size of which only bounds may be known.
pub fn size(bounds: &Bounds) -> String {
    let gib = |bytes: f64| format!("{:.1} GiB", bytes / GIB);
    match (bounds.least, bounds.most) {
        (Some(least), Some(most)) if least < most => {
            format!("{:.1} to {}", least / GIB, gib(most))
        }
        (Some(least), Some(_)) => gib(least),
        (Some(least), None) => format!("at least {}", gib(least)),
        (None, Some(most)) => format!("at most {}", gib(most)),
        (None, None) => "unknown".to_owned(),
    }
}

const fn answer(fits: Option<bool>) -> &'static str {
    match fits {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}
