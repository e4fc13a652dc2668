//! When a tool was how fast: the figures that it printed, over the time of each repetition.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampNanosecondType};

use crate::analyze::Telemetry;
use crate::analyze::phase;
use crate::archive::read::Table;
use crate::archive::{ArchiveError, RunDirectory, results, schema};
use crate::run::Manifest;

/// The metric of `results.parquet` that is meant.
const METRIC: &str = "tokens_per_second";

/// What a series is about: task, case and phase.
pub(super) type Key = [String; 3];

/// A repetition: from when until when, in milliseconds since 1970, and how fast it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) value: f64,
}

/// The repetitions of which both the time and the speed are known. A case that does both kinds of
/// work has one speed for both together, which is that of neither.
pub(super) fn spans(
    run: &RunDirectory,
    manifest: &Manifest,
) -> Result<BTreeMap<Key, Vec<Span>>, ArchiveError> {
    let mut found: BTreeMap<Key, Vec<Span>> = BTreeMap::new();
    let Some(begin) = begin(run)? else { return Ok(found) };
    let events = run.events().map_err(|error| ArchiveError(error.to_string()))?;
    let last = events.last().map_or(0, |event| event.at);
    let Some(command) = phase::command(&events, last) else { return Ok(found) };
    let figures = results::read(run)?;
    let phases = phase::measured(&events, &manifest.cases, command);
    for phase in &phases {
        let is_same_case =
            |other: &&phase::Phase| other.task == phase.task && other.case == phase.case;
        if phases.iter().filter(is_same_case).any(|other| other.work != phase.work) {
            continue;
        }
        let figure = figures.iter().find(|row| {
            row.metric == METRIC
                && row.task == phase.task
                && row.case == phase.case
                && row.repetition.is_some()
                && row.repetition == phase.repetition
        });
        let milliseconds = |at: i64| begin.saturating_add(at).div_euclid(1_000_000);
        let (from, to) = (milliseconds(phase.window.from), milliseconds(phase.window.to));
        if let Some(figure) = figure.filter(|_| from < to) {
            let key = [&*phase.task, &*phase.case, phase.work.as_str()].map(str::to_owned);
            found.entry(key).or_default().push(Span { from, to, value: figure.value });
        }
    }
    for spans in found.values_mut() {
        spans.sort_by_key(|span| span.from);
        spans.dedup_by(|later, earlier| later.from < earlier.to);
    }
    Ok(found)
}

/// Nanoseconds since 1970 at which the recording began; none where there are no marks.
fn begin(run: &RunDirectory) -> Result<Option<i64>, ArchiveError> {
    if !run.has("marks.parquet") {
        return Ok(None);
    }
    for batch in Table::open(run, "marks")?.rows()? {
        let batch = batch?;
        let time = batch.column_by_name(schema::TIME);
        let time = time.and_then(|c| c.as_primitive_opt::<TimestampNanosecondType>());
        let monotonic = batch.column_by_name(schema::MONOTONIC);
        let monotonic = monotonic.and_then(|c| c.as_primitive_opt::<Int64Type>());
        if let Some((time, monotonic)) = time.zip(monotonic).filter(|_| batch.num_rows() > 0) {
            return Ok(Some(time.value(0).saturating_sub(monotonic.value(0))));
        }
    }
    Ok(None)
}
