//! How long cells take, by what the same cells took before.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::archive::filter::{self, Filter};
use crate::archive::{Archive, ArchiveError};
use crate::quantity::time;
use crate::run::manifest::State;
use crate::run::{Cell, Manifest};

/// What cells took: the sum of the seconds, and how many runs they are of.
#[derive(Debug, Clone, Default)]
pub struct Estimates(BTreeMap<Cell, (f64, u32)>);

/// How long some cells will take together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// Of those that have been run before.
    pub known: Duration,
    /// How many have not.
    pub unknown: usize,
}

impl Estimates {
    /// What the runs of an archive took.
    ///
    /// # Errors
    ///
    /// Where it cannot be listed.
    pub fn from_archive(archive: &Archive) -> Result<Self, ArchiveError> {
        let filter = Filter { state: Some(State::Complete), ..Filter::default() };
        let (runs, _) = filter::list(archive, &filter)?;
        let mut estimates = Self::default();
        for run in runs {
            if let (Some(cell), Some(ended)) = (&run.brief.cell, run.brief.ended) {
                estimates.remember(cell, run.brief.started, ended);
            }
        }
        Ok(estimates)
    }

    /// Takes over what one more run took.
    pub fn add(&mut self, manifest: &Manifest) {
        if let (Some(cell), Some(ended), State::Complete) =
            (&manifest.cell, manifest.ended, manifest.state)
        {
            self.remember(cell, manifest.started, ended);
        }
    }

    fn remember(&mut self, cell: &Cell, started: Timestamp, ended: Timestamp) {
        let seconds = ended.duration_since(started).as_secs_f64();
        let (sum, count) = self.0.entry(cell.without_round()).or_default();
        *sum += seconds;
        *count += 1;
    }

    /// How long these cells will take.
    pub fn of_all(&self, cells: &[&Cell]) -> Estimate {
        let mut estimate = Estimate::default();
        for cell in cells {
            match self.0.get(&cell.without_round()) {
                Some((sum, count)) => {
                    let mean = Duration::try_from_secs_f64(sum / f64::from(*count));
                    estimate.known += mean.unwrap_or_default();
                }
                None => estimate.unknown += 1,
            }
        }
        estimate
    }
}

impl Estimate {
    /// The same in a few words, for a line that has other things to say too.
    pub fn short(&self) -> String {
        match (self.known.is_zero(), self.unknown) {
            (true, 0) => "nothing".to_owned(),
            (true, _) => "unknown".to_owned(),
            (false, 0) => time(self.known),
            (false, 1) => format!("{} and a cell", time(self.known)),
            (false, cells) => format!("{} and {cells} cells", time(self.known)),
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { known, unknown } = self;
        match (known.is_zero(), unknown) {
            (true, 0) => formatter.write_str("no time"),
            (true, _) => formatter.write_str("unknown, since none of them has been run before"),
            (false, 0) => write!(formatter, "about {}", time(*known)),
            (false, _) => {
                write!(formatter, "about {}, and {unknown} of unknown length", time(*known))
            }
        }
    }
}
