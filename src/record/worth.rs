//! What a recorded run is worth: its energy and its verdict, from its finished tables.

use std::collections::BTreeMap;
use std::ffi::OsString;

use jiff::Timestamp;

use super::close::Output;
use crate::analyze::consumption::{self, Consumption};
use crate::analyze::devices::{Evidence, Usage, named};
use crate::analyze::phase::Window;
use crate::analyze::telemetry::{Telemetry, Unreadable};
use crate::analyze::{evals, phase, served, verdict};
use crate::archive::{RunDirectory, moments};
use crate::command_line;
use crate::run::Manifest;
use crate::run::manifest::{Energy, Origin};
use crate::run::{EvalSample, Thresholds};
use crate::tool::{Phase, Row, ToolMoment};

/// The case of the figures that are about the whole command.
const COMMAND: &str = "command";

/// Writes energy and verdict into the manifest, and adds the figures that belong to the results.
pub(super) fn judge(run: &RunDirectory, manifest: &mut Manifest, output: &mut Output) {
    if manifest.origin == Origin::Imported {
        output.rows.extend(scores(manifest));
        return;
    }
    let thresholds = manifest.thresholds.clone().unwrap_or_default();
    let consumption = take_energy(run, manifest, &thresholds);
    let of_eval = take_eval(run, manifest, &mut output.samples, &thresholds);
    let judged = match consumption.as_ref().err().or(of_eval.as_ref().err()) {
        None => verdict::judge(manifest, run, &thresholds),
        Some(error) => Err(error.clone()),
    };
    manifest.verdict =
        Some(judged.unwrap_or_else(|error| verdict::without_samples(&error.to_string())));
    output.rows.extend(consumption.ok().flatten().map_or_else(Vec::new, |it| rows(&it)));
    output.rows.extend(scores(manifest));
    output.rows.extend(of_eval.unwrap_or_default());
}

/// What the samples of an eval are in the marks.
pub(super) fn moments(samples: &[EvalSample]) -> Vec<ToolMoment> {
    let mut moments = Vec::new();
    for sample in samples {
        let mut attributes = BTreeMap::from([
            ("task".to_owned(), sample.task.clone()),
            ("sample".to_owned(), sample.sample.clone()),
            ("epoch".to_owned(), sample.epoch.to_string()),
        ]);
        let mut add = |name, at: Option<Timestamp>, attributes: &BTreeMap<String, String>| {
            let phase = Phase { name, attributes: attributes.clone() };
            moments.extend(at.map(|at| ToolMoment { at, phase }));
        };
        add("sample started", sample.started, &attributes);
        attributes.extend(sample.score.map(|score| ("score".to_owned(), score.to_string())));
        add("sample ended", sample.ended, &attributes);
    }
    moments
}

fn take_energy(
    run: &RunDirectory,
    manifest: &mut Manifest,
    thresholds: &Thresholds,
) -> Result<Option<Consumption>, Unreadable> {
    manifest.energy = Vec::new();
    let (events, ticks) = (run.events()?, run.ticks()?);
    let last = ticks.last().map_or(0, |tick| tick.at);
    let Some(command) = phase::command(&events, last) else { return Ok(None) };
    let phases = phase::measured(&events, &manifest.cases, command);
    let interval = interval(manifest);
    let usage = usage(run, manifest, command)?;
    let consumption = consumption::of(run, command, &phases, interval, &usage, thresholds)?;
    if let Some(consumption) = &consumption {
        manifest.energy.clone_from(&consumption.parts);
    }
    Ok(consumption)
}

/// Which GPUs the command used.
fn usage(run: &RunDirectory, manifest: &Manifest, command: Window) -> Result<Usage, Unreadable> {
    let argv: Vec<OsString> = manifest.command.executed.iter().map(OsString::from).collect();
    let program = command_line::program(&argv).map_or(0, |(program, _)| program);
    let printed = ["stderr", "stdout"].map(|name| super::close::read(run, name));
    // Without its output there is less evidence, which the figures then say.
    let printed: Vec<u8> = printed.into_iter().flatten().flatten().collect();
    let evidence = Evidence {
        environment: Some(&manifest.environment_at_start),
        arguments: &manifest.command.executed[program.min(argv.len())..],
        named: named::named(&String::from_utf8_lossy(&printed)),
        cases: &manifest.cases,
        counted: &manifest.command.gpus,
    };
    Usage::of(&evidence, run, command)
}

fn interval(manifest: &Manifest) -> f64 {
    manifest.sampling.as_ref().map_or(0.0, |sampling| sampling.interval_seconds)
}

/// Writes the energy of an eval's tasks and samples down, and gives what its tasks took.
fn take_eval(
    run: &RunDirectory,
    manifest: &mut Manifest,
    samples: &mut [EvalSample],
    thresholds: &Thresholds,
) -> Result<Vec<Row>, Unreadable> {
    let mut rows = served(run, manifest)?;
    // Of what an earlier run did nobody knows the time and the energy.
    if samples.is_empty() || manifest.completion.is_some_and(|completion| completion.is_resumed) {
        return Ok(rows);
    }
    let (events, ticks) = (run.events()?, run.ticks()?);
    let last = ticks.last().map_or(0, |tick| tick.at);
    let Some(command) = phase::command(&events, last) else { return Ok(rows) };
    let windows = evals::windows(samples, &events, command, moments::start(run)?);
    let tasks = evals::tasks(samples, &windows, command);
    let asked: Vec<_> =
        samples.iter().zip(&windows).map(|(sample, window)| (*window, sample.question())).collect();
    let usage = usage(run, manifest, command)?;
    let interval = interval(manifest);
    let energy = consumption::of_eval(run, &tasks, &asked, interval, &usage, thresholds)?;
    let mut push = |task: &str, metric: &str, value: Option<f64>, unit: &str| {
        rows.extend(value.map(|value| row(task, metric, value, unit)));
    };
    for (index, task) in tasks.iter().enumerate() {
        let seconds = task.window.seconds();
        let count = |tokens: Option<u64>| tokens.map(|tokens| tokens as f64);
        let generated = count(task.generated_tokens);
        push(&task.name, "duration", Some(seconds), "s");
        push(&task.name, "prompt_tokens", count(task.prompt_tokens), "");
        push(&task.name, "generated_tokens", generated, "");
        let speed = generated.map(|tokens| tokens / seconds).filter(|speed| speed.is_finite());
        push(&task.name, "tokens_per_second", speed, "1/s");
        let Some(part) = energy.as_ref().and_then(|energy| energy.tasks.get(index)) else {
            continue;
        };
        push(&task.name, "joules", part.joules, "J");
        push(&task.name, "joules_per_token", part.joules_per_token, "J");
        for score in manifest.scores.iter_mut().filter(|score| score.task == task.name) {
            // What chance solved was not solved by the model.
            let solved = score.solved.filter(|solved| *solved > 0 && score.chance.is_none());
            score.joules_per_solved =
                part.joules.zip(solved).map(|(joules, solved)| joules / solved as f64);
        }
    }
    if let Some(energy) = energy {
        for (sample, joules) in samples.iter_mut().zip(energy.samples) {
            sample.joules = joules;
        }
        manifest.energy.extend(energy.tasks);
    }
    Ok(rows)
}

/// What servers did in the run, by their own counters; nothing where none was asked.
fn served(run: &RunDirectory, manifest: &mut Manifest) -> Result<Vec<Row>, Unreadable> {
    let is_asked = manifest.completion.is_some() || !manifest.scores.is_empty();
    if !is_asked {
        return Ok(Vec::new());
    }
    let served = served::of(run)?;
    let speed = |tokens: Option<f64>, seconds: Option<f64>| {
        let speed = tokens.zip(seconds).map(|(tokens, seconds)| tokens / seconds);
        speed.filter(|speed| speed.is_finite())
    };
    let figures = [
        ("server_prompt_tokens", served.prompt_tokens, ""),
        ("server_generated_tokens", served.generated_tokens, ""),
        (
            "server_prompt_tokens_per_second",
            speed(served.prompt_tokens, served.prompt_seconds),
            "1/s",
        ),
        (
            "server_generated_tokens_per_second",
            speed(served.generated_tokens, served.generation_seconds),
            "1/s",
        ),
    ];
    let tool = manifest.tool.name.clone();
    let row = |(metric, value, unit): (&str, Option<f64>, &str)| {
        Some(Row { case: COMMAND.to_owned(), ..row(&tool, metric, value?, unit) })
    };
    Ok(figures.into_iter().filter_map(row).collect())
}

/// The scores of an eval beside its other figures.
fn scores(manifest: &Manifest) -> Vec<Row> {
    let mut rows = Vec::new();
    for score in &manifest.scores {
        rows.push(row(&score.task, &score.metric, score.value, ""));
        let named = |end: &str| format!("{}_{end}", score.metric);
        let optional = [
            ("standard_error", score.standard_error, ""),
            ("solved", score.solved.map(|solved| solved as f64), ""),
            ("joules_per_solved", score.joules_per_solved, "J"),
        ];
        for (end, value, unit) in optional {
            rows.extend(value.map(|value| row(&score.task, &named(end), value, unit)));
        }
    }
    rows
}

fn row(task: &str, metric: &str, value: f64, unit: &str) -> Row {
    Row {
        task: task.to_owned(),
        case: String::new(),
        repetition: None,
        metric: metric.to_owned(),
        value,
        unit: unit.to_owned(),
    }
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
