//! What a bundle of a run has in it: its manifest, tables and raw output, cleaned.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::Redactor;
use crate::archive::files;
use crate::archive::{ArchiveError, RunDirectory, read, rewrite};
use crate::run::manifest::{Bundle, Manifest};
use crate::run::{OUTPUT_FILES, RAW};

/// Facts that look like addresses and are versions.
const VERSION: &str = "firmware";

/// How files are counted that are left out.
const PACKED: &str = "packed file";

/// Writes all files of the bundle into a directory, and gives the name and the manifest of the run.
pub(super) fn stage(
    run: &RunDirectory,
    manifest: &Manifest,
    staging: &Path,
    redactor: &mut Redactor,
) -> Result<(String, Manifest), ArchiveError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| ArchiveError::at(&path, error)
    };
    let mut known: HashMap<String, String> = HashMap::new();
    for table in read::names(run)? {
        rewrite::texts(run, manifest, &table, staging, |text| {
            let clean = known.entry(text.to_owned()).or_insert_with(|| redactor.clean(text));
            clean.clone()
        })?;
    }
    for file in manifest.files.iter().filter(|file| file.path.starts_with(RAW)) {
        let bytes = fs::read(run.join(&file.path)).map_err(at(&run.join(&file.path)))?;
        // What is packed cannot be looked through, as the logs of inspect-ai.
        let is_of_tool = file.path.starts_with(&format!("{RAW}/{OUTPUT_FILES}"));
        if is_of_tool && std::str::from_utf8(&bytes).is_err() {
            *redactor.counts.entry(PACKED).or_default() += 1;
            continue;
        }
        let clean = redactor.clean(&String::from_utf8_lossy(&bytes));
        let to = staging.join(redactor.clean(&file.path));
        fs::create_dir_all(to.parent().unwrap_or(staging)).map_err(at(&to))?;
        fs::write(&to, clean).map_err(at(&to))?;
    }
    let mut value =
        serde_json::to_value(manifest).map_err(|error| ArchiveError::at(run.path(), error))?;
    clean_value(&mut value, redactor);
    let mut clean: Manifest =
        serde_json::from_value(value).map_err(|error| ArchiveError::at(run.path(), error))?;
    clean.files = files::describe(staging).map_err(at(staging))?;
    clean.bundle = Some(Bundle {
        removed: redactor.counts.iter().map(|(k, count)| ((*k).to_owned(), *count)).collect(),
        originals: manifest.files.clone(),
    });
    RunDirectory::at(staging).write_manifest(&clean)?;
    Ok((redactor.clean(run.name()), clean))
}

fn clean_value(value: &mut Value, redactor: &mut Redactor) {
    match value {
        Value::String(text) => *text = redactor.clean(text),
        Value::Array(all) => all.iter_mut().for_each(|value| clean_value(value, redactor)),
        Value::Object(all) => {
            for (key, value) in all.iter_mut().filter(|(key, _)| !key.ends_with(VERSION)) {
                // Hashes and paths of files are those of the bundle, written afterwards.
                if key != "files" {
                    clean_value(value, redactor);
                }
            }
        }
        _ => {}
    }
}
