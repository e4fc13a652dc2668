//! The cells of runs: what was measured, what defines it, and the values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::models::{self, Names};
use super::scores;
use crate::analyze::stats;
use crate::run::manifest::{Case, Manifest};
use crate::run::{BenchmarkCell, Cell, EvalSample, Row};

/// The case of the figures that are about the whole command.
const COMMAND: &str = "command";

/// What a tool says of a case and what is called otherwise in a campaign.
const PARAMETERS: [(&str, &str); 8] = [
    ("n_batch", "batch"),
    ("n_ubatch", "ubatch"),
    ("n_depth", "depth"),
    ("flash_attn", "flash_attention"),
    ("n_gpu_layers", "layers"),
    ("n_threads", "threads"),
    ("split_mode", "split"),
    ("no_kv_offload", "no_kv_offload"),
];

/// The dimension of models.
pub(super) const MODEL: &str = "model";

/// The ends of metrics that stand beside a metric and say how it was averaged.
const MEAN: &str = "_mean";
const DEVIATION: &str = "_standard_deviation";

/// What of llama-bench's figures says the same as its speed.
const DURATION: &str = "duration";
const SPEED: &str = "tokens_per_second";

/// A run that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The name of its directory.
    pub name: String,
    /// What it is.
    pub manifest: Manifest,
    /// Its figures.
    pub rows: Vec<Row>,
    /// What became of the samples of its evals.
    pub samples: Vec<EvalSample>,
}

/// What was measured of a cell in one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) dimensions: BTreeMap<String, String>,
    pub(super) task: String,
    pub(super) case: String,
    pub(super) metric: String,
    pub(super) unit: String,
    /// The repetitions, or the one figure that there is.
    pub(super) values: Vec<f64>,
}

impl Measured {
    pub(super) fn mean(&self) -> f64 {
        stats::mean(&self.values).unwrap_or(f64::NAN)
    }
}

/// Everything that was measured in a run, in the order in which the tool told it, and what the whole
/// command took.
pub(super) fn of(run: &Run, names: &Names) -> Vec<Measured> {
    let mut found: Vec<(&str, Measured)> = Vec::new();
    let known = |case: &str| run.manifest.cases.iter().find(|known| known.case == case);
    let is_repeated = |row: &Row, metric: &str| {
        run.rows.iter().any(|other| {
            other.repetition.is_some()
                && (&*other.task, &*other.case, &*other.metric) == (&*row.task, &*row.case, metric)
        })
    };
    for row in &run.rows {
        let metric = match row.repetition {
            Some(_) => row.metric.as_str(),
            None => row.metric.strip_suffix(MEAN).unwrap_or(&row.metric),
        };
        if scores::is_of_score(&run.manifest.scores, &row.task, &row.metric) {
            continue;
        }
        if row.metric.ends_with(DEVIATION) || row.repetition.is_none() && is_repeated(row, metric) {
            continue;
        }
        let same = found.iter_mut().find(|(case, known)| {
            (&*known.task, *case, &*known.metric) == (&*row.task, &*row.case, metric)
        });
        match same {
            Some((_, known)) => known.values.push(row.value),
            None => found.push((
                &row.case,
                Measured {
                    dimensions: dimensions(&run.manifest, known(&row.case), names),
                    task: row.task.clone(),
                    case: models::without_model(&row.case, known(&row.case)),
                    metric: metric.to_owned(),
                    unit: row.unit.clone(),
                    values: vec![row.value],
                },
            )),
        }
    }
    let mut found: Vec<Measured> = found.into_iter().map(|(_, measured)| measured).collect();
    let has_speed = |one: &Measured, all: &[Measured]| {
        all.iter().any(|other| {
            other.metric == SPEED
                && (&other.task, &other.case, &other.dimensions)
                    == (&one.task, &one.case, &one.dimensions)
        })
    };
    let all = found.clone();
    found.retain(|one| one.metric != DURATION || !has_speed(one, &all));
    found.extend(of_command(&run.manifest, names));
    found
}

/// How long the whole command took, and how much energy.
fn of_command(manifest: &Manifest, names: &Names) -> Vec<Measured> {
    let seconds = manifest
        .command
        .started
        .zip(manifest.command.ended)
        .map(|(started, ended)| ended.duration_since(started).as_secs_f64());
    let energy = manifest.energy.iter().find(|energy| energy.work == COMMAND);
    let joules = energy.and_then(|energy| energy.joules);
    let watts = energy.and_then(|energy| energy.mean_watts);
    // Cases differ in their parameters; the command has only what all of them share.
    let dimensions = shared(manifest, names);
    [(DURATION, "s", seconds), ("joules", "J", joules), ("mean_watts", "W", watts)]
        .into_iter()
        .filter_map(|(metric, unit, value)| {
            Some(Measured {
                dimensions: dimensions.clone(),
                task: manifest.tool.name.clone(),
                case: COMMAND.to_owned(),
                metric: metric.to_owned(),
                unit: unit.to_owned(),
                values: vec![value?],
            })
        })
        .collect()
}

/// The value that a whole run has of a dimension or, where it is none, of a tag.
pub(super) fn value(run: &Run, dimension: &str, names: &Names) -> Option<String> {
    let of_cells = shared(&run.manifest, names).remove(dimension);
    of_cells.or_else(|| {
        let tag = run.manifest.tags.get(dimension)?;
        Some(tag.clone().unwrap_or_else(|| "set".to_owned()))
    })
}

fn shared(manifest: &Manifest, names: &Names) -> BTreeMap<String, String> {
    let mut cases = manifest.cases.iter().map(|case| dimensions(manifest, Some(case), names));
    let Some(mut shared) = cases.next() else { return dimensions(manifest, None, names) };
    for other in cases {
        shared.retain(|name, value| other.get(name) == Some(value));
    }
    // A command that measured several models has all of them.
    if let Some(models) = names.of_run(manifest) {
        shared.entry(MODEL.to_owned()).or_insert(models);
    }
    shared
}

/// What defines a cell, beside its task and case.
fn dimensions(manifest: &Manifest, case: Option<&Case>, names: &Names) -> BTreeMap<String, String> {
    let mut dimensions = BTreeMap::from([("tool".to_owned(), manifest.tool.name.clone())]);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            dimensions.insert(name.to_owned(), value);
        }
    };
    let of_case = case.and_then(|case| models::of_case(manifest, case));
    add(MODEL, of_case.map(|model| names.name(&model)).or_else(|| names.of_run(manifest)));
    add("backend", manifest.backend.clone());
    let parameter = |name: &str| case.and_then(|case| case.parameters.get(name)).map(text);
    for (name, dimension) in PARAMETERS {
        add(dimension, parameter(name));
    }
    let types = parameter("type_k").zip(parameter("type_v"));
    add("kv", types.map(|(k, v)| if k == v { k } else { format!("{k}:{v}") }));
    if let Some(Cell::Benchmark(BenchmarkCell { backend, kv, .. })) = &manifest.cell {
        add("backend", Some(backend.clone()));
        add("kv", Some(kv.clone()));
    }
    dimensions
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
