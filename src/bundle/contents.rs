//! What a bundle of a run has in it: its manifest, tables and raw output, cleaned.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::Redactor;
use crate::archive::files;
use crate::archive::inside::Directory;
use crate::archive::{ArchiveError, RunDirectory, read, rewrite};
use crate::run::manifest::{Bundle, Manifest};
use crate::run::{OUTPUT_FILES, RAW};

/// Facts that look like addresses and are versions.
const VERSION: &str = "firmware";

/// How files are counted that are left out.
const PACKED: &str = "packed file";
const LARGE: &str = "large file";

/// A text is held several times while it is cleaned, so that more than this is left out. In bytes.
const LARGEST_TEXT: u64 = 8 << 20;

/// Each line of it takes some tens of bytes beside itself meanwhile.
const MOST_LINES: usize = 1 << 20;

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
    let to = Directory::of_archive(staging).map_err(at(staging))?;
    let mut known_paths = HashSet::new();
    for file in manifest.files.iter().filter(|file| file.path.starts_with(RAW)) {
        if !known_paths.insert(&file.path) {
            continue;
        }
        // What the manifest says of its size does not count.
        let size = run.opened().and_then(|run| run.open(&file.path)?.metadata());
        if size.map_err(at(&run.join(&file.path)))?.len() > LARGEST_TEXT {
            *redactor.counts.entry(LARGE).or_default() += 1;
            continue;
        }
        let bytes = run.read(&file.path, LARGEST_TEXT)?;
        if bytes.split(|byte| *byte == b'\n').nth(MOST_LINES).is_some() {
            *redactor.counts.entry(LARGE).or_default() += 1;
            continue;
        }
        // What is packed cannot be looked through, as the logs of inspect-ai.
        let is_of_tool = file.path.starts_with(&format!("{RAW}/{OUTPUT_FILES}"));
        if is_of_tool && std::str::from_utf8(&bytes).is_err() {
            *redactor.counts.entry(PACKED).or_default() += 1;
            continue;
        }
        let clean = redactor.clean(&String::from_utf8_lossy(&bytes));
        let path = redactor.clean(&file.path);
        write(&to, &path, clean.as_bytes()).map_err(at(&staging.join(&path)))?;
    }
    let mut value =
        serde_json::to_value(manifest).map_err(|error| ArchiveError::at(run.path(), error))?;
    clean_value(&mut value, redactor);
    let mut clean: Manifest =
        serde_json::from_value(value).map_err(|error| ArchiveError::at(run.path(), error))?;
    (clean.files, _) = files::describe(staging).map_err(at(staging))?;
    clean.bundle = Some(Bundle {
        removed: redactor.counts.iter().map(|(k, count)| ((*k).to_owned(), *count)).collect(),
        originals: manifest.files.clone(),
    });
    RunDirectory::at(staging).write_manifest(&clean)?;
    Ok((redactor.clean(run.name()), clean))
}

/// Writes a file below the staging directory, from which no name leads out.
fn write(staging: &Directory, path: &str, bytes: &[u8]) -> io::Result<()> {
    if let Some((above, _)) = path.rsplit_once('/') {
        staging.make(above)?;
    }
    let mut file = staging.begin(path)?;
    file.file().write_all(bytes)?;
    file.finish()
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
