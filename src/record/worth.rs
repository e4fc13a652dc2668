//! What a recorded run is worth: its energy and its verdict, from its finished tables.

use crate::analyze::consumption::{self, Consumption};
use crate::analyze::telemetry::{Telemetry, Unreadable};
use crate::analyze::{phase, verdict};
use crate::archive::RunDirectory;
use crate::run::Manifest;
use crate::run::manifest::{Energy, Origin};
use crate::tool::Row;

/// Writes energy and verdict into the manifest, and gives the figures that belong to the results.
pub(super) fn judge(run: &RunDirectory, manifest: &mut Manifest) -> Vec<Row> {
    if manifest.origin == Origin::Imported {
        return Vec::new();
    }
    let thresholds = manifest.thresholds.clone().unwrap_or_default();
    let consumption = take_energy(run, manifest);
    let judged = match &consumption {
        Ok(_) => verdict::judge(manifest, run, &thresholds),
        Err(error) => Err(error.clone()),
    };
    manifest.verdict =
        Some(judged.unwrap_or_else(|error| verdict::without_samples(&error.to_string())));
    consumption.ok().flatten().map_or_else(Vec::new, |consumption| rows(&consumption))
}

fn take_energy(
    run: &RunDirectory,
    manifest: &mut Manifest,
) -> Result<Option<Consumption>, Unreadable> {
    manifest.energy = Vec::new();
    let (events, ticks) = (run.events()?, run.ticks()?);
    let last = ticks.last().map_or(0, |tick| tick.at);
    let Some(command) = phase::command(&events, last) else { return Ok(None) };
    let phases = phase::measured(&events, &manifest.cases, command);
    let interval = manifest.sampling.as_ref().map_or(0.0, |sampling| sampling.interval_seconds);
    let thresholds = manifest.thresholds.clone().unwrap_or_default();
    let consumption = consumption::of(run, command, &phases, interval, &thresholds)?;
    if let Some(consumption) = &consumption {
        manifest.energy.clone_from(&consumption.parts);
    }
    Ok(consumption)
}

/// Energy beside the figures of the tool: of each repetition that is long enough, else of all
/// repetitions of a case together.
fn rows(consumption: &Consumption) -> Vec<Row> {
    let row = |part: &Energy, repetition: Option<u32>, value: f64| Row {
        task: part.task.clone(),
        case: part.case.clone(),
        repetition,
        metric: format!("{}_joules_per_token", part.work),
        value,
        unit: "J".to_owned(),
    };
    let mut rows = Vec::new();
    for part in &consumption.parts {
        let is_of_part = |one: &&consumption::Repetition| {
            (&one.task, &one.case, one.work.as_str())
                == (&part.task, &part.case, part.work.as_str())
        };
        let single = consumption.repetitions.iter().filter(is_of_part);
        let single: Vec<Row> =
            single.map(|one| row(part, Some(one.number), one.joules_per_token)).collect();
        if single.is_empty() {
            rows.extend(part.joules_per_token.map(|joules| row(part, None, joules)));
        } else {
            rows.extend(single);
        }
    }
    rows
}
