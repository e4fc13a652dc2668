//! A campaign before it runs: which models, on which backends, with which settings.
//!
//! Everything here can be refused before the first command is started.

pub mod kv;
pub mod order;
pub mod sweep;
