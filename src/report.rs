//! What people see of runs. Nothing here opens a file.

pub mod backends;
pub mod campaign;
pub mod compare;
pub mod fitness;
pub mod models;
pub mod terminal;
