//! Whether the machine was set the same from beginning to end.

use super::{ENVIRONMENT_CHANGED, Findings, Look, Unreadable};
use crate::analyze::series::range;
use crate::run::Environment;
use crate::source::power::LIMIT;
use crate::source::supply::ONLINE;

/// Limits are read with a resolution of a milliwatt; a watt is more than noise.
const WATT: f64 = 1.0;

/// Facts that say what was going on, not how the machine is set.
const CIRCUMSTANCES: [&str; 2] = ["gpu.users", "fitness."];

/// Numbers that say how the machine is set.
const SETTINGS: [&str; 5] = [
    "halo_gpu_memory_size_bytes",
    "halo_memory_size_bytes",
    "halo_swap_size_bytes",
    "halo_tuning_check",
    "halo_tuning_value",
];

/// Whether a fact says how the machine is set.
pub(in crate::analyze) fn is_setting(fact: &str) -> bool {
    !CIRCUMSTANCES.iter().any(|begin| fact.starts_with(begin))
}

/// Whether a number says how the machine is set.
pub(in crate::analyze) fn is_set(series: &str) -> bool {
    SETTINGS.iter().any(|family| series.starts_with(family))
}

pub(super) fn look(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let mut changes = Vec::new();
    for limit in look.telemetry.series(LIMIT.def())? {
        if let Some((least, most)) = range(&limit.points, look.recording())
            && most - least > WATT
        {
            let name = limit.labels.first().map_or("", String::as_str);
            changes.push(format!("the limit {name} moved between {least:.0} and {most:.0} W"));
        }
    }
    for supply in look.telemetry.series(ONLINE.def())? {
        if let Some((least, most)) = range(&supply.points, look.recording())
            && least < most
        {
            let name = supply.labels.first().map_or("", String::as_str);
            changes.push(format!("the supply {name} was not online throughout"));
        }
    }
    if let Some(end) = &look.manifest.environment_at_end {
        changes.extend(between(&look.manifest.environment_at_start, end));
    }
    if !changes.is_empty() {
        findings.flag(ENVIRONMENT_CHANGED, changes.join("; "));
    }
    Ok(())
}

/// What is known at both ends and differs.
fn between(start: &Environment, end: &Environment) -> Vec<String> {
    let facts =
        start.facts.iter().filter(|(name, _)| is_setting(name)).filter_map(|(name, was)| {
            let is = end.facts.get(name).filter(|is| *is != was)?;
            Some(format!("{name} was {was} and became {is}"))
        });
    let values = start.values.iter().filter(|(name, _)| is_set(name)).filter_map(|(name, was)| {
        let is = end.values.get(name).filter(|is| (*is - was).abs() > f64::EPSILON * was.abs())?;
        Some(format!("{name} was {was} and became {is}"))
    });
    facts.chain(values).collect()
}
