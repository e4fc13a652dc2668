//! What a report shows of runs, whatever it is written as.

use serde::Serialize;

use super::charts::{self, Chart};
use super::pareto::{self, Pareto};
use crate::analyze::compare::Comparison;
use crate::analyze::phase::{self, Phase};
use crate::analyze::telemetry::{Telemetry, Unreadable};
use crate::run::Manifest;

/// A report about one run or several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The runs, in the order in which they were named.
    pub runs: Vec<Recorded>,
    /// Their series, all aligned at the start of their commands.
    pub charts: Vec<Chart>,
    /// What scores cost, where several runs have them.
    pub pareto: Vec<Pareto>,
    /// What differs, where there are several.
    pub comparison: Option<Comparison>,
}

/// A run of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// The name of its directory.
    pub run: String,
    /// What it is.
    pub manifest: Manifest,
    /// What it did when, in seconds since its command was started.
    pub phases: Vec<Span>,
    /// How long the command took, in seconds; none where it was never started.
    pub seconds: Option<f64>,
}

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// `prompt` or `generation`.
    pub work: &'static str,
    /// Of which case.
    pub case: String,
    /// When it began, in seconds since the command was started.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// Tokens a second in it; none where the tool does not tell how many there were.
    pub tokens_per_second: Option<f64>,
}

/// Gathers what a report shows.
///
/// # Errors
///
/// Where a recording is damaged.
pub fn gather(
    runs: Vec<(String, Manifest, &dyn Telemetry)>,
    comparison: Option<Comparison>,
) -> Result<Report, Unreadable> {
    let (mut recorded, mut recordings) = (Vec::new(), Vec::new());
    for (run, manifest, telemetry) in runs {
        let (events, ticks) = (telemetry.events()?, telemetry.ticks()?);
        let last = ticks.last().map_or(0, |tick| tick.at);
        let command = phase::command(&events, last);
        let start = command.map_or(0, |command| command.from);
        let seconds = |at: i64| (at - start) as f64 / 1e9;
        let phases = command
            .map_or_else(Vec::new, |command| phase::measured(&events, &manifest.cases, command));
        let span = |phase: &Phase| Span {
            work: phase.work.as_str(),
            case: phase.case.clone(),
            from: seconds(phase.window.from),
            to: seconds(phase.window.to),
            tokens_per_second: phase
                .tokens
                .map(|tokens| tokens as f64 / phase.window.seconds())
                .filter(|speed| speed.is_finite()),
        };
        recordings.push(charts::Recording {
            telemetry,
            start,
            interval: manifest.sampling.as_ref().map_or(0.25, |how| how.interval_seconds),
        });
        recorded.push(Recorded {
            phases: phases.iter().map(span).collect(),
            seconds: command.map(phase::Window::seconds),
            run,
            manifest,
        });
    }
    let phases: Vec<&[Span]> = recorded.iter().map(|run| run.phases.as_slice()).collect();
    let mut charts = charts::of(&recordings)?;
    charts.extend(charts::of_phases(&phases));
    Ok(Report { charts, pareto: pareto::of(&recorded), runs: recorded, comparison })
}
