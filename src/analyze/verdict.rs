//! What the figures of a run are worth: `clean`, `flagged` with its reasons, or `unknown`.
//!
//! Missing evidence never makes a run clean. What is flagged stays flagged where evidence is
//! missing too, but the label is `unknown` then, because nobody knows what else there was.

mod contention;
mod environment;
mod limits;
mod memory;
mod samples;
mod temperature;

use std::collections::BTreeMap;

use super::consumption::stretches;
use super::phase::{self, Phase, Window};
use super::telemetry::{Event, Telemetry, Tick, Unreadable};
use crate::run::manifest::{Flag, Verdict};
use crate::run::{Evidence, Manifest, Thresholds};

pub(in crate::analyze) use environment::{is_set, is_setting};

/// The labels, as they stand in the archive.
pub const CLEAN: &str = "clean";
/// Something is wrong.
pub const FLAGGED: &str = "flagged";
/// Nobody can tell.
pub const UNKNOWN: &str = "unknown";

/// A power limit was engaged.
pub const POWER_CAPPED: &str = "power-capped";
/// A thermal limit was engaged or reached.
pub const THERMALLY_THROTTLED: &str = "thermally-throttled";
/// Processes waited for memory, or memory went to swap.
pub const MEMORY_PRESSURE: &str = "memory-pressure";
/// Something else used the graphics processor.
pub const CONTENDED: &str = "contended";
/// Samples are missing.
pub const GAPS: &str = "gaps";
/// The machine's settings were not the same throughout.
pub const ENVIRONMENT_CHANGED: &str = "environment-changed";
/// A phase was too short for the sensors.
pub const TOO_SHORT: &str = "too-short";

/// Every reason that a run can be flagged with.
pub const REASONS: [&str; 7] = [
    POWER_CAPPED,
    THERMALLY_THROTTLED,
    MEMORY_PRESSURE,
    CONTENDED,
    GAPS,
    ENVIRONMENT_CHANGED,
    TOO_SHORT,
];

/// What all parts of a verdict look at.
struct Look<'a> {
    manifest: &'a Manifest,
    telemetry: &'a dyn Telemetry,
    thresholds: &'a Thresholds,
    ticks: Vec<Tick>,
    command: Window,
    /// The measured phases of each case and work, in words, and when they were.
    parts: Vec<(String, Vec<Window>)>,
}

impl Look<'_> {
    /// The whole recording.
    fn recording(&self) -> Window {
        let last = self.ticks.last().map_or(self.command.to, |tick| tick.at);
        Window { from: 0, to: last.max(self.command.to) + 1 }
    }

    /// When what was read tells of the command: there is a sample right before it and right after
    /// it, and one that is shorter than the interval has none beside these.
    fn around(&self) -> Window {
        #[expect(clippy::cast_possible_truncation, reason = "a second in nanoseconds")]
        let edge = (samples::SHORT * 1e9) as i64;
        Window { from: self.command.from - edge, to: self.command.to + edge }
    }

    /// The command and its phases, in words, and when they were.
    fn spans(&self) -> impl Iterator<Item = (&str, &[Window])> {
        let command = ("the command", std::slice::from_ref(&self.command));
        let parts = self.parts.iter().map(|(name, windows)| (name.as_str(), windows.as_slice()));
        std::iter::once(command).chain(parts)
    }

    fn needs(&self, evidence: Evidence) -> bool {
        self.thresholds.evidence.contains(&evidence)
    }
}

/// What the parts of a verdict found.
#[derive(Debug, Default)]
struct Findings {
    flags: Vec<Flag>,
    missing: Vec<String>,
}

impl Findings {
    fn flag(&mut self, reason: &str, evidence: String) {
        self.flag_with(reason, evidence, BTreeMap::new());
    }

    fn flag_with(&mut self, reason: &str, evidence: String, figures: BTreeMap<String, f64>) {
        self.flags.push(Flag { reason: reason.to_owned(), evidence, figures });
    }

    fn missing(&mut self, what: impl Into<String>) {
        self.missing.push(what.into());
    }
}

/// Judges a run.
///
/// # Errors
///
/// Where the recording is damaged.
pub fn judge(
    manifest: &Manifest,
    telemetry: &dyn Telemetry,
    thresholds: &Thresholds,
) -> Result<Verdict, Unreadable> {
    let (events, ticks) = (telemetry.events()?, telemetry.ticks()?);
    let last = ticks.last().map_or(0, |tick| tick.at);
    let Some(command) = phase::command(&events, last) else {
        let missing = "the command was never started".to_owned();
        return Ok(verdict(Findings { flags: Vec::new(), missing: vec![missing] }));
    };
    let parts = parts(&events, manifest, command);
    let look = Look { manifest, telemetry, thresholds, ticks, command, parts };
    let mut findings = Findings::default();
    limits::look(&look, &mut findings)?;
    temperature::look(&look, &mut findings)?;
    memory::look(&look, &mut findings)?;
    contention::look(&look, &mut findings)?;
    samples::look(&look, &mut findings)?;
    environment::look(&look, &mut findings)?;
    Ok(verdict(findings))
}

/// The verdict of a run that has no samples.
pub fn without_samples(why: &str) -> Verdict {
    verdict(Findings { flags: Vec::new(), missing: vec![why.to_owned()] })
}

fn verdict(findings: Findings) -> Verdict {
    let Findings { flags: reasons, missing } = findings;
    let label = match (missing.is_empty(), reasons.is_empty()) {
        (false, _) => UNKNOWN,
        (true, false) => FLAGGED,
        (true, true) => CLEAN,
    };
    Verdict { label: label.to_owned(), reasons, missing }
}

fn parts(events: &[Event], manifest: &Manifest, command: Window) -> Vec<(String, Vec<Window>)> {
    let phases = phase::measured(events, &manifest.cases, command);
    let mut parts: Vec<(String, Vec<&Phase>)> = Vec::new();
    for phase in &phases {
        let name = format!("{} of {}", phase.work.as_str(), phase.case);
        match parts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, group)) => group.push(phase),
            None => parts.push((name, vec![phase])),
        }
    }
    parts.into_iter().map(|(name, group)| (name, stretches(&group))).collect()
}

/// A share as people read it.
fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
