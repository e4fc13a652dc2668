//! Records benchmarks with what the machine did meanwhile, and keeps them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use halo::analyze::Telemetry;
use halo::archive::campaign as file;
use halo::archive::export::{self, Export, ExportError};
use halo::archive::filter::{self, Filter, Listed};
use halo::archive::select::{self, Kind};
use halo::archive::{Archive, ArchiveError, RunDirectory, edit, files, salvage};
use halo::cli::record::{self as cli, Action, Asked, Output};
use halo::import;
use halo::outgoing::Copied;
use halo::process::foreground;
use halo::record::{self, Exit, RecordError, Request, mark, recover};
use halo::redact::keys;
use halo::report::record::gather;
use halo::report::{screen, terminal};
use halo::run::manifest::Tags;
use halo::say;
use serde_json::json;

mod bundle;
mod campaign;
mod check;
mod compare;
mod log;
mod remove;
mod report;

/// The exit code of what is refused before anything is done.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    screen::fit_to_terminal();
    let asked = cli::parse(std::env::args_os());
    let config = asked.as_ref().ok().and_then(Asked::config);
    for complaint in halo::cli::variables::unknown(config) {
        tell(&complaint);
    }
    match asked {
        Err(error) => refuse(&error, USAGE),
        Ok(Asked::Print(text)) => finish(print(&text)),
        Ok(Asked::Record(request)) => record(&request),
        Ok(Asked::Campaign(new)) => campaign::begin(&new),
        Ok(Asked::Resume { archive, campaign, is_retrying }) => {
            campaign::resume(&archive, &campaign, is_retrying)
        }
        Ok(Asked::Models(asked, output)) => finish(campaign::models(&asked, output)),
        Ok(Asked::Backends(own, output)) => finish(campaign::backends(own.as_deref(), output)),
        Ok(Asked::Check(asked, output)) => finish(check::check(&asked, output)),
        Ok(Asked::Interleave(asked)) => compare::interleave(&asked),
        Ok(Asked::Compare(archive, compared, output)) => {
            compare::compare(&archive, &compared, output)
        }
        Ok(Asked::Archive(archive, action)) => finish(act(&archive, action)),
    }
}

fn refuse(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    tell(&error.to_string());
    ExitCode::from(code)
}

fn tell(message: &str) {
    say::tell("halo-record", message);
}

/// A text of others within a line of halo's own.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        // A reader that has seen enough, as `head`, is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("{error:#}"), 1),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = match error.downcast_ref::<ExportError>() {
        Some(ExportError::Stream(error)) => Some(error),
        _ => error.downcast_ref::<io::Error>(),
    };
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    say::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<ExitCode> {
    say::print_json(&(serde_json::to_string_pretty(value)? + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Says that something of the user's looked like a key, where it did.
fn tell_hidden<'a>(mut texts: impl Iterator<Item = &'a str>) {
    if texts.any(|text| text.contains(keys::HIDDEN)) {
        tell("what looks like a key is archived as (hidden); an archive holds no keys");
    }
}

/// The words of tags.
fn words(tags: &Tags) -> impl Iterator<Item = &str> {
    tags.iter().flat_map(|(name, value)| [Some(name.as_str()), value.as_deref()]).flatten()
}

fn record(request: &Request) -> ExitCode {
    tell_hidden(words(&request.tags));
    match record::record(request) {
        Ok(Exit::Code(code)) => ExitCode::from(code),
        Ok(Exit::Signal(signal)) | Err(RecordError::Signal(signal)) => {
            match foreground::end_by(signal) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => refuse(&error, record::FAULT),
            }
        }
        Err(RecordError::Refused(error)) => refuse(&error, USAGE),
        Err(error) => refuse(&error, record::FAULT),
    }
}

fn act(archive: &Archive, action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Mark { name, attributes, run } => {
            let texts = attributes.iter().flat_map(|(key, value)| [key, value]);
            tell_hidden(std::iter::once(&name).chain(texts).map(String::as_str));
            let named = run.map(|run| select::run(archive, &run)).transpose()?;
            let inside = std::env::var_os(record::DIRECTORY_VARIABLE).map(PathBuf::from);
            let directory = named.map(|run| run.path().to_owned()).or(inside);
            mark::mark(archive, directory, &name, attributes)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::List(filter, output) => list(archive, &filter, output),
        Action::Show(name, output) => match select::select(archive, &name)?.kind {
            Kind::Campaign | Kind::PartOfCampaign => match file::find(archive, &name) {
                Ok(campaign) => campaign::show(archive, &campaign, output),
                // Two commands in turn are a campaign without a plan.
                Err(_) => show(&select::run(archive, &name)?, output),
            },
            _ => show(&select::run(archive, &name)?, output),
        },
        Action::Tag(run, tags, remove) => {
            tell_hidden(words(&tags));
            edit::tag(&readable(archive, &run)?, tags, &remove)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Note(run, text) => {
            tell_hidden(std::iter::once(text.as_str()));
            edit::note(&readable(archive, &run)?, text)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Remove(runs, consent) => remove::named(archive, &runs, consent),
        Action::Prune { keep, consent } => remove::surplus(archive, keep, consent),
        Action::Bundle(asked) => bundle::bundle(archive, asked),
        Action::Log(asked) => log::act(archive, asked),
        Action::Report(asked) => report::report(archive, &asked),
        Action::Export { run, what, is_as_it_is } => {
            export(&readable(archive, &run)?, &what, is_as_it_is)
        }
        Action::Import(paths, tags) => import(archive, &paths, &tags),
        Action::Verify(runs) => verify(archive, &runs),
        Action::Recover(runs) => recover_runs(archive, &runs),
        Action::Reparse(runs) => {
            let mut code = ExitCode::SUCCESS;
            for run in found(archive, &runs)? {
                match recover::reparse(&run) {
                    Ok(manifest) => {
                        print(&format!("{}: results {}\n", run.name(), manifest.results))?;
                        if let Some(reason) = manifest.unparsed {
                            tell(&reason);
                        }
                    }
                    Err(error) => {
                        tell(&error.to_string());
                        code = ExitCode::FAILURE;
                    }
                }
            }
            Ok(code)
        }
    }
}

/// Refuses a file that is there, and a place where none can be, before anything is computed for it.
fn ensure_writable(file: &Path, is_forced: bool) -> anyhow::Result<()> {
    let shown = file.display();
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
        anyhow::bail!("{}: no such directory; make it first", parent.display());
    }
    anyhow::ensure!(!file.is_dir(), "{shown}: is a directory; name a file in it");
    // A file is replaced by another of its name, which must never happen to a device or a link.
    if let Ok(metadata) = file.symlink_metadata() {
        anyhow::ensure!(metadata.is_file(), "{shown}: is no regular file; name another");
        anyhow::ensure!(is_forced, "{shown}: is there already; --force replaces it");
    }
    Ok(())
}

/// The one run that a word names, where it can be read.
fn readable(archive: &Archive, word: &str) -> anyhow::Result<RunDirectory> {
    let run = select::run(archive, word)?;
    salvage::manifest(&run)?;
    Ok(run)
}

fn found(archive: &Archive, names: &[String]) -> Result<Vec<RunDirectory>, ArchiveError> {
    names.iter().map(|name| select::run(archive, name)).collect()
}

fn list(archive: &Archive, filter: &Filter, output: Output) -> anyhow::Result<ExitCode> {
    let (runs, mut unreadable) = filter::list(archive, filter)?;
    // Whether a filter means them nobody knows, and programs expect runs alone.
    if *filter != Filter::default() || output == Output::Json {
        for run in std::mem::take(&mut unreadable) {
            tell(&run.to_string());
        }
    }
    match output {
        Output::Json => {
            print_json(&runs)?;
        }
        Output::Text if runs.is_empty() && unreadable.is_empty() => {
            tell(&format!("no such runs in {}", archive.directory().display()));
        }
        Output::Text => {
            print(&terminal::list(&runs, &unreadable))?;
            let unfinished = runs.iter().filter(|run| run.unfinished).count();
            if unfinished > 0 {
                tell(&format!("{unfinished} unfinished; `halo-record recover` finishes them"));
            }
        }
    }
    // As grep does: what was looked for is not there. An archive may be empty.
    let is_missing = runs.is_empty() && *filter != Filter::default();
    Ok(if is_missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(run: &RunDirectory, output: Output) -> anyhow::Result<ExitCode> {
    let manifest = salvage::manifest(run)?;
    let listed = Listed::read(run)?;
    let directory = run.path().display().to_string();
    match output {
        Output::Text => {
            let telemetry: &dyn Telemetry = run;
            let described = vec![(listed.run.clone(), manifest.clone(), telemetry)];
            // What cannot be drawn is shown without pictures; `verify` says what is damaged.
            let charts = gather(described, None).map(|report| report.charts).unwrap_or_default();
            print(&terminal::show(&listed, &manifest, &directory, &charts))
        }
        Output::Json => {
            let mut value = serde_json::to_value(&manifest)?;
            value["run"] = json!(listed.run);
            value["directory"] = json!(directory);
            value["active"] = json!(listed.active);
            value["state"] = json!(listed.brief.state);
            print_json(&value)
        }
    }
}

fn export(run: &RunDirectory, what: &Export, is_as_it_is: bool) -> anyhow::Result<ExitCode> {
    export::refuse_unfinished(run)?;
    let copied = if is_as_it_is { None } else { Some(Copied::of(run)?) };
    let run = copied.as_ref().map_or(run, Copied::run);
    if let Some(remark) = export::export(run, what, &mut say::data())? {
        tell(&remark);
    }
    Ok(ExitCode::SUCCESS)
}

fn import(archive: &Archive, paths: &[PathBuf], tags: &Tags) -> anyhow::Result<ExitCode> {
    archive.prepare()?;
    let drafts = match import::read(archive, paths, tags) {
        Ok(drafts) => drafts,
        Err(refusals) => {
            for refusal in refusals {
                tell(&refusal.to_string());
            }
            return Ok(ExitCode::from(USAGE));
        }
    };
    for draft in drafts {
        let (name, manifest) = import::write(archive, draft)?;
        print(&format!("{name}: {}, results {}\n", manifest.state, manifest.results))?;
        let reasons = manifest.failure.iter().chain(&manifest.unparsed);
        for reason in reasons.chain(&manifest.problems) {
            tell(reason);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(archive: &Archive, names: &[String]) -> anyhow::Result<ExitCode> {
    let (bundles, names): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| name.ends_with(halo::bundle::ENDING));
    let mut failures = 0;
    for file in &bundles {
        match bundle::verify(Path::new(file)) {
            Ok(is_whole) => failures += usize::from(!is_whole),
            Err(error) if is_broken_pipe(&error) => return Err(error),
            Err(error) => {
                failures += 1;
                tell(&format!("{error:#}"));
            }
        }
    }
    let runs = match (names.is_empty(), bundles.is_empty()) {
        (true, true) => archive.runs()?,
        _ => names.iter().map(|name| select::run(archive, name)).collect::<Result<_, _>>()?,
    };
    for run in &runs {
        let name = run.name();
        let manifest = match salvage::manifest(run) {
            Ok(manifest) => manifest,
            Err(error) => {
                failures += 1;
                print(&format!("{error}\n"))?;
                continue;
            }
        };
        if run.is_active() || Listed::read(run).is_ok_and(|run| run.unfinished) {
            print(&format!("{name}: unfinished\n"))?;
            continue;
        }
        let faults = files::verify(run.path(), &manifest.files);
        failures += usize::from(!faults.is_empty());
        for fault in &faults {
            print(&format!("{name}: {}\n", one_line(&fault.to_string())))?;
        }
        if faults.is_empty() {
            print(&format!("{name}: {} files as archived\n", manifest.files.len()))?;
        }
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn recover_runs(archive: &Archive, names: &[String]) -> anyhow::Result<ExitCode> {
    let runs = if names.is_empty() {
        // One that cannot be removed keeps no other from being finished.
        if let Err(error) = recover::remove_unborn(archive) {
            tell(&error.to_string());
        }
        recover::unfinished(archive)?
    } else {
        found(archive, names)?
    };
    let mut code = ExitCode::SUCCESS;
    for run in runs {
        match recover::recover(&run) {
            Ok(manifest) => {
                let samples = manifest.sampling.map_or(0, |sampling| sampling.ticks);
                print(&format!(
                    "{}: {}, results {}, {samples} samples\n",
                    run.name(),
                    manifest.state,
                    manifest.results
                ))?;
            }
            Err(error) => {
                tell(&error.to_string());
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
