//! The flags of `halo-record bundle`.

use std::path::PathBuf;

use clap::Args;

use super::Run;
use crate::outgoing::What;

pub(super) const HELP: &str = "\
Examples:
  halo-record bundle latest --dry-run   what would be in it
  halo-record bundle latest
  halo-record verify 20261124T035512.123Z-llama-bench-qwen3.tar.zst

It has the manifest and the tables; with --raw also what your programs printed. Names of hosts and \
users, paths but for their last part, keys, addresses and identifiers are replaced in all of it. \
Nobody can know what your programs print: look at --dry-run before you give it away.";

/// The flags of `halo-record bundle`.
#[derive(Debug, Args)]
pub(super) struct Bundling {
    #[command(flatten)]
    run: Run,
    /// Where to [default: RUN.tar.zst]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also what the tool printed and the files that it wrote, cleaned like the rest
    #[arg(long)]
    raw: bool,
    /// Show what would be in it and what was replaced, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// A bundle that the user wants.
#[derive(Debug)]
pub struct Bundled {
    /// The run, in the user's words.
    pub run: String,
    /// Where to.
    pub output: Option<PathBuf>,
    /// What is in it.
    pub what: What,
    /// Whether it is only shown.
    pub is_trial: bool,
    /// Whether a file that is there is replaced.
    pub is_forced: bool,
}

impl From<Bundling> for Bundled {
    fn from(bundling: Bundling) -> Self {
        let Bundling { run, output, raw, dry_run, force } = bundling;
        let what = if raw { What::Raw } else { What::Figures };
        Self { run: run.run, output, what, is_trial: dry_run, is_forced: force }
    }
}
