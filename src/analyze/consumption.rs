//! What a run and its phases took: which sensor tells it, over which windows, for how many tokens.

use super::devices::{Devices, Usage};
use super::energy::{self, Sensor};
use super::evals::{self, Task};
use super::phase::{Phase, Window, Work};
use super::telemetry::{Point, Telemetry, Unreadable};
use crate::run::Thresholds;
use crate::run::manifest::Energy;
use crate::source::amdgpu::BUSY;
use crate::source::rapl::ENERGY;
use crate::source::shared::POWER;

/// The domain of power that is all of an APU.
const SOCKET: &str = "socket";

/// The domain of power that is a card of its own.
const CARD: &str = "card";

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

/// What tells the energy of a command or of a case.
struct Readings {
    /// The sensors, each of another part of the machine: their sum is the figure.
    sensors: Vec<Series>,
    /// Which they are.
    source: String,
    /// Why there is no figure all the same.
    absent: Option<String>,
    /// The devices that they are about: the APU or the processor, then cards.
    gpus: Vec<String>,
}

/// Readings of one sensor.
enum Series {
    /// Of power in watts.
    Power(Vec<Point>, Sensor),
    /// Of a counter in joules, with the longest gap in seconds.
    Counter(Vec<Point>, f64),
}

impl Readings {
    /// The best that the recording has: the socket, which includes all of the processor, before the
    /// package's counter, whose domains depend on the processor; and the cards that worked.
    fn of(
        telemetry: &dyn Telemetry,
        interval: f64,
        devices: &Devices,
    ) -> Result<Option<Self>, Unreadable> {
        let longest_gap = GAP.max(GAP_INTERVALS * interval);
        let power: Vec<_> =
            telemetry.series(POWER.def())?.into_iter().filter(|one| one.points.len() > 1).collect();
        let of = |device: Option<&str>, wanted: &str| {
            let mut found = power.iter().filter(|series| {
                let [gpu, domain] = &series.labels[..] else { return false };
                domain == wanted && device.is_none_or(|device| device == gpu)
            });
            let only = found.next();
            only.filter(|_| found.next().is_none())
        };
        let mut readings =
            Self { sensors: Vec::new(), source: String::new(), absent: None, gpus: Vec::new() };
        // Where the machine's GPUs are known, a socket is the APU's alone.
        let socket = match &devices.apu {
            Some(apu) => of(Some(apu), SOCKET),
            None if devices.is_machine_known => None,
            None => of(None, SOCKET),
        };
        let mut names = Vec::new();
        if let Some(socket) = socket {
            let sensor = Sensor { filter: SOCKET_FILTER, longest_gap };
            readings.sensors.push(Series::Power(socket.points.clone(), sensor));
            names.push(format!("domain {SOCKET} of {}", socket.labels[0]));
            readings.gpus.push(socket.labels[0].clone());
        } else {
            let package = telemetry.series(ENERGY.def())?.into_iter().find(|series| {
                series.labels.first().is_some_and(|domain| domain == "package")
                    && series.points.len() > 1
            });
            if let Some(package) = package {
                readings.sensors.push(Series::Counter(package.points, longest_gap));
                readings.source = format!("{}, domain package (RAPL)", ENERGY.def().name);
            }
        }
        readings.absent.clone_from(&devices.absent);
        for card in &devices.cards {
            readings.gpus.push(card.clone());
            if let Some(series) = of(Some(card), CARD) {
                // What firmware does to the readings of a card is not known.
                let sensor = Sensor { filter: 0.0, longest_gap };
                readings.sensors.push(Series::Power(series.points.clone(), sensor));
                names.push(format!("domain {CARD} of {card}"));
            } else {
                let reason = format!("{card} worked, and its power was not read meanwhile");
                readings.absent.get_or_insert(reason);
            }
        }
        if readings.sensors.is_empty() {
            return Ok(None);
        }
        let mut told: Vec<String> = Vec::new();
        if !readings.source.is_empty() {
            told.push(std::mem::take(&mut readings.source));
        }
        if !names.is_empty() {
            told.push(format!("{}, {}", POWER.def().name, names.join(" and ")));
        }
        let mut source = vec![told.join(" and ")];
        if socket.is_none() && source[0].starts_with(POWER.def().name) {
            source.push("without the processor, whose power no sensor tells".to_owned());
        }
        source.extend(devices.remark.clone());
        readings.source = source.join("; ");
        Ok(Some(readings))
    }

    /// The sum of all sensors; none where one of them says nothing.
    fn energy(&self, window: Window) -> Option<energy::Energy> {
        let all: Vec<energy::Energy> =
            self.sensors.iter().map(|series| series.energy(window)).collect::<Option<_>>()?;
        let [first, rest @ ..] = &all[..] else { return None };
        // What one sensor did not see is not in the sum: the least that was covered counts.
        let sum = |sum: energy::Energy, one: &energy::Energy| energy::Energy {
            joules: (sum.joules / sum.covered + one.joules / one.covered)
                * sum.covered.min(one.covered),
            covered: sum.covered.min(one.covered),
            coverage: sum.coverage.min(one.coverage),
            // Highest readings of two need not have been at one moment.
            peak: None,
        };
        Some(rest.iter().fold(*first, sum))
    }
}

impl Series {
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
    usage: &Usage,
    thresholds: &Thresholds,
) -> Result<Option<OfEval>, Unreadable> {
    let Some(readings) = Readings::of(telemetry, interval, &usage.whole)? else { return Ok(None) };
    let source = &readings.source;
    let tasks = tasks.iter().map(|task| {
        let measured = Measured::of(&readings, &[task.window], thresholds);
        let named = (task.name.as_str(), "", TASK);
        if task.is_shared {
            let absent = "other tasks were worked on at the same time".to_owned();
            let alone = Measured { figures: None, absent: Some(absent), ..measured };
            return alone.part(source, named, task.generated_tokens, None);
        }
        measured.part(source, named, task.generated_tokens, None)
    });
    let tasks = tasks.collect();
    let mut questions: Vec<(Window, Question<'_>)> =
        samples.iter().filter_map(|(window, question)| Some(((*window)?, *question))).collect();
    questions.sort_unstable();
    questions.dedup();
    let windows: Vec<Window> = questions.iter().map(|(window, _)| *window).collect();
    let known = |part: Window| {
        let energy = readings.energy(part)?;
        let is_known = readings.absent.is_none() && energy.coverage >= thresholds.coverage;
        is_known.then_some(energy.joules)
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
/// was sampled, in seconds; `usage` says which GPUs worked.
///
/// # Errors
///
/// Where the recording is damaged.
pub fn of(
    telemetry: &dyn Telemetry,
    command: Window,
    phases: &[Phase],
    interval: f64,
    usage: &Usage,
    thresholds: &Thresholds,
) -> Result<Option<Consumption>, Unreadable> {
    let Some(of_command) = Readings::of(telemetry, interval, &usage.whole)? else {
        return Ok(None);
    };
    let idle_before = idle(telemetry, &of_command, command)?;
    let measured = Measured::of(&of_command, &[command], thresholds);
    let mut parts = vec![measured.part(&of_command.source, ("", "", "command"), None, idle_before)];
    let mut repetitions = Vec::new();
    for group in groups(phases) {
        let Phase { task, case, work, .. } = group[0];
        let devices = usage.of_case(task, case);
        // Cases of a command may be measured on other devices each.
        let own = if *devices == usage.whole {
            None
        } else {
            Readings::of(telemetry, interval, devices)?
        };
        let readings = own.as_ref().unwrap_or(&of_command);
        let idle_before = match &own {
            Some(own) => idle(telemetry, own, command)?,
            None => idle_before,
        };
        let tokens = group.iter().map(|phase| phase.tokens).sum::<Option<u64>>();
        let measured = Measured::of(readings, &stretches(&group), thresholds);
        let named = (task.as_str(), case.as_str(), work.as_str());
        parts.push(measured.part(&readings.source, named, tokens, idle_before));
        repetitions.extend(repetitions_of(&group, readings, thresholds));
    }
    Ok(Some(Consumption { parts, repetitions }))
}

/// The repetitions of a case that are long enough for the sensors.
fn repetitions_of<'a>(
    group: &'a [&Phase],
    readings: &'a Readings,
    thresholds: &'a Thresholds,
) -> impl Iterator<Item = Repetition> + 'a {
    group.iter().filter_map(|phase| {
        let measured = Measured::of(readings, &[phase.window], thresholds);
        let joules = measured.figures?.mean_watts * measured.seconds;
        Some(Repetition {
            task: phase.task.clone(),
            case: phase.case.clone(),
            work: phase.work,
            number: phase.repetition?,
            joules_per_token: joules / phase.tokens.filter(|tokens| *tokens > 0)? as f64,
        })
    })
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
    // A card that is not in the figures may do what it wants.
    let is_counted = |gpu: &String| readings.gpus.is_empty() || readings.gpus.contains(gpu);
    let counted = busy.iter().filter(|series| series.labels.first().is_some_and(is_counted));
    let mut looks = counted.flat_map(|series| &series.points);
    let is_idle = looks.all(|busy| !before.holds(busy.at) || busy.value <= IDLE_BUSY);
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
        let absent = if readings.absent.is_some() {
            readings.absent.clone()
        } else if shortest < thresholds.shortest_phase {
            Some(format!(
                "too short for the sensor: {shortest:.2} s without a break, and {} s are needed",
                thresholds.shortest_phase
            ))
        // Whoever asks for no coverage has no mean over no time either.
        } else if covered <= 0.0 || coverage < thresholds.coverage {
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
