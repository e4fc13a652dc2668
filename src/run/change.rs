//! A change that somebody tried: an entry of the optimization log.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// An entry of `log.jsonl`. A later line of the same number takes its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The version of the archive's format.
    pub schema_version: u32,
    /// Its number, from 1.
    pub number: u32,
    /// When the change was made.
    pub date: Date,
    /// What was changed.
    pub change: String,
    /// What was measured before and after: runs, campaigns, tags or filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<[String; 2]>,
    /// What became of it.
    pub verdict: Decision,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When this was written down.
    pub written: Timestamp,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It stays.
    Keep,
    /// It was taken back.
    Reverted,
    /// It makes no difference.
    NoImpact,
    /// It is not decided.
    Pending,
    /// Something else must come first.
    Blocked,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 5] =
        [Self::Keep, Self::Reverted, Self::NoImpact, Self::Pending, Self::Blocked];

    /// As it stands in the archive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Reverted => "reverted",
            Self::NoImpact => "no-impact",
            Self::Pending => "pending",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
