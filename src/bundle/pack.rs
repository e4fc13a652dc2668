//! Packs the files of a bundle into one.

use std::io;
use std::path::Path;

use tar::{EntryType, Header};

use super::verify::{MOST_FILES, MOST_UNPACKED};
use crate::archive;
use crate::archive::inside::Directory;
use crate::run::MANIFEST;
use crate::run::manifest::Manifest;

/// The same run gives the same bytes: names in order, and no time or owner of this machine.
pub(super) fn pack(staging: &Path, name: &str, manifest: &Manifest, file: &Path) -> io::Result<()> {
    let staging = Directory::of_archive(staging)?;
    // What cannot be finished goes again.
    let mut unfinished = archive::begin(file)?;
    let mut packed = tar::Builder::new(zstd::Encoder::new(unfinished.file(), 0)?);
    let time = u64::try_from(manifest.started.as_second()).unwrap_or_default();
    let sizes = manifest.files.iter().map(|file| file.bytes);
    let bytes = sizes.fold(0, u64::saturating_add);
    if bytes > MOST_UNPACKED / 2 || manifest.files.len() > MOST_FILES / 2 {
        // Half of what is read: what a newer halo adds shall not make it unreadable.
        let text = format!("the run has {bytes} bytes in {} files", manifest.files.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    let paths = manifest.files.iter().map(|file| file.path.as_str());
    for path in std::iter::once(MANIFEST).chain(paths) {
        let from = staging.open(path)?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(from.metadata()?.len());
        header.set_mode(0o644);
        header.set_mtime(time);
        packed.append_data(&mut header, format!("{name}/{path}"), from)?;
    }
    packed.into_inner()?.finish()?;
    unfinished.finish()
}
