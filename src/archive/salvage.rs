//! A run whose manifest cannot be read: why, what helps, and what of it can be saved.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{ArchiveError, RunDirectory, UPDATE};
use crate::run::{MANIFEST, Manifest};
use crate::visible;

/// A run that cannot be read, as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{run}: unreadable: {unreadable}")]
pub struct Unreadable {
    /// The name of the run directory.
    pub run: String,
    /// Why, and what helps, on one line.
    pub unreadable: String,
}

/// The keys of a manifest without which it says nothing.
const NEEDED: [&str; 11] = [
    "schema_version",
    "id",
    "name",
    "kind",
    "origin",
    "state",
    "started",
    "tags",
    "command",
    "tool",
    "recorder",
];

/// The keys that follow from the tool's output and the tables, so that nothing is lost with them.
const FOLLOWING: [&str; 11] = [
    "backend",
    "cases",
    "completion",
    "energy",
    "failure",
    "files",
    "results",
    "scores",
    "summary",
    "unparsed",
    "verdict",
];

impl Unreadable {
    /// A run and why it cannot be read.
    pub fn new(run: &RunDirectory, error: &ArchiveError) -> Self {
        let name = run.name();
        let help = match salvage(run) {
            Ok(_) => format!("; `halo-record reparse {name}` mends it"),
            // It is damaged for this halo alone.
            Err(error) if error.to_string().ends_with(UPDATE) => String::new(),
            Err(_) => format!("; restore it from a copy, or `halo-record rm {name}` removes it"),
        };
        let error = error.to_string();
        Self { run: name.to_owned(), unreadable: format!("{}{help}", visible::line(&error)) }
    }
}

/// Reads a manifest, and says what helps where it cannot be read.
///
/// # Errors
///
/// Where it cannot be read.
pub fn manifest(run: &RunDirectory) -> Result<Manifest, Unreadable> {
    run.manifest().map_err(|error| Unreadable::new(run, &error))
}

/// What can be read of a manifest: all that it needs, and of the rest what is whole. Beside it stands
/// what is lost for ever, since it does not follow from the tool's output and the tables.
///
/// # Errors
///
/// Where it lacks what it needs.
pub fn salvage(run: &RunDirectory) -> Result<(Manifest, Vec<String>), ArchiveError> {
    // The file itself has to be there, whole and of a version that this halo knows.
    let path = run.join(MANIFEST);
    let bytes = run.read(MANIFEST, super::LARGEST_MANIFEST)?;
    let entries: BTreeMap<String, Box<RawValue>> = super::parse(&path, &bytes)?;
    let none = serde_json::value::to_raw_value("none");
    let none = none.map_err(|error| ArchiveError::at(&path, error))?;
    let read = |entries: &BTreeMap<&str, &RawValue>| -> Result<Manifest, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(entries)?)
    };
    let entry = |name: &'static str| Some((name, &**entries.get(name)?));
    let mut whole: BTreeMap<&str, &RawValue> = NEEDED.into_iter().filter_map(entry).collect();
    whole.insert("results", &none);
    let needed = whole.clone();
    read(&needed).map_err(|error| ArchiveError::at(&path, error))?;
    let mut lost = Vec::new();
    for (name, value) in &entries {
        let mut tried = needed.clone();
        tried.insert(name, value);
        if read(&tried).is_ok() {
            whole.insert(name, value);
        } else if !FOLLOWING.contains(&name.as_str()) {
            lost.push(name.clone());
        }
    }
    let manifest = read(&whole).map_err(|error| ArchiveError::at(&path, error))?;
    Ok((manifest, lost))
}
