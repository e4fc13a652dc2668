//! From the journal of a run to its Parquet files, when it ends and when it is recovered.

use std::io;

use super::RunDirectory;
use super::journal::Reader;
use super::write::{Identity, Tables};
use crate::run::journal::{By, Header, Line, Mark, Moment, VERSION};
use crate::run::manifest::Sampling;
use crate::tool::Row;

/// The recorder makes some ten marks of its own; what stands behind so many is not its.
const MOST_OWN_MARKS: usize = 64;

/// What was found in a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// How the machine was sampled.
    pub sampling: Sampling,
    /// The time of the last line.
    pub last: Moment,
    /// The marks that the recorder made.
    pub own_marks: Vec<Mark>,
    /// Where the journal is torn, if it is.
    pub damage: Option<String>,
    /// Series that this halo does not declare.
    pub unknown: Vec<String>,
}

/// Reads the journal of a run and writes its tables. The journal stays. Nothing is given where
/// it has no beginning: halo was killed before the first sample.
///
/// # Errors
///
/// Where the journal is of another version, or a file cannot be written.
pub fn convert(run: &RunDirectory, results: &[Row]) -> io::Result<Option<Converted>> {
    let mut reader = match Reader::open(run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        reader => reader?,
    };
    let Some(Line::Header(header)) = reader.next_line()? else { return Ok(None) };
    if header.version != VERSION {
        let text = format!("the journal's version is {}, not {VERSION}", header.version);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let identity =
        Identity { id: header.run.clone(), name: run.name().to_owned(), start: header.at };
    let mut tables = Tables::create(run.path(), identity)?;
    let mut summary = Summary { last: header.at, ..Summary::default() };
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Header(_) => {}
            Line::Series(new) => tables.series(&new)?,
            Line::Tick(tick) => {
                summary.ticks += 1;
                summary.skipped = summary.skipped.saturating_add(tick.skipped);
                summary.lateness = summary.lateness.saturating_add(tick.late);
                summary.max_lateness = summary.max_lateness.max(tick.late);
                summary.cost = summary.cost.saturating_add(tick.cost);
                summary.last = tick.at;
                tables.tick(&tick)?;
            }
            Line::Mark(mark) => {
                summary.last = summary.last.max(mark.at);
                tables.mark(&mark)?;
                if mark.by == By::Halo && summary.own_marks.len() < MOST_OWN_MARKS {
                    summary.own_marks.push(mark);
                }
            }
        }
    }
    let unknown = tables.finish(results)?;
    Ok(Some(Converted {
        sampling: summary.sampling(header),
        last: summary.last,
        own_marks: summary.own_marks,
        damage: reader.damage().map(str::to_owned),
        unknown,
    }))
}

#[derive(Debug, Default)]
struct Summary {
    ticks: u64,
    skipped: u64,
    lateness: u64,
    max_lateness: u64,
    cost: u64,
    last: Moment,
    own_marks: Vec<Mark>,
}

impl Summary {
    fn sampling(&self, header: Header) -> Sampling {
        let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
        let mean = |sum: u64| seconds(sum) / (self.ticks.max(1) as f64);
        Sampling {
            interval_seconds: seconds(header.interval),
            sources: header.sources,
            ticks: self.ticks,
            skipped: self.skipped,
            mean_lateness_seconds: mean(self.lateness),
            max_lateness_seconds: seconds(self.max_lateness),
            mean_cost_seconds: mean(self.cost),
        }
    }
}
