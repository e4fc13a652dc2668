//! Whether a part of the processor came near its thermal limit.

use super::{Findings, Look, THERMALLY_THROTTLED, Unreadable, percent};
use crate::analyze::series::{range, share};
use crate::run::Evidence;
use crate::source::power::TEMPERATURE_LIMIT;
use crate::source::shared::TEMPERATURE;

pub(super) fn look(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let temperatures = look.telemetry.series(TEMPERATURE.def())?;
    let is_known = temperatures.iter().any(|one| range(&one.points, look.around()).is_some());
    if !is_known && look.needs(Evidence::Temperature) {
        findings.missing("no temperature of the processor");
    }
    // What counters say of throttling is closer to the truth.
    if findings.flags.iter().any(|flag| flag.reason == THERMALLY_THROTTLED) {
        return Ok(());
    }
    let limits = look.telemetry.series(TEMPERATURE_LIMIT.def())?;
    for limit in &limits {
        let Some((limit_celsius, _)) = range(&limit.points, look.command) else { continue };
        let sensor = limit.labels.last();
        // The limit comes from the SMU, the reading often from the graphics driver: the sensor is
        // what they have in common.
        for part in temperatures.iter().filter(|one| one.labels.last() == sensor) {
            let near = limit_celsius - look.thresholds.temperature_margin;
            let window = [look.command];
            let Some(share) = share(&part.points, &window, |point| point.value >= near) else {
                continue;
            };
            if share > look.thresholds.thermal_share {
                let (_, most) = range(&part.points, look.command).unwrap_or_default();
                let sensor = part.labels.last().map_or("a part", String::as_str);
                let figures = [(sensor.to_owned(), share)];
                let evidence = format!(
                    "{sensor} was within {} K of its limit of {limit_celsius} °C for {} of the command, at most {most:.1} °C",
                    look.thresholds.temperature_margin,
                    percent(share)
                );
                findings.flag_with(THERMALLY_THROTTLED, evidence, figures.into());
                return Ok(());
            }
        }
    }
    Ok(())
}
