//! The tools whose output halo understands, all in [`TOOLS`].
//!
//! A tool only adds output flags and reads what the program printed and wrote; it never changes
//! what is measured, opens no file and starts no process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;

use crate::command_line::model::NamedModel;
pub use crate::run::Row;
use crate::run::manifest::Case;
use crate::run::{Completion, EvalSample, Score};

pub mod aiperf;
pub mod bigcodebench;
pub mod clpeak;
mod document;
pub mod evalplus;
pub mod inspect_ai;
pub mod llama_batched_bench;
pub mod llama_bench;
pub mod llama_benchy;
pub mod lm_eval;
mod scores;
pub(crate) mod text;
pub mod vllm_bench;
pub mod words;

/// Every tool.
pub static TOOLS: &[&dyn Tool] = &[
    &llama_bench::LlamaBench,
    &llama_batched_bench::LlamaBatchedBench,
    &llama_batched_bench::LlamaSweepBench,
    &inspect_ai::InspectAi,
    &evalplus::EvalPlus,
    &bigcodebench::BigCodeBench,
    &lm_eval::LmEval,
    &llama_benchy::LlamaBenchy,
    &vllm_bench::VllmBench,
    &aiperf::AiPerf,
    &clpeak::ClPeak,
];

/// Stands in a command line for the directory of the run that takes files of the tool; the recorder
/// puts the directory in its place when it has made it.
pub const OUTPUT: &str = "{halo-output}";

/// A benchmark or eval program.
pub trait Tool: Sync {
    /// Its name, as `llama-bench`.
    fn name(&self) -> &'static str;

    /// Where in a command line the tool's program stands, where it does: behind `env`, `taskset`
    /// or `toolbox run` too.
    fn recognizes(&self, argv: &[OsString]) -> Option<usize>;

    /// Whether [`Tool::prepare`] needs to know what the program says to `--help`: some take seconds
    /// to say it.
    fn needs_help(&self) -> bool {
        false
    }

    /// Adds the flags that make the tool print or write what [`Tool::parse`] reads. `help` is what
    /// the program says to `--help`, where it was asked successfully.
    fn prepare(&self, _plan: &mut Plan, _help: Option<&str>) {}

    /// What in the command line cannot go together, where the tool itself would find it out late, or
    /// what it would write that must not be archived, and what to do.
    fn contradiction(&self, _argv: &[OsString]) -> Option<String> {
        None
    }

    /// The command line with so many repetitions of each test; none where the tool has none.
    fn with_repetitions(&self, _argv: &[OsString], _repetitions: u32) -> Option<Vec<OsString>> {
        None
    }

    /// The models that the command line names, where it does so in its own way: programs that share
    /// llama.cpp's arguments need not say it.
    fn models(&self, _argv: &[OsString]) -> Vec<NamedModel> {
        Vec::new()
    }

    /// Where the program writes files that [`Tool::parse`] reads.
    fn places(&self, _command: &CommandLine<'_>) -> Vec<Place> {
        Vec::new()
    }

    /// The address of the server that the program asks, as far as the command line and the variables
    /// that it reads tell.
    fn server(&self, _command: &CommandLine<'_>) -> Option<String> {
        None
    }

    /// What a line that the program prints, on either output, says of its progress. It is asked
    /// while the program runs.
    fn phase(&self, _line: &[u8]) -> Option<Phase> {
        None
    }

    /// Reads what the program printed and wrote.
    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError>;
}

/// A command line that was executed.
#[derive(Clone, Copy)]
pub struct CommandLine<'a> {
    /// Its words.
    pub argv: &'a [OsString],
    /// Where in it the tool's program stands.
    pub program: usize,
    /// What the command sees of a variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The same of a path in a file `.env` at or above the directory where it runs, which some tools
    /// read.
    pub dotenv: &'a dyn Fn(&str) -> Option<PathBuf>,
}

/// Files that a program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A file, or a directory with the files somewhere below it, from where the command runs.
    pub path: PathBuf,
    /// How the names of the files end, as `.eval`.
    pub endings: &'static [&'static str],
    /// How the names of files begin that lie in the directory itself; none where they may lie
    /// anywhere below it and begin as they like. A directory where users work has other files too.
    pub beginnings: Option<Vec<String>>,
}

impl Place {
    /// Files whose names end so, in a directory of the tool's own or below.
    fn own(path: impl Into<PathBuf>, endings: &'static [&'static str]) -> Self {
        Self { path: path.into(), endings, beginnings: None }
    }

    /// Files whose names begin and end so, in a directory that others use as well.
    fn shared(
        path: impl Into<PathBuf>,
        endings: &'static [&'static str],
        beginnings: Vec<String>,
    ) -> Self {
        Self { path: path.into(), endings, beginnings: Some(beginnings) }
    }
}

/// A file that the program wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Where it is in the run directory, as `raw/files/logs/a.eval`.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The command line that will be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The command line.
    pub argv: Vec<OsString>,
    /// Where in it the tool's program stands.
    pub program: usize,
    /// Lines of either output that are for halo and not for the screen, by their beginnings, as
    /// `{"build_commit"`. They are archived all the same.
    pub hidden: Vec<&'static str>,
    /// What was added, for the user: one sentence each.
    pub notes: Vec<String>,
}

/// Something that a tool begins or has ended, as it says itself: a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// As `prompt`, `generation` or `sample`.
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
    /// The files that it wrote, in the order of their names.
    pub files: &'a [OutputFile],
}

impl<'a> Outputs<'a> {
    /// The files whose names end so.
    fn files_ending(&self, ending: &str) -> impl Iterator<Item = &'a OutputFile> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }
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
    /// What the model is called that a server was asked for.
    pub model: Option<String>,
    /// What an eval scored.
    pub scores: Vec<Score>,
    /// What became of each of its samples.
    pub samples: Vec<EvalSample>,
    /// How much of it was done.
    pub completion: Option<Completion>,
    /// What the program wrote down of its progress, with its own times.
    pub moments: Vec<ToolMoment>,
    /// Why the run failed although the program may have exited with 0.
    pub failure: Option<String>,
    /// What else is to be known, as files that could not be read: one sentence each.
    pub problems: Vec<String>,
}

/// The end of the units of speeds, which are above 0.
const OF_SPEEDS: &str = "/s";

impl Parsed {
    /// Leaves out what no tool can have measured: numbers that are not finite, and speeds that are not
    /// above 0. How many there were is to be known.
    pub fn leave_out_impossible(&mut self) {
        let is_possible = |row: &Row| {
            let is_speed =
                row.unit.ends_with(OF_SPEEDS) && !row.metric.ends_with("_standard_deviation");
            row.value.is_finite() && (!is_speed || row.value > 0.0)
        };
        let count = self.rows.len() + self.scores.len();
        self.rows.retain(is_possible);
        self.scores.retain(|score| score.value.is_finite());
        for sample in &mut self.samples {
            sample.score = sample.score.filter(|score| score.is_finite());
        }
        match count - self.rows.len() - self.scores.len() {
            0 => {}
            1 => self.problems.push("a figure is no possible one and is left out".to_owned()),
            more => {
                self.problems.push(format!("{more} figures are no possible ones and are left out"));
            }
        }
    }
}

/// Something that a tool wrote down, with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolMoment {
    /// When, by the clock of the machine.
    pub at: Timestamp,
    /// What.
    pub phase: Phase,
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

/// Reads a file of somebody, whose command line nobody knows: that of llama-bench, or of what else of
/// llama.cpp measures speeds.
///
/// # Errors
///
/// Where results are in it and none can be understood.
pub fn import(bytes: &[u8]) -> Result<Imported, ParseError> {
    let imported = llama_bench::import(bytes)?;
    if imported.parsed.rows.is_empty()
        && let Some(other) = llama_batched_bench::import(bytes)
    {
        return Ok(other);
    }
    Ok(imported)
}

/// What a file says that is imported.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The tool that printed it.
    pub tool: &'static str,
    /// The results.
    pub parsed: Parsed,
    /// When the first test began, where the format says so.
    pub started: Option<Timestamp>,
    /// The models, each once.
    pub models: Vec<ImportedModel>,
}

/// A model that a file has results of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedModel {
    /// Its name, as its file is called or the table says.
    pub name: String,
    /// Its file, where the format says so.
    pub file: Option<String>,
}

/// The parameters of a case.
pub type Parameters = BTreeMap<String, Value>;
