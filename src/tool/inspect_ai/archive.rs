//! The members of a `.eval` file: a ZIP whose members are compressed with Zstandard.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use serde_json::Value;
use zip::ZipArchive;
use zip::read::read_zipfile_from_stream;

use crate::tool::{OutputFile, ParseError, document};

/// More than this is not in all members together that halo reads: samples themselves are passed over.
/// In bytes.
const MOST_READ: u64 = 64 << 20;

/// A log has a member for each sample; a list of more would take more memory than the log itself.
const MOST_MEMBERS: usize = 200_000;

/// How an entry in the list of members begins.
const LISTED: &[u8] = b"PK\x01\x02";

/// What a log says in its file.
pub(super) struct Members {
    /// `header.json`, or what was written when the log was begun, where it has no end.
    pub(super) header: Value,
    /// The summaries of its samples.
    pub(super) summaries: Vec<Value>,
    /// What became of each sample over all times that it was asked, where it has its end.
    pub(super) reductions: Option<Value>,
    /// Whether it has its end.
    pub(super) has_end: bool,
}

/// Reads them.
pub(super) fn read(file: &OutputFile) -> Result<Members, ParseError> {
    let refuse = |detail: String| ParseError { place: file.path.clone(), detail };
    if file.bytes.windows(LISTED.len()).filter(|bytes| *bytes == LISTED).count() > MOST_MEMBERS {
        return Err(refuse(format!("it has more than {MOST_MEMBERS} members")));
    }
    let members = match ZipArchive::new(Cursor::new(file.bytes.as_slice())) {
        Ok(zip) => listed(file, zip)?,
        // A file that is still written, or whose writer was killed, has no list of its members.
        Err(error) => {
            let members = streamed(file);
            if !members.contains_key(START) {
                return Err(refuse(format!("it is no ZIP file that can be read: {error}")));
            }
            members
        }
    };
    let member = |name: &str| -> Result<Option<Value>, ParseError> {
        let place = format!("{} member {name}", file.path);
        members.get(name).map(|bytes| document::parse(&place, bytes)).transpose()
    };
    let header = match member(HEADER)? {
        Some(header) => Some((header, true)),
        None => member(START)?.map(|start| (start, false)),
    };
    let Some((header, has_end)) = header else {
        return Err(refuse(format!("it is no log of inspect-ai: it has no {HEADER}")));
    };
    let wanted: Vec<&str> = if members.contains_key(SUMMARIES) {
        vec![SUMMARIES]
    } else {
        let names = members.keys().map(String::as_str);
        let mut names: Vec<&str> = names.filter(|name| name.starts_with(JOURNAL)).collect();
        names.sort_by_key(|name| (name.len(), *name));
        names
    };
    let mut summaries = Vec::new();
    for name in wanted {
        match member(name)? {
            Some(Value::Array(more)) => summaries.extend(more),
            _ => return Err(refuse(format!("{name} is no list"))),
        }
    }
    Ok(Members { header, summaries, reductions: member(REDUCTIONS)?, has_end })
}

const HEADER: &str = "header.json";
const START: &str = "_journal/start.json";
const SUMMARIES: &str = "summaries.json";
const JOURNAL: &str = "_journal/summaries/";
const REDUCTIONS: &str = "reductions.json";

fn is_wanted(name: &str) -> bool {
    [HEADER, START, SUMMARIES, REDUCTIONS].contains(&name) || name.starts_with(JOURNAL)
}

/// The members that the ZIP file lists.
fn listed(
    file: &OutputFile,
    mut zip: ZipArchive<Cursor<&[u8]>>,
) -> Result<BTreeMap<String, Vec<u8>>, ParseError> {
    let names = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let names: Vec<String> = names.filter(|name| is_wanted(name)).collect();
    let (mut members, mut left) = (BTreeMap::new(), MOST_READ);
    for name in names {
        let refuse =
            |detail: String| ParseError { place: format!("{} member {name}", file.path), detail };
        let member = zip.by_name(&name).map_err(|error| refuse(error.to_string()))?;
        if member.size() > left {
            return Err(refuse(format!("it has {} bytes, too many to be read", member.size())));
        }
        let bytes = contents(member, left).map_err(|error| refuse(error.to_string()))?;
        left -= bytes.len() as u64;
        members.insert(name, bytes);
    }
    Ok(members)
}

/// The members that are whole, one after the other as they were written.
fn streamed(file: &OutputFile) -> BTreeMap<String, Vec<u8>> {
    let (mut members, mut left) = (BTreeMap::new(), MOST_READ);
    let mut rest = Cursor::new(file.bytes.as_slice());
    while let Ok(Some(member)) = read_zipfile_from_stream(&mut rest) {
        let Ok(name) = member.name().map(std::borrow::Cow::into_owned) else { continue };
        if is_wanted(&name) && member.size() <= left {
            let Ok(bytes) = contents(member, left) else { break };
            left -= bytes.len() as u64;
            members.insert(name, bytes);
        }
    }
    members
}

fn contents(member: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // What the directory says of its size may be wrong.
    member.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
