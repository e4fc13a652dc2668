//! Pure functions over what was recorded: phases, energy, verdict, statistics, comparison.
//!
//! Nothing here opens a file or knows the format of the archive: what is needed of a run comes
//! through [`Telemetry`].

pub mod compare;
pub mod consumption;
pub mod devices;
pub mod energy;
pub mod evals;
pub mod phase;
pub mod series;
pub mod served;
pub mod stats;
pub mod telemetry;
pub mod verdict;

pub use telemetry::Telemetry;
