//! Runs as text for a terminal, legible without colour.

use std::collections::BTreeSet;
use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::charts::Chart;
use super::{evals, screen, sparkline};
use crate::analyze::consumption::TASK;
use crate::archive::filter::Listed;
use crate::archive::salvage::Unreadable;
use crate::quantity::{self, number};
use crate::run::brief::Named;
use crate::run::manifest::{Energy, Model, Sampling, Summary, Tags, Verdict};
use crate::run::model::has_ending;
use crate::run::{Brief, Environment, Manifest};
use crate::visible;

/// The columns of a list.
const COLUMNS: [&str; 7] = ["run", "time", "state", "verdict", "model", "result", "tags"];

/// A list of runs; what cannot be read is a line of its own below it, with its reason.
pub fn list(runs: &[Listed], unreadable: &[Unreadable]) -> String {
    let mut lines = String::new();
    for run in unreadable {
        let _ = writeln!(lines, "{run}");
    }
    let lines = screen::wrapped(&lines, 2);
    if runs.is_empty() {
        return lines;
    }
    let mut table = plain_table(&COLUMNS);
    for Listed { run: name, brief: run, .. } in runs {
        let models: Vec<String> = run.models.iter().map(Named::title).collect();
        table.add_row([
            name.clone(),
            local(run.started, "%Y-%m-%d %H:%M"),
            run.state.to_string(),
            run.verdict.as_ref().map_or("unknown", |verdict| &verdict.label).to_owned(),
            models.join(", "),
            results(run),
            tags(&run.tags),
        ]);
    }
    // The name of a run tells the time and most of the model.
    screen::table(&table, &["time", "tags", "model", "state"]) + &lines
}

/// The scores of a run on one line, else its speeds.
fn results(run: &Brief) -> String {
    let speeds = run.summary.iter().filter(|figure| figure.metric == "tokens_per_second");
    let speeds = speeds.map(|figure| format!("{} {}", figure.case, short(figure)));
    let scores = run.scores.iter().map(|score| format!("{} {:.3}", score.task, score.value));
    let mut shown: Vec<String> =
        if run.scores.is_empty() { speeds.collect() } else { scores.collect() };
    if shown.len() > 3 {
        shown.truncate(3);
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// What a model is called, and what its metadata and the command call it where that is not the same.
fn model_names(model: &Model) -> String {
    let title = model.title();
    let is_other = |name: &&str| !name.is_empty() && !title.contains(name);
    let by_metadata = Some(model.name.as_str()).filter(|name| !has_ending(name));
    let others: Vec<&str> =
        by_metadata.into_iter().chain(model.reference.as_deref()).filter(is_other).collect();
    if others.is_empty() { title } else { format!("{title} ({})", others.join(", ")) }
}

/// One run.
pub fn show(listed: &Listed, manifest: &Manifest, directory: &str, charts: &[Chart]) -> String {
    let (run, mut text) = (&listed.brief, String::new());
    let mut line = |name: &str, value: &str| {
        // What somebody wrote on several lines stays beside its name.
        for (number, value) in visible::text(value).lines().enumerate() {
            let name = if number == 0 { name } else { "" };
            let _ = writeln!(text, "{name:<12}{value}");
        }
    };
    line("run", &listed.run);
    line("id", &manifest.id);
    line("directory", directory);
    line("state", &state(run, manifest));
    line("verdict", run.verdict.as_ref().map_or("unknown", |verdict| &verdict.label));
    for evidence in run.verdict.iter().flat_map(evidence) {
        line("", &evidence);
    }
    line("started", &local(manifest.started, "%Y-%m-%d %H:%M:%S %:z"));
    if let Some(ended) = manifest.ended {
        line("took", &took(manifest.started, ended));
    }
    line("command", &manifest.command.asked.join(" "));
    if manifest.command.executed != manifest.command.asked {
        line("executed", &manifest.command.executed.join(" "));
    }
    line("in", &manifest.command.directory);
    let version = manifest.tool.version.as_deref().unwrap_or_default();
    line("tool", format!("{} {version}", manifest.tool.name).trim_end());
    line("backend", manifest.backend.as_deref().unwrap_or_default());
    for model in &manifest.models {
        let size = model
            .bytes
            .map_or_else(String::new, |bytes| format!(", {}", quantity::bytes(bytes as f64)));
        line("model", &format!("{}{size}", model_names(model)));
        line("", &model.file);
    }
    line("tags", &tags(&manifest.tags));
    for note in &manifest.notes {
        line("note", &format!("{} {}", local(note.time, "%Y-%m-%d %H:%M"), note.text));
    }
    if let Some(completion) = manifest.completion {
        line("done", &evals::completion(completion));
    }
    let problems = manifest.problems.iter().chain(&manifest.failure).chain(&manifest.unparsed);
    for problem in problems {
        line("problem", problem);
    }
    if let Some(sampling) = &manifest.sampling {
        line("samples", &samples(sampling));
    }
    for (name, value) in machine(&manifest.environment_at_start) {
        line(name, &value);
    }
    if !manifest.files.is_empty() {
        let sizes = manifest.files.iter().map(|file| file.bytes);
        let bytes = sizes.fold(0, u64::saturating_add);
        line("files", &format!("{}, {}", manifest.files.len(), quantity::bytes(bytes as f64)));
    }
    if !manifest.scores.is_empty() {
        text += "\n";
        text += &evals::scores(manifest);
    }
    if !manifest.summary.is_empty() {
        text += "\n";
        text += &figures(&manifest.summary);
    }
    if !manifest.energy.is_empty() {
        text += "\n";
        text += &energy(&manifest.energy);
    }
    let charts = sparkline::text(charts);
    if !charts.is_empty() {
        text += "\n";
        text += &charts;
    }
    text
}

/// What is missing for a verdict, and what flags the run.
fn evidence(verdict: &Verdict) -> Vec<String> {
    let missing = verdict.missing.iter().map(|missing| format!("not known: {missing}"));
    let flags = verdict.reasons.iter().map(|flag| format!("{}: {}", flag.reason, flag.evidence));
    missing.chain(flags).collect()
}

fn samples(sampling: &Sampling) -> String {
    format!(
        "{} every {} s, {} skipped; late by {} on average, {} at most; {} each",
        sampling.ticks,
        sampling.interval_seconds,
        sampling.skipped,
        milliseconds(sampling.mean_lateness_seconds),
        milliseconds(sampling.max_lateness_seconds),
        milliseconds(sampling.mean_cost_seconds),
    )
}

/// What of the machine is looked at first where two runs differ.
fn machine(environment: &Environment) -> Vec<(&'static str, String)> {
    let fact = |name: &str| environment.facts.get(name).map(String::as_str);
    let joined = |parts: Vec<String>| parts.join(", ");
    let named = |name: &str, fact: Option<&str>| fact.map(|fact| format!("{name}{fact}"));
    let machine = [
        named("", fact("host.cpu")),
        named("kernel ", fact("host.kernel")),
        named("BIOS ", fact("host.bios")),
        named("Mesa ", fact("mesa")),
        named("ROCm ", fact("rocm")),
        named("image ", fact("container.image")),
    ];
    let limits = ["stapm", "fast", "slow", "apu_slow"].into_iter().filter_map(|limit| {
        let watts =
            environment.values.get(&format!("halo_power_limit_watts{{limit={limit:?}}}"))?;
        Some(format!("{limit} {watts} W"))
    });
    let dirty = if fact("git.dirty") == Some("true") { " with changes" } else { "" };
    let commit = fact("git.commit").map(|commit| format!("{commit}{dirty}"));
    vec![
        ("machine", joined(machine.into_iter().flatten().collect())),
        ("limits", joined(limits.collect())),
        ("git", commit.unwrap_or_default()),
    ]
}

fn state(run: &Brief, manifest: &Manifest) -> String {
    let mut text = format!("{}, results {}", run.state, manifest.results);
    match (manifest.command.signal, manifest.command.exit_code) {
        (Some(signal), _) => _ = write!(text, ", ended by signal {signal}"),
        (None, Some(code)) if code != 0 => _ = write!(text, ", exit code {code}"),
        _ => {}
    }
    if manifest.origin != crate::run::manifest::Origin::Recorded {
        let _ = write!(text, ", {}", manifest.origin);
    }
    text
}

/// The columns of a table of energy.
pub(super) const ENERGY: [&str; 9] =
    ["part", "s", "covered", "J", "mean W", "peak W", "J/token", "above idle", "tokens/s/W"];

/// What a part of a run is called: the work and its case, or the task of an eval.
pub(super) fn part_name(part: &Energy) -> String {
    match part.case.as_str() {
        "" if part.work == TASK => part.task.clone(),
        "" => part.work.clone(),
        case => format!("{} of {case}", part.work),
    }
}

/// What a part of a run took, in these columns.
pub(super) fn energy_row(part: &Energy) -> Vec<String> {
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    let mut row =
        vec![part_name(part), number(part.seconds), format!("{:.0} %", 100.0 * part.coverage)];
    if part.absent.is_none() {
        row.extend(
            [
                part.joules,
                part.mean_watts,
                part.peak_watts,
                part.joules_per_token,
                part.joules_per_token_above_idle,
                part.tokens_per_second_per_watt,
            ]
            .map(optional),
        );
    }
    row.resize(ENERGY.len(), String::new());
    row
}

/// Why parts have no energy, a line for each reason: in the table it would widen a column of numbers.
pub(super) fn absent_energy(parts: &[Energy]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for part in parts {
        let Some(absent) = part.absent.as_deref() else { continue };
        match reasons.iter_mut().find(|(reason, _)| *reason == absent) {
            Some((_, parts)) => parts.push(part_name(part)),
            None => reasons.push((absent, vec![part_name(part)])),
        }
    }
    let line = |(reason, parts): (&str, Vec<String>)| {
        format!("no energy of {}: {reason}", parts.join(", "))
    };
    reasons.into_iter().map(line).collect()
}

fn energy(parts: &[Energy]) -> String {
    let mut table = plain_table(&ENERGY);
    for part in parts {
        table.add_row(energy_row(part));
    }
    align_right(&mut table, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut text = trimmed(&table);
    for line in absent_energy(parts) {
        text += &visible::line(&line);
        text += "\n";
    }
    let sources: BTreeSet<&str> = parts.iter().map(|part| part.source.as_str()).collect();
    // One APU's socket is what everybody expects; a card beside it, or what is missing, is not.
    let is_plain = |source: &&str| !source.contains(" and ") && !source.contains(';');
    for source in sources.into_iter().filter(|source| !is_plain(source)) {
        let _ = writeln!(text, "energy from {}", visible::line(source));
    }
    text
}

/// The columns of a table of figures.
pub(super) const FIGURES: [&str; 7] = ["task", "case", "metric", "mean", "±", "n", "unit"];

/// A figure in these columns.
pub(super) fn figure_row(figure: &Summary) -> Vec<String> {
    let [mean, deviation] = mean_and_deviation(figure.mean, figure.standard_deviation);
    vec![
        figure.task.clone(),
        figure.case.clone(),
        figure.metric.clone(),
        mean,
        deviation,
        figure.repetitions.map_or_else(String::new, |count| count.to_string()),
        figure.unit.clone(),
    ]
}

/// A mean and its standard deviation in two columns, the latter empty where it is unknown.
pub(super) fn mean_and_deviation(mean: f64, deviation: Option<f64>) -> [String; 2] {
    match deviation.map(|deviation| quantity::uncertain(mean, deviation)) {
        Some((mean, deviation)) => [mean, deviation],
        None => [number(mean), String::new()],
    }
}

/// The figures of a run as a table.
fn figures(summary: &[Summary]) -> String {
    let mut table = plain_table(&FIGURES);
    for figure in summary {
        table.add_row(figure_row(figure));
    }
    align_right(&mut table, &[3, 4, 5]);
    trimmed(&table)
}

/// Puts the cells of some columns to the right, as numbers stand.
pub(super) fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

pub(super) fn plain_table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// A table as text, in the width of the terminal.
pub(super) fn trimmed(table: &Table) -> String {
    screen::table(table, &[])
}

fn tags(tags: &Tags) -> String {
    let text = |(name, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    tags.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn short(figure: &Summary) -> String {
    match &mean_and_deviation(figure.mean, figure.standard_deviation) {
        [mean, deviation] if deviation.is_empty() => mean.clone(),
        [mean, deviation] => format!("{mean} ± {deviation}"),
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

fn took(started: Timestamp, ended: Timestamp) -> String {
    format!("{:.1} s", ended.duration_since(started).as_secs_f64())
}

fn local(time: Timestamp, format: &str) -> String {
    time.to_zoned_datetime(TimeZone::system()).strftime(format).to_string()
}
