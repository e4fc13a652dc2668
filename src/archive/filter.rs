//! Which runs are meant, and a list of thousands of them.

use jiff::Timestamp;
use serde::Serialize;

use super::salvage::Unreadable;
use super::{Archive, ArchiveError, RunDirectory};
use crate::run::manifest::State;
use crate::run::{Brief, Cell, JOURNAL, MANIFEST};

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// The name of the run directory.
    pub run: String,
    /// Whether it is being recorded.
    pub active: bool,
    /// Whether it was left unfinished: `recover` finishes it.
    pub unfinished: bool,
    /// What it is.
    #[serde(flatten)]
    pub brief: Brief,
}

impl Listed {
    /// Reads the short part of a manifest. A run that nobody records and that says `running` was
    /// interrupted.
    ///
    /// # Errors
    ///
    /// Where the manifest cannot be read.
    pub fn read(run: &RunDirectory) -> Result<Self, ArchiveError> {
        let bytes = run.read(MANIFEST, super::LARGEST_MANIFEST)?;
        let mut brief: Brief = super::parse(&run.join(MANIFEST), &bytes)?;
        let lasts = brief.state == State::Running || run.has(JOURNAL);
        let active = lasts && run.is_active();
        if brief.state == State::Running && !active {
            brief.state = State::Interrupted;
        }
        Ok(Self { run: run.name().to_owned(), active, unfinished: lasts && !active, brief })
    }
}

/// Which runs are meant: those to which everything that is given applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tags; one without a value is there with any.
    pub tags: Vec<(String, Option<String>)>,
    /// A part of a model's name, whatever its case: of its file, its metadata, the catalog, or how the
    /// command names it.
    pub model: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// The state.
    pub state: Option<State>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether a run is meant.
    pub fn means(&self, Listed { brief: run, .. }: &Listed) -> bool {
        let has_tag = |(name, value): &(String, Option<String>)| {
            run.tags.get(name).is_some_and(|found| value.is_none() || found == value)
        };
        let has_model = |part: &String| {
            let part = part.to_lowercase();
            let of_cell = run.cell.as_ref().map(Cell::model);
            run.models.iter().any(|model| model.is_meant_by(&part))
                || of_cell.is_some_and(|name| name.to_lowercase().contains(&part))
        };
        self.tags.iter().all(has_tag)
            && self.model.as_ref().is_none_or(has_model)
            && self.tool.as_ref().is_none_or(|tool| run.tool.name == *tool)
            && self.campaign.as_ref().is_none_or(|name| run.campaign.as_ref() == Some(name))
            && self.state.is_none_or(|state| run.state == state)
            && self.since.is_none_or(|since| run.started >= since)
            && self.until.is_none_or(|until| run.started <= until)
    }
}

/// The runs that are meant, the oldest first, and what could not be read.
///
/// # Errors
///
/// Where the archive cannot be listed.
pub fn list(
    archive: &Archive,
    filter: &Filter,
) -> Result<(Vec<Listed>, Vec<Unreadable>), ArchiveError> {
    let runs = archive.directories()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = runs.len().div_ceil(threads).max(1);
    let read = |runs: &[RunDirectory]| -> Vec<Result<Listed, Unreadable>> {
        let one =
            |run: &RunDirectory| Listed::read(run).map_err(|error| Unreadable::new(run, &error));
        runs.iter().filter(|run| run.has_begun()).map(one).collect()
    };
    let results = std::thread::scope(|scope| {
        let readers: Vec<_> =
            runs.chunks(share).map(|runs| scope.spawn(move || read(runs))).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(listed) if filter.means(&listed) => found.push(listed),
            Ok(_) => {}
            Err(error) => unreadable.push(error),
        }
    }
    Ok((found, unreadable))
}
