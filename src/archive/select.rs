//! Which runs are meant by a word: a run, a campaign, a tag or a filter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::filter::{self, Filter, Listed};
use super::salvage::Unreadable;
use super::{Archive, ArchiveError, RunDirectory, campaign, eval_samples, results};
use crate::analyze::compare::Run;

/// What a word names.
#[derive(Debug)]
pub struct Selection {
    /// The runs, the oldest first.
    pub runs: Vec<RunDirectory>,
    /// How it names them.
    pub kind: Kind,
}

/// How a word names runs, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Filters, e.g. `tag=kv=q8_0,model=qwen`.
    Filter,
    /// The whole name or identifier of a run, or `latest`.
    Run,
    /// The whole name of a campaign.
    Campaign,
    /// A tag, e.g. `post-opt` or `kv=q8_0`.
    Tag,
    /// A part of one run's name, or the beginning of its identifier.
    PartOfRun,
    /// A part of one campaign's name.
    PartOfCampaign,
}

/// The shortest beginning of an identifier that names a run.
const SHORTEST_ID: usize = 4;

/// The shortest part of a name that names a run: less stands in any name.
const SHORTEST_PART: usize = 3;

/// How many names an ambiguity lists.
pub(super) const MAX_CANDIDATES: usize = 5;

/// What a word of the command line names. What matches exactly wins: a run, a campaign, a tag; a part
/// of a name counts if nothing is called exactly so, and if it is a part of one name alone.
///
/// # Errors
///
/// If nothing is called so, or several are.
pub fn select(archive: &Archive, word: &str) -> Result<Selection, ArchiveError> {
    let found = |runs, kind| Ok(Selection { runs, kind });
    if word.is_empty() {
        return Err(ArchiveError("an empty word names no run".to_owned()));
    }
    if let Some(filter) = filters(word)? {
        let runs = listed(archive, &filter)?;
        if runs.is_empty() {
            let place = archive.directory().display();
            return Err(ArchiveError(format!("{word}: no such runs in {place}")));
        }
        return found(runs, Kind::Filter);
    }
    let mut runs = archive.runs()?;
    if word == "latest" {
        let latest = runs.pop();
        let latest = latest.ok_or_else(|| ArchiveError::at(archive.directory(), "has no runs"))?;
        return found(vec![latest], Kind::Run);
    }
    let name = name_of(archive, word);
    if let Some(place) = runs.iter().position(|run| run.name() == name) {
        return found(vec![runs.swap_remove(place)], Kind::Run);
    }
    let (all, _) = filter::list(archive, &Filter::default())?;
    let is_of = |listed: &Listed| RunDirectory::at(archive.directory().join(&listed.run));
    let of = |is_meant: &dyn Fn(&Listed) -> bool| -> Vec<RunDirectory> {
        all.iter().filter(|listed| is_meant(listed)).map(is_of).collect()
    };
    let tag = Filter { tags: vec![tag(word)], ..Filter::default() };
    for kind in [Kind::Run, Kind::Campaign, Kind::Tag] {
        let runs = of(&|listed| match kind {
            Kind::Run => listed.brief.id == word,
            Kind::Campaign => listed.brief.campaign.as_deref() == Some(word),
            _ => tag.means(listed),
        });
        if !runs.is_empty() || (kind == Kind::Campaign && campaign::exists(archive, word)) {
            return found(runs, kind);
        }
    }
    let has_id = |listed: &Listed| word.len() >= SHORTEST_ID && listed.brief.id.starts_with(word);
    let has_part = |run: &RunDirectory| name.len() >= SHORTEST_PART && run.name().contains(name);
    let mut parts: Vec<RunDirectory> = runs.into_iter().filter(has_part).collect();
    let of_id = of(&has_id);
    parts.extend(of_id.into_iter().filter(|run| !has_part(run)));
    match parts.len() {
        1 => found(parts, Kind::PartOfRun),
        0 => match campaign::find(archive, word) {
            Ok(campaign) => {
                let is_of_it =
                    |listed: &Listed| listed.brief.campaign.as_ref() == Some(&campaign.name);
                found(of(&is_of_it), Kind::PartOfCampaign)
            }
            Err(_) => Err(ArchiveError(format!(
                "{word}: no such run in {}; `halo-record list` shows them",
                archive.directory().display()
            ))),
        },
        count => Err(ArchiveError(format!(
            "{word}: {count} runs are called so, say which: {}",
            names(&parts)
        ))),
    }
}

/// The name in a word: the path of a run's directory in this archive names it, as a shell completes
/// it. A path that leads elsewhere names nothing here.
fn name_of<'a>(archive: &Archive, word: &'a str) -> &'a str {
    let Some((directory, name)) = word.trim_end_matches('/').rsplit_once('/') else { return word };
    let whole = |path: &Path| path.canonicalize().ok();
    let directory = whole(Path::new(if directory.is_empty() { "/" } else { directory }));
    let is_here = directory.is_some() && directory == whole(archive.directory());
    if is_here { name } else { word }
}

/// The runs that a word names, the oldest first.
///
/// # Errors
///
/// If nothing is called so, or several are.
pub fn runs(archive: &Archive, word: &str) -> Result<Vec<RunDirectory>, ArchiveError> {
    Ok(select(archive, word)?.runs)
}

/// The one run that a word names.
///
/// # Errors
///
/// If it names none, or several.
pub fn run(archive: &Archive, word: &str) -> Result<RunDirectory, ArchiveError> {
    let Selection { mut runs, kind } = select(archive, word)?;
    match (runs.pop(), runs.len()) {
        (Some(run), 0) => Ok(run),
        (None, _) => Err(ArchiveError(format!("{word}: is a campaign of which no run is left"))),
        (Some(run), more) => {
            runs.push(run);
            let what = match kind {
                Kind::Filter => "match it",
                Kind::Tag => "have this tag",
                _ => "are of this campaign",
            };
            Err(ArchiveError(format!(
                "{word}: {} runs {what}, say which: {}",
                more + 1,
                names(&runs)
            )))
        }
    }
}

fn names(runs: &[RunDirectory]) -> String {
    let names: Vec<&str> = runs.iter().take(MAX_CANDIDATES).map(RunDirectory::name).collect();
    names.join(", ") + if runs.len() > MAX_CANDIDATES { ", …" } else { "" }
}

/// `tag=kv=q8_0,model=qwen`; none where a word begins with no filter.
fn filters(word: &str) -> Result<Option<Filter>, ArchiveError> {
    const KEYS: &str = "tag, model, tool or campaign";
    let mut filter = Filter::default();
    for (number, part) in word.split(',').enumerate() {
        let wrong = || ArchiveError(format!("{word}: expected filters by {KEYS}"));
        let Some((key, value)) = part.split_once('=') else {
            return if number == 0 { Ok(None) } else { Err(wrong()) };
        };
        match key {
            "tag" => filter.tags.push(tag(value)),
            "model" => filter.model = Some(value.to_owned()),
            "tool" => filter.tool = Some(value.to_owned()),
            "campaign" => filter.campaign = Some(value.to_owned()),
            // A tag with a value, as `kv=q8_0`.
            _ if number == 0 => return Ok(None),
            _ => return Err(wrong()),
        }
    }
    Ok(Some(filter))
}

fn tag(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn listed(archive: &Archive, filter: &Filter) -> Result<Vec<RunDirectory>, ArchiveError> {
    let (found, _) = filter::list(archive, filter)?;
    let directory = |listed: Listed| RunDirectory::at(archive.directory().join(listed.run));
    Ok(found.into_iter().map(directory).collect())
}

/// Reads what a comparison needs of runs, as many at once as there are processors. Beside those that
/// can be read stands which cannot.
pub fn read(runs: &[RunDirectory]) -> (Vec<Run>, Vec<Unreadable>) {
    let whole = |run: &RunDirectory| {
        let manifest = run.manifest()?;
        let (rows, samples) = (results::read(run)?, eval_samples::read(run)?);
        Ok(Run { name: run.name().to_owned(), manifest, rows, samples })
    };
    let one = |run: &RunDirectory| {
        // What a damaged table does to its reader is about its run alone.
        let read = catch_unwind(AssertUnwindSafe(|| whole(run)));
        let read = read.unwrap_or_else(|_| Err(ArchiveError("its reader panicked".to_owned())));
        read.map_err(|error| Unreadable::new(run, &error))
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = runs.len().div_ceil(threads).max(1);
    let all: Vec<Result<Run, Unreadable>> = std::thread::scope(|scope| {
        let readers: Vec<_> = runs
            .chunks(share)
            .map(|runs| scope.spawn(move || runs.iter().map(one).collect::<Vec<_>>()))
            .collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    });
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for run in all {
        match run {
            Ok(run) => found.push(run),
            Err(error) => unreadable.push(error),
        }
    }
    (found, unreadable)
}
