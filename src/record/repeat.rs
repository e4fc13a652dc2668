//! Runs a benchmark again with more repetitions where its phases were too short for the sensors.

use std::time::Duration;

use super::{Recorded, Refusal, Request};
use crate::analyze::Telemetry;
use crate::analyze::consumption::stretches_of_cases;
use crate::analyze::phase;
use crate::archive::RunDirectory;
use crate::run::manifest::State;
use crate::tool;

/// How much more than computed is asked for, since the first repetitions are often slower.
const MARGIN: f64 = 1.1;

/// More repetitions than this are asked of no tool.
const MOST: f64 = 10_000.0;

/// Refuses a command whose repetitions halo cannot raise.
///
/// # Errors
///
/// With the reason.
pub(super) fn check(request: &Request) -> Result<(), Refusal> {
    let raised = tool::recognize(&request.argv)
        .and_then(|(tool, _)| tool.with_repetitions(&request.argv, 1));
    match (request.min_phase, raised) {
        (Some(_), None) => Err(Refusal(
            "--min-phase: halo knows no repetitions of this command; it knows those of llama-bench"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// What is to be run after a run whose shortest phase was too short, and why. None where all phases
/// are long enough, where the run was not completed, and where more repetitions would not help.
pub(super) fn longer(request: &Request, recorded: &Recorded) -> Option<(Request, String)> {
    let least = request.min_phase?;
    if recorded.manifest.state != State::Complete {
        return None;
    }
    let run = RunDirectory::at(request.archive.directory().join(&recorded.name));
    let (shortest, repetitions) = shortest(&run, recorded)?;
    if shortest >= least {
        return None;
    }
    let wanted = f64::from(repetitions) * least.as_secs_f64() / shortest.as_secs_f64() * MARGIN;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
    let wanted = wanted.ceil().min(MOST) as u32;
    let (tool, _) = tool::recognize(&request.argv)?;
    let argv = tool.with_repetitions(&request.argv, wanted).filter(|_| wanted > repetitions)?;
    let why = format!(
        "the shortest phase took {:.2} s with {repetitions} repetitions; again with {wanted}, so that it takes {least:?}",
        shortest.as_secs_f64()
    );
    Some((Request { argv, ..request.clone() }, why))
}

/// How long the shortest stretch of measured phases took, and how many repetitions it is of.
fn shortest(run: &RunDirectory, recorded: &Recorded) -> Option<(Duration, u32)> {
    let (events, ticks) = (run.events().ok()?, run.ticks().ok()?);
    let command = phase::command(&events, ticks.last()?.at)?;
    let phases = phase::measured(&events, &recorded.manifest.cases, command);
    let all = stretches_of_cases(&phases);
    // Where something lies between the repetitions, more of them make no stretch longer.
    let (stretch, count) = all
        .into_iter()
        .filter(|(windows, _)| windows.len() == 1)
        .map(|(windows, count)| (windows[0], count))
        .min_by_key(|(window, _)| window.to - window.from)?;
    let repetitions = u32::try_from(count).ok()?;
    Some((Duration::try_from_secs_f64(stretch.seconds()).ok()?, repetitions))
}
