//! Shows what a command prints, and copies it into files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::terminal;

/// After the command's end its output is read until nobody holds it any more, or until it has
/// been silent for this long: something that it left behind in the background may hold it for
/// ever.
const SILENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The longest line that is told whole; of a longer one only the beginning is.
const LONGEST_LINE: usize = 64 * 1024;

/// Told every line that a command prints, without its end, when it is whole.
pub type Watch = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What becomes of a command's output beside being copied into files.
#[derive(Clone)]
pub struct Show {
    /// Whether it is passed on to halo's own output.
    pub is_shown: bool,
    /// Lines that begin so are not passed on. A container at a terminal brings what a program writes
    /// to its standard error on standard output.
    pub hidden: Vec<&'static str>,
    /// Who is told the lines of both.
    pub watch: Watch,
}

impl std::fmt::Debug for Show {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { is_shown, hidden, watch: _ } = self;
        formatter
            .debug_struct("Show")
            .field("is_shown", is_shown)
            .field("hidden", hidden)
            .finish_non_exhaustive()
    }
}

/// One of a command's two outputs.
#[derive(Debug)]
pub(super) struct Stream {
    name: &'static str,
    /// None once it is at its end, or its reader is.
    output: Option<File>,
    copy: Option<File>,
    show: Show,
    /// The beginning of a line of which it cannot be told yet whether it is hidden.
    held: Vec<u8>,
    /// The same without what moves the cursor or colours the terminal.
    visible: Vec<u8>,
    sequence: Sequence,
    position: Position,
    /// The line that is being printed.
    line: Vec<u8>,
    /// A carriage return that may belong to a line feed.
    carriage_return: bool,
    losses: Vec<String>,
}

/// Where in a line a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Start,
    InShown,
    InHidden,
}

/// Where in a control sequence of a terminal a stream is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sequence {
    #[default]
    Outside,
    Escaped,
    InParameters,
}

impl Sequence {
    /// Whether a byte is part of a sequence, or goes back to the beginning of the line.
    fn takes(&mut self, byte: u8) -> bool {
        let (next, is_taken) = match (*self, byte) {
            (Self::Outside, b'\x1b') => (Self::Escaped, true),
            (Self::Outside, b'\r') => (Self::Outside, true),
            (Self::Outside, _) => (Self::Outside, false),
            (Self::Escaped, b'[') => (Self::InParameters, true),
            (Self::InParameters, byte) if !(b'@'..=b'~').contains(&byte) => (*self, byte != b'\n'),
            (Self::Escaped | Self::InParameters, byte) => (Self::Outside, byte != b'\n'),
        };
        *self = next;
        is_taken
    }
}

impl Stream {
    pub(super) fn new(name: &'static str, output: OwnedFd, copy: File, show: Show) -> Self {
        Self {
            name,
            output: Some(output.into()),
            copy: Some(copy),
            show,
            held: Vec::new(),
            visible: Vec::new(),
            sequence: Sequence::default(),
            position: Position::Start,
            line: Vec::new(),
            carriage_return: false,
            losses: Vec::new(),
        }
    }

    /// Passes on what there is to read.
    fn pass_on(&mut self, buffer: &mut [u8]) {
        let Some(output) = &mut self.output else { return };
        let length = match output.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            // The end of a terminal whose last program is gone is an error.
            Ok(0) | Err(_) => {
                self.output = None;
                let held = std::mem::take(&mut self.held);
                self.show(&held);
                return;
            }
            Ok(length) => length,
        };
        let bytes = &buffer[..length];
        let is_altered = terminal::adds_carriage_returns(output);
        self.keep(bytes, is_altered);
        self.tell(bytes);
        if self.show.hidden.is_empty() {
            self.show(bytes);
        } else {
            let shown = self.without_hidden(bytes);
            self.show(&shown);
        }
    }

    /// Copies bytes as the command wrote them, without what a terminal added.
    fn keep(&mut self, bytes: &[u8], is_altered: bool) {
        let Some(copy) = &mut self.copy else { return };
        let mut written = Vec::new();
        let bytes = if is_altered || self.carriage_return {
            for &byte in bytes {
                if self.carriage_return && byte != b'\n' {
                    written.push(b'\r');
                }
                self.carriage_return = is_altered && byte == b'\r';
                if !self.carriage_return {
                    written.push(byte);
                }
            }
            &written
        } else {
            bytes
        };
        if let Err(error) = copy.write_all(bytes) {
            let name = self.name;
            self.losses.push(format!("raw/{name} ends early: {error}"));
            self.copy = None;
        }
    }

    /// Tells the lines that are whole.
    fn tell(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE - self.line.len();
            self.line.extend(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                (self.show.watch)(self.line.trim_ascii_end());
                self.line.clear();
            }
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        if !self.show.is_shown {
            return;
        }
        let shown = match self.name {
            "stdout" => io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush()),
            _ => io::stderr().lock().write_all(bytes),
        };
        // Whoever read it is gone. Closing tells the command so, as without halo.
        if shown.is_err() {
            self.output = None;
        }
    }

    /// The bytes that belong to lines which are shown.
    fn without_hidden(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            match self.position {
                Position::Start => {
                    self.held.push(byte);
                    if self.sequence.takes(byte) {
                        continue;
                    }
                    self.visible.push(byte);
                    let hidden = || self.show.hidden.iter().map(|begin| begin.as_bytes());
                    if hidden().any(|begin| begin == self.visible) {
                        self.held.clear();
                        self.position = Position::InHidden;
                    } else if !hidden().any(|begin| begin.starts_with(&self.visible)) {
                        shown.append(&mut self.held);
                        self.position = Position::InShown;
                    }
                }
                Position::InShown => shown.push(byte),
                Position::InHidden => {}
            }
            if byte == b'\n' {
                self.position = Position::Start;
                self.sequence = Sequence::Outside;
                self.visible.clear();
            }
        }
        shown
    }
}

/// Both outputs, passed on by a thread.
#[derive(Debug)]
pub(super) struct Tee {
    thread: JoinHandle<Vec<String>>,
    running: io::PipeWriter,
}

impl Tee {
    /// Begins to pass on.
    pub(super) fn start(stdout: Stream, stderr: Stream) -> io::Result<Self> {
        let (ended, running) = io::pipe()?;
        let thread = thread::Builder::new()
            .name("tee".to_owned())
            .spawn(move || pass_on([stdout, stderr], &ended))?;
        Ok(Self { thread, running })
    }

    /// Passes on what is left after the command's end, and says what could not be copied.
    pub(super) fn finish(self) -> Vec<String> {
        drop(self.running);
        self.thread.join().unwrap_or_else(|_| vec!["halo has a bug: the copy panicked".to_owned()])
    }
}

fn pass_on(mut streams: [Stream; 2], ended: &io::PipeReader) -> Vec<String> {
    let mut buffer = vec![0; 64 * 1024];
    let mut has_ended = false;
    while streams.iter().any(|stream| stream.output.is_some()) {
        let mut waited: Vec<PollFd<'_>> = streams
            .iter()
            .filter_map(|stream| stream.output.as_ref())
            .map(|output| PollFd::new(output, PollFlags::IN))
            .collect();
        if !has_ended {
            waited.push(PollFd::new(ended, PollFlags::IN));
        }
        match poll(&mut waited, has_ended.then_some(&SILENCE)) {
            Ok(0) => {
                for stream in streams.iter_mut().filter(|stream| stream.output.is_some()) {
                    let loss = format!(
                        "raw/{} ends with the command; something that it left running still prints",
                        stream.name
                    );
                    stream.losses.push(loss);
                }
                break;
            }
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
            Ok(_) => {}
        }
        let mut ready: Vec<bool> = waited.iter().map(|fd| !fd.revents().is_empty()).collect();
        if !has_ended {
            has_ended = ready.pop().unwrap_or(true);
        }
        let open = streams.iter_mut().filter(|stream| stream.output.is_some());
        for (stream, _) in open.zip(ready).filter(|(_, is_ready)| *is_ready) {
            stream.pass_on(&mut buffer);
        }
    }
    streams.into_iter().flat_map(|stream| stream.losses).collect()
}
