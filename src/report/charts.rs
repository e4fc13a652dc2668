//! The series of runs as lines of charts: which families stand together, thinned for a picture.

use serde::Serialize;

use super::record::Span;
use crate::analyze::phase::Work;
use crate::analyze::stats;
use crate::analyze::telemetry::{Point, Series, Telemetry, Unreadable};
use crate::metric::Def;
use crate::source::SOURCES;

/// So many columns of pixels does a picture have: of each, the least and the greatest value stay.
const COLUMNS: usize = 360;

/// Seconds without a value after which a line is interrupted, and the same in intervals.
const GAP: f64 = 5.0;
const GAP_INTERVALS: f64 = 10.0;

/// What stands in one picture.
struct Plan {
    title: &'static str,
    unit: &'static str,
    /// By what values are divided for the unit.
    divisor: f64,
    /// Families, and whether they are limits.
    families: &'static [(&'static str, bool)],
    /// Whether it is the growth a second that counts.
    is_rate: bool,
    /// Whether a line that never leaves 0 is left out: a limiter that was never engaged, and a server
    /// that never worked, are nothing to look at, and not what was measured.
    omits_idle: bool,
}

const GIBIBYTE: f64 = 1_073_741_824.0;

const PLANS: [Plan; 7] = [
    Plan {
        title: "Power",
        unit: "W",
        divisor: 1.0,
        families: &[("halo_power_watts", false), ("halo_power_limit_watts", true)],
        is_rate: false,
        omits_idle: false,
    },
    Plan {
        title: "Temperature",
        unit: "°C",
        divisor: 1.0,
        families: &[("halo_temperature_celsius", false), ("halo_temperature_limit_celsius", true)],
        is_rate: false,
        omits_idle: false,
    },
    Plan {
        title: "Time that limiters are engaged",
        unit: "%",
        // A tick of residency is taken as a millisecond.
        divisor: 10.0,
        families: &[("halo_throttle_residency_total", false)],
        is_rate: true,
        omits_idle: true,
    },
    Plan {
        title: "Clocks",
        unit: "GHz",
        divisor: 1e9,
        families: &[("halo_gpu_clock_hertz", false), ("halo_cpu_clock_hertz", false)],
        is_rate: false,
        omits_idle: false,
    },
    Plan {
        title: "Graphics processor busy",
        unit: "%",
        divisor: 0.01,
        families: &[("halo_gpu_busy_ratio", false)],
        is_rate: false,
        omits_idle: false,
    },
    Plan {
        title: "Memory",
        unit: "GiB",
        divisor: GIBIBYTE,
        families: &[
            ("halo_gpu_memory_used_bytes", false),
            ("halo_memory_available_bytes", false),
            ("halo_swap_used_bytes", false),
        ],
        is_rate: false,
        omits_idle: false,
    },
    Plan {
        title: "Tokens per second of llama-server",
        unit: "1/s",
        divisor: 1.0,
        families: &[
            ("halo_llama_generated_tokens_per_second", false),
            ("halo_llama_prompt_tokens_per_second", false),
        ],
        is_rate: false,
        omits_idle: true,
    },
];

/// A picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line of a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Which run it is of, counted from 0.
    pub run: usize,
    /// What it is called, as `socket`.
    pub name: String,
    /// Whether it is a limit.
    pub is_limit: bool,
    /// The least, the mean and the greatest of all values, before thinning.
    pub range: [f64; 3],
    /// Stretches without a gap: seconds since the command was started, and values. Thinned so that
    /// the least and the greatest of each stay.
    pub stretches: Vec<Vec<(f64, f64)>>,
}

/// A run whose series are drawn.
pub(super) struct Recording<'a> {
    pub(super) telemetry: &'a dyn Telemetry,
    /// When its command was started, in nanoseconds since the recording began.
    pub(super) start: i64,
    /// How often it was sampled, in seconds.
    pub(super) interval: f64,
}

/// The pictures of some runs; none of what no run has.
pub(super) fn of(recordings: &[Recording<'_>]) -> Result<Vec<Chart>, Unreadable> {
    let mut charts = Vec::new();
    for plan in &PLANS {
        let mut lines = Vec::new();
        for (run, recording) in recordings.iter().enumerate() {
            for (family, is_limit) in plan.families {
                let Some(def) = family_of(family) else { continue };
                for series in recording.telemetry.series(def)? {
                    lines.extend(line(plan, recording, run, *is_limit, def, &series));
                }
            }
        }
        if !lines.is_empty() {
            charts.push(Chart { title: plan.title, unit: plan.unit, lines });
        }
    }
    Ok(charts)
}

/// How fast each phase of each run was, as a level line for as long as it lasted.
pub(super) fn of_phases(runs: &[&[Span]]) -> Option<Chart> {
    let mut lines = Vec::new();
    for (run, phases) in runs.iter().enumerate() {
        for work in [Work::Prompt, Work::Generation].map(Work::as_str) {
            let of_work = phases.iter().filter(|phase| phase.work == work);
            let levels: Vec<(&Span, f64)> =
                of_work.filter_map(|phase| Some((phase, phase.tokens_per_second?))).collect();
            let speeds: Vec<f64> = levels.iter().map(|(_, speed)| *speed).collect();
            let all = || speeds.iter().copied();
            let (Some(least), Some(most)) = (all().reduce(f64::min), all().reduce(f64::max)) else {
                continue;
            };
            lines.push(Line {
                run,
                name: work.to_owned(),
                is_limit: false,
                range: [least, stats::mean(&speeds).unwrap_or(least), most],
                stretches: levels
                    .iter()
                    .map(|(phase, speed)| vec![(phase.from, *speed), (phase.to, *speed)])
                    .collect(),
            });
        }
    }
    let title = "Tokens per second of the benchmark";
    (!lines.is_empty()).then_some(Chart { title, unit: "1/s", lines })
}

fn family_of(name: &str) -> Option<&'static Def> {
    let mut all = SOURCES.iter().flat_map(|source| source.metrics.iter().copied());
    all.find(|def| def.name == name)
}

fn line(
    plan: &Plan,
    recording: &Recording<'_>,
    run: usize,
    is_limit: bool,
    def: &Def,
    series: &Series,
) -> Option<Line> {
    let seconds = |point: &Point| (point.at - recording.start) as f64 / 1e9;
    let points: Vec<(f64, f64)> = if plan.is_rate {
        let pairs = series.points.windows(2).filter(|pair| pair[1].value >= pair[0].value);
        let rates = pairs.map(|pair| {
            let time = (pair[1].at - pair[0].at) as f64 / 1e9;
            (seconds(&pair[1]), (pair[1].value - pair[0].value) / time / plan.divisor)
        });
        // Two samples at one time tell no rate.
        rates.filter(|(_, rate)| rate.is_finite()).collect()
    } else {
        series.points.iter().map(|p| (seconds(p), p.value / plan.divisor)).collect()
    };
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    let least = values.iter().copied().reduce(f64::min)?;
    let greatest = values.iter().copied().reduce(f64::max)?;
    if plan.omits_idle && greatest <= 0.0 {
        return None;
    }
    let mean = stats::mean(&values)?;
    let longest_gap = GAP.max(GAP_INTERVALS * recording.interval);
    Some(Line {
        run,
        name: name(plan, def, series, is_limit),
        is_limit,
        range: [least, mean, greatest],
        stretches: thin(&points, longest_gap),
    })
}

/// The last label tells lines of a picture apart; where a family has none, its own name does.
fn name(plan: &Plan, def: &Def, series: &Series, is_limit: bool) -> String {
    let family = def.name.trim_start_matches("halo_");
    let short = match series.labels.last() {
        Some(label) if def.labels.last() != Some(&"model") => label.clone(),
        _ => {
            let ends = ["_bytes", "_tokens_per_second"];
            let family = ends.iter().fold(family, |name, end| name.trim_end_matches(end));
            family.replace('_', " ")
        }
    };
    let of_processor = plan.title == "Clocks" && family.starts_with("cpu");
    match (is_limit, of_processor) {
        (true, _) => format!("limit {short}"),
        (_, true) => format!("cpu {short}"),
        _ => short,
    }
}

/// Cuts points at gaps, and leaves of each column of pixels what is needed to see its spikes.
pub fn thin(points: &[(f64, f64)], longest_gap: f64) -> Vec<Vec<(f64, f64)>> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let width = ((last.0 - first.0) / COLUMNS as f64).max(f64::MIN_POSITIVE);
    let near = |a: &(f64, f64), b: &(f64, f64)| b.0 - a.0 <= longest_gap;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a column")]
    let column = |point: &(f64, f64)| ((point.0 - first.0) / width) as u64;
    let thinned = points.chunk_by(near).map(|stretch| {
        let columns = stretch.chunk_by(|a, b| column(a) == column(b));
        columns.flat_map(extremes).collect()
    });
    thinned.collect()
}

/// The first, the least, the greatest and the last of some points, in order, each once.
fn extremes(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let by_value = |a: &&usize, b: &&usize| points[**a].1.total_cmp(&points[**b].1);
    let all: Vec<usize> = (0..points.len()).collect();
    let mut kept: Vec<usize> =
        [all.first(), all.iter().min_by(by_value), all.iter().max_by(by_value), all.last()]
            .into_iter()
            .flatten()
            .copied()
            .collect();
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| points[index]).collect()
}
