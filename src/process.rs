//! The only place that starts processes.
//!
//! A [`Program`] answers a question of halo's: no shell, one at a time, a deadline, bounded output.
//! The command that a user records runs in the `foreground`.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

#[cfg(feature = "record")]
pub mod foreground;
#[cfg(feature = "record")]
mod tee;
#[cfg(feature = "record")]
mod terminal;

/// More output than this belongs to no program that halo runs; the rest is not read.
const LARGEST_OUTPUT: u64 = 64 * 1024;

/// How long a program that was killed may take to be gone.
const LAST_BREATH: Duration = Duration::from_millis(100);

/// What a program said until it ended.
#[derive(Debug)]
pub struct Output {
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How it ended.
    pub status: ExitStatus,
}

/// Why a program gave no output.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be started.
    #[error("{0}")]
    NotStarted(io::Error),
    /// It did not end before the deadline and was killed.
    #[error("did not end within {0:?} and was killed")]
    Deadline(Duration),
    /// The one before it was killed and is still there: it waits in the kernel.
    #[error("the one before it was killed and is still not gone")]
    StillThere,
}

/// A program that may be run again and again, but never twice at the same time.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    deadline: Duration,
    undead: Option<Child>,
}

impl Program {
    /// A program with its arguments and the time that it may take.
    pub fn new(path: &Path, arguments: &[&str], deadline: Duration) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { path: path.to_owned(), arguments, deadline, undead: None }
    }

    /// The program's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs it to its end or to the deadline.
    pub fn run(&mut self) -> Result<Output, Failure> {
        if let Some(child) = &mut self.undead {
            if !is_gone(child) {
                return Err(Failure::StillThere);
            }
            self.undead = None;
        }
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it starts is killed with it.
            .process_group(0)
            .spawn()
            .map_err(Failure::NotStarted)?;
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        let Some(status) = wait(&mut child, self.deadline) else {
            self.kill(child);
            return Err(Failure::Deadline(self.deadline));
        };
        let text = |pipe: Option<mpsc::Receiver<String>>| {
            pipe.and_then(|text| text.recv_timeout(LAST_BREATH).ok()).unwrap_or_default()
        };
        Ok(Output { stdout: text(stdout), stderr: text(stderr), status })
    }

    fn kill(&mut self, mut child: Child) {
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended in this moment, which is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
        if wait(&mut child, LAST_BREATH).is_none() {
            self.undead = Some(child);
        }
    }
}

/// A program that lives as long as halo does: it reads its standard input and ends with it.
#[cfg(feature = "record")]
#[derive(Debug)]
pub struct Companion(Child);

#[cfg(feature = "record")]
impl Companion {
    /// Starts it. What it prints goes nowhere.
    pub fn start(path: &Path, arguments: &[&str]) -> io::Result<Self> {
        let child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is not for it.
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    /// Whether it has ended already, which it should not: it could not do its work.
    pub fn has_ended(&mut self) -> bool {
        is_gone(&mut self.0)
    }
}

#[cfg(feature = "record")]
impl Drop for Companion {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if wait(&mut self.0, LAST_BREATH).is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Reads a pipe in a thread of its own: a full pipe would stop the program.
fn collect(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is what there is.
        let _ = pipe.take(LARGEST_OUTPUT).read_to_end(&mut bytes);
        // Nobody waits any more where the program was killed.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + deadline;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
            _ => return None,
        }
    }
}

fn is_gone(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)))
}
