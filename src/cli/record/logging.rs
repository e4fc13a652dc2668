//! The flags of `halo-record log`.

use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::{Output, UsageError, output};
use crate::redact::keys;
use crate::run::change::Decision;

pub(super) const HELP: &str = "\
Examples:
  halo-record log add --change THP --evidence tag=before tag=thp --verdict keep
  halo-record log add --change 'newer Mesa' --verdict pending
  halo-record log edit 2 --evidence tag=mesa-25 tag=mesa-26 --verdict reverted
  halo-record log show > CHANGES.md     with what the archive has measured";

/// The flags of `halo-record log`.
#[derive(Debug, Args)]
pub(super) struct Logging {
    #[command(subcommand)]
    action: Actions,
}

#[derive(Debug, Subcommand)]
enum Actions {
    /// Write down a change that was tried
    Add {
        /// What was changed
        #[arg(long, value_name = "TEXT")]
        change: String,
        #[command(flatten)]
        more: More,
    },
    /// Write down what became of a change
    Edit {
        /// Its number
        number: u32,
        /// What was changed
        #[arg(long, value_name = "TEXT")]
        change: Option<String>,
        #[command(flatten)]
        more: More,
    },
    /// List the changes, the newest last
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the changes as Markdown, with what was measured
    Show,
}

#[derive(Debug, Args)]
struct More {
    /// What was measured before and after: runs, campaigns, tags or filters, as compare takes them
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    evidence: Option<Vec<String>>,
    /// What became of it: keep, reverted, no-impact, pending or blocked
    #[arg(long, value_parser = decision)]
    verdict: Option<Decision>,
    /// More about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// When it was made [default: today]
    #[arg(long, value_parser = date)]
    date: Option<Date>,
}

fn decision(text: &str) -> Result<Decision, String> {
    let found = Decision::ALL.into_iter().find(|decision| decision.as_str() == text);
    found.ok_or_else(|| {
        format!("expected one of {}", Decision::ALL.map(Decision::as_str).join(", "))
    })
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "expected a date, as 2026-11-24".to_owned())
}

/// What to do with the log.
#[derive(Debug)]
pub enum Logged {
    /// Add an entry.
    Add(Entry),
    /// Change an entry.
    Edit(u32, Entry),
    /// List them.
    List(Output),
    /// Print Markdown.
    Show,
}

/// What the user says of a change.
#[derive(Debug)]
pub struct Entry {
    /// What was changed.
    pub change: Option<String>,
    /// What was measured before and after.
    pub evidence: Option<[String; 2]>,
    /// What became of it.
    pub verdict: Option<Decision>,
    /// More about it.
    pub note: Option<String>,
    /// When it was made.
    pub date: Option<Date>,
}

impl Logging {
    pub(super) fn logged(self) -> Result<Logged, UsageError> {
        let hide = |text: Option<String>| text.map(|text| keys::hide(&text));
        let entry = |change: Option<String>, more: More| Entry {
            change: hide(change),
            evidence: more.evidence.and_then(|words| words.try_into().ok()),
            verdict: more.verdict,
            note: hide(more.note),
            date: more.date,
        };
        Ok(match self.action {
            Actions::Add { change, more } => Logged::Add(entry(Some(change), more)),
            Actions::Edit { number, change, more } => {
                let entry = entry(change, more);
                let Entry { change, evidence, verdict, note, date } = &entry;
                let says_nothing = change.is_none() && evidence.is_none() && note.is_none();
                if says_nothing && verdict.is_none() && date.is_none() {
                    return Err(UsageError(
                        "log edit: what? say --verdict, --note, --evidence, --change or --date"
                            .to_owned(),
                    ));
                }
                Logged::Edit(number, entry)
            }
            Actions::List { json } => Logged::List(output(json)),
            Actions::Show => Logged::Show,
        })
    }
}
