//! The only place of the web configuration that touches the disk.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files that a configuration was read from, each as it looked when it was read.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::serve) struct Files(Vec<(PathBuf, Option<Stamp>)>);

impl Files {
    /// Reads a whole file and remembers it, whether or not reading works.
    pub(in crate::serve) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.push((path.to_owned(), None));
        let mut file = File::open(path)?;
        // Taken from the open file and before its bytes: what is written meanwhile changes the
        // stamp, so that the next look sees it.
        let stamp = Stamp::of(&file.metadata()?);
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        if let Some(last) = self.0.last_mut() {
            last.1 = Some(stamp);
        }
        Ok(content)
    }

    /// The same files as they look now.
    pub(in crate::serve) fn look_again(&self) -> Self {
        let look = |path: &PathBuf| fs::metadata(path).ok().map(|found| Stamp::of(&found));
        Self(self.0.iter().map(|(path, _)| (path.clone(), look(path))).collect())
    }

    pub(in crate::serve) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path.as_path())
    }
}

/// What of a file differs once somebody wrote, replaced or re-permitted it.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}
