//! Campaigns: planned, run, gone on with and shown; and what they are planned from.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use halo::archive::Archive;
use halo::archive::campaign as file;
use halo::campaign::display::Display;
use halo::campaign::estimate::Estimates;
use halo::campaign::status::status;
use halo::campaign::{self, Ending, New, Running};
use halo::cli::record::{self as cli, Output, ShownModels};
use halo::config::Config;
use halo::plan::backend;
use halo::plan::catalog::Catalog;
use halo::plan::files::{Files, Place};
use halo::plan::memory::{Fit, Memory};
use halo::process::foreground;
use halo::record::{FAULT, RecordError};
use halo::report::campaign as report;
use halo::run::Campaign;

use super::{USAGE, print, refuse, tell};

/// Plans a campaign and runs it.
pub(super) fn begin(new: &New) -> ExitCode {
    let command_line: Vec<_> = std::env::args_os().collect();
    let (mut campaign, left_out) = match campaign::plan(new, &command_line) {
        Ok(planned) => planned,
        Err(refusals) => {
            for refusal in refusals {
                tell(&refusal.to_string());
            }
            return ExitCode::from(USAGE);
        }
    };
    for left_out in left_out {
        tell(&format!("left out: {left_out}"));
    }
    if let Err(error) = tell_plan(new, &campaign) {
        return refuse(&format!("{error:#}"), FAULT);
    }
    if new.is_dry_run {
        return ExitCode::SUCCESS;
    }
    // Held until the campaign has ended.
    match file::create(&new.archive, &mut campaign) {
        Ok(_lock) => run(&new.archive, &campaign, &new.config, false),
        Err(error) => refuse(&error, FAULT),
    }
}

fn tell_plan(new: &New, campaign: &Campaign) -> anyhow::Result<()> {
    let estimates = Estimates::from_archive(&new.archive)?;
    let cells: Vec<_> = campaign.cells.iter().map(|planned| &planned.cell).collect();
    let time = estimates.of_all(&cells);
    let text = report::plan(campaign, new.is_dry_run);
    if new.is_dry_run {
        print(&text)?;
    } else {
        tell(&format!("campaign {}\n{}", campaign.name, text.trim_end()));
    }
    tell(&format!("{} cells; time: {time}", cells.len()));
    Ok(())
}

/// Goes on with a campaign.
pub(super) fn resume(archive: &Archive, name: &str, is_retrying: bool) -> ExitCode {
    let campaign = match file::find(archive, name) {
        Ok(campaign) => campaign,
        Err(error) => return refuse(&error, USAGE),
    };
    let config = match cli::config_of(&campaign.recording) {
        Ok(config) => config,
        Err(error) => return refuse(&error, USAGE),
    };
    match file::lock(archive, &campaign) {
        Ok(_lock) => run(archive, &campaign, &config, is_retrying),
        Err(error) => refuse(&error, USAGE),
    }
}

fn run(archive: &Archive, campaign: &Campaign, config: &Config, is_retrying: bool) -> ExitCode {
    let display = Arc::new(Display::new());
    let ending = campaign::run(&Running { archive, campaign, config, is_retrying }, &display);
    display.finish();
    if let Err(error) = show(archive, campaign, Output::Text) {
        tell(&format!("{error:#}"));
    }
    let name = &campaign.name;
    match ending {
        Ok(Ending::Finished { failed: 0 }) => ExitCode::SUCCESS,
        Ok(Ending::Finished { failed }) => {
            let again = format!("`halo-record benchmark --resume {name} --retry-failed`");
            refuse(&format!("{failed} cells failed; {again} runs them again"), 1)
        }
        Ok(Ending::Interrupted { signal }) => {
            tell(&format!("interrupted; `halo-record benchmark --resume {name}` goes on"));
            match foreground::end_by(signal) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => refuse(&error, FAULT),
            }
        }
        Err(RecordError::Refused(error)) => refuse(&error, USAGE),
        Err(error) => refuse(&error, FAULT),
    }
}

/// Shows how far a campaign got and what came out of it.
pub(super) fn show(
    archive: &Archive,
    campaign: &Campaign,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let runs = file::runs(archive, &campaign.name)?;
    for error in &runs.unreadable {
        tell(&error.to_string());
    }
    let cells = status(campaign, &runs);
    match output {
        Output::Text => print(&report::summary(campaign, &cells)),
        Output::Json => {
            print(&(serde_json::to_string_pretty(&report::json(campaign, &cells))? + "\n"))
        }
    }
}

/// Shows which models are there.
pub(super) fn models(asked: &ShownModels, output: Output) -> anyhow::Result<ExitCode> {
    let catalog = Catalog::load(asked.catalog.as_deref())?;
    let entries = match catalog.select(&asked.models, &asked.categories) {
        Ok(entries) => entries,
        Err(refusal) => return Ok(refuse(&refusal, USAGE)),
    };
    let files = Files::find(&asked.directories);
    let memory = Memory::read(&asked.config)?;
    let mut listed = Vec::new();
    for entry in entries {
        let place = files.place(&entry);
        let (gigabytes, fit) = match &place {
            Place::Here { bytes, .. } => (Some(*bytes as f64 / 1e9), memory.fits(*bytes)),
            _ => (entry.size_gb, Fit::Unknown),
        };
        if asked.max_size.is_none_or(|most| gigabytes.is_none_or(|size| size <= most)) {
            listed.push(report::ListedModel::new(entry, place, fit));
        }
    }
    match output {
        Output::Text => print(&report::models(&listed)),
        Output::Json => print(&(serde_json::to_string_pretty(&listed)? + "\n")),
    }
}

/// Shows which backends are there.
pub(super) fn backends(own: Option<&Path>, output: Output) -> anyhow::Result<ExitCode> {
    let mut listed = Vec::new();
    for backend in backend::load(own)? {
        let reason = backend.probe().err().map(|refusal| refusal.0);
        listed.push(report::ListedBackend { backend, available: reason.is_none(), reason });
    }
    match output {
        Output::Text => print(&report::backends(&listed)),
        Output::Json => print(&(serde_json::to_string_pretty(&listed)? + "\n")),
    }
}
