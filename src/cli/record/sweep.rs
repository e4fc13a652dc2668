//! The flags of `halo-record benchmark` that plan a campaign.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::super::UsageError;
use super::recording::{Command, Recording};
use super::values;
use crate::archive::Archive;
use crate::campaign::{Measured, New};
use crate::plan::catalog::Category;
use crate::plan::files::directories;
use crate::plan::matrix::{self, DEFAULT_BACKEND};
use crate::plan::order::Order;

/// Help that teaches by example.
pub(super) const HELP: &str = "\
Examples:
  halo-record benchmark -- llama-bench -m model.gguf -r 5
  halo-record benchmark --models qwen3.5 --kv-types f16,q4_0:q8_0 --dry-run
  halo-record benchmark --category moe --max-size 25 --backends all
  halo-record benchmark --resume latest --retry-failed

A campaign runs llama-bench once for each model, backend, KV type, batch and depth, one run a cell: \
the standard test (pp512, tg128) and the long-context test (a prompt of a sixteenth of the context, \
512 at least, and tg128, at depth 32768). KV types are TYPE or KEYS:VALUES; f16 adds no flags.

Exit codes of a campaign: 0 where every cell has its result, 1 where one failed, 2 for what is \
refused before anything runs, 125 where halo itself failed; a signal where one ended it.";

/// More tokens than this has no context.
const MOST_TOKENS: u64 = 100_000_000;

fn tokens() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..=MOST_TOKENS)
}

/// What a campaign measures.
#[derive(Debug, Args)]
#[command(next_help_heading = "Campaign")]
#[group(id = "campaign", multiple = true, conflicts_with = "resume")]
pub(super) struct Sweep {
    /// Models: parts of names, patterns as '*q4*', or files [default: all that are there]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// Models of these categories
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    category: Option<Vec<Category>>,
    /// Models up to this size
    #[arg(long, value_name = "GB", value_parser = values::gigabytes)]
    max_size: Option<f64>,
    /// Names of backends, or all [default: llama-vulkan-radv]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    backends: Option<Vec<String>>,
    /// Types of the KV cache: TYPE or KEYS:VALUES [default: f16]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    kv_types: Option<Vec<String>>,
    /// --batch-size of llama-bench
    #[arg(long, short, value_name = "LIST", value_delimiter = ',', value_parser = tokens())]
    batch: Option<Vec<u32>>,
    /// --ubatch-size of llama-bench
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = tokens())]
    ubatch: Option<Vec<u32>>,
    /// Depths of the long-context test in tokens [default: 32768]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = tokens())]
    context: Option<Vec<u32>>,
    /// Leave the long-context test out
    #[arg(long)]
    skip_longctx: bool,
    /// Tokens of the prompt [default: 512]
    #[arg(long, value_name = "N")]
    pp: Option<u32>,
    /// Tokens that are generated [default: 128]
    #[arg(long, value_name = "N")]
    tg: Option<u32>,
    /// Repetitions of each test [default: 5, and 3 of the long-context test]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..=1000))]
    reps: Option<u32>,
    /// Order of the cells; interleaved runs one repetition of each in every round [default: fixed]
    #[arg(long)]
    order: Option<Order>,
    /// Show the cells, their commands and the time they will take, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// A catalog of your own [default: ~/.config/halo/models.toml]
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// A directory where models are looked for before those of the configuration; may be given
    /// several times
    #[arg(long, value_name = "DIR", value_parser = values::directory)]
    models_dir: Option<Vec<PathBuf>>,
    /// Backends of your own [default: ~/.config/halo/backends.toml]
    #[arg(long, value_name = "FILE")]
    backends_file: Option<PathBuf>,
}

/// Which campaign goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Campaign")]
pub(super) struct Resume {
    /// Go on with a campaign: its name, a part of it, or latest
    #[arg(long, value_name = "CAMPAIGN")]
    pub(super) resume: Option<String>,
    /// Run the cells that failed again, too
    #[arg(long)]
    pub(super) retry_failed: bool,
}

impl Sweep {
    /// Whether a campaign is meant.
    pub(super) fn is_asked(&self) -> bool {
        let Self {
            models,
            category,
            max_size,
            backends,
            kv_types,
            batch,
            ubatch,
            context,
            skip_longctx,
            pp,
            tg,
            reps,
            order,
            dry_run,
            catalog,
            models_dir,
            backends_file,
        } = self;
        [models.is_some(), category.is_some(), max_size.is_some(), backends.is_some()]
            .contains(&true)
            || [kv_types.is_some(), batch.is_some(), ubatch.is_some(), context.is_some()]
                .contains(&true)
            || [pp.is_some(), tg.is_some(), reps.is_some(), order.is_some()].contains(&true)
            || [catalog.is_some(), models_dir.is_some(), backends_file.is_some()].contains(&true)
            || *skip_longctx
            || *dry_run
    }

    /// The campaign that the user wants.
    pub(super) fn campaign(
        self,
        recording: &Recording,
        command: &Command,
        archive: Archive,
    ) -> Result<New, UsageError> {
        if !command.argv.is_empty() {
            return Err(UsageError(
                "flags of a campaign and a command behind --: halo makes a campaign's commands \
                 itself; leave one of them away"
                    .to_owned(),
            ));
        }
        let config = recording.config()?;
        Ok(New {
            archive,
            tags: recording.tags(),
            recording: recording.of_campaign()?,
            is_dry_run: self.dry_run,
            asked: Measured::Benchmarks(matrix::Asked {
                models: self.models.unwrap_or_default(),
                categories: self.category.unwrap_or_default(),
                max_size: self.max_size,
                catalog: self.catalog,
                directories: directories(&self.models_dir.unwrap_or_default(), &config),
                backends: self.backends.unwrap_or_else(|| vec![DEFAULT_BACKEND.to_owned()]),
                backends_file: self.backends_file,
                kv_types: self.kv_types.unwrap_or_else(|| vec!["f16".to_owned()]),
                batches: self.batch.unwrap_or_default(),
                ubatches: self.ubatch.unwrap_or_default(),
                contexts: self.context,
                skips_long_context: self.skip_longctx,
                prompt: self.pp,
                generation: self.tg,
                repetitions: self.reps,
                order: self.order.unwrap_or(Order::Fixed),
            }),
            config,
        })
    }
}
