//! What `halo-record` does around the command that it wraps.

pub mod model;
