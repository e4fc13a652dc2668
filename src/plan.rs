//! A campaign before it runs: which models, on which backends, with which settings.
//!
//! Everything here can be refused before the first command is started, and is refused all at once.

use crate::record;

pub mod backend;
pub mod catalog;
pub mod evals;
pub mod files;
pub mod kv;
pub mod matrix;
pub mod memory;
pub mod order;
mod own_file;
pub mod sweep;

pub use record::Refusal;
