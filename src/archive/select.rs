//! Which runs are meant by a word: a run, a campaign, a tag or a filter.

use super::filter::{self, Filter, Listed};
use super::{Archive, ArchiveError, RunDirectory, campaign, eval_samples, results};
use crate::analyze::compare::Run;

/// The runs that a word means, the oldest first: `latest`, a run's name or identifier or a part of
/// it, a campaign's name, a tag, or filters as `tag=kv=q8_0,model=qwen`.
///
/// # Errors
///
/// Where nothing is called so, or several runs are.
pub fn runs(archive: &Archive, word: &str) -> Result<Vec<RunDirectory>, ArchiveError> {
    if let Some(filter) = filters(word)? {
        let found = listed(archive, &filter)?;
        if found.is_empty() {
            let place = archive.directory().display();
            return Err(ArchiveError(format!("{word}: no such runs in {place}")));
        }
        return Ok(found);
    }
    // Names that are exactly so come before parts of names.
    if archive.runs()?.iter().any(|run| run.name() == word) {
        return Ok(vec![archive.find(word)?]);
    }
    let of_campaign = Filter { campaign: Some(word.to_owned()), ..Filter::default() };
    let of_tag = Filter { tags: vec![tag(word)], ..Filter::default() };
    for filter in [of_campaign, of_tag] {
        let found = listed(archive, &filter)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    archive.find(word).map(|run| vec![run]).or_else(|error| {
        let campaign = campaign::find(archive, word).map_err(|_| error)?;
        listed(archive, &Filter { campaign: Some(campaign.name), ..Filter::default() })
    })
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

/// Reads what a comparison needs of runs, as many at once as there are processors.
///
/// # Errors
///
/// Where one of them cannot be read.
pub fn read(runs: &[RunDirectory]) -> Result<Vec<Run>, ArchiveError> {
    let one = |run: &RunDirectory| {
        let manifest = run.manifest()?;
        let (rows, samples) = (results::read(run)?, eval_samples::read(run)?);
        Ok(Run { name: run.name().to_owned(), manifest, rows, samples })
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = runs.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let readers: Vec<_> = runs
            .chunks(share)
            .map(|runs| scope.spawn(move || runs.iter().map(one).collect::<Vec<_>>()))
            .collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    })
}
