//! What a run is: the texts that the recorder writes and everything else reads.
//!
//! Here are types alone: nothing here opens a file. `docs/archive.md` describes the directory of
//! a run; its format is a promise, so a field is added with a default and none changes its meaning.

pub mod brief;
pub mod campaign;
pub mod cell;
pub mod change;
pub mod environment;
pub mod eval;
mod finite;
pub mod journal;
pub mod manifest;
pub mod model;
pub mod row;
pub mod share;
pub mod thresholds;

pub use brief::Brief;
pub use campaign::Campaign;
pub use cell::{BenchmarkCell, Cell, EvalCell};
pub use change::Change;
pub use environment::Environment;
pub use eval::{Completion, EvalSample, Score};
pub use manifest::Manifest;
pub use row::Row;
pub use share::Share;
pub use thresholds::{Evidence, Thresholds};

/// The file of a run directory that says what the run is.
pub const MANIFEST: &str = "manifest.json";

/// The file of a run directory that grows while the run lasts.
pub const JOURNAL: &str = "journal.jsonl";

/// The directory of a run directory that holds what the tool itself said, untouched.
pub const RAW: &str = "raw";

/// The directory in [`RAW`] that holds files that the tool wrote.
pub const OUTPUT_FILES: &str = "files";
