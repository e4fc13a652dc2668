//! From what the user asks for to the cells of a campaign and their commands.

use std::path::PathBuf;

use super::Refusal;
use super::backend::{self, ALL, Backend, Capabilities};
use super::catalog::{Catalog, Category, Entry};
use super::files::{Files, Place};
use super::kv::KvTypes;
use super::memory::Memory;
use super::order::Order;
use super::sweep::{self, BackendOf, Repetitions, Sweep};
use crate::run::Cell;
use crate::run::campaign::PlannedCell;

/// The backend of those who name none: the toolkit's.
pub const DEFAULT_BACKEND: &str = "llama-vulkan-radv";

/// What the user wants to measure.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Parts of models' names, or files; none means all models that are there.
    pub models: Vec<String>,
    /// Categories of models; none means all.
    pub categories: Vec<Category>,
    /// The largest model, in GB of 10⁹ bytes.
    pub max_size: Option<f64>,
    /// The user's own catalog, where it is not in its usual place.
    pub catalog: Option<PathBuf>,
    /// Where models are looked for.
    pub directories: Vec<PathBuf>,
    /// Names of backends.
    pub backends: Vec<String>,
    /// The user's own backends, where they are not in their usual place.
    pub backends_file: Option<PathBuf>,
    /// Types of the KV cache.
    pub kv_types: Vec<String>,
    /// `--batch-size`; none leaves it to llama-bench.
    pub batches: Vec<u32>,
    /// `--ubatch-size`; none leaves it to llama-bench, and to the backend for long contexts.
    pub ubatches: Vec<u32>,
    /// Depths of the long-context test, where the user names them.
    pub contexts: Option<Vec<u32>>,
    /// Whether there is no long-context test.
    pub skips_long_context: bool,
    /// Tokens of the prompt in the standard test, where the user says so.
    pub prompt: Option<u32>,
    /// Tokens that are generated, where the user says so.
    pub generation: Option<u32>,
    /// How often each test is repeated, where the user says so.
    pub repetitions: Option<u32>,
    /// The order of the cells.
    pub order: Order,
}

/// The depth of the long-context test where the user names none.
const CONTEXT: u32 = 32768;

/// The standard test's tokens of the prompt, generated tokens and repetitions, as the published
/// tests of this chip have them.
const STANDARD: (u32, u32, u32) = (512, 128, 5);

impl Asked {
    /// What is measured with each model and backend.
    fn sweep(&self) -> Result<Sweep, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut kv_types: Vec<KvTypes> = Vec::new();
        for text in &self.kv_types {
            match text.parse() {
                Ok(types) => kv_types.push(types),
                Err(wrong) => refusals.push(Refusal(format!("--kv-types: {wrong}"))),
            }
        }
        if self.skips_long_context && self.contexts.is_some() {
            refusals.push(Refusal(
                "--skip-longctx beside --context: the one leaves out what the other sets; leave one of them away".to_owned(),
            ));
        }
        let (prompt, generation, repetitions) = STANDARD;
        let sweep = Sweep {
            kv_types,
            batches: self.batches.clone(),
            ubatches: self.ubatches.clone(),
            prompt: self.prompt.unwrap_or(prompt),
            generation: self.generation.unwrap_or(generation),
            contexts: match &self.contexts {
                _ if self.skips_long_context => Vec::new(),
                Some(contexts) => contexts.clone(),
                None => vec![CONTEXT],
            },
            repetitions: self
                .repetitions
                .map_or(Repetitions::Standard(repetitions), Repetitions::Every),
            order: self.order,
        };
        if sweep.prompt == 0 && sweep.generation == 0 {
            refusals.push(Refusal(
                "--pp 0 and --tg 0: nothing is measured; give one of them tokens".to_owned(),
            ));
        }
        // What is larger than the batch is never computed at once.
        if let (Some(batch), Some(ubatch)) = (self.batches.iter().min(), self.ubatches.iter().max())
            && ubatch > batch
        {
            refusals.push(Refusal(format!(
                "--ubatch {ubatch} beside --batch {batch}: a batch is computed in parts of ubatch; make ubatch the smaller one"
            )));
        }
        if refusals.is_empty() { Ok(sweep) } else { Err(refusals) }
    }
}

/// The cells of a campaign, and what was left out of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// The cells in the order in which they run.
    pub cells: Vec<PlannedCell>,
    /// Models and backends that are left out though they were meant, each with its reason.
    pub left_out: Vec<String>,
}

/// A model that is there.
#[derive(Debug, Clone)]
struct Model {
    name: String,
    path: PathBuf,
    bytes: u64,
}

/// Builds the matrix; backends are asked which flags they know.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn build(asked: &Asked, memory: &Memory, seed: &str) -> Result<Matrix, Vec<Refusal>> {
    let mut matrix = Matrix::default();
    let (sweep, mut refusals) = match asked.sweep() {
        Ok(sweep) => (Some(sweep), Vec::new()),
        Err(refusals) => (None, refusals),
    };
    let models = models(asked, memory, &mut matrix.left_out).unwrap_or_else(|wrong| {
        refusals.extend(wrong);
        Vec::new()
    });
    let backends = backends(asked, &mut matrix.left_out).unwrap_or_else(|wrong| {
        refusals.extend(wrong);
        Vec::new()
    });
    let Some(sweep) = sweep.filter(|_| refusals.is_empty()) else { return Err(refusals) };
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    let of: Vec<BackendOf<'_>> = backends
        .iter()
        .map(|(backend, _)| BackendOf {
            name: &backend.name,
            ubatch_long_context: backend.ubatch_long_context,
        })
        .collect();
    for cell in sweep.cells(&names, &of, seed) {
        let model = models.iter().find(|model| model.name == cell.model);
        let backend = backends.iter().find(|(backend, _)| backend.name == cell.backend);
        let (Some(model), Some((backend, known))) = (model, backend) else { continue };
        let inside = backend.path_inside(&model.path).display().to_string();
        match known.translate(&sweep::flags(&cell, &inside)) {
            Ok(flags) => matrix.cells.push(PlannedCell {
                cell: Cell::Benchmark(cell),
                file: Some(model.path.display().to_string()),
                bytes: Some(model.bytes),
                argv: backend.command(Some(&model.path), &flags),
            }),
            Err(wrong) => refusals.extend(wrong),
        }
    }
    refusals.sort_by(|one, other| one.0.cmp(&other.0));
    refusals.dedup_by(|one, other| one.0 == other.0);
    if refusals.is_empty() { Ok(matrix) } else { Err(refusals) }
}

fn models(
    asked: &Asked,
    memory: &Memory,
    left_out: &mut Vec<String>,
) -> Result<Vec<Model>, Vec<Refusal>> {
    let files = Files::find(&asked.directories);
    let catalog = Catalog::load(asked.catalog.as_deref())?.with_files(&files);
    let entries = catalog.select(&asked.models, &asked.categories)?;
    let (mut models, mut refusals): (Vec<Model>, Vec<Refusal>) = (Vec::new(), Vec::new());
    for entry in entries {
        let model = match present(&entry, &files, &asked.directories) {
            Ok(model) => model,
            // Who names no model means those that are there.
            Err(why) if asked.models.is_empty() => {
                left_out.push(why);
                continue;
            }
            Err(why) => {
                refusals.push(Refusal(why));
                continue;
            }
        };
        let gigabytes = model.bytes as f64 / 1e9;
        if asked.max_size.is_some_and(|most| gigabytes > most) {
            left_out.push(format!("{}: has {gigabytes:.1} GB, above --max-size", model.name));
        } else if let Some(size) = memory.never_holds(model.bytes) {
            refusals.push(Refusal(format!(
                "{}: its weights take {gigabytes:.1} GB, and the GPU can use {:.1} GB: {}; leave it out with --max-size, or raise ttm.pages_limit",
                model.name,
                size / 1e9,
                memory.size.evidence
            )));
        } else if models.iter().all(|known| known.name != model.name) {
            models.push(model);
        } else {
            refusals.push(Refusal(format!(
                "{}: two models are called so; give one of them another name in a catalog",
                model.name
            )));
        }
    }
    if models.is_empty() && refusals.is_empty() {
        refusals.push(Refusal(
            "no model is left to measure; `halo-record models` shows which are there".to_owned(),
        ));
    }
    if refusals.is_empty() { Ok(models) } else { Err(refusals) }
}

/// The file of a model, or why there is none.
fn present(entry: &Entry, files: &Files, directories: &[PathBuf]) -> Result<Model, String> {
    match files.place(entry) {
        Place::Here { path, bytes, .. } if path.to_str().is_some() => {
            Ok(Model { name: entry.name.clone(), path, bytes })
        }
        Place::Here { path, .. } => {
            Err(format!("{}: {}: the path is no text; rename it", entry.name, path.display()))
        }
        Place::Broken(problem) => Err(format!("{}: {problem}", entry.name)),
        Place::PartsMissing { missing, .. } => Err(format!(
            "{}: parts of it are missing: {}{}",
            entry.name,
            missing.join(", "),
            download(entry, directories)
        )),
        Place::Missing => Err(format!(
            "{}: {} is not there{}",
            entry.name,
            entry.file.display(),
            download(entry, directories)
        )),
    }
}

/// How a model is got, to stand behind why it is not there.
fn download(entry: &Entry, directories: &[PathBuf]) -> String {
    let command = directories.first().and_then(|directory| entry.download(directory));
    command.map_or_else(String::new, |command| format!("; `{command}` downloads it"))
}

fn backends(
    asked: &Asked,
    left_out: &mut Vec<String>,
) -> Result<Vec<(Backend, Capabilities)>, Vec<Refusal>> {
    let known = backend::load(asked.backends_file.as_deref())?;
    let is_all = asked.backends.iter().any(|name| name == ALL);
    let chosen = if is_all { known } else { backend::choose(&known, &asked.backends)? };
    let (mut found, mut refusals) = (Vec::new(), Vec::new());
    for (backend, answer) in backend::probe_all(chosen) {
        match answer {
            Ok(flags) => found.push((backend, flags)),
            Err(why) if is_all => left_out.push(why.to_string()),
            Err(why) => refusals
                .push(Refusal(format!("{why}; `halo-record backends` shows which are there"))),
        }
    }
    if found.is_empty() && refusals.is_empty() {
        refusals.push(Refusal("--backends all: none is there".to_owned()));
    }
    if refusals.is_empty() { Ok(found) } else { Err(refusals) }
}
