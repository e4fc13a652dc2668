//! What a metric is: declared once as a `static` beside the code that reads it.
//!
//! Everything else derives from the declaration: the exposition, the columns of the archive,
//! `docs/metrics.md`, and the checks of dashboards and alert rules.

use std::fmt;

use crate::root::ReadError;
use crate::visible;

/// The declaration of one metric family.
#[derive(Debug)]
pub struct Def {
    /// The family's name: prefix `halo_`, the base unit as suffix, counters end in `_total`.
    pub name: &'static str,
    /// One full sentence that a user reads in Prometheus and in `docs/metrics.md`.
    pub help: &'static str,
    /// Gauge or counter.
    pub kind: Kind,
    /// The base unit of the value.
    pub unit: Unit,
    /// The label names, in the order in which [`Metric::at`] takes their values.
    pub labels: &'static [&'static str],
    /// The table of the archive in which the family is a column.
    pub table: Table,
    /// The kernel file or tool that the value comes from.
    pub from: &'static str,
}

/// Whether a value may go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows, and starts again from 0 when its origin restarts.
    Counter,
}

/// The base unit of a family. Its suffix stands at the end of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Degrees Celsius, Prometheus' base unit for temperatures.
    Celsius,
    /// Hertz.
    Hertz,
    /// Joules.
    Joules,
    /// Constant 1: the labels are the information.
    Info,
    /// A number without a unit: 0 or 1, a count, a raw value.
    None,
    /// A share from 0 to 1.
    Ratio,
    /// Revolutions per minute, the unit of every fan and of the kernel's hwmon interface.
    Rpm,
    /// Seconds.
    Seconds,
    /// Watts.
    Watts,
}

impl Unit {
    /// The suffix that the name of such a family carries, where it carries one.
    pub const fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Bytes => Some("_bytes"),
            Self::Celsius => Some("_celsius"),
            Self::Hertz => Some("_hertz"),
            Self::Info => Some("_info"),
            Self::Joules => Some("_joules"),
            Self::None => None,
            Self::Ratio => Some("_ratio"),
            Self::Rpm => Some("_rpm"),
            Self::Seconds => Some("_seconds"),
            Self::Watts => Some("_watts"),
        }
    }
}

/// The wide table of the archive that holds a family: one table a label set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Not sampled: facts that belong to the environment of a run, and what is live only.
    None,
    /// Whole-machine values without labels.
    Host,
    /// CPU clocks by statistic.
    CpuClock,
    /// CPU time by mode.
    CpuTime,
    /// Energy by domain.
    Energy,
    /// Fans of the board.
    Fan,
    /// GPU clocks and their limits by domain.
    GpuClock,
    /// GPU activity by engine.
    GpuEngine,
    /// GPU memory by pool.
    GpuMemory,
    /// Tokens and their speed by server and model.
    Llama,
    /// Requests of a llama-server by state.
    LlamaRequest,
    /// Slots of a llama-server that work.
    LlamaSlot,
    /// Neural processing units.
    Npu,
    /// Power by device and domain.
    Power,
    /// Power limits by kind.
    PowerLimit,
    /// Pressure stall information.
    Pressure,
    /// Memory of the graphics processor by process and pool.
    ProcessGpuMemory,
    /// Main memory of processes that use the graphics processor.
    ProcessMemory,
    /// Time of the graphics processor by process and engine.
    ProcessGpuTime,
    /// Mains connections.
    Supply,
    /// Temperatures by device and sensor.
    Temperature,
    /// Temperatures of the board by chip.
    BoardTemperature,
    /// Limiters by GPU.
    Throttle,
    /// Numeric tuning settings.
    Tuning,
    /// Results of the tuning checks.
    TuningCheck,
}

impl Table {
    /// The name of its file in the archive, without `.parquet`; none where nothing is sampled.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Host => "host",
            Self::CpuClock => "cpu_clock",
            Self::CpuTime => "cpu_time",
            Self::Energy => "energy",
            Self::Fan => "fan",
            Self::GpuClock => "gpu_clock",
            Self::GpuEngine => "gpu_engine",
            Self::GpuMemory => "gpu_memory",
            Self::Llama => "llama",
            Self::LlamaRequest => "llama_request",
            Self::LlamaSlot => "llama_slot",
            Self::Npu => "npu",
            Self::Power => "power",
            Self::PowerLimit => "power_limit",
            Self::Pressure => "pressure",
            Self::ProcessGpuMemory => "process_gpu_memory",
            Self::ProcessMemory => "process_memory",
            Self::ProcessGpuTime => "process_gpu_time",
            Self::Supply => "supply",
            Self::Temperature => "temperature",
            Self::BoardTemperature => "board_temperature",
            Self::Throttle => "throttle",
            Self::Tuning => "tuning",
            Self::TuningCheck => "tuning_check",
        })
    }
}

/// A declared family with `N` labels. A wrong number of labels does not compile:
///
/// ```compile_fail
/// use halo::metric::{Def, Kind, Metric, Table, Unit};
/// static POWER: Metric<1> = Metric::new(Def {
///     name: "halo_power_watts",
///     help: "Power.",
///     kind: Kind::Gauge,
///     unit: Unit::Watts,
///     labels: &["device"],
///     table: Table::Power,
///     from: "gpu_metrics",
/// });
/// let sample = POWER.at(["gpu", "socket"], 9.8);
/// ```
#[derive(Debug)]
pub struct Metric<const N: usize> {
    def: Def,
}

impl<const N: usize> Metric<N> {
    /// Declares a family. Fails at compile time where the label names are not `N`.
    pub const fn new(def: Def) -> Self {
        assert!(def.labels.len() == N, "a metric declares as many labels as its type says");
        Self { def }
    }

    /// The declaration.
    pub const fn def(&'static self) -> &'static Def {
        &self.def
    }

    /// One sample of this family. What drivers, servers and users call things may be any text: what
    /// would do something to a terminal is made visible, and what is too long ends with `…`.
    pub fn at(&'static self, labels: [&str; N], value: f64) -> Sample {
        Sample { def: &self.def, labels: labels.map(label).into(), value }
    }
}

/// The longest value of a label, in bytes: a path of a model is shorter, and a server that says more
/// must not fill the memory of Prometheus.
const LARGEST_LABEL: usize = 1024;

fn label(text: &str) -> Box<str> {
    let visible = visible::line(text);
    if visible.len() <= LARGEST_LABEL {
        return visible.into();
    }
    let end = visible.floor_char_boundary(LARGEST_LABEL - '…'.len_utf8());
    format!("{}…", &visible[..end]).into()
}

/// One value of one family under one set of label values.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The declaration of the family.
    pub def: &'static Def,
    /// The label values, in the order of [`Def::labels`].
    pub labels: Box<[Box<str>]>,
    /// The value in the unit of the declaration.
    pub value: f64,
}

impl Sample {
    fn is_same_series(&self, other: &Self) -> bool {
        std::ptr::eq(self.def, other.def) && self.labels == other.labels
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self
            .def
            .labels
            .iter()
            .zip(&self.labels)
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        write!(formatter, "{}{{{}}} {}", self.def.name, pairs.join(","), self.value)
    }
}

/// What one reading of one source gave: values, and what could not be read.
#[derive(Debug, Default)]
pub struct Samples {
    samples: Vec<Sample>,
    problems: Vec<ReadError>,
}

impl Samples {
    /// Records a value, or nothing where it is unknown.
    ///
    /// What could never be true is unknown too and is left out: a value that is not finite, a
    /// counter below 0, and a second value for a series that has one already.
    pub fn record<const N: usize>(
        &mut self,
        metric: &'static Metric<N>,
        labels: [&str; N],
        value: impl Into<Option<f64>>,
    ) {
        let Some(value) = value.into() else { return };
        if !value.is_finite() || (metric.def.kind == Kind::Counter && value < 0.0) {
            return;
        }
        let sample = metric.at(labels, value);
        if !self.samples.iter().any(|known| known.is_same_series(&sample)) {
            self.samples.push(sample);
        }
    }

    /// Adds a sample that was recorded before.
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// The value of a reading, or nothing; a failure is remembered unless the file is absent.
    pub fn known<T>(&mut self, reading: Result<T, ReadError>) -> Option<T> {
        match reading {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(error);
                None
            }
        }
    }

    /// Remembers a file that could not be used. One that is absent is no problem.
    pub fn problem(&mut self, error: ReadError) {
        if !error.is_absent() {
            self.problems.push(error);
        }
    }

    /// The values, in the order in which they were recorded.
    pub fn values(&self) -> &[Sample] {
        &self.samples
    }

    /// The files that could not be used.
    pub fn problems(&self) -> &[ReadError] {
        &self.problems
    }

    /// Takes the values of another reading over.
    pub fn extend(&mut self, samples: impl IntoIterator<Item = Sample>) {
        self.samples.extend(samples);
    }
}
