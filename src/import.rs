//! Results that others made, as runs of the archive: marked as imported, without samples.
//!
//! What the data do not say, as the command line or the machine, stays unknown.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::archive::filter::{self, Filter};
use crate::archive::inside;
use crate::archive::{Archive, ArchiveError, RunDirectory};
use crate::hash::sha256;
use crate::record::close::LARGEST_IMPORTED;
use crate::record::{Refusal, plain, recover};
use crate::run::RAW;
use crate::run::manifest::{Kind, Manifest, Model, Origin, State, Tags, Tool};
use crate::tool::{self, Imported, ImportedModel};

pub mod toolkit;

use toolkit::LogName;

/// All that is imported at once is held until all of it can be read. In bytes.
const MOST: usize = 64 << 20;

/// Facts of the environment that say where an imported run comes from.
const FILE: &str = "imported.file";
const SHA256: &str = "imported.sha256";
const TIME_FROM: &str = "imported.time_from";

/// A run that is not written yet.
#[derive(Debug)]
pub struct Draft {
    manifest: Manifest,
    /// What the tool printed.
    raw: Vec<u8>,
    /// Other files that came with it: their names and contents.
    beside: Vec<(String, Vec<u8>)>,
}

/// Reads all paths; nothing is written before all of them can be.
///
/// # Errors
///
/// Every path that cannot be imported, with its reason.
pub fn read(archive: &Archive, paths: &[PathBuf], tags: &Tags) -> Result<Vec<Draft>, Vec<Refusal>> {
    let mut known = match known_hashes(archive) {
        Ok(known) => known,
        Err(error) => return Err(vec![Refusal(error.to_string())]),
    };
    let (mut drafts, mut refusals) = (Vec::new(), Vec::new());
    for path in paths {
        let read = if path.is_dir() { folder(path) } else { file(path).map(|draft| vec![draft]) };
        match read {
            Ok(read) => {
                drafts.extend(read);
                if drafts.iter().map(Draft::bytes).sum::<usize>() > MOST {
                    return Err(vec![too_much(path)]);
                }
            }
            Err(error) => refusals.push(Refusal(format!("{}: {error}", path.display()))),
        }
    }
    for draft in &mut drafts {
        let facts = &draft.manifest.environment_at_start.facts;
        let (file, hash) = (facts[FILE].clone(), facts[SHA256].clone());
        match known.iter().find(|(known, _)| *known == hash) {
            Some((_, run)) => {
                refusals.push(Refusal(format!("{file}: is imported already, as {run}")));
            }
            None => known.push((hash, format!("{file} of this import"))),
        }
        draft.manifest.tags.extend(tags.clone());
    }
    if refusals.is_empty() { Ok(drafts) } else { Err(refusals) }
}

fn too_much(path: &Path) -> Refusal {
    let most = MOST >> 20;
    Refusal(format!("{}: more than {most} MiB in all; import fewer at once", path.display()))
}

impl Draft {
    fn bytes(&self) -> usize {
        self.raw.len() + self.beside.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }
}

/// Writes a run, and gives its name.
///
/// # Errors
///
/// Where the archive cannot be written.
pub fn write(archive: &Archive, draft: Draft) -> Result<(String, Manifest), ArchiveError> {
    let Draft { mut manifest, raw, beside } = draft;
    let time = manifest.started.strftime("%Y%m%dT%H%M%S%.3fZ");
    let model = manifest.models.first().map_or("imported", |model| model.name.as_str());
    let name = format!("{time}-{}-{}", manifest.tool.name, plain(model));
    let (directory, _lock) = archive.create(&name)?;
    directory.name().clone_into(&mut manifest.name);
    let files = [("stdout".to_owned(), raw)].into_iter().chain(beside);
    write_raw(&directory, files)
        .map_err(|error| ArchiveError(format!("{}: {error}", directory.path().display())))?;
    recover::write_results(&directory, &mut manifest)?;
    Ok((directory.name().to_owned(), manifest))
}

fn write_raw(run: &RunDirectory, files: impl Iterator<Item = (String, Vec<u8>)>) -> io::Result<()> {
    let directory = run.opened()?.make(RAW)?;
    for (name, bytes) in files {
        directory.create(&name)?.write_all(&bytes)?;
    }
    Ok(())
}

/// The hashes of what was imported before, with the names of the runs.
fn known_hashes(archive: &Archive) -> Result<Vec<(String, String)>, ArchiveError> {
    let (runs, _) = filter::list(archive, &Filter::default())?;
    let imported = runs.into_iter().filter_map(|listed| {
        let manifest = RunDirectory::at(archive.directory().join(&listed.run)).manifest().ok()?;
        let hash = manifest.environment_at_start.facts.get(SHA256)?.clone();
        Some((hash, listed.run))
    });
    Ok(imported.collect())
}

/// A file of llama-bench and what is like it, or a log of the toolkit.
fn file(path: &Path) -> Result<Draft, String> {
    let bytes = contents(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let log = LogName::of(&name);
    let imported = tool::import(&bytes).map_err(|error| error.to_string())?;
    if imported.parsed.rows.is_empty() && log.is_none() {
        return Err("holds no results of llama-bench: expected its jsonl, json, csv, md or sql, or a log of the toolkit".to_owned());
    }
    draft(path, name, bytes, imported, log.as_ref())
}

/// A folder of the toolkit: a campaign with a run for each log.
fn folder(path: &Path) -> Result<Vec<Draft>, String> {
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = fs::read_dir(path).map_err(|error| error.to_string())?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    let logs: Vec<&PathBuf> =
        paths.iter().filter(|path| LogName::of(&name_of(path)).is_some()).collect();
    if logs.is_empty() {
        return summary(path);
    }
    let campaign = name_of(&fs::canonicalize(path).map_err(|error| error.to_string())?);
    let mut beside = Vec::new();
    for name in ["system-state.json", "summary.json"] {
        if path.join(name).is_file() {
            beside.push((name.to_owned(), contents(&path.join(name))?));
        }
    }
    let mut drafts = Vec::new();
    for log in logs {
        let mut draft = file(log).map_err(|error| format!("{}: {error}", name_of(log)))?;
        draft.manifest.campaign = Some(campaign.clone());
        // What is told of all is kept with the first.
        draft.beside = std::mem::take(&mut beside);
        drafts.push(draft);
        if drafts.iter().map(Draft::bytes).sum::<usize>() > MOST {
            return Err(too_much(log).0);
        }
    }
    Ok(drafts)
}

/// A folder that has lost its logs: its summary tells the means alone.
fn summary(path: &Path) -> Result<Vec<Draft>, String> {
    let file = path.join("summary.json");
    if !file.is_file() {
        return Err(
            "holds neither logs nor a summary.json of the toolkit; name the files themselves"
                .to_owned(),
        );
    }
    Ok(vec![self::file(&file)?])
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = inside::named(path).map_err(|error| error.to_string())?;
    file.take(LARGEST_IMPORTED + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST_IMPORTED {
        return Err(format!(
            "has more than {LARGEST_IMPORTED} bytes, as no result of a benchmark has"
        ));
    }
    tool::text::refusal(&bytes).map_or(Ok(bytes), Err)
}

fn draft(
    path: &Path,
    file: String,
    bytes: Vec<u8>,
    imported: Imported,
    log: Option<&LogName>,
) -> Result<Draft, String> {
    let (hash, _) =
        sha256([Ok::<_, io::Error>(bytes.as_slice())]).map_err(|error| error.to_string())?;
    let (started, time_from) = match imported.started {
        Some(time) => (time, "test_time"),
        None => (modified(path)?, "the file's time of modification"),
    };
    let mut models = imported.models;
    // The name of a log tells its model better than the table in it.
    if let Some(log) = log {
        let file = models.into_iter().next().and_then(|model| model.file);
        models = vec![ImportedModel { name: log.model.clone(), file }];
    }
    let model = |model: ImportedModel| Model {
        name: model.name,
        file: model.file.unwrap_or_default(),
        ..Model::default()
    };
    let mut manifest = Manifest {
        tags: log.map(LogName::tags).unwrap_or_default(),
        models: models.into_iter().map(model).collect(),
        ..Manifest::begin(
            uuid::Uuid::now_v7().to_string(),
            Kind::Benchmark,
            Origin::Imported,
            State::Complete,
            started,
            Tool { name: imported.tool.to_owned(), version: None },
        )
    };
    let facts = &mut manifest.environment_at_start.facts;
    facts.insert(FILE.to_owned(), file);
    facts.insert(SHA256.to_owned(), hash);
    facts.insert(TIME_FROM.to_owned(), time_from.to_owned());
    Ok(Draft { manifest, raw: bytes, beside: Vec::new() })
}

fn modified(path: &Path) -> Result<Timestamp, String> {
    let time = fs::metadata(path).and_then(|about| about.modified());
    let time: SystemTime = time.map_err(|error| error.to_string())?;
    Timestamp::try_from(time).map_err(|error| error.to_string())
}
