//! What was sampled and what happened in a run, whatever file it is in.

use std::collections::BTreeMap;

use crate::metric::Def;

/// A value at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Nanoseconds since the recording began, by a clock that nobody sets.
    pub at: i64,
    /// In the unit of its family.
    pub value: f64,
}

/// The values of one family with one set of labels, in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The label values, in the order of the family's declaration.
    pub labels: Vec<String>,
    /// Only what was read: there is no point for what is unknown.
    pub points: Vec<Point>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since the recording began.
    pub at: i64,
    /// Who says so: `halo`, `tool`, `user`.
    pub by: String,
    /// What, as `command started`.
    pub name: String,
    /// More about it.
    pub attributes: BTreeMap<String, String>,
}

/// How one sample of the machine was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// Nanoseconds since the recording began.
    pub at: i64,
    /// Nanoseconds from when it was due to when it began.
    pub late: u64,
    /// Nanoseconds that it took.
    pub cost: u64,
    /// Samples that were due before it and left out.
    pub skipped: u64,
    /// Sources that failed, with the reason: `amdgpu:timeout power:permission`.
    pub failing: Option<String>,
}

/// A recording that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A recorded run.
pub trait Telemetry {
    /// All series of a family; none where nothing of it was read.
    ///
    /// # Errors
    ///
    /// Where the recording is damaged.
    fn series(&self, family: &Def) -> Result<Vec<Series>, Unreadable>;

    /// What happened, in the order of time.
    ///
    /// # Errors
    ///
    /// Where the recording is damaged.
    fn events(&self) -> Result<Vec<Event>, Unreadable>;

    /// The samples, in the order of time.
    ///
    /// # Errors
    ///
    /// Where the recording is damaged.
    fn ticks(&self) -> Result<Vec<Tick>, Unreadable>;
}
