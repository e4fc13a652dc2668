//! The journal of the run that is being recorded, shared by the threads that write it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::archive::journal::Writer;
use crate::clock;
use crate::run::journal::{By, Line, Mark};

/// A journal that several threads write.
///
/// The first line that cannot be written ends it: what would come behind a gap is worth nothing.
#[derive(Debug)]
pub(super) struct Journal {
    writer: Mutex<Option<Writer>>,
    is_broken: AtomicBool,
    problem: Mutex<Option<String>>,
}

impl Journal {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let writer = Mutex::new(Some(Writer::create(path)?));
        Ok(Self { writer, is_broken: AtomicBool::new(false), problem: Mutex::default() })
    }

    /// Adds a line, and says whether the journal goes on.
    pub(super) fn append(&self, line: &Line) -> bool {
        if self.is_broken.load(Ordering::Relaxed) {
            return false;
        }
        let Some(Err(error)) = lock(&self.writer).as_mut().map(|writer| writer.append(line)) else {
            return true;
        };
        if !self.is_broken.swap(true, Ordering::Relaxed) {
            let text = format!("the sampling ended early: {error}");
            super::say(&format!("{text}; the command goes on"));
            *lock(&self.problem) = Some(text);
        }
        false
    }

    /// Brings what was added to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        lock(&self.writer).as_ref().map_or(Ok(()), Writer::sync)
    }

    /// Adds something that halo itself knows of.
    pub(super) fn mark<'a>(
        &self,
        name: &str,
        attributes: impl IntoIterator<Item = (&'a str, String)>,
    ) {
        let attributes: BTreeMap<String, String> =
            attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.add(By::Halo, name, attributes);
    }

    /// Adds something that the tool said.
    pub(super) fn mark_of_tool(&self, name: &str, attributes: BTreeMap<String, String>) {
        self.add(By::Tool, name, attributes);
    }

    fn add(&self, by: By, name: &str, attributes: BTreeMap<String, String>) {
        let mark = Mark { at: clock::now(), by, name: name.to_owned(), attributes };
        self.append(&Line::Mark(mark));
    }

    /// Lets nobody add anything any more, until the returned file is closed.
    pub(super) fn close(&self) -> io::Result<Option<std::fs::File>> {
        lock(&self.writer).take().map(Writer::close).transpose()
    }

    /// Why it ended early, where it did.
    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
