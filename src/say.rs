//! What the programs say: the one place from which text goes to standard output and standard error.
//!
//! Whatever it quotes, nothing of it is a command to a terminal (`src/visible.rs`). A recorded command
//! has the terminal to itself while it runs, and what it prints passes through as it is
//! (`src/process/`).

use std::io::{self, IsTerminal, Stdout, StdoutLock, Write};

use crate::visible::{self, Form, Visible};

/// Prints text for people, into a file or a pipe alike: `less -R` gives it to a terminal.
///
/// # Errors
///
/// Where standard output takes no more.
pub fn print(text: &str) -> io::Result<()> {
    put(&visible::text(text))
}

/// Prints JSON, whose texts stay what they are.
///
/// # Errors
///
/// Where standard output takes no more.
pub fn print_json(json: &str) -> io::Result<()> {
    put(&visible::json(json))
}

fn put(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Says something on standard error in the name of a program.
pub fn tell(program: &str, message: &str) {
    // Nobody is left to hear that standard error is closed.
    let _ = writeln!(io::stderr(), "{program}: {}", visible::text(message));
}

/// Asks on standard error; the answer stands on the same line.
///
/// # Errors
///
/// Where standard error is closed, so that nobody can be asked.
pub fn ask(question: &str) -> io::Result<()> {
    write!(io::stderr(), "{} ", visible::text(question))
}

/// Standard output for data that programs read: byte for byte into a file or a pipe, visible on a
/// terminal.
pub enum Data {
    /// A file or a pipe.
    Whole(StdoutLock<'static>),
    /// A terminal.
    Shown(Visible<StdoutLock<'static>>),
}

/// Standard output for data.
pub fn data() -> Data {
    let output: Stdout = io::stdout();
    if output.is_terminal() {
        Data::Shown(Visible::new(output.lock(), Form::Text))
    } else {
        Data::Whole(output.lock())
    }
}

impl Write for Data {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Whole(output) => output.write(bytes),
            Self::Shown(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Whole(output) => output.flush(),
            Self::Shown(output) => output.flush(),
        }
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Data").finish_non_exhaustive()
    }
}
