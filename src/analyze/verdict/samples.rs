//! Whether the samples can tell anything: gaps, resets, phases too short for sensors.

use super::{Findings, GAPS, Look, TOO_SHORT, Unreadable, percent};
use crate::analyze::phase::Window;
use crate::analyze::series::reset;
use crate::metric::Def;
use crate::run::Evidence;
use crate::source::amdgpu::RESIDENCY;
use crate::source::cpu::SECONDS;
use crate::source::pressure::STALLED;
use crate::source::rapl::ENERGY;

/// Between two samples more intervals than this are a gap in what is covered, where they are longer
/// than [`SHORT`] too.
const GAP_INTERVALS: f64 = 2.5;

/// Seconds between two samples that are never a gap: filtered readings tell of them.
pub(super) const SHORT: f64 = 1.0;

pub(super) fn look(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    coverage(look, findings);
    lost(look, findings);
    short(look, findings);
    resets(look, findings)
}

fn coverage(look: &Look<'_>, findings: &mut Findings) {
    if !look.needs(Evidence::Samples) {
        return;
    }
    let interval = look.manifest.sampling.as_ref().map_or(0.0, |how| how.interval_seconds);
    let longest = SHORT.max(GAP_INTERVALS * interval);
    let pairs = look.ticks.windows(2).map(|pair| Window { from: pair[0].at, to: pair[1].at });
    let covered: f64 = pairs
        .filter(|pair| pair.seconds() <= longest)
        .filter_map(|pair| pair.overlap(look.command))
        .map(Window::seconds)
        .sum();
    let whole = look.command.seconds();
    let share = if whole > 0.0 { covered / whole } else { 0.0 };
    if share < look.thresholds.coverage {
        findings.missing(format!("samples cover {} of the command", percent(share)));
    }
}

fn lost(look: &Look<'_>, findings: &mut Findings) {
    let inside = || look.ticks.iter().filter(|tick| look.command.holds(tick.at));
    let taken = inside().count() as f64;
    let skipped: f64 = inside().map(|tick| tick.skipped as f64).sum();
    let is_late =
        |failing: &str| failing.split_whitespace().any(|source| source.ends_with(":timeout"));
    let late = inside().filter(|tick| tick.failing.as_deref().is_some_and(is_late)).count() as f64;
    for (what, share) in [
        ("skipped", skipped / (taken + skipped)),
        ("without a source that timed out", late / taken),
    ] {
        if share > look.thresholds.gaps_share {
            let evidence = format!("{} of the samples are {what}", percent(share));
            findings.flag_with(GAPS, evidence, [(what.to_owned(), share)].into());
        }
    }
}

fn short(look: &Look<'_>, findings: &mut Findings) {
    let least = look.thresholds.shortest_phase;
    let too_short = look.spans().filter_map(|(span, windows)| {
        let shortest = windows.iter().map(|window| window.seconds()).reduce(f64::min)?;
        (shortest < least).then(|| format!("{span} ({shortest:.2} s)"))
    });
    let too_short: Vec<String> = too_short.collect();
    if !too_short.is_empty() {
        let evidence = format!(
            "shorter without a break than the {least} s that sensors need: {}",
            too_short.join(", ")
        );
        findings.flag(TOO_SHORT, evidence);
    }
}

fn resets(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let counters: [&Def; 4] = [RESIDENCY.def(), ENERGY.def(), STALLED.def(), SECONDS.def()];
    for def in counters {
        let all = look.telemetry.series(def)?;
        let first = all.iter().filter_map(|one| reset(&one.points, look.recording())).min();
        if let Some(at) = first {
            let seconds = at as f64 / 1e9;
            findings.missing(format!("{} began anew {seconds:.1} s into the recording", def.name));
        }
    }
    Ok(())
}
