//! Writes and reads `journal.jsonl`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::RunDirectory;
use crate::json;
use crate::run::JOURNAL;
use crate::run::journal::Line;

/// How often the journal is brought to the disk: what a loss of power may cost.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// No line is longer: a sample of a thousand series takes a fiftieth of it.
const LONGEST_LINE: u64 = 1024 * 1024;

/// The journal of a run that lasts.
#[derive(Debug)]
pub struct Writer {
    file: File,
    buffer: Vec<u8>,
    sync: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Writer {
    /// Makes a journal where there is none yet.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        let handle = file.try_clone()?;
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("sync".to_owned()).spawn(move || {
            while stopped.recv_timeout(SYNC_EVERY) == Err(RecvTimeoutError::Timeout) {
                // What a disk does not take is told by the next write.
                let _ = handle.sync_data();
            }
        })?;
        Ok(Self { file, buffer: Vec::new(), sync: Some((stop, thread)) })
    }

    /// Adds a line: whole, or not at all.
    pub fn append(&mut self, line: &Line) -> io::Result<()> {
        append(&mut self.file, &mut self.buffer, line)
    }

    /// Brings what was added to the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Keeps everybody else from adding lines, for as long as the returned file is open.
    pub fn close(mut self) -> io::Result<File> {
        if let Some((stop, thread)) = self.sync.take() {
            drop(stop);
            let _ = thread.join();
        }
        flock(&self.file, FlockOperation::LockExclusive)?;
        self.file.sync_data()?;
        self.file.try_clone()
    }
}

/// Adds a line to the journal of a run that another process records.
///
/// # Errors
///
/// `WouldBlock` where that process has closed the journal already.
pub fn append_to(run: &RunDirectory, line: &Line) -> io::Result<()> {
    let mut file = run.opened()?.append(JOURNAL)?;
    append(&mut file, &mut Vec::new(), line)
}

/// Both processes take the lock for each line, so that one that has to take back half a line,
/// because the disk is full, takes back nobody else's.
fn append(file: &mut File, buffer: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    buffer.clear();
    serde_json::to_writer(&mut *buffer, line)?;
    buffer.push(b'\n');
    lock(file)?;
    let length = file.metadata()?.len();
    let written = file.write_all(buffer);
    if written.is_err() {
        let _ = file.set_len(length);
    }
    flock(&*file, FlockOperation::Unlock)?;
    written
}

/// Waits for another line to be written, which takes microseconds, but not for a conversion.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..20 {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(5)),
            result => return Ok(result?),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Reads a journal up to its end, or up to the line where it is damaged.
#[derive(Debug)]
pub struct Reader<R> {
    input: BufReader<R>,
    buffer: Vec<u8>,
    lines: usize,
    damage: Option<String>,
}

impl Reader<File> {
    /// Opens the journal of a run.
    pub fn open(run: &RunDirectory) -> io::Result<Self> {
        Ok(Self::new(run.opened()?.open(JOURNAL)?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything.
    pub fn new(input: R) -> Self {
        let input = BufReader::with_capacity(256 * 1024, input);
        Self { input, buffer: Vec::new(), lines: 0, damage: None }
    }

    /// The next line that is whole.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        if self.damage.is_some() {
            return Ok(None);
        }
        self.buffer.clear();
        let read = (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        self.lines += 1;
        match json::from_slice(&self.buffer) {
            Ok(line) => Ok(Some(line)),
            Err(error) => {
                self.damage = Some(format!("line {}: {error}", self.lines));
                Ok(None)
            }
        }
    }

    /// Where the journal is damaged, once that was reached: its torn end. Nothing that stands
    /// behind it is believed.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }
}
