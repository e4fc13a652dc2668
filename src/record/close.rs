//! Closes a run: reads the tool's output, turns the journal into tables, and writes the manifest.
//! The same steps end a run and recover one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use jiff::Timestamp;

use super::guard::{ABORTED, REASON, SERVER};
use super::journal::Journal;
use super::{collect, model, worth};
use crate::analyze::stats;
use crate::archive::convert::{Converted, convert};
use crate::archive::write::{self, Identity};
use crate::archive::{ArchiveError, RunDirectory, eval_samples, files, moments};
use crate::process::foreground::{Ended, is_ending, signal_name};
use crate::redact::keys;
use crate::run::journal::Mark;
use crate::run::manifest::{
    Case, Command, Manifest, Model, Origin, Results, State, Summary, Verdict,
};
use crate::run::{EvalSample, RAW};
use crate::tool::{self, Outputs, Parsed, Row, ToolMoment};

/// More output than this is of no tool that halo knows: it is held several times while it is read.
/// In bytes.
const LARGEST_OUTPUT: u64 = 16 << 20;

/// A file with more than this is no result of a benchmark that others made. In bytes.
pub(crate) const LARGEST_IMPORTED: u64 = 8 << 20;

/// The mark that the command's end leaves in the journal.
const ENDED: &str = "command ended";

/// Writes down how the command ended. One that was never started has ended as well.
pub(super) fn mark_end(
    journal: &Journal,
    command: &mut Command,
    ended: &Ended,
    asked_to_end: Option<i32>,
) {
    command.ended = Some(Timestamp::now());
    command.exit_code = ended.exit_code;
    command.signal = ended.signal;
    command.asked_to_end = asked_to_end;
    let text = |number: Option<i32>| number.map_or_else(String::new, |number| number.to_string());
    journal.mark(
        ENDED,
        [
            ("exit_code", text(ended.exit_code)),
            ("signal", text(ended.signal)),
            ("asked_to_end", text(asked_to_end)),
        ],
    );
}

/// Closes a run whose journal nobody writes any more.
///
/// # Errors
///
/// Where a file could not be written. The journal is kept then, and the state stays `running`.
pub(super) fn close(run: &RunDirectory, manifest: &mut Manifest) -> Result<(), ArchiveError> {
    let output = read_output(run, manifest);
    model::complete(&mut manifest.models);
    let converted = match convert(run, &output.rows) {
        Ok(converted) => converted,
        Err(error) => {
            run.write_manifest(manifest)?;
            return Err(ArchiveError(format!("{}: {error}", run.path().display())));
        }
    };
    if let Some(converted) = converted {
        take_over(manifest, converted);
        write_results(run, manifest, output)?;
    } else {
        manifest.state = State::Interrupted;
        manifest.problems.push("halo was killed before the first sample".to_owned());
    }
    seal(run, manifest)?;
    run.remove_journal()
}

/// What a tool's output has that the manifest does not hold.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The figures.
    pub(super) rows: Vec<Row>,
    /// What became of each sample of an eval.
    pub(super) samples: Vec<EvalSample>,
    /// What the tool wrote down of its progress.
    moments: Vec<ToolMoment>,
}

/// Judges a run whose tables are there, and writes its results: those of the tool and its energy.
///
/// # Errors
///
/// Where a file could not be written.
pub(super) fn write_results(
    run: &RunDirectory,
    manifest: &mut Manifest,
    mut output: Output,
) -> Result<(), ArchiveError> {
    output.moments.extend(worth::moments(&output.samples));
    moments::replace(run, manifest, &output.moments)?;
    worth::judge(run, manifest, &mut output);
    // What is larger than any number is unknown.
    output.rows.retain(|row| row.value.is_finite());
    manifest.summary = summary(&output.rows);
    let identity = Identity::of(manifest, run.name().to_owned());
    let refuse = |error: io::Error| ArchiveError(format!("{}: {error}", run.path().display()));
    eval_samples::write(run.path(), &identity, &output.samples).map_err(refuse)?;
    write::write_results(run.path(), &identity, &output.rows).map_err(refuse)
}

/// Writes the manifest of a run whose other files are all there.
pub(super) fn seal(run: &RunDirectory, manifest: &mut Manifest) -> Result<(), ArchiveError> {
    let (files, left_out) =
        files::describe(run.path()).map_err(|error| ArchiveError::at(run.path(), error))?;
    manifest.files = files;
    for problem in left_out {
        manifest.add_problem(problem);
    }
    run.write_manifest(manifest)
}

/// Takes over what the journal says of the run.
fn take_over(manifest: &mut Manifest, converted: Converted) {
    let Converted { sampling, last, own_marks, damage, unknown } = converted;
    manifest.sampling = Some(sampling);
    manifest.ended = Timestamp::from_nanosecond(last.unix.into()).ok();
    if let Some(damage) = damage {
        manifest.problems.push(format!("the end of the journal is lost: {damage}"));
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        manifest.problems.push(format!("series that this halo does not know are lost: {names}"));
    }
    if manifest.command.ended.is_none() {
        take_over_end(manifest, &own_marks);
    }
    manifest.state = match manifest.command.ended {
        Some(_) => state(manifest),
        None => State::Interrupted,
    };
}

/// Takes over how the command ended, for a halo that was killed after that.
fn take_over_end(manifest: &mut Manifest, marks: &[Mark]) {
    let Some(mark) = marks.iter().find(|mark| mark.name == ENDED) else { return };
    let number = |key: &str| mark.attributes.get(key).and_then(|text| text.parse().ok());
    manifest.command.exit_code = number("exit_code");
    manifest.command.signal = number("signal");
    manifest.command.asked_to_end = number("asked_to_end");
    manifest.command.ended = Timestamp::from_nanosecond(mark.at.unix.into()).ok();
    let aborted = marks.iter().find(|mark| mark.name == ABORTED);
    manifest.command.aborted = aborted.and_then(|mark| mark.attributes.get(REASON).cloned());
    manifest.command.lost_server = aborted.is_some_and(|mark| mark.attributes.contains_key(SERVER));
    manifest.failure = manifest.command.aborted.clone().or(manifest.failure.take());
}

/// Whether the command was ended, rather than ended by itself.
pub(super) fn was_cut_short(manifest: &Manifest) -> bool {
    let command = &manifest.command;
    // A shell says with a code above 128 which signal ended its command.
    let told = command.exit_code.filter(|code| *code > 128).map(|code| code - 128);
    [command.asked_to_end, command.signal, told].into_iter().flatten().any(is_ending)
}

/// How far a run got whose command ended.
pub(super) fn state(manifest: &Manifest) -> State {
    if manifest.origin == Origin::Imported {
        let has_failed = manifest.failure.is_some() || manifest.results != Results::Parsed;
        return if has_failed { State::Failed } else { State::Complete };
    }
    if manifest.command.lost_server {
        return State::Failed;
    }
    let says_cancelled = manifest.completion.is_some_and(|completion| completion.is_cancelled);
    if was_cut_short(manifest) || says_cancelled {
        State::Cancelled
    } else if manifest.command.exit_code == Some(0) && manifest.failure.is_none() {
        State::Complete
    } else {
        State::Failed
    }
}

/// Reads what the tool printed and wrote into the manifest, and gives what that does not hold.
pub(super) fn read_output(run: &RunDirectory, manifest: &mut Manifest) -> Output {
    manifest.results = Results::None;
    manifest.unparsed = None;
    manifest.scores = Vec::new();
    manifest.completion = None;
    // What a tool says that was ended is of less interest.
    manifest.failure.clone_from(&manifest.command.aborted);
    if manifest.origin == Origin::Imported {
        return read_imported(run, manifest);
    }
    let argv: Vec<OsString> = manifest.command.executed.iter().map(OsString::from).collect();
    let Some((tool, program)) = tool::recognize(&argv) else { return Output::default() };
    let fit = |name| {
        let text = read(run, name)?;
        let refusal = tool::text::refusal(&text);
        refusal.map_or(Ok(text), |why| Err(io::Error::other(format!("{RAW}/{name}: {why}"))))
    };
    let streams = fit("stdout").and_then(|stdout| Ok((stdout, fit("stderr")?)));
    let read = streams.and_then(|streams| Ok((streams, collect::read(run)?)));
    let parsed = match read {
        Err(error) => Err(error.to_string()),
        Ok(((stdout, stderr), (files, left_out))) => {
            for problem in left_out {
                manifest.add_problem(problem);
            }
            let (stdout, stderr) = (&stdout, &stderr);
            let outputs = Outputs { argv: &argv, program, stdout, stderr, files: &files };
            match catch_unwind(AssertUnwindSafe(|| tool.parse(&outputs))) {
                Ok(parsed) => parsed.map_err(|error| error.to_string()),
                Err(_) => Err(format!("halo has a bug: the reader of {} panicked", tool.name())),
            }
        }
    };
    match parsed {
        Ok(parsed) => take_results(manifest, parsed),
        Err(error) => {
            manifest.results = Results::Unparsed;
            manifest.unparsed = Some(error);
            Output::default()
        }
    }
}

/// The same for a file of somebody else, whose command line nobody knows.
fn read_imported(run: &RunDirectory, manifest: &mut Manifest) -> Output {
    let read = read_at_most(run, "stdout", LARGEST_IMPORTED).map_err(|error| error.to_string());
    let imported = read.and_then(|bytes| {
        if let Some(why) = tool::text::refusal(&bytes) {
            return Err(why);
        }
        catch_unwind(|| tool::import(&bytes))
            .map_err(|_| "halo has a bug: the reader of imported files panicked".to_owned())?
            .map_err(|error| error.to_string())
    });
    match imported {
        Ok(imported) => take_results(manifest, imported.parsed),
        Err(error) => {
            manifest.results = Results::Unparsed;
            manifest.unparsed = Some(error);
            Output::default()
        }
    }
}

fn take_results(manifest: &mut Manifest, mut parsed: Parsed) -> Output {
    parsed.leave_out_impossible();
    let is_empty = parsed.rows.is_empty() && parsed.scores.is_empty();
    manifest.results = if is_empty { Results::None } else { Results::Parsed };
    manifest.tool.version = parsed.version;
    manifest.backend = parsed.backend;
    manifest.summary = summary(&parsed.rows);
    manifest.cases = parsed.cases;
    for (name, value) in manifest.cases.iter_mut().flat_map(|case| &mut case.parameters) {
        keys::hide_in_json(name, value);
    }
    manifest.scores = parsed.scores;
    manifest.completion = parsed.completion;
    manifest.failure = manifest.failure.take().or(parsed.failure);
    for problem in parsed.problems {
        manifest.add_problem(problem);
    }
    take_models(manifest);
    if let Some(name) = parsed.model.filter(|_| manifest.models.is_empty()) {
        manifest.models.push(model::served(&name));
    }
    Output { rows: parsed.rows, samples: parsed.samples, moments: parsed.moments }
}

/// No tool measures more models in one run; a longer list is no list of models.
const MOST_MODELS: usize = 256;

/// Takes over which models the tool says that it measured: the files of those that the command names
/// otherwise, and those that nobody named.
fn take_models(manifest: &mut Manifest) {
    let Manifest { cases, models, .. } = manifest;
    let text = |case: &Case, key: &str| case.parameters.get(key)?.as_str().map(str::to_owned);
    let told: BTreeSet<String> =
        cases.iter().filter_map(|case| text(case, "model_filename")).collect();
    for case in &*cases {
        let Some(file) = text(case, "model_filename").filter(|file| !file.is_empty()) else {
            // Several models in one table, which has their kinds alone.
            let kind = text(case, "model_type").map(|kind| model::served(&kind));
            let kind = kind.filter(|kind| !models.contains(kind));
            if models.iter().all(|known| known.file.is_empty() && known.reference.is_none())
                && models.first().is_none_or(|first| {
                    cases.iter().any(|case| text(case, "model_type").as_ref() == Some(&first.name))
                })
            {
                models.extend(kind);
            }
            continue;
        };
        let stem = model::name_of_file(Path::new(&file));
        let is_it = |known: &Model| {
            // A container may have it elsewhere.
            let is_alike = || model::name_of_file(Path::new(&known.file)) == stem;
            known.file == file
                || !known.file.is_empty() && !told.contains(&known.file) && is_alike()
        };
        if models.iter().any(is_it) {
            continue;
        }
        if models.len() >= MOST_MODELS {
            break;
        }
        let found = model::at(Path::new(&file));
        let open = |known: &&mut Model| known.file.is_empty() && known.reference.is_some();
        match models.iter_mut().find(open) {
            Some(open) => (open.name, open.file) = (found.name, found.file),
            None => models.push(found),
        }
    }
}

/// What the command printed on one of its outputs.
pub(super) fn read(run: &RunDirectory, name: &str) -> io::Result<Vec<u8>> {
    read_at_most(run, name, LARGEST_OUTPUT)
}

fn read_at_most(run: &RunDirectory, name: &str, most: u64) -> io::Result<Vec<u8>> {
    let path = format!("{RAW}/{name}");
    match run.opened()?.read(&path, most) {
        // The command was never started.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io::Error::new(error.kind(), format!("{path}: {error}"))),
        Ok(bytes) => Ok(bytes),
    }
}

/// One value a case and metric. Where the tool tells each repetition, its own mean is not needed;
/// where it does not, `X_mean` and `X_standard_deviation` stand for X.
fn summary(rows: &[Row]) -> Vec<Summary> {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&Row>> = BTreeMap::new();
    let mut order = Vec::new();
    for row in rows {
        let metric = row.metric.as_str();
        let metric = match row.repetition {
            Some(_) => metric,
            None => ["_mean", "_standard_deviation"]
                .iter()
                .find_map(|end| metric.strip_suffix(end))
                .unwrap_or(metric),
        };
        let key = (row.task.as_str(), row.case.as_str(), metric);
        let group = groups.entry(key).or_default();
        if group.is_empty() {
            order.push(key);
        }
        group.push(row);
    }
    order.into_iter().filter_map(|key| summarize(key, &groups[&key])).collect()
}

fn summarize((task, case, metric): (&str, &str, &str), rows: &[&Row]) -> Option<Summary> {
    let values: Vec<f64> =
        rows.iter().filter(|row| row.repetition.is_some()).map(|row| row.value).collect();
    let told = |end: &str| {
        rows.iter().find(|row| row.metric.ends_with(end) && row.metric != metric).map(|r| r.value)
    };
    let (mean, standard_deviation, repetitions) = if values.is_empty() {
        let single = rows.iter().find(|row| row.metric == metric).map(|row| row.value);
        (told("_mean").or(single)?, told("_standard_deviation"), None)
    } else {
        (
            stats::mean(&values)?,
            stats::standard_deviation(&values),
            u32::try_from(values.len()).ok(),
        )
    };
    Some(Summary {
        task: task.to_owned(),
        case: case.to_owned(),
        metric: metric.to_owned(),
        unit: rows.first().map(|row| row.unit.clone()).unwrap_or_default(),
        mean,
        standard_deviation,
        repetitions,
    })
}

/// What the user is told when a run is closed.
pub(super) fn farewell(run: &RunDirectory, manifest: &Manifest) -> Vec<String> {
    let mut lines = manifest.problems.clone();
    lines.extend(manifest.failure.clone());
    lines.extend(manifest.unparsed.clone());
    let how = match (manifest.command.signal, manifest.command.exit_code) {
        (Some(signal), _) => format!(" by {}", signal_name(signal)),
        (None, Some(code)) if code != 0 => format!(" with exit code {code}"),
        _ => String::new(),
    };
    let samples = manifest.sampling.as_ref().map_or_else(String::new, |sampling| {
        let skipped = match sampling.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} skipped"),
        };
        format!(", {} samples{skipped}", sampling.ticks)
    });
    let results = match (manifest.results, manifest.summary.len()) {
        (Results::Parsed, count) => format!(", {count} results"),
        (Results::Unparsed, _) => {
            ", results unparsed (`halo-record reparse` tries again)".to_owned()
        }
        (Results::None, _) => String::new(),
    };
    lines.push(format!("{}{how}{results}{samples}: {}", manifest.state, shorten(run.path())));
    lines.extend(manifest.verdict.as_ref().map(in_words));
    lines
}

/// A verdict on one line.
fn in_words(verdict: &Verdict) -> String {
    let flags = verdict.reasons.iter().map(|flag| format!("{}: {}", flag.reason, flag.evidence));
    let all: Vec<String> = verdict.missing.iter().cloned().chain(flags).collect();
    let colon = if all.is_empty() { "" } else { ": " };
    format!("verdict {}{colon}{}", verdict.label, all.join("; "))
}

/// A path with the home directory as `~`.
fn shorten(path: &Path) -> String {
    let home = std::env::var_os("HOME").unwrap_or_default();
    match path.strip_prefix(&home) {
        Ok(rest) if !home.is_empty() => format!("~/{}", rest.display()),
        _ => path.display().to_string(),
    }
}
