//! Pure functions over what was recorded: phases, energy, verdict, statistics, comparison.
//!
//! Nothing here opens a file or knows the format of the archive: what is needed of a run comes
//! through [`Telemetry`].

pub mod compare;
pub mod phase;
pub mod telemetry;

pub use telemetry::Telemetry;
