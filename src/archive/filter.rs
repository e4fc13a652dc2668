//! Which runs are meant, and the part of a manifest that a list of thousands needs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Archive, ArchiveError, RunDirectory};
use crate::run::MANIFEST;
use crate::run::manifest::{Kind, Results, State, Summary, Tags, Tool, Verdict};

/// What a list shows of a run: the manifest without what is long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// The name of the run directory.
    #[serde(skip_deserializing)]
    pub run: String,
    /// Whether it is being recorded.
    #[serde(skip_deserializing)]
    pub active: bool,
    /// The identifier.
    pub id: String,
    /// Which subcommand made it.
    pub kind: Kind,
    /// The campaign.
    #[serde(default)]
    pub campaign: Option<String>,
    /// How far it got.
    pub state: State,
    /// Whether results were found.
    pub results: Results,
    /// When the recording began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// The tags.
    pub tags: Tags,
    /// The tool.
    pub tool: Tool,
    /// The models.
    #[serde(default)]
    pub models: Vec<Named>,
    /// What computes.
    #[serde(default)]
    pub backend: Option<String>,
    /// The figures.
    #[serde(default)]
    pub summary: Vec<Summary>,
    /// What they are worth.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

/// A model's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
}

impl Brief {
    /// Reads the short part of a manifest. A run that nobody records and that says `running` was
    /// interrupted.
    ///
    /// # Errors
    ///
    /// Where the manifest cannot be read.
    pub fn read(run: &RunDirectory) -> Result<Self, ArchiveError> {
        let path = run.join(MANIFEST);
        let bytes = std::fs::read(&path).map_err(|error| ArchiveError::at(&path, error))?;
        let mut brief: Self = super::parse(&path, &bytes)?;
        run.name().clone_into(&mut brief.run);
        brief.active = brief.state == State::Running && run.is_active();
        if brief.state == State::Running && !brief.active {
            brief.state = State::Interrupted;
        }
        Ok(brief)
    }
}

/// Which runs are meant: those to which everything that is given applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Tags; one without a value is there with any.
    pub tags: Vec<(String, Option<String>)>,
    /// A part of a model's name, whatever its case.
    pub model: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The state.
    pub state: Option<State>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether a run is meant.
    pub fn means(&self, run: &Brief) -> bool {
        let has_tag = |(name, value): &(String, Option<String>)| {
            run.tags.get(name).is_some_and(|found| value.is_none() || found == value)
        };
        let has_model = |part: &String| {
            let part = part.to_lowercase();
            run.models.iter().any(|model| model.name.to_lowercase().contains(&part))
        };
        self.tags.iter().all(has_tag)
            && self.model.as_ref().is_none_or(has_model)
            && self.tool.as_ref().is_none_or(|tool| run.tool.name == *tool)
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
pub fn briefs(
    archive: &Archive,
    filter: &Filter,
) -> Result<(Vec<Brief>, Vec<ArchiveError>), ArchiveError> {
    let runs = archive.directories()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = runs.len().div_ceil(threads).max(1);
    let read = |runs: &[RunDirectory]| -> Vec<Result<Brief, ArchiveError>> {
        let has_begun = |run: &&RunDirectory| run.join(MANIFEST).exists();
        runs.iter().filter(has_begun).map(Brief::read).collect()
    };
    let results = std::thread::scope(|scope| {
        let readers: Vec<_> =
            runs.chunks(share).map(|runs| scope.spawn(move || read(runs))).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(brief) if filter.means(&brief) => found.push(brief),
            Ok(_) => {}
            Err(error) => unreadable.push(error),
        }
    }
    Ok((found, unreadable))
}
