//! The flags of `halo-record report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const HELP: &str = "\
Examples:
  halo-record report latest                 a file that a browser shows
  halo-record report a b -o change.html     two runs, and their difference
  halo-record report latest --format md     tables for an issue

The runs of one campaign are compared by what it varied, within each model; name the sides to \
compare models.

The HTML is one file without scripts and without anything from elsewhere. Names of hosts and users, \
paths but for their last part, keys and addresses are replaced, as in a bundle; with --as-is none are.";

/// The flags of `halo-record report`.
#[derive(Debug, Args)]
pub(super) struct Reporting {
    /// The runs: names, parts of them, tags, campaigns, latest; runs of one word are one side
    #[arg(required = true, value_name = "RUN")]
    pub(super) runs: Vec<String>,
    /// The format
    #[arg(long, value_enum, default_value = "html")]
    pub(super) format: ReportFormat,
    /// Where to; - is standard output [default: for html RUN.html, else -]
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Replace nothing in it: with paths and with names of hosts and users
    #[arg(long)]
    pub(super) as_is: bool,
    /// Replace a file that is there
    #[arg(long)]
    pub(super) force: bool,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// One file for a browser.
    Html,
    /// Markdown.
    Md,
    /// For programs.
    Json,
}

/// A report that the user wants.
#[derive(Debug)]
pub struct Reported {
    /// The runs, in the user's words.
    pub runs: Vec<String>,
    /// What it is written as.
    pub format: ReportFormat,
    /// Where to.
    pub output: Option<PathBuf>,
    /// Whether nothing is replaced in it.
    pub is_as_it_is: bool,
    /// Whether a file that is there is replaced.
    pub is_forced: bool,
}
