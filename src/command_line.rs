//! Reading the command lines of other programs: what stands before the command that counts.
//!
//! An option that is not known here ends the search, because it may take a value or not: then the
//! command is recorded as any other.

use std::ffi::OsString;

pub mod container;
mod flags;
pub mod model;
mod options;
mod wrappers;

/// Where the program stands that a command line runs in the end, behind `env`, `taskset`,
/// `podman exec` and their like, with its name without a directory.
pub fn program(argv: &[OsString]) -> Option<(usize, &str)> {
    let mut at = 0;
    loop {
        at += wrappers::behind_wrappers(&argv[at..])?;
        match container::recognize(&argv[at..]) {
            Some(container) => at += container.program_index?,
            None => return Some((at, wrappers::base_name(options::word(argv, at)?))),
        }
    }
}
