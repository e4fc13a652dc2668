//! What people see of runs. Nothing here opens a file.

pub mod campaign;
pub mod fitness;
pub mod terminal;
