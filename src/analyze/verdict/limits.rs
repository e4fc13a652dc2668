//! Whether power limits or thermal limits were engaged.

use std::collections::BTreeMap;

use super::{Findings, Look, POWER_CAPPED, THERMALLY_THROTTLED, Unreadable, percent};
use crate::analyze::phase::Window;
use crate::analyze::series::{range, rate, share};
use crate::analyze::telemetry::Series;
use crate::run::Evidence;
use crate::source::amdgpu::{ENGAGED, RESIDENCY};
use crate::source::power::{LIMIT, VALUE};
use crate::source::shared::POWER;

/// Ticks of the firmware's residency counters in a second. Undocumented; measured as 1 ms
/// (`docs/decisions/0007-power-limits.md`).
const TICKS: f64 = 1000.0;

/// From this part of a limit on, the value that is held against it counts as having reached it.
const REACHED: f64 = 0.97;

/// How the shares of time were found out.
#[derive(Clone, Copy)]
enum Method {
    Residency,
    Status,
    Limit,
}

impl Method {
    const fn words(self) -> &'static str {
        match self {
            Self::Residency => "residency counters",
            Self::Status => "status bits of the samples",
            Self::Limit => "value at 97 % of the limit or more",
        }
    }
}

/// A limiter in a part of the run.
struct Engaged {
    limiter: String,
    share: f64,
    span: String,
}

pub(super) fn look(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let limits = look.telemetry.series(LIMIT.def())?;
    let Some((method, engaged)) = engaged(look, &limits)? else {
        if look.needs(Evidence::Power) && !has_socket_power(look)? {
            findings.missing("neither socket power nor a count of engaged limits");
        }
        return Ok(());
    };
    let is_thermal = |limiter: &str| limiter.starts_with("thm_") || limiter == "prochot";
    for (reason, wants_thermal, most) in [
        (POWER_CAPPED, false, look.thresholds.power_capped_share),
        (THERMALLY_THROTTLED, true, look.thresholds.thermal_share),
    ] {
        let mut worst: Vec<&Engaged> = Vec::new();
        for one in engaged.iter().filter(|one| is_thermal(&one.limiter) == wants_thermal) {
            match worst.iter_mut().find(|known| known.limiter == one.limiter) {
                Some(known) if one.share > known.share => *known = one,
                Some(_) => {}
                None => worst.push(one),
            }
        }
        worst.retain(|one| one.share > most);
        worst.sort_by(|a, b| b.share.total_cmp(&a.share));
        if worst.is_empty() {
            continue;
        }
        let words = worst.iter().map(|one| {
            format!("{} was engaged for {} of {}", one.limiter, percent(one.share), one.span)
        });
        let evidence = format!("{} ({})", words.collect::<Vec<_>>().join(", "), method.words());
        let shares = worst.iter().map(|one| (one.limiter.clone(), one.share));
        let mut figures: BTreeMap<String, f64> = shares.collect();
        if reason == POWER_CAPPED {
            figures.extend(in_force(&limits, look.command));
        }
        findings.flag_with(reason, evidence, figures);
    }
    Ok(())
}

/// The shares of time of every limiter in every part of the run, by the best method that the
/// recording allows.
fn engaged(
    look: &Look<'_>,
    limits: &[Series],
) -> Result<Option<(Method, Vec<Engaged>)>, Unreadable> {
    let residency = look.telemetry.series(RESIDENCY.def())?;
    let by_residency = |series: &Series, windows: &[Window]| {
        rate(&series.points, windows).map(|rate| (rate / TICKS).min(1.0))
    };
    let found = over_spans(look, &residency, by_residency);
    if !found.is_empty() {
        return Ok(Some((Method::Residency, found)));
    }
    let status = look.telemetry.series(ENGAGED.def())?;
    let by_status = |series: &Series, windows: &[Window]| {
        share(&series.points, windows, |point| point.value > 0.0)
    };
    let found = over_spans(look, &status, by_status);
    if !found.is_empty() {
        return Ok(Some((Method::Status, found)));
    }
    let values = look.telemetry.series(VALUE.def())?;
    let by_limit = |series: &Series, windows: &[Window]| {
        let limit = limits.iter().find(|limit| limit.labels == series.labels)?;
        // A limit may be read in other samples than its value: the least of it counts.
        let (least, _) = range(&limit.points, look.command)?;
        share(&series.points, windows, |point| point.value >= REACHED * least)
    };
    let found = over_spans(look, &values, by_limit);
    Ok((!found.is_empty()).then_some((Method::Limit, found)))
}

fn over_spans(
    look: &Look<'_>,
    all: &[Series],
    share: impl Fn(&Series, &[Window]) -> Option<f64>,
) -> Vec<Engaged> {
    let mut found = Vec::new();
    for series in all {
        let Some(limiter) = series.labels.last() else { continue };
        for (span, windows) in look.spans() {
            if let Some(share) = share(series, windows) {
                found.push(Engaged { limiter: limiter.clone(), share, span: span.to_owned() });
            }
        }
    }
    found
}

/// The limits that were in force, as `limit_watts.stapm`.
fn in_force(limits: &[Series], command: Window) -> impl Iterator<Item = (String, f64)> {
    limits.iter().filter_map(move |series| {
        let (least, _) = range(&series.points, command)?;
        Some((format!("limit_watts.{}", series.labels.first()?), least))
    })
}

fn has_socket_power(look: &Look<'_>) -> Result<bool, Unreadable> {
    let all = look.telemetry.series(POWER.def())?;
    Ok(all.iter().any(|series| {
        series.labels.get(1).is_some_and(|domain| domain == "socket")
            && range(&series.points, look.around()).is_some()
    }))
}
