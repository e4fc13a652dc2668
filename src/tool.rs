//! The tools whose output halo understands, all in [`TOOLS`].
//!
//! A tool only adds output flags and reads what the program printed; it never changes what is
//! measured, opens no file and starts no process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::Value;

pub use crate::run::Row;
use crate::run::manifest::Case;

pub mod llama_bench;

/// Every tool.
pub static TOOLS: &[&dyn Tool] = &[&llama_bench::LlamaBench];

/// A benchmark or eval program.
pub trait Tool: Sync {
    /// Its name, as `llama-bench`.
    fn name(&self) -> &'static str;

    /// Where in a command line the tool's program stands, where it does: behind `env`, `taskset`
    /// or `toolbox run` too.
    fn recognizes(&self, argv: &[OsString]) -> Option<usize>;

    /// Adds the flags that make the tool print what [`Tool::parse`] reads. `help` is what the
    /// program says to `--help`, where it was asked successfully.
    fn prepare(&self, plan: &mut Plan, help: Option<&str>);

    /// What in the command line cannot go together, where the tool itself would find it out late,
    /// and what to do.
    fn contradiction(&self, argv: &[OsString]) -> Option<String>;

    /// The command line with so many repetitions of each test; none where the tool has none.
    fn with_repetitions(&self, _argv: &[OsString], _repetitions: u32) -> Option<Vec<OsString>> {
        None
    }

    /// The model files that the command line names.
    fn models(&self, argv: &[OsString]) -> Vec<PathBuf>;

    /// What a line that the program prints, on either output, says of its progress. It is asked
    /// while the program runs.
    fn phase(&self, line: &[u8]) -> Option<Phase>;

    /// Reads what the program printed.
    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError>;
}

/// The command line that will be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The command line.
    pub argv: Vec<OsString>,
    /// Where in it the tool's program stands.
    pub program: usize,
    /// Lines of standard error that are for halo and not for the screen, by their beginnings, as
    /// `{"build_commit"`. They are archived all the same.
    pub hidden: Vec<&'static str>,
    /// What was added, for the user: one sentence each.
    pub notes: Vec<String>,
}

/// Something that a tool begins or has ended, as it says itself: a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// As `prompt` or `generation`.
    pub name: &'static str,
    /// More about it, as the number of the repetition.
    pub attributes: BTreeMap<String, String>,
}

/// What a program printed.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a> {
    /// The command line that was executed.
    pub argv: &'a [OsString],
    /// Where in it the tool's program stands.
    pub program: usize,
    /// Standard output.
    pub stdout: &'a [u8],
    /// Standard error.
    pub stderr: &'a [u8],
}

/// What was found in a tool's output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The version that the tool says it is.
    pub version: Option<String>,
    /// What computes, as the tool says.
    pub backend: Option<String>,
    /// The figures.
    pub rows: Vec<Row>,
    /// What each case was measured with.
    pub cases: Vec<Case>,
    /// Why the run failed although the program may have exited with 0.
    pub failure: Option<String>,
}

/// Output that is there and cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct ParseError {
    /// The file of the run directory and where in it, as `raw/stderr line 3`.
    pub place: String,
    /// What is missing or wrong there, with the key's name.
    pub detail: String,
}

/// The tool that a command line runs, and where in it its program stands.
pub fn recognize(argv: &[OsString]) -> Option<(&'static dyn Tool, usize)> {
    TOOLS.iter().find_map(|tool| tool.recognizes(argv).map(|program| (*tool, program)))
}

/// The parameters of a case.
pub type Parameters = BTreeMap<String, Value>;
