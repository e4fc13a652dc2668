//! Whether a machine is fit to measure: idle, cool, tuned, as asked for, and with room.
//!
//! A [`Machine`] is gathered once, [`checks`] are pure functions on it, and [`ready()`] waits for what
//! a run requires. What cannot be told is [`State::Unknown`], and never good.

use serde::Serialize;

pub mod checks;
pub mod machine;
pub mod processes;
pub mod ready;
pub mod temperature;

pub use machine::Machine;
pub use ready::{Progress, Requirements, Waited, ready};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check, as `gpu_idle`.
    pub check: &'static str,
    /// Whether it is as it should be.
    pub state: State,
    /// What is so, with figures, on one line.
    pub says: String,
    /// What to do about it, where something can be done.
    pub remedy: Option<String>,
}

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Good,
    /// It is not.
    Bad,
    /// Nothing tells.
    Unknown,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }

    fn of(is_good: Option<bool>) -> Self {
        match is_good {
            Some(true) => Self::Good,
            Some(false) => Self::Bad,
            None => Self::Unknown,
        }
    }
}

/// Why a run does not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The machine is not as required: one line that says what, and what to do.
    Refused(String),
    /// This signal ended the waiting.
    Signal(i32),
}

/// Waits for so long, unless a signal comes that ends the waiting.
pub type Pause<'a> = &'a mut dyn FnMut(std::time::Duration) -> Option<i32>;
