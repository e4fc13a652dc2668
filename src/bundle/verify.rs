//! Reads a bundle, and holds it against its own hashes.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use tar::EntryType;

use crate::archive::files::Fault;
use crate::archive::inside::{self, DEEPEST};
use crate::archive::{ArchiveError, LARGEST_MANIFEST};
use crate::hash::sha256;
use crate::run::MANIFEST;
use crate::run::manifest::Manifest;

/// More than this is in no bundle, its texts unpacked: one that says so wants to take hours. In bytes.
pub(super) const MOST_UNPACKED: u64 = 1 << 30;

/// More files than this are in no bundle.
pub(super) const MOST_FILES: usize = 10_000;

/// A path in a bundle has no more bytes.
const LONGEST_PATH: u64 = 4096;

/// What zstd holds of what it unpacked, as a power of two of bytes: what RFC 8878 asks of every
/// decoder, and four times what halo's own bundles need.
const WINDOW: u32 = 23;

/// What a bundle holds, held against its own hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The name of the run.
    pub run: String,
    /// How many files have hashes.
    pub files: usize,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Reads a bundle and compares its files with the hashes in its manifest.
///
/// # Errors
///
/// Where it is no bundle, or is damaged so that it cannot be read to its end.
pub fn verify(file: &Path) -> Result<Verified, ArchiveError> {
    let refuse = |error: io::Error| ArchiveError::at(file, error);
    let input = inside::named(file).map_err(refuse)?;
    let mut unpacked = zstd::Decoder::new(input).map_err(refuse)?;
    unpacked.window_log_max(WINDOW).map_err(refuse)?;
    let mut packed = tar::Archive::new(unpacked.take(MOST_UNPACKED));
    let (mut found, mut manifest, mut run) = (BTreeMap::new(), None, String::new());
    let (mut total, mut long) = (0_u64, None);
    // The package would hold what extends a header whole, however much that is.
    for entry in packed.entries().map_err(refuse)?.raw(true) {
        let mut entry = entry.map_err(refuse)?;
        let kind = entry.header().entry_type();
        total = total.saturating_add(entry.size());
        if total > MOST_UNPACKED || found.len() == MOST_FILES {
            let most = MOST_UNPACKED >> 20;
            let text =
                format!("holds more than {most} MiB or {MOST_FILES} files, as no bundle does");
            return Err(ArchiveError::at(file, text));
        }
        if kind == EntryType::GNULongName && entry.size() <= LONGEST_PATH {
            let mut name = Vec::new();
            entry.read_to_end(&mut name).map_err(refuse)?;
            while name.pop_if(|last| *last == 0).is_some() {}
            long = Some(name);
            continue;
        }
        let path = long.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let shown = || String::from_utf8_lossy(&path).into_owned();
        let (name, inside) = member(&path, kind).ok_or_else(|| {
            ArchiveError::at(file, format_args!("{}: stands in no bundle", shown()))
        })?;
        if !run.is_empty() && run != name {
            return Err(ArchiveError::at(file, "holds several runs"));
        }
        run = name;
        let is_new = if inside == MANIFEST {
            if entry.size() > LARGEST_MANIFEST {
                return Err(refuse(inside::too_large(entry.size(), LARGEST_MANIFEST)));
            }
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(refuse)?;
            let read = crate::archive::parse::<Manifest>(&file.join(MANIFEST), &text)?;
            manifest.replace(read).is_none()
        } else {
            found.insert(inside, sha256([Ok(&mut entry)]).map_err(refuse)?).is_none()
        };
        if !is_new {
            return Err(ArchiveError::at(file, format_args!("{}: stands there twice", shown())));
        }
    }
    let manifest = manifest.ok_or_else(|| ArchiveError::at(file, "has no manifest.json"))?;
    let mut faults = Vec::new();
    for expected in &manifest.files {
        match found.remove(&expected.path) {
            Some((hash, bytes)) if hash == expected.sha256 && bytes == expected.bytes => {}
            Some(_) => faults.push(Fault::Changed(expected.path.clone())),
            None => faults.push(Fault::Unreadable {
                path: expected.path.clone(),
                detail: "is not in the bundle".to_owned(),
            }),
        }
    }
    faults.extend(found.into_keys().map(Fault::Added));
    Ok(Verified { run, files: manifest.files.len(), faults })
}

/// The run and the file that a member of a bundle is; none where it is anything else: a link, a
/// device, a path that leads elsewhere.
fn member(path: &[u8], kind: EntryType) -> Option<(String, String)> {
    let (run, inside) = std::str::from_utf8(path).ok()?.split_once('/')?;
    let leads_down = |part: &str| !["", ".", ".."].contains(&part) && !part.contains('\0');
    let is_fit = kind == EntryType::Regular
        && leads_down(run)
        && inside.split('/').take(DEEPEST).all(leads_down)
        && inside.split('/').count() < DEEPEST;
    is_fit.then(|| (run.to_owned(), inside.to_owned()))
}
