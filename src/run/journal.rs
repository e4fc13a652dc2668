//! `journal.jsonl`: everything that happens in a run, in one order, one JSON object a line.
//!
//! A line is only ever added at the end, in one write. JSON tells a line that was torn by a kill,
//! and one that a loss of power left full of zeros; what stands before it is whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the journal's format that this halo writes and reads.
pub const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// The first line.
    Header(Header),
    /// Series that the ticks after it name by number.
    Series(NewSeries),
    /// One sample of the machine.
    Tick(Tick),
    /// Something happened.
    Mark(Mark),
}

/// What the journal belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the journal's format.
    pub version: u32,
    /// The run's identifier.
    pub run: String,
    /// The interval that was asked for, in nanoseconds.
    pub interval: u64,
    /// The sources that are read.
    pub sources: Vec<String>,
    /// When it begins.
    pub at: Moment,
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// Nanoseconds of `CLOCK_MONOTONIC`, which no one sets.
    pub monotonic: i64,
    /// Nanoseconds since 1970 UTC of `CLOCK_REALTIME`.
    pub unix: i64,
}

/// Series that have not been seen before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSeries {
    /// The number of the first one; the others follow.
    pub first: u32,
    /// The family's name and the label values, in the order of the family's declaration.
    pub series: Vec<(String, Vec<String>)>,
}

/// One sample of the machine: what was read anew since the tick before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// When it began.
    pub at: Moment,
    /// Nanoseconds from when it was due to when it began.
    pub late: u64,
    /// Nanoseconds that it took.
    pub cost: u64,
    /// Ticks that were due before this one and left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// The numbers of the series.
    pub series: Vec<u32>,
    /// Their values.
    pub values: Vec<f64>,
    /// Sources that failed or hang, with the reason, as `amdgpu:timeout`; those that do not change
    /// are repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Moment,
    /// Who says so.
    pub by: By,
    /// What, as `command started`.
    pub name: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Who made a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The recorder.
    Halo,
    /// The tool that runs, by what it printed.
    Tool,
    /// `halo-record mark`.
    User,
}

impl By {
    /// The value as it stands in the archive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Halo => "halo",
            Self::Tool => "tool",
            Self::User => "user",
        }
    }
}
