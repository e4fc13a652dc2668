//! What differs between the sides: machine, settings, model, build.

use std::collections::{BTreeMap, BTreeSet};

use super::models::Names;
use super::{Change, Run, cells};
use crate::analyze::verdict::{is_set, is_setting};

/// Limits stand in the environment as they were at the start.
const LIMIT: &str = "halo_power_limit_watts";

/// What differs. A name that is unknown on all sides but one is shown too.
/// What defines the sides (`by`) is among it.
pub(super) fn between(sides: &[Vec<&Run>], by: &[String], names_of_models: &Names) -> Vec<Change> {
    let sides: Vec<BTreeMap<String, BTreeSet<String>>> =
        sides.iter().map(|runs| described(runs, by, names_of_models)).collect();
    let names: BTreeSet<&String> = sides.iter().flat_map(BTreeMap::keys).collect();
    let of_side = |side: &BTreeMap<String, BTreeSet<String>>, name: &String| -> Vec<String> {
        side.get(name).into_iter().flatten().cloned().collect()
    };
    let changes = names.into_iter().map(|name| Change {
        name: name.clone(),
        values: sides.iter().map(|side| of_side(side, name)).collect(),
    });
    changes
        .filter(|change| change.values.iter().any(|values| *values != change.values[0]))
        .collect()
}

fn described(runs: &[&Run], by: &[String], names: &Names) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for run in runs {
        let defining =
            by.iter().filter_map(|name| Some((name.clone(), cells::value(run, name, names)?)));
        for (name, value) in facts(run).into_iter().chain(defining) {
            all.entry(name).or_default().insert(value);
        }
    }
    all
}

fn facts(run: &Run) -> Vec<(String, String)> {
    let manifest = &run.manifest;
    let environment = &manifest.environment_at_start;
    let mut facts: Vec<(String, String)> = environment
        .facts
        .iter()
        .filter(|(name, _)| is_setting(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let values = environment.values.iter();
    let values = values.filter(|(name, _)| is_set(name) || name.starts_with(LIMIT));
    facts.extend(values.map(|(name, value)| (name.clone(), value.to_string())));
    facts.extend(manifest.tool.version.clone().map(|text| ("tool.version".to_owned(), text)));
    facts.extend(manifest.backend.clone().map(|text| ("tool.backend".to_owned(), text)));
    for model in &manifest.models {
        if !model.file.is_empty() {
            facts.push(("model.file".to_owned(), model.file.clone()));
        }
        facts.extend(model.bytes.map(|bytes| ("model.bytes".to_owned(), bytes.to_string())));
        facts.extend(model.sha256.clone().map(|hash| ("model.sha256".to_owned(), hash)));
    }
    facts.push(("command".to_owned(), manifest.command.asked.join(" ")));
    facts
}
