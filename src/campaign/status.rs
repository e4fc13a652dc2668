//! How far the cells of a campaign got, as the manifests of its runs say.

use crate::archive::campaign::Runs;
use crate::process::foreground::signal_name;
use crate::run::campaign::PlannedCell;
use crate::run::manifest::{Results, State};
use crate::run::{Campaign, Manifest};

/// `SIGKILL`, which a program cannot give itself away by.
const KILL: i32 = 9;

/// How far a cell got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has its results.
    Done,
    /// It was run and has none; why.
    Failed(String),
    /// It was not run, or not to its end.
    Open,
    /// The user removed its run.
    Removed,
}

/// A cell with the run that tells most of it.
#[derive(Debug)]
pub struct CellStatus<'a> {
    /// The cell.
    pub planned: &'a PlannedCell,
    /// How far it got.
    pub outcome: Outcome,
    /// The name of the run, and what it is.
    pub run: Option<(&'a str, &'a Manifest)>,
}

/// How far each cell got, in the order in which they run.
pub fn status<'a>(campaign: &'a Campaign, runs: &'a Runs) -> Vec<CellStatus<'a>> {
    let of_cell = |planned: &'a PlannedCell| {
        let mut best = CellStatus { planned, outcome: Outcome::Open, run: None };
        for (directory, manifest) in &runs.runs {
            if manifest.cell.as_ref() != Some(&planned.cell) {
                continue;
            }
            let outcome = outcome(manifest);
            // A failure after a success, of cells that were run again, takes nothing away.
            if best.outcome != Outcome::Done || outcome == Outcome::Done {
                best = CellStatus { planned, outcome, run: Some((directory.name(), manifest)) };
            }
        }
        let is_removed = || campaign.removed.iter().any(|removed| removed.cell == planned.cell);
        if best.run.is_none() && is_removed() {
            best.outcome = Outcome::Removed;
        }
        best
    };
    campaign.cells.iter().map(of_cell).collect()
}

/// How far the run of a cell got.
pub fn outcome(manifest: &Manifest) -> Outcome {
    match manifest.state {
        State::Running | State::Interrupted => Outcome::Open,
        // The user ended it; what halo ended, or a signal that came from elsewhere, is a failure.
        State::Cancelled if was_ended_by_user(manifest) => Outcome::Open,
        State::Complete if manifest.results == Results::Parsed => Outcome::Done,
        State::Complete | State::Failed | State::Cancelled => Outcome::Failed(reason(manifest)),
    }
}

fn was_ended_by_user(manifest: &Manifest) -> bool {
    manifest.command.asked_to_end.is_some() && manifest.command.aborted.is_none()
}

/// Why a run has no result.
fn reason(manifest: &Manifest) -> String {
    let command = &manifest.command;
    if let Some(reason) = &command.aborted {
        return reason.clone();
    }
    // A shell or a container's client says with a code above 128 which signal it was.
    let signal = command.signal.or(command.exit_code.filter(|code| *code > 128).map(|c| c - 128));
    let how = match (signal, command.exit_code) {
        (Some(KILL), _) => Some(
            "killed by SIGKILL, as the kernel does when memory is used up (`journalctl -k` says so)"
                .to_owned(),
        ),
        (Some(signal), _) => Some(format!("ended by {}", signal_name(signal))),
        (None, Some(code)) if code != 0 => Some(format!("exit code {code}")),
        (None, Some(_)) => None,
        (None, None) => Some("never started".to_owned()),
    };
    let says = manifest.failure.clone().or_else(|| manifest.unparsed.clone());
    let parts: Vec<String> = how.into_iter().chain(says).collect();
    if parts.is_empty() { "exit code 0 without results".to_owned() } else { parts.join("; ") }
}
