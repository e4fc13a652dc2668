//! The runs of one campaign as sides: what it varied, but for the model.

use std::collections::BTreeMap;

use super::{Named, Run};
use crate::run::Cell;

/// The tag that says which of two commands in turn a run is of.
pub const SIDE: &str = "side";

/// The runs of campaigns apart by how they were run: backend, KV cache, batch sizes, or command. What
/// differs in its model alone stays on one side, since speeds of two models say nothing about a
/// setting; its cells keep them apart. Runs that no campaign planned are a side each.
pub fn by_configuration(runs: Vec<Run>) -> Vec<Named> {
    let settings: Vec<BTreeMap<&'static str, String>> = runs.iter().map(settings).collect();
    let is_varied =
        |name: &str| settings.iter().any(|other| other.get(name) != settings[0].get(name));
    let mut sides: Vec<Named> = Vec::new();
    for (run, settings) in runs.into_iter().zip(&settings) {
        let varied = settings.iter().filter(|(name, _)| is_varied(name));
        let words: Vec<String> = varied.map(|(name, value)| format!("{name}={value}")).collect();
        let name = match &run.manifest.campaign {
            Some(campaign) if words.is_empty() => campaign.clone(),
            Some(_) => words.join(" "),
            None => run.name.clone(),
        };
        match sides.iter_mut().find(|side| side.name == name) {
            Some(side) => side.runs.push(run),
            None => sides.push(Named { name, runs: vec![run] }),
        }
    }
    sides
}

fn settings(run: &Run) -> BTreeMap<&'static str, String> {
    let mut settings = BTreeMap::new();
    match &run.manifest.cell {
        Some(Cell::Benchmark(cell)) => {
            settings.insert("backend", cell.backend.clone());
            settings.insert("kv", cell.kv.clone());
            settings.extend(cell.batch.map(|batch| ("batch", batch.to_string())));
            settings.extend(cell.ubatch.map(|ubatch| ("ubatch", ubatch.to_string())));
        }
        Some(Cell::Eval(_)) => {}
        None => settings.extend(run.manifest.tags.get(SIDE).cloned().flatten().map(|s| (SIDE, s))),
    }
    settings
}
