//! Whether memory was short.

use super::{Findings, Look, MEMORY_PRESSURE, Unreadable, percent};
use crate::analyze::series::{range, rate};
use crate::quantity;
use crate::run::Evidence;
use crate::source::memory::{AVAILABLE, SWAP_USED};
use crate::source::pressure::STALLED;

pub(super) fn look(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let available = look.telemetry.series(AVAILABLE.def())?;
    let is_known = available.iter().any(|one| range(&one.points, look.around()).is_some());
    if !is_known && look.needs(Evidence::Memory) {
        findings.missing("nothing about memory");
    }
    let stalled = look.telemetry.series(STALLED.def())?;
    let some = stalled.iter().find(|series| series.labels == ["memory", "some"]);
    if let Some(waited) = some.and_then(|series| rate(&series.points, &[look.command]))
        && waited > look.thresholds.memory_pressure_share
    {
        let evidence =
            format!("some process waited for memory for {} of the command (PSI)", percent(waited));
        findings.flag_with(MEMORY_PRESSURE, evidence, [("some".to_owned(), waited)].into());
    }
    for swap in look.telemetry.series(SWAP_USED.def())? {
        let inside = swap.points.iter().filter(|point| look.command.holds(point.at));
        let Some(first) = inside.clone().next() else { continue };
        let most = inside.map(|point| point.value).fold(first.value, f64::max);
        let grown = most - first.value;
        if grown > look.thresholds.swap_growth_bytes {
            let evidence = format!("{} went to swap meanwhile", quantity::bytes(grown));
            findings.flag_with(
                MEMORY_PRESSURE,
                evidence,
                [("swap_bytes".to_owned(), grown)].into(),
            );
        }
    }
    Ok(())
}
