//! Which model was measured in a cell, and what it is called so that no two are called the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::Run;
use crate::run::manifest::{Case, Manifest, Model};
use crate::run::model::name_of_file;

/// What models are called whose files have one name, by that name.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, Tell>);

/// Something of a model that may be told beside its name.
type Tell = fn(&Model) -> Option<String>;

/// What may tell models apart whose files have one name, the most readable first.
const TELLING: [Tell; 5] = [
    |model| (!model.name.is_empty()).then(|| model.name.clone()),
    Model::repository,
    |model| model.bytes.map(|bytes| format!("{bytes} bytes")),
    |model| model.fingerprint.as_ref().or(model.sha256.as_ref())?.get(..8).map(str::to_owned),
    |model| (!model.file.is_empty()).then(|| model.file.clone()),
];

impl Names {
    /// Looks for models that have to be told apart: those of one side. A model whose file is another
    /// one on another side is a doubt and keeps its name.
    pub(super) fn find(sides: &[Vec<&Run>]) -> Self {
        let mut names = BTreeMap::new();
        for runs in sides {
            let mut by_title: BTreeMap<String, Vec<Model>> = BTreeMap::new();
            for model in runs.iter().flat_map(|run| of_run(&run.manifest)) {
                by_title.entry(model.title()).or_default().push(model);
            }
            for (title, models) in by_title {
                if let Some(tell) = telling(&models) {
                    names.entry(title).or_insert(tell);
                }
            }
        }
        Self(names)
    }

    pub(super) fn name(&self, model: &Model) -> String {
        let title = model.title();
        let told = self.0.get(&title).and_then(|tell| tell(model));
        told.map_or(title.clone(), |told| format!("{title} ({told})"))
    }

    /// What a whole run measured.
    pub(super) fn of_run(&self, manifest: &Manifest) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        for model in of_run(manifest) {
            let name = self.name(&model);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// The first thing that differs wherever the models do; `None` where all are one model.
fn telling(models: &[Model]) -> Option<Tell> {
    let pairs = || {
        models
            .iter()
            .enumerate()
            .flat_map(|(at, one)| models[at + 1..].iter().map(move |other| (one, other)))
    };
    let differ = |(one, other): &(&Model, &Model)| {
        // Of files in two places that nobody compared nobody knows that they are one.
        !one.is_same(other).unwrap_or(one.file == other.file)
    };
    let apart: Vec<(&Model, &Model)> = pairs().filter(differ).collect();
    if apart.is_empty() {
        return None;
    }
    let tells = |tell: &&Tell| {
        apart.iter().all(|(one, other)| {
            let (one, other) = (tell(one), tell(other));
            one.is_some() && other.is_some() && one != other
        })
    };
    TELLING.iter().find(tells).or(TELLING.last()).copied()
}

/// The models of a run.
pub(super) fn of_run(manifest: &Manifest) -> Vec<Model> {
    if !manifest.models.is_empty() {
        return manifest.models.iter().map(|model| resolved(manifest, model.clone())).collect();
    }
    let served = |name: &str| Model { name: name.to_owned(), ..Model::default() };
    manifest.cell.as_ref().map(|cell| served(cell.model())).into_iter().collect()
}

/// A path means what it meant where the command ran.
fn resolved(manifest: &Manifest, mut model: Model) -> Model {
    let file = Path::new(&model.file);
    if !model.file.is_empty() && file.is_relative() {
        let directory = Path::new(&manifest.command.directory);
        let whole: std::path::PathBuf = directory.join(file).components().collect();
        model.file = whole.to_string_lossy().into_owned();
    }
    model
}

/// The model of a case, where the run has several and the tool says which.
pub(super) fn of_case(manifest: &Manifest, case: &Case) -> Option<Model> {
    if manifest.models.len() < 2 {
        return None;
    }
    let text = |key: &str| case.parameters.get(key)?.as_str();
    let model = match text("model_filename").filter(|file| !file.is_empty()) {
        Some(file) => {
            let stem = name_of_file(Path::new(file));
            let is_called = |model: &&Model| {
                !model.file.is_empty() && name_of_file(Path::new(&model.file)) == stem
            };
            let known = manifest.models.iter().find(|model| model.file == file);
            known.or_else(|| manifest.models.iter().find(is_called)).cloned().unwrap_or_else(|| {
                let name = Path::new(file).file_name().unwrap_or_default();
                Model {
                    name: name.to_string_lossy().into_owned(),
                    file: file.to_owned(),
                    ..Model::default()
                }
            })
        }
        None => Model { name: text("model_type")?.to_owned(), ..Model::default() },
    };
    Some(resolved(manifest, model))
}

/// A case without what the tool's reader put behind it to tell models of one command apart: that is
/// said by the dimension, and the same case of a command with one model must be the same cell.
pub(super) fn without_model(case: &str, parameters: Option<&Case>) -> String {
    let text = |key: &str| parameters?.parameters.get(key)?.as_str();
    let mut case = case.to_owned();
    let file = text("model_filename");
    let short = file.and_then(|file| Path::new(file).file_name()?.to_str());
    let kind = text("model_type");
    let said = [("model", file), ("model", short), ("model_type", kind)];
    for (key, value) in said.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        let piece = format!(" {key}={value}");
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(' ');
        if let Some(at) = case.find(&piece).filter(|at| ends(&case[at + piece.len()..])) {
            case.replace_range(at..at + piece.len(), "");
        }
    }
    case
}

/// Models of the same name whose files differ.
pub(super) fn differing(sides: &[Vec<&Run>], names: &Names) -> Vec<String> {
    let mut files: BTreeMap<String, Vec<Model>> = BTreeMap::new();
    for model in sides.iter().flatten().flat_map(|run| of_run(&run.manifest)) {
        files.entry(names.name(&model)).or_default().push(model);
    }
    files.into_iter().filter_map(|(name, models)| difference(&name, &models)).collect()
}

fn difference(name: &str, models: &[Model]) -> Option<String> {
    let differs =
        |one: &Model| models.iter().find(|other| one.is_same(other) == Some(false)).cloned();
    let (one, other) = models.iter().find_map(|one| Some((one, differs(one)?)))?;
    let pair = |one: Option<String>, other: Option<String>| {
        one.zip(other).filter(|(one, other)| one != other)
    };
    let bytes = |model: &Model| model.bytes.map(|bytes| bytes.to_string());
    let (one, other) = (one, &other);
    let how = if let Some((one, other)) = pair(bytes(one), bytes(other)) {
        format!("{one} and {other} bytes")
    } else if let Some((one, other)) = pair(one.repository(), other.repository()) {
        format!("of {one} and of {other}")
    } else if one.name != other.name {
        format!("{} and {}", one.name, other.name)
    } else {
        "their contents are not the same".to_owned()
    };
    Some(format!("the files of {name} differ: {how}"))
}
