//! The flags of `halo-record ab`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::super::UsageError;
use super::comparing::{Gate, refuse_unknown};
use super::recording::Recording;
use super::{Output, output, values};
use crate::analyze::compare::{ROUND, SIDE};
use crate::archive::Archive;
use crate::{interleave, tool};

pub(super) const HELP: &str = "\
Examples:
  halo-record ab --a 'llama-bench -m a.gguf' --b 'llama-bench -m b.gguf'
  halo-record ab --a ./old --b ./new --rounds 20 --precision 1% --budget 1h

The commands run in turn, A B, B A, A B and so on, each as a run of its own in the archive, and the \
rounds are compared in pairs. Ten rounds find a difference of 3 % where runs vary by 1 %; where the \
rounds that you ask for are too few, it says so before it begins. A command is not given to a shell; \
say sh -c '...' where it needs one. Exit codes are those of compare.";

/// The flags of `halo-record ab`.
#[derive(Debug, Args)]
pub(super) struct Interleave {
    /// The command that the other one is compared with
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    a: Words,
    /// The other one
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    b: Words,
    /// How often each is run at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=1000))]
    rounds: u32,
    /// Stop when the intervals of all differences reach no farther than this to either side
    #[arg(long, value_name = "PERCENT", value_parser = values::percent)]
    precision: Option<f64>,
    /// Begin no round that would end later than this
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    budget: Option<Duration>,
    #[command(flatten)]
    gate: Gate,
    #[command(flatten)]
    recording: Recording,
}

/// A command line as words.
#[derive(Debug, Clone)]
struct Words(Vec<OsString>);

fn command(text: &str) -> Result<Words, String> {
    match shlex::split(text) {
        None => Err("expected a command line; a quote is not closed".to_owned()),
        Some(words) if words.is_empty() => Err("expected a command line".to_owned()),
        Some(words) => Ok(Words(words.into_iter().map(OsString::from).collect())),
    }
}

/// What is run in turn, on what it fails and for whom it is shown.
#[derive(Debug)]
pub struct Interleaved {
    /// What is run.
    pub asked: interleave::Asked,
    /// On what it fails.
    pub conditions: Vec<crate::analyze::compare::gate::Condition>,
    /// For whom.
    pub output: Output,
}

/// Whether a tool has the same metrics whatever it measures.
fn has_fixed_metrics((tool, _): (&dyn tool::Tool, usize)) -> bool {
    ["llama-bench", "llama-benchy", "vllm-bench", "aiperf"].contains(&tool.name())
}

impl Interleave {
    pub(super) fn asked(self, archive: Archive) -> Result<Interleaved, UsageError> {
        let own = [SIDE, ROUND];
        let tags = self.recording.tags();
        if let Some(tag) = own.iter().find(|tag| tags.contains_key(**tag)) {
            return Err(UsageError(format!(
                "--tag {tag}: each run gets this tag itself; call yours otherwise"
            )));
        }
        let commands = [self.a.0, self.b.0];
        if commands.iter().all(|command| tool::recognize(command).is_none_or(has_fixed_metrics)) {
            refuse_unknown(&self.gate.fail_on, &BTreeSet::new())?;
        }
        let bound = self.gate.fail_on.iter().map(|condition| condition.bound.abs());
        let config = self.recording.config()?;
        let (interval, lead) = self.recording.times();
        let asked = interleave::Asked {
            commands,
            rounds: self.rounds,
            sought: bound.reduce(f64::min),
            precision: self.precision,
            budget: self.budget,
            tags,
            interval,
            lead,
            hash_model: self.recording.hashes_models(),
            requirements: self.recording.requirements()?,
            archive,
            config,
        };
        Ok(Interleaved { asked, conditions: self.gate.fail_on, output: output(self.gate.json) })
    }
}
