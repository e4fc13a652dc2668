//! Compares runs, those that are there and those of two commands in turn.

use std::process::ExitCode;
use std::sync::Arc;

use halo::analyze::compare::gate::{self, Condition, Outcome};
use halo::analyze::compare::{self, Comparison, Named, Run};
use halo::archive::salvage::Unreadable;
use halo::archive::{Archive, RunDirectory, select};
use halo::campaign::display::Display;
use halo::cli::record::{Compared, Interleaved, Output, refuse_unknown};
use halo::interleave;
use halo::process::foreground;
use halo::record::{FAULT, RecordError};
use halo::report;
use halo::visible;

use super::{USAGE, print, refuse, tell};

/// The exit code of a regression, and of what nobody can tell.
const REGRESSION: u8 = 1;
const INCONCLUSIVE: u8 = 3;

/// Compares what the user named, and says whether a condition failed.
pub(super) fn compare(archive: &Archive, asked: &Compared, output: Output) -> ExitCode {
    let mut sides: Vec<(&String, Vec<RunDirectory>)> = Vec::new();
    for side in &asked.sides {
        match select::runs(archive, side) {
            Ok(runs) => sides.push((side, runs)),
            Err(error) => return refuse(&error, USAGE),
        }
    }
    let mut named = Vec::new();
    for (name, runs) in sides {
        match readable(&runs) {
            Ok(runs) => named.push(Named { name: name.clone(), runs }),
            Err(error) => return refuse(&error, FAULT),
        }
    }
    let comparison = match compare::compare(named, asked.by.as_deref()) {
        Ok(comparison) => comparison,
        Err(error) => return refuse(&error, USAGE),
    };
    show(comparison, &asked.conditions, output)
}

/// Those of a side's runs that can be read, and says which cannot.
///
/// # Errors
///
/// Where none of them can be read.
pub(super) fn readable(runs: &[RunDirectory]) -> Result<Vec<Run>, Unreadable> {
    let (found, mut unreadable) = select::read(runs);
    if found.is_empty()
        && let Some(last) = unreadable.pop()
    {
        return Err(last);
    }
    for run in unreadable {
        tell(&format!("{run}; it is left out"));
    }
    Ok(found)
}

/// Runs two commands in turn and compares them.
pub(super) fn interleave(asked: &Interleaved) -> ExitCode {
    let Interleaved { asked, conditions, output } = asked;
    if let Err(error) = asked.archive.prepare() {
        return refuse(&error, USAGE);
    }
    if let Some(warning) = asked.too_few_rounds() {
        tell(&warning);
    }
    let done = match interleave::run(asked, &Arc::new(Display::new())) {
        Ok(done) => done,
        Err(RecordError::Refused(error)) => return refuse(&error, USAGE),
        Err(error) => return refuse(&error, FAULT),
    };
    tell(&format!("{}; `halo-record list --campaign {}` shows the runs", done.why, done.name));
    let code = match done.comparison {
        Ok(comparison) => show(comparison, conditions, *output),
        Err(error) => refuse(&error, INCONCLUSIVE),
    };
    match done.signal.map(foreground::end_by) {
        None => code,
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => refuse(&error, FAULT),
    }
}

/// Prints a comparison, and says whether a condition failed.
fn show(mut comparison: Comparison, conditions: &[Condition], output: Output) -> ExitCode {
    if let Err(error) = refuse_unknown(conditions, &comparison.metrics) {
        return refuse(&error, USAGE);
    }
    gate::ask(conditions, &mut comparison);
    let comparison = &comparison;
    let findings: Vec<gate::Finding> =
        conditions.iter().flat_map(|condition| gate::check(condition, comparison)).collect();
    let text = match output {
        Output::Json => {
            let value = serde_json::json!({ "comparison": comparison, "findings": findings });
            visible::json(&format!("{value:#}\n")).into_owned()
        }
        Output::Text if findings.is_empty() => report::compare::text(comparison),
        Output::Text => report::compare::text(comparison) + &report::compare::findings(&findings),
    };
    // A reader that has seen enough does not change the outcome.
    if let Err(error) = print(&text)
        && !super::is_broken_pipe(&error)
    {
        return refuse(&format!("{error:#}"), FAULT);
    }
    match findings.iter().map(|finding| finding.outcome).max() {
        None | Some(Outcome::Fine) => ExitCode::SUCCESS,
        Some(Outcome::Regression) => ExitCode::from(REGRESSION),
        Some(Outcome::Inconclusive) => ExitCode::from(INCONCLUSIVE),
    }
}
