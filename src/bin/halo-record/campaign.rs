//! Campaigns: planned, run, gone on with and shown; and what they are planned from.

use std::path::{Path, PathBuf};
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
use halo::plan::catalog::Catalog;
use halo::plan::files::Files;
use halo::plan::memory::Memory;
use halo::plan::{Refusal, backend};
use halo::process::foreground;
use halo::record::{FAULT, RecordError, model};
use halo::report;
use halo::report::backends::ListedBackend;
use halo::report::models::ListedModel;
use halo::run::Campaign;

use super::{USAGE, print, print_json, refuse, tell};

/// Plans a campaign and runs it.
pub(super) fn begin(new: &New) -> ExitCode {
    let command_line: Vec<_> = std::env::args_os().collect();
    let (mut campaign, left_out) = match campaign::plan(new, &command_line) {
        Ok(planned) => planned,
        Err(refusals) => return refuse_all(&refusals),
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
    let text = report::campaign::plan(campaign, new.is_dry_run);
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
    let verb = if campaign.endpoint.is_some() { "eval" } else { "benchmark" };
    match ending {
        Ok(Ending::Finished { failed: 0 }) => ExitCode::SUCCESS,
        Ok(Ending::Finished { failed }) => {
            let again = format!("`halo-record {verb} --resume {name} --retry-failed`");
            refuse(&format!("{failed} cells failed; {again} runs them again"), 1)
        }
        Ok(Ending::Interrupted { signal }) => {
            tell(&format!("interrupted; `halo-record {verb} --resume {name}` goes on"));
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
        Output::Text => print(&report::campaign::summary(campaign, &cells)),
        Output::Json => print_json(&report::campaign::json(campaign, &cells)),
    }
}

/// Shows which models are there.
pub(super) fn models(asked: &ShownModels, output: Output) -> anyhow::Result<ExitCode> {
    let files = Files::find(&asked.directories);
    let catalog = Catalog::load(asked.catalog.as_deref()).map(|catalog| catalog.with_files(&files));
    let entries = match catalog.and_then(|c| c.select(&asked.models, &asked.categories)) {
        Ok(entries) => entries,
        Err(refusals) => return Ok(refuse_all(&refusals)),
    };
    for problem in &files.problems {
        tell(problem);
    }
    let memory = Memory::read(&asked.config)?;
    let directory = asked.directories.first().map(PathBuf::as_path);
    let mut listed = Vec::new();
    for entry in entries {
        let place = files.place(&entry);
        let mut model = ListedModel::new(entry, place, &memory, directory);
        let header = model.path.as_deref().map(model::metadata);
        model.describe(&header.and_then(Result::ok).unwrap_or_default());
        listed.push(model);
    }
    if let Some(most) = asked.max_size {
        listed.retain(|model| model.gigabytes().is_none_or(|size| size <= most));
    }
    match output {
        Output::Text => print(&report::models::models(&listed, &memory)),
        Output::Json => print_json(&listed),
    }
}

/// Shows which backends are there.
pub(super) fn backends(own: Option<&Path>, output: Output) -> anyhow::Result<ExitCode> {
    let found = match backend::load(own) {
        Ok(backends) => backend::probe_all(backends),
        Err(refusals) => return Ok(refuse_all(&refusals)),
    };
    let listed: Vec<ListedBackend> =
        found.into_iter().map(|(backend, found)| ListedBackend::new(backend, found)).collect();
    match output {
        Output::Text => print(&report::backends::backends(&listed)),
        Output::Json => print_json(&listed),
    }
}

fn refuse_all(refusals: &[Refusal]) -> ExitCode {
    for refusal in refusals {
        tell(&refusal.to_string());
    }
    ExitCode::from(USAGE)
}
