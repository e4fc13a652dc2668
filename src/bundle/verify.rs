//! Reads a bundle, and holds it against its own hashes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use tar::EntryType;

use crate::archive::ArchiveError;
use crate::archive::files::Fault;
use crate::hash::sha256;
use crate::run::MANIFEST;
use crate::run::manifest::Manifest;

/// More than this is in no bundle: one that says so wants to fill a disk.
const LARGEST: u64 = 16 << 30;

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
    let input = File::open(file).map_err(refuse)?;
    let unpacked = zstd::Decoder::new(input).map_err(refuse)?;
    let mut packed = tar::Archive::new(unpacked.take(LARGEST));
    let (mut found, mut manifest, mut run) = (BTreeMap::new(), None, String::new());
    for entry in packed.entries().map_err(refuse)? {
        let mut entry = entry.map_err(refuse)?;
        let path = entry.path().map_err(refuse)?.into_owned();
        let (name, inside) = member(&path, entry.header().entry_type()).ok_or_else(|| {
            ArchiveError::at(file, format_args!("{}: stands in no bundle", path.display()))
        })?;
        if !run.is_empty() && run != name {
            return Err(ArchiveError::at(file, "holds several runs"));
        }
        run = name;
        if inside == MANIFEST {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(refuse)?;
            manifest = Some(crate::archive::parse::<Manifest>(&file.join(MANIFEST), &text)?);
        } else {
            let hash = sha256([Ok(&mut entry)]).map_err(refuse)?;
            found.insert(inside, hash);
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
fn member(path: &Path, kind: EntryType) -> Option<(String, String)> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let (run, inside) = parts.as_deref()?.split_first()?;
    let is_fit = kind == EntryType::Regular && !inside.is_empty();
    is_fit.then(|| ((*run).to_owned(), inside.join("/")))
}
