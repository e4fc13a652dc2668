//! Writes reports.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use halo::analyze::Telemetry;
use halo::analyze::compare::{self, Named};
use halo::archive::salvage::{self, Unreadable};
use halo::archive::{Archive, RunDirectory, select};
use halo::cli::record::{ReportFormat, Reported};
use halo::outgoing::Copied;
use halo::report::record::{self, Report};
use halo::report::{markdown, page};
use halo::visible;

use super::{print, tell};

/// Writes a report about runs.
pub(super) fn report(archive: &Archive, asked: &Reported) -> anyhow::Result<ExitCode> {
    let mut sides: Vec<(String, Vec<RunDirectory>)> = Vec::new();
    for word in &asked.runs {
        sides.push((word.clone(), select::runs(archive, word)?));
    }
    let is_empty = sides.iter().all(|(_, runs)| runs.is_empty());
    anyhow::ensure!(!is_empty, "{}: has no run", asked.runs.join(", "));
    leave_out(&mut sides, ensure_finished)?;
    let file = match (&asked.output, asked.format) {
        (Some(output), _) if output == Path::new("-") => None,
        (Some(output), _) => Some(output.clone()),
        (None, ReportFormat::Html) => Some(PathBuf::from(format!("{}.html", sides[0].1[0].name()))),
        (None, _) => None,
    };
    if let Some(file) = &file {
        super::ensure_writable(file, asked.is_forced)?;
    }
    // What is given away is a copy without what is nobody's business; it is there until the end.
    let mut copies = Vec::new();
    if !asked.is_as_it_is {
        leave_out(&mut sides, |run| {
            copies.push(Copied::of(run)?);
            Ok(())
        })?;
        let mut next = copies.iter();
        for (name, runs) in &mut sides {
            for (run, copy) in runs.iter_mut().zip(&mut next) {
                *name = copy.clean(name);
                *run = RunDirectory::at(copy.run().path());
            }
        }
    }
    let mut report = gathered(&sides);
    if report.is_err() {
        let alone = |run: &RunDirectory| vec![RunDirectory::at(run.path())];
        leave_out(&mut sides, |run| gathered(&[(String::new(), alone(run))]).map(drop))?;
        report = gathered(&sides);
    }
    let mut report = report?;
    report.comparison = match report.runs.len() {
        0 | 1 => None,
        _ => match named(&sides)? {
            // Models are compared where someone asks for it.
            one if one.len() < 2 => {
                let word = &asked.runs[0];
                tell(&format!(
                    "without a difference: all runs of {word} are run alike; name the sides, or `halo-record compare {word} --by model`"
                ));
                None
            }
            named => {
                let compared = compare::compare(named, None);
                compared.inspect_err(|error| tell(&format!("without a difference: {error}"))).ok()
            }
        },
    };
    // A file is looked at with `less` or `cat` as well.
    let text = match asked.format {
        ReportFormat::Html => visible::text(&page::html(&report)).into_owned(),
        ReportFormat::Md => visible::text(&markdown::markdown(&report)).into_owned(),
        ReportFormat::Json => {
            visible::json(&(serde_json::to_string_pretty(&report)? + "\n")).into_owned()
        }
    };
    let Some(file) = file else { return print(&text) };
    halo::archive::replace(&file, text.as_bytes()).with_context(|| file.display().to_string())?;
    tell(&format!("wrote {}", file.display()));
    Ok(ExitCode::SUCCESS)
}

/// Leaves out runs that something is wrong with, and says which.
///
/// # Errors
///
/// What is wrong with the last one, where none is left.
fn leave_out(
    sides: &mut Vec<(String, Vec<RunDirectory>)>,
    mut examine: impl FnMut(&RunDirectory) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (_, runs) in &mut *sides {
        runs.retain(|run| examine(run).map_err(|error| wrong.push(error)).is_ok());
    }
    sides.retain(|(_, runs)| !runs.is_empty());
    if sides.is_empty()
        && let Some(last) = wrong.pop()
    {
        return Err(last);
    }
    for error in wrong {
        tell(&format!("{error:#}; it is left out"));
    }
    Ok(())
}

fn ensure_finished(run: &RunDirectory) -> anyhow::Result<()> {
    let manifest = salvage::manifest(run)?;
    anyhow::ensure!(
        run.has("sampling.parquet") || manifest.sampling.is_none(),
        "{0}: is unfinished; wait for its end, or `halo-record recover {0}`",
        run.name()
    );
    Ok(())
}

/// What the report shows of all runs, without a comparison.
fn gathered(sides: &[(String, Vec<RunDirectory>)]) -> anyhow::Result<Report> {
    let runs = sides.iter().flat_map(|(_, runs)| runs);
    let described =
        runs.map(|run| Ok((run.name().to_owned(), salvage::manifest(run)?, run as &dyn Telemetry)));
    Ok(record::gather(described.collect::<Result<_, Unreadable>>()?, None)?)
}

/// What is compared with what: what the user named, and what one campaign varied where that is one
/// thing.
fn named(sides: &[(String, Vec<RunDirectory>)]) -> anyhow::Result<Vec<Named>> {
    let mut named = Vec::new();
    for (word, runs) in sides {
        let read = super::compare::readable(runs)?;
        if sides.len() == 1 {
            return Ok(compare::by_configuration(read));
        }
        match <[_; 1]>::try_from(read) {
            Ok([run]) => named.push(Named { name: run.name.clone(), runs: vec![run] }),
            Err(runs) => named.push(Named { name: word.clone(), runs }),
        }
    }
    Ok(named)
}
