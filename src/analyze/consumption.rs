//! What a run and its phases took: which sensor tells it, over which windows, for how many tokens.

use super::energy::{self, Sensor};
use super::evals::{self, Task};
use super::phase::{Phase, Window, Work};
use super::telemetry::{Point, Telemetry, Unreadable};
use crate::run::Thresholds;
use crate::run::manifest::Energy;
use crate::source::amdgpu::BUSY;
use crate::source::rapl::ENERGY;
use crate::source::shared::POWER;

/// The time constant of the filter that firmware puts over the socket's power, in seconds
/// (`time_filter_alphavalue` of `gpu_metrics` v3.0 is 1,000,000 µs).
const SOCKET_FILTER: f64 = 1.0;

/// Seconds without a reading after which nothing is known, where samples come often: as long as the
/// filter, over which a reading tells of the time before it.
const GAP: f64 = 1.0;

/// The same for samples that come more slowly, in intervals.
const GAP_INTERVALS: f64 = 2.5;

/// The least time before the command that tells what an idle machine takes, in seconds.
const LEAST_IDLE: f64 = 1.5;

/// The work of a task of an eval as a whole, in the archive.
pub const TASK: &str = "task";

/// How busy the graphics processor may be while that is taken, from 0 to 1.
const IDLE_BUSY: f64 = 0.05;

/// What a run took.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumption {
    /// The whole command, then what each case did, in order.
    pub parts: Vec<Energy>,
    /// Joules per token of single repetitions that are long enough.
    pub repetitions: Vec<Repetition>,
}

/// One repetition of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Repetition {
    /// The benchmark.
    pub task: String,
    /// The case.
    pub case: String,
    /// What the model did.
    pub work: Work,
    /// Which one, from 1.
    pub number: u32,
    /// Joules for a token.
    pub joules_per_token: f64,
}

/// Readings that tell energy.
enum Readings {
    /// Of power in watts.
    Power(Vec<Point>, Sensor),
    /// Of a counter in joules, with the longest gap in seconds.
    Counter(Vec<Point>, f64),
}

impl Readings {
    /// The best that the recording has: the socket, which includes everything, before the package's
    /// counter, whose domains depend on the processor.
    fn of(telemetry: &dyn Telemetry, interval: f64) -> Result<Option<(Self, String)>, Unreadable> {
        let longest_gap = GAP.max(GAP_INTERVALS * interval);
        let socket = telemetry
            .series(POWER.def())?
            .into_iter()
            .find(|series| series.labels.get(1).is_some_and(|domain| domain == "socket"));
        if let Some(socket) = socket.filter(|series| series.points.len() > 1) {
            let sensor = Sensor { filter: SOCKET_FILTER, longest_gap };
            let source = format!("{}, domain socket of {}", POWER.def().name, socket.labels[0]);
            return Ok(Some((Self::Power(socket.points, sensor), source)));
        }
        let package = telemetry
            .series(ENERGY.def())?
            .into_iter()
            .find(|series| series.labels.first().is_some_and(|domain| domain == "package"));
        Ok(package.filter(|series| series.points.len() > 1).map(|package| {
            let source = format!("{}, domain package (RAPL)", ENERGY.def().name);
            (Self::Counter(package.points, longest_gap), source)
        }))
    }

    fn energy(&self, window: Window) -> Option<energy::Energy> {
        match self {
            Self::Power(points, sensor) => energy::of_power(near(points, window), window, *sensor),
            Self::Counter(points, longest_gap) => {
                energy::of_counter(near(points, window), window, *longest_gap)
            }
        }
    }
}

/// The readings that tell of a window: those in it and two beside it on each side, for what happens
/// at its ends.
fn near(points: &[Point], window: Window) -> &[Point] {
    let first = points.partition_point(|point| point.at <= window.from).saturating_sub(2);
    let last = points.partition_point(|point| point.at < window.to) + 2;
    &points[first..last.min(points.len())]
}

/// What an eval took.
#[derive(Debug, Clone, PartialEq)]
pub struct OfEval {
    /// Each task, in order.
    pub tasks: Vec<Energy>,
    /// Joules of each sample, in order; none where that is not known.
    pub samples: Vec<Option<f64>>,
}

/// A question: the task whose answer it is, the sample and the epoch.
pub type Question<'a> = (&'a str, &'a str, u32);

/// What the tasks of an eval and their samples took. Nothing where no sensor tells power or energy.
///
/// `samples` says when each was worked on, and which of them are the same question: an answer may
/// count for two tasks.
///
/// # Errors
///
/// Where the recording is damaged.
pub fn of_eval(
    telemetry: &dyn Telemetry,
    tasks: &[Task],
    samples: &[(Option<Window>, Question<'_>)],
    interval: f64,
    thresholds: &Thresholds,
) -> Result<Option<OfEval>, Unreadable> {
    let Some((readings, source)) = Readings::of(telemetry, interval)? else { return Ok(None) };
    let tasks = tasks.iter().map(|task| {
        let measured = Measured::of(&readings, &[task.window], thresholds);
        let named = (task.name.as_str(), "", TASK);
        if task.is_shared {
            let absent = "other tasks were worked on at the same time".to_owned();
            let alone = Measured { figures: None, absent: Some(absent), ..measured };
            return alone.part(&source, named, task.generated_tokens, None);
        }
        measured.part(&source, named, task.generated_tokens, None)
    });
    let tasks = tasks.collect();
    let mut questions: Vec<(Window, Question<'_>)> =
        samples.iter().filter_map(|(window, question)| Some(((*window)?, *question))).collect();
    questions.sort_unstable();
    questions.dedup();
    let windows: Vec<Window> = questions.iter().map(|(window, _)| *window).collect();
    let known = |part: Window| {
        let energy = readings.energy(part)?;
        (energy.coverage >= thresholds.coverage).then_some(energy.joules)
    };
    let shared = evals::share(&windows, known);
    let of_sample = |(window, question): &(Option<Window>, Question<'_>)| {
        let window = window.filter(|window| window.seconds() >= thresholds.shortest_phase)?;
        let place = questions.binary_search(&(window, *question)).ok()?;
        shared[place]
    };
    Ok(Some(OfEval { tasks, samples: samples.iter().map(of_sample).collect() }))
}

/// What a run took. Nothing where no sensor tells power or energy.
///
/// `phases` are those that were measured, in the order of time; `interval` is how often the machine
/// was sampled, in seconds.
///
/// # Errors
///
/// Where the recording is damaged.
pub fn of(
    telemetry: &dyn Telemetry,
    command: Window,
    phases: &[Phase],
    interval: f64,
    thresholds: &Thresholds,
) -> Result<Option<Consumption>, Unreadable> {
    let Some((readings, source)) = Readings::of(telemetry, interval)? else { return Ok(None) };
    let idle = idle(telemetry, &readings, command)?;
    let measured = |windows: &[Window]| Measured::of(&readings, windows, thresholds);
    let mut parts = vec![measured(&[command]).part(&source, ("", "", "command"), None, idle)];
    for group in groups(phases) {
        let Phase { task, case, work, .. } = group[0];
        let tokens = group.iter().map(|phase| phase.tokens).sum::<Option<u64>>();
        let measured = measured(&stretches(&group));
        parts.push(measured.part(&source, (task, case, work.as_str()), tokens, idle));
    }
    let repetitions = phases.iter().filter_map(|phase| {
        let measured = measured(&[phase.window]);
        let joules = measured.figures?.mean_watts * measured.seconds;
        Some(Repetition {
            task: phase.task.clone(),
            case: phase.case.clone(),
            work: phase.work,
            number: phase.repetition?,
            joules_per_token: joules / phase.tokens.filter(|tokens| *tokens > 0)? as f64,
        })
    });
    Ok(Some(Consumption { parts, repetitions: repetitions.collect() }))
}

/// Watts before the command was started, where the graphics processor was idle then.
fn idle(
    telemetry: &dyn Telemetry,
    readings: &Readings,
    command: Window,
) -> Result<Option<f64>, Unreadable> {
    let before = Window { from: 0, to: command.from };
    let Some(energy) = readings.energy(before).filter(|energy| energy.covered >= LEAST_IDLE) else {
        return Ok(None);
    };
    let busy = telemetry.series(BUSY.def())?;
    let mut readings = busy.iter().flat_map(|series| &series.points);
    let is_idle = readings.all(|busy| !before.holds(busy.at) || busy.value <= IDLE_BUSY);
    Ok((is_idle && !busy.is_empty()).then(|| energy.mean_watts()))
}

/// The phases of each case and kind of work, in the order of their first.
fn groups(phases: &[Phase]) -> Vec<Vec<&Phase>> {
    let mut groups: Vec<Vec<&Phase>> = Vec::new();
    for phase in phases {
        let is_alike = |group: &&mut Vec<&Phase>| {
            let first = group[0];
            (&first.task, &first.case, first.work) == (&phase.task, &phase.case, phase.work)
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.push(phase),
            None => groups.push(vec![phase]),
        }
    }
    groups
}

/// The stretches of each case and kind of work, and how many phases they are of.
pub fn stretches_of_cases(phases: &[Phase]) -> Vec<(Vec<Window>, usize)> {
    groups(phases).iter().map(|group| (stretches(group), group.len())).collect()
}

/// Windows that follow each other without anything between, as one: a sensor tells more of a long
/// one.
pub(super) fn stretches(phases: &[&Phase]) -> Vec<Window> {
    let mut stretches: Vec<Window> = Vec::new();
    for window in phases.iter().map(|phase| phase.window) {
        match stretches.last_mut() {
            Some(last) if last.to == window.from => last.to = window.to,
            _ => stretches.push(window),
        }
    }
    stretches
}

/// What was measured in some windows together.
struct Measured {
    seconds: f64,
    coverage: f64,
    figures: Option<FiguresOf>,
    absent: Option<String>,
}

#[derive(Clone, Copy)]
struct FiguresOf {
    joules: f64,
    mean_watts: f64,
    peak: Option<f64>,
}

impl Measured {
    fn of(readings: &Readings, windows: &[Window], thresholds: &Thresholds) -> Self {
        let seconds: f64 = windows.iter().map(|window| window.seconds()).sum();
        let energies: Vec<_> =
            windows.iter().filter_map(|window| readings.energy(*window)).collect();
        let covered: f64 = energies.iter().map(|energy| energy.covered).sum();
        let joules: f64 = energies.iter().map(|energy| energy.joules).sum();
        let coverage = if seconds > 0.0 { covered / seconds } else { 0.0 };
        let shortest = windows.iter().map(|window| window.seconds()).reduce(f64::min);
        let shortest = shortest.unwrap_or_default();
        let absent = if shortest < thresholds.shortest_phase {
            Some(format!(
                "too short for the sensor: {shortest:.2} s without a break, and {} s are needed",
                thresholds.shortest_phase
            ))
        } else if coverage < thresholds.coverage {
            Some(format!(
                "samples cover {:.0} % of the time, and {:.0} % are needed",
                100.0 * coverage,
                100.0 * thresholds.coverage
            ))
        } else {
            None
        };
        let peak = energies.iter().filter_map(|energy| energy.peak).reduce(f64::max);
        let figures = FiguresOf { joules, mean_watts: joules / covered, peak };
        Self { seconds, coverage, figures: absent.is_none().then_some(figures), absent }
    }

    fn part(
        &self,
        source: &str,
        (task, case, work): (&str, &str, &str),
        tokens: Option<u64>,
        idle: Option<f64>,
    ) -> Energy {
        let per_token = |watts: f64| {
            tokens.filter(|tokens| *tokens > 0).map(|tokens| watts * self.seconds / tokens as f64)
        };
        let watts = self.figures.map(|figures| figures.mean_watts);
        let joules_per_token = watts.and_then(per_token);
        Energy {
            task: task.to_owned(),
            case: case.to_owned(),
            work: work.to_owned(),
            source: source.to_owned(),
            seconds: self.seconds,
            coverage: self.coverage,
            absent: self.absent.clone(),
            joules: self.figures.map(|figures| figures.joules),
            mean_watts: watts,
            peak_watts: self.figures.and_then(|figures| figures.peak),
            idle_watts: idle,
            tokens,
            joules_per_token,
            joules_per_token_above_idle: watts
                .zip(idle)
                .and_then(|(watts, idle)| per_token(watts - idle)),
            tokens_per_second_per_watt: joules_per_token
                .filter(|joules| *joules > 0.0)
                .map(|joules| 1.0 / joules),
        }
    }
}
