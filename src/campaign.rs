//! Runs the cells of a campaign one after the other, and goes on where it was interrupted.
//!
//! What is done is told by the manifests of its runs alone, so that there is no second truth.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::archive::campaign::{self as file, Runs};
use crate::archive::{Archive, ArchiveError};
use crate::config::Config;
use crate::plan::Refusal;
use crate::plan::evals;
use crate::plan::matrix::{self, Asked, Matrix};
use crate::plan::memory::Memory;
use crate::plan::order::Order;
use crate::process::foreground::{Signals, is_ending};
use crate::record::{self, Exit, Membership, RecordError, Request, recover};
use crate::redact::keys;
use crate::run::campaign::{PlannedCell, Recording};
use crate::run::manifest::{Kind, Recorder, SCHEMA_VERSION, Tags};
use crate::run::{Campaign, Cell, JOURNAL};

pub mod display;
pub mod estimate;
pub mod status;

use display::Display;
use estimate::Estimates;
use status::{CellStatus, Outcome, status};

/// A campaign that the user wants.
#[derive(Debug)]
pub struct New {
    /// Where its runs are archived.
    pub archive: Archive,
    /// Which sources are read, and where.
    pub config: Config,
    /// What the user says about each run.
    pub tags: Tags,
    /// How each cell is recorded.
    pub recording: Recording,
    /// What is measured.
    pub asked: Measured,
    /// Whether it is shown and not run.
    pub is_dry_run: bool,
}

/// What a campaign measures.
#[derive(Debug)]
pub enum Measured {
    /// Models with llama-bench.
    Benchmarks(Asked),
    /// A model with the evals of a suite.
    Evals(evals::Asked),
}

/// Plans a campaign, and says what was left out of it.
///
/// # Errors
///
/// Everything that is wrong with it, at once.
pub fn plan(new: &New, command_line: &[OsString]) -> Result<(Campaign, Vec<String>), Vec<Refusal>> {
    let mut refusals = Vec::new();
    let own: &[&str] = match new.asked {
        Measured::Benchmarks(_) => &CELL_TAGS,
        Measured::Evals(_) => &EVAL_TAGS,
    };
    for name in own.iter().filter(|name| new.tags.contains_key(**name)) {
        refusals.push(Refusal(format!(
            "--tag {name}: each cell of a campaign gets this tag itself; call yours otherwise"
        )));
    }
    if let Err(error) = new.archive.prepare() {
        refusals.push(Refusal(error.to_string()));
    }
    let id = uuid::Uuid::now_v7().to_string();
    let planned = match &new.asked {
        Measured::Benchmarks(asked) => {
            let memory = Memory::read(&new.config).unwrap_or_default();
            matrix::build(asked, &memory, &id).map(|matrix| (matrix, None))
        }
        Measured::Evals(asked) => evals::build(asked)
            .map(|(endpoint, cells)| (Matrix { cells, left_out: Vec::new() }, Some(endpoint))),
    };
    let (matrix, endpoint) = planned.unwrap_or_else(|wrong| {
        refusals.extend(wrong);
        (Matrix::default(), None)
    });
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let created = Timestamp::now();
    let tag = new.tags.iter().find(|(_, value)| value.is_none()).map(|(tag, _)| tag.as_str());
    let (what, order, tags) = match &new.asked {
        Measured::Benchmarks(asked) => (tag.unwrap_or("campaign"), asked.order, new.tags.clone()),
        Measured::Evals(asked) => {
            let suite = ("suite".to_owned(), Some(asked.suite.clone()));
            let tags = new.tags.clone().into_iter().chain([suite]).collect();
            (tag.unwrap_or(&asked.suite), Order::Fixed, tags)
        }
    };
    let campaign = Campaign {
        schema_version: SCHEMA_VERSION,
        id,
        name: format!("{}-{what}", created.strftime("%Y%m%dT%H%M%SZ")),
        created,
        asked: keys::hide_in_command(command_line),
        order: order.as_str().to_owned(),
        tags,
        recording: new.recording.clone(),
        endpoint,
        cells: matrix.cells,
        removed: Vec::new(),
        recorder: Recorder::this(),
    };
    Ok((campaign, matrix.left_out))
}

/// How a campaign is run.
#[derive(Debug)]
pub struct Running<'a> {
    /// Where its runs are archived.
    pub archive: &'a Archive,
    /// What it is made of.
    pub campaign: &'a Campaign,
    /// Which sources are read, and where.
    pub config: &'a Config,
    /// Whether cells that failed are run again.
    pub is_retrying: bool,
}

/// How a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every cell was run, and this many have no result.
    Finished {
        /// Cells that failed.
        failed: usize,
    },
    /// A signal ended it; it can be resumed.
    Interrupted {
        /// The signal.
        signal: i32,
    },
}

/// Runs what is left of a campaign.
///
/// # Errors
///
/// Where somebody else runs it, or the archive cannot be read or written.
pub fn run(running: &Running<'_>, display: &Arc<Display>) -> Result<Ending, RecordError> {
    let Running { archive, campaign, .. } = running;
    let mut signals = Signals::catch()?;
    finish_interrupted(archive, campaign)?;
    let open = open_cells(running)?;
    let mut estimates = Estimates::from_archive(archive)?;
    display.begin(campaign.cells.len(), campaign.cells.len() - open.len());
    let mut failed_to_start = 0;
    for (index, planned) in open.iter().enumerate() {
        let left: Vec<_> = open[index..].iter().map(|planned| &planned.cell).collect();
        display.cell(&planned.cell, estimates.of_all(&left).short());
        let request = request(running, planned)?;
        let watcher = Arc::clone(display) as Arc<dyn record::Watcher>;
        match record::record_cell(&request, &mut signals, watcher) {
            Ok(recorded) => {
                estimates.add(&recorded.manifest);
                display.ended(&planned.cell, &recorded);
                if let Some(signal) = interruption(recorded.exit, &recorded.manifest) {
                    return Ok(Ending::Interrupted { signal });
                }
            }
            // The other cells may be fit to run.
            Err(RecordError::Refused(refusal)) => {
                failed_to_start += 1;
                display.refused(&planned.cell, &refusal.0);
            }
            Err(RecordError::Signal(signal)) => return Ok(Ending::Interrupted { signal }),
            Err(error) => return Err(error),
        }
        if let Some(signal) = signals.ending() {
            return Ok(Ending::Interrupted { signal });
        }
    }
    let runs = file::runs(archive, &campaign.name)?;
    let failed = status(campaign, &runs)
        .iter()
        .filter(|cell| matches!(cell.outcome, Outcome::Failed(_)))
        .count();
    Ok(Ending::Finished { failed: failed + failed_to_start })
}

/// What was left unfinished by a halo that was killed is finished first, so that its cell is seen
/// as not done.
fn finish_interrupted(archive: &Archive, campaign: &Campaign) -> Result<(), ArchiveError> {
    for (run, _) in file::runs(archive, &campaign.name)?.runs {
        if run.has(JOURNAL) && !run.is_active() {
            recover::recover(&run)?;
        }
    }
    Ok(())
}

fn open_cells<'a>(running: &Running<'a>) -> Result<Vec<&'a PlannedCell>, ArchiveError> {
    let runs: Runs = file::runs(running.archive, &running.campaign.name)?;
    let is_open = |cell: &CellStatus<'_>| match cell.outcome {
        Outcome::Done => false,
        Outcome::Failed(_) => running.is_retrying,
        Outcome::Open | Outcome::Removed => true,
    };
    let cells = running.campaign.cells.iter();
    let open = status(running.campaign, &runs).iter().map(is_open).collect::<Vec<_>>();
    Ok(cells.zip(open).filter(|(_, is_open)| *is_open).map(|(cell, _)| cell).collect())
}

fn request(running: &Running<'_>, planned: &PlannedCell) -> Result<Request, RecordError> {
    let campaign = running.campaign;
    let seconds = |seconds: f64| {
        let refuse = |error| Refusal(format!("{}: {seconds} s: {error}", campaign.name));
        Duration::try_from_secs_f64(seconds).map_err(refuse)
    };
    Ok(Request {
        kind: if campaign.endpoint.is_some() { Kind::Eval } else { Kind::Benchmark },
        argv: planned.argv.iter().map(Into::into).collect(),
        tags: tags(campaign, planned),
        interval: seconds(campaign.recording.interval_seconds)?,
        lead: seconds(campaign.recording.lead_seconds)?,
        hash_model: campaign.recording.hash_model,
        min_phase: None,
        endpoint: campaign.endpoint.clone(),
        server_timeout: campaign
            .endpoint
            .as_ref()
            .map(|endpoint| seconds(endpoint.timeout_seconds))
            .transpose()?,
        campaign: Some(Membership {
            campaign: campaign.name.clone(),
            planned: Some(planned.clone()),
        }),
        requirements: (&campaign.recording.fitness)
            .try_into()
            .map_err(|error| Refusal(format!("{}: {error}", campaign.name)))?,
        archive: running.archive.clone(),
        config: running.config.clone(),
    })
}

/// The tags of a cell, which the user cannot give, since they differ between cells.
pub const CELL_TAGS: [&str; 5] = ["backend", "kv", "batch", "ubatch", "depth"];

/// The tags of a cell of an eval, and of its suite.
const EVAL_TAGS: [&str; 2] = ["eval", "suite"];

fn tags(campaign: &Campaign, planned: &PlannedCell) -> Tags {
    let cell = match &planned.cell {
        Cell::Benchmark(cell) => cell,
        Cell::Eval(cell) => {
            let own = (EVAL_TAGS[0].to_owned(), Some(cell.eval.clone()));
            return campaign.tags.clone().into_iter().chain([own]).collect();
        }
    };
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let depth = Some(cell.depth).filter(|depth| *depth > 0);
    let values = [
        Some(cell.backend.clone()),
        Some(cell.kv.clone()),
        number(cell.batch),
        number(cell.ubatch),
        number(depth),
    ];
    let own = CELL_TAGS.iter().zip(values);
    let own = own.filter_map(|(name, value)| Some(((*name).to_owned(), Some(value?))));
    campaign.tags.clone().into_iter().chain(own).collect()
}

/// The signal by which the user ended a cell, and the campaign with it.
fn interruption(exit: Exit, manifest: &crate::run::Manifest) -> Option<i32> {
    // halo itself ended the cell, and the others may go on.
    if manifest.command.aborted.is_some() {
        return None;
    }
    let asked = manifest.command.asked_to_end;
    asked.or(match exit {
        Exit::Signal(signal) if is_ending(signal) => Some(signal),
        _ => None,
    })
}
