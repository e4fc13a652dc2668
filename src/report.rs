//! What people see of runs. Nothing here opens a file.

pub mod backends;
pub mod bundle;
pub mod campaign;
pub mod charts;
pub mod compare;
pub mod evals;
pub mod fitness;
pub mod log;
pub mod markdown;
pub mod models;
pub mod page;
pub mod pareto;
pub mod record;
pub mod screen;
pub mod sparkline;
pub mod terminal;
