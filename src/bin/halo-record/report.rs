//! Writes reports.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use halo::analyze::Telemetry;
use halo::analyze::compare::{self, Named};
use halo::archive::{Archive, RunDirectory, select};
use halo::cli::record::{ReportFormat, Reported};
use halo::outgoing::Copied;
use halo::report::{markdown, page, record};

use super::{print, tell};

/// Writes a report about runs.
pub(super) fn report(archive: &Archive, asked: &Reported) -> anyhow::Result<ExitCode> {
    let mut originals: Vec<(&String, Vec<RunDirectory>)> = Vec::new();
    for word in &asked.runs {
        originals.push((word, select::runs(archive, word)?));
    }
    let runs: Vec<&RunDirectory> = originals.iter().flat_map(|(_, runs)| runs).collect();
    anyhow::ensure!(!runs.is_empty(), "{}: has no run", asked.runs.join(", "));
    let file = match (&asked.output, asked.format) {
        (Some(output), _) if output == Path::new("-") => None,
        (Some(output), _) => Some(output.clone()),
        (None, ReportFormat::Html) => Some(PathBuf::from(format!("{}.html", runs[0].name()))),
        (None, _) => None,
    };
    if let Some(file) = &file {
        super::ensure_writable(file, asked.is_forced)?;
    }
    for run in &runs {
        anyhow::ensure!(
            run.has("sampling.parquet") || run.manifest()?.sampling.is_none(),
            "{0}: is unfinished; wait for its end, or `halo-record recover {0}`",
            run.name()
        );
    }
    let copies = match asked.is_as_it_is {
        true => Vec::new(),
        false => runs.iter().map(|run| Copied::of(run)).collect::<Result<Vec<_>, _>>()?,
    };
    let sides = sides(&originals, &copies);
    let runs: Vec<&RunDirectory> = sides.iter().flat_map(|(_, runs)| runs).collect();
    let comparison = match runs.len() {
        0 | 1 => None,
        _ => match named(&sides)? {
            // Models are compared where someone asks for it.
            one if one.len() < 2 => {
                let word = originals[0].0;
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
    let mut described = Vec::new();
    for run in &runs {
        described.push((run.name().to_owned(), run.manifest()?, *run as &dyn Telemetry));
    }
    let report = record::gather(described, comparison)?;
    let text = match asked.format {
        ReportFormat::Html => page::html(&report),
        ReportFormat::Md => markdown::markdown(&report),
        ReportFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    let Some(file) = file else { return print(&text) };
    halo::archive::replace(&file, text.as_bytes()).with_context(|| file.display().to_string())?;
    tell(&format!("wrote {}", file.display()));
    Ok(ExitCode::SUCCESS)
}

/// The sides as the user named them: the runs themselves, or their copies for others.
fn sides(
    originals: &[(&String, Vec<RunDirectory>)],
    copies: &[Copied],
) -> Vec<(String, Vec<RunDirectory>)> {
    let mut copies = copies.iter();
    let sides = originals.iter().map(|(word, runs)| {
        let mut name = (*word).clone();
        let runs = runs.iter().map(|run| match copies.next() {
            Some(copy) => {
                name = copy.clean(word);
                RunDirectory::at(copy.run().path())
            }
            None => RunDirectory::at(run.path()),
        });
        let runs = runs.collect();
        (name, runs)
    });
    sides.collect()
}

/// What is compared with what: what the user named, and what one campaign varied where that is one
/// thing.
fn named(sides: &[(String, Vec<RunDirectory>)]) -> anyhow::Result<Vec<Named>> {
    let mut named = Vec::new();
    for (word, runs) in sides {
        let read = select::read(runs)?;
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
