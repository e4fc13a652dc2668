//! llama-bench of llama.cpp.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Outputs, ParseError, Parsed, Plan, Tool};

/// llama-bench.
#[derive(Debug)]
pub struct LlamaBench;

impl Tool for LlamaBench {
    fn name(&self) -> &'static str {
        "llama-bench"
    }

    fn recognizes(&self, _argv: &[OsString]) -> Option<usize> {
        None
    }

    fn prepare(&self, _plan: &mut Plan, _help: Option<&str>) {}

    fn models(&self, _argv: &[OsString]) -> Vec<PathBuf> {
        Vec::new()
    }

    fn parse(&self, _outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        Ok(Parsed::default())
    }
}
