//! Packs the files of a bundle into one.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tar::{EntryType, Header};

use super::beside;
use crate::archive::ArchiveError;
use crate::run::MANIFEST;
use crate::run::manifest::Manifest;

/// The same run gives the same bytes: names in order, and no time or owner of this machine.
pub(super) fn pack(
    staging: &Path,
    name: &str,
    manifest: &Manifest,
    file: &Path,
) -> Result<(), ArchiveError> {
    let unfinished = beside(file, ".unfinished");
    let pack = || -> io::Result<()> {
        let output = File::create(&unfinished)?;
        let mut packed = tar::Builder::new(zstd::Encoder::new(output, 0)?);
        let time = u64::try_from(manifest.started.as_second()).unwrap_or_default();
        let paths = manifest.files.iter().map(|file| file.path.as_str());
        for path in std::iter::once(MANIFEST).chain(paths) {
            let from = File::open(staging.join(path))?;
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(from.metadata()?.len());
            header.set_mode(0o644);
            header.set_mtime(time);
            packed.append_data(&mut header, format!("{name}/{path}"), from)?;
        }
        let output = packed.into_inner()?.finish()?;
        output.sync_all()?;
        fs::rename(&unfinished, file)
    };
    pack().map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        ArchiveError::at(file, error)
    })
}
