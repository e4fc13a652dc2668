//! The members of a `.eval` file: a ZIP whose members are compressed with Zstandard.

use std::io::{Cursor, Read};

use serde_json::Value;
use zip::ZipArchive;

use crate::tool::{OutputFile, ParseError, document};

/// More than this is in no member that halo reads: samples themselves are passed over.
const LARGEST_MEMBER: u64 = 256 << 20;

/// What a log says in its file.
pub(super) struct Members {
    /// `header.json`, or what was written when the log was begun, where it has no end.
    pub(super) header: Value,
    /// The summaries of its samples.
    pub(super) summaries: Vec<Value>,
    /// Whether it has its end.
    pub(super) has_end: bool,
}

/// Reads them.
pub(super) fn read(file: &OutputFile) -> Result<Members, ParseError> {
    let refuse = |detail: String| ParseError { place: file.path.clone(), detail };
    let mut zip = ZipArchive::new(Cursor::new(file.bytes.as_slice()))
        .map_err(|error| refuse(format!("it is no ZIP file that can be read: {error}")))?;
    let names = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let names: Vec<String> = names.collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    let mut member = |name: &str| -> Result<Value, ParseError> {
        let place = format!("{} member {name}", file.path);
        let refuse = |detail: String| ParseError { place: place.clone(), detail };
        let member = zip.by_name(name).map_err(|error| refuse(error.to_string()))?;
        if member.size() > LARGEST_MEMBER {
            return Err(refuse(format!("it has {} bytes, too many to be read", member.size())));
        }
        let mut bytes = Vec::new();
        // What the directory says of its size may be wrong.
        let mut limited = member.take(LARGEST_MEMBER);
        limited.read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
        document::parse(&place, &bytes)
    };
    let has_end = has("header.json");
    if !has_end && !has("_journal/start.json") {
        return Err(refuse("it is no log of inspect-ai: it has no header.json".to_owned()));
    }
    let header = member(if has_end { "header.json" } else { "_journal/start.json" })?;
    let journals = || {
        let mut names: Vec<&String> =
            names.iter().filter(|name| name.starts_with("_journal/summaries/")).collect();
        names.sort_by_key(|name| (name.len(), (*name).clone()));
        names
    };
    let wanted: Vec<&str> = if has("summaries.json") {
        vec!["summaries.json"]
    } else {
        journals().into_iter().map(String::as_str).collect()
    };
    let mut summaries = Vec::new();
    for name in wanted {
        match member(name)? {
            Value::Array(more) => summaries.extend(more),
            _ => return Err(refuse(format!("{name} is no list"))),
        }
    }
    Ok(Members { header, summaries, has_end })
}
