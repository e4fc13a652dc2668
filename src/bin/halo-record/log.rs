//! The log of changes that were tried.

use std::process::ExitCode;

use halo::analyze::compare::{self, Comparison, Named};
use halo::archive::{Archive, ArchiveError, log, select};
use halo::cli::record::{Entry, Logged, Output};
use halo::report;
use halo::run::Change;
use halo::run::change::Decision;
use halo::run::manifest::SCHEMA_VERSION;
use jiff::{Timestamp, ZonedDateTime};

use super::{print, print_json, tell};

/// Does what the user asks of the log.
pub(super) fn act(archive: &Archive, asked: Logged) -> anyhow::Result<ExitCode> {
    match asked {
        Logged::Add(entry) => {
            let evidence = resolved(archive, entry.evidence)?;
            let added = log::add(archive, |known| {
                let last = known.changes.last().map_or(0, |change| change.number);
                Ok(Change {
                    schema_version: SCHEMA_VERSION,
                    number: last.checked_add(1).ok_or_else(|| {
                        ArchiveError(format!(
                            "log.jsonl: has an entry of number {last}, the last that there is"
                        ))
                    })?,
                    date: entry.date.unwrap_or_else(|| ZonedDateTime::now().date()),
                    change: entry.change.unwrap_or_default(),
                    evidence,
                    verdict: entry.verdict.unwrap_or(Decision::Pending),
                    note: entry.note,
                    written: Timestamp::now(),
                })
            })?;
            said(&added)
        }
        Logged::Edit(number, entry) => {
            let evidence = resolved(archive, entry.evidence)?;
            let Entry { change, verdict, note, date, .. } = entry;
            let edited = log::add(archive, |known| {
                let earlier = known.changes.iter().find(|change| change.number == number);
                let earlier = earlier.cloned().ok_or_else(|| {
                    ArchiveError(format!(
                        "{number}: no such change; `halo-record log list` shows them"
                    ))
                })?;
                Ok(Change {
                    date: date.unwrap_or(earlier.date),
                    change: change.unwrap_or(earlier.change),
                    evidence: evidence.or(earlier.evidence),
                    verdict: verdict.unwrap_or(earlier.verdict),
                    note: note.or(earlier.note),
                    written: Timestamp::now(),
                    ..earlier
                })
            })?;
            said(&edited)
        }
        Logged::List(output) => {
            let changes = read(archive)?;
            match output {
                Output::Json => print_json(&changes),
                Output::Text => print(&report::log::list(&changes)),
            }
        }
        Logged::Show => {
            let changes = read(archive)?.into_iter().map(|change| {
                let compared = change.evidence.as_ref().map(|sides| compared(archive, sides));
                (change, compared)
            });
            print(&report::log::markdown(&changes.collect::<Vec<_>>()))
        }
    }
}

fn said(change: &Change) -> anyhow::Result<ExitCode> {
    print(&format!("{}. {}: {}\n", change.number, change.change, change.verdict))
}

fn read(archive: &Archive) -> Result<Vec<Change>, ArchiveError> {
    let known = log::read(archive)?;
    for line in &known.damaged {
        tell(line);
    }
    Ok(known.changes)
}

/// Evidence that is there: a part of a run's name becomes the whole, so that it stays the same run.
fn resolved(
    archive: &Archive,
    evidence: Option<[String; 2]>,
) -> Result<Option<[String; 2]>, ArchiveError> {
    let Some([before, after]) = evidence else { return Ok(None) };
    let whole = |word: String| -> Result<String, ArchiveError> {
        let runs = select::runs(archive, &word)?;
        // A tag may get more runs later, and means all of them.
        let is_tag = |run: &halo::archive::RunDirectory| {
            run.manifest().is_ok_and(|manifest| manifest.tags.contains_key(&word))
        };
        Ok(match &runs[..] {
            [run] if !word.contains('=') && !is_tag(run) => run.name().to_owned(),
            _ => word,
        })
    };
    Ok(Some([whole(before)?, whole(after)?]))
}

fn compared(archive: &Archive, sides: &[String; 2]) -> Result<Comparison, String> {
    let mut named = Vec::new();
    for side in sides {
        let runs = select::runs(archive, side).map_err(|error| error.to_string())?;
        let runs = super::compare::readable(&runs).map_err(|error| error.to_string())?;
        named.push(Named { name: side.clone(), runs });
    }
    compare::compare(named, None)
}
