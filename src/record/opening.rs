//! What the manifest of a run says before its command is started.

use std::path::Path;

use jiff::Timestamp;

use super::preflight::Prepared;
use super::{Request, collect, file_name, machine, model};
use crate::archive::RunDirectory;
use crate::command_line::{self, model::NamedModel};
use crate::redact::keys;
use crate::run::campaign::PlannedCell;
use crate::run::manifest::{Command, Manifest, Model, Origin, State, Tool};

/// The longest part of a directory's name that comes from the model's or program's name.
const LONGEST_PART: usize = 48;

/// `<utc>-<tool>-<model>`, with milliseconds, so that the order of names is that of time.
pub(super) fn directory_name(request: &Request, prepared: &Prepared, started: Timestamp) -> String {
    let mut name = format!("{}-{}", started.strftime("%Y%m%dT%H%M%S%.3fZ"), plain(&tool(prepared)));
    let served = || request.endpoint.as_ref().map(|endpoint| model::served(&endpoint.model));
    let model = named(prepared).into_iter().next().map(|model| match model {
        NamedModel::File(file) => model::at(&file),
        NamedModel::Reference(reference) => model::referred(&reference),
    });
    if let Some(model) = model.or_else(served) {
        name = format!("{name}-{}", plain(&model.title()));
    }
    name
}

/// The models that the command names, whether or not halo reads what it prints.
fn named(prepared: &Prepared) -> Vec<NamedModel> {
    let argv = &prepared.plan.argv;
    let models = prepared.tool.map(|tool| tool.models(argv)).unwrap_or_default();
    if models.is_empty() {
        return command_line::model::of_program(argv, |name| collect::variable(argv, name));
    }
    models
}

/// A text as a part of a file name that needs no quotes.
pub fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let text: String =
        text.chars().take(LONGEST_PART).map(|c| if is_plain(c) { c } else { '_' }).collect();
    text.trim_start_matches('.').to_owned()
}

fn tool(prepared: &Prepared) -> String {
    let program = prepared.plan.argv.first();
    prepared.tool.map_or_else(
        || program.map(|program| file_name(Path::new(program))).unwrap_or_default(),
        |tool| tool.name().to_owned(),
    )
}

/// The manifest of a run that begins.
pub(super) fn manifest(
    request: &Request,
    prepared: &Prepared,
    directory: &RunDirectory,
    started: Timestamp,
) -> Manifest {
    let working = std::env::current_dir().unwrap_or_default();
    let id = uuid::Uuid::now_v7().to_string();
    Manifest {
        name: directory.name().to_owned(),
        campaign: request.campaign.as_ref().map(|of| of.campaign.clone()),
        cell: planned(request).map(|planned| planned.cell.clone()),
        tags: request.tags.clone(),
        thresholds: Some(request.config.verdict.clone()),
        command: Command {
            asked: keys::hide_in_command(&request.argv),
            executed: keys::hide_in_command(&prepared.plan.argv),
            directory: working.to_string_lossy().into_owned(),
            machine: machine::of(&id),
            ..Command::default()
        },
        ..Manifest::begin(
            id,
            request.kind,
            Origin::Recorded,
            State::Running,
            started,
            Tool { name: tool(prepared), version: None },
        )
    }
}

fn planned(request: &Request) -> Option<&PlannedCell> {
    request.campaign.as_ref()?.planned.as_ref()
}

/// The models that the command names. One that cannot be read is named all the same.
pub(super) fn models(
    request: &Request,
    prepared: &Prepared,
    problems: &mut Vec<String>,
) -> Vec<Model> {
    let of_server = || request.endpoint.as_ref()?.file.clone();
    let planned = planned(request).and_then(|planned| planned.file.clone());
    let named = planned
        .or_else(of_server)
        .map_or_else(|| named(prepared), |file| vec![NamedModel::File(file.into())]);
    let (cache_home, home) = (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let cache = model::cache_path(cache_home.as_deref(), home.as_deref());
    let described = named.iter().map(|model| {
        let file = match model {
            NamedModel::File(file) => file,
            NamedModel::Reference(reference) => return model::referred(reference),
        };
        let described = model::describe(file, request.hash_model, cache.as_deref());
        problems.extend(described.problems);
        described.model
    });
    let mut models: Vec<Model> = described.collect();
    if let Some(endpoint) = request.endpoint.as_ref().filter(|_| models.is_empty()) {
        models.push(model::served(&endpoint.model));
    }
    models
}
