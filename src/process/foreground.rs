//! A command in front of the user, as if halo were not there: its input, output, terminal,
//! signals and exit, while what it prints is copied into files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group};
use signal_hook::consts::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};

pub use super::tee::{Show, Watch};
use super::tee::{Stream, Tee};
use super::terminal::Terminal;

/// Signals that end a command or mean something to it; those that nobody can catch are missing.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// What to run.
#[derive(Debug)]
pub struct Task<'a> {
    /// The program and its arguments.
    pub argv: &'a [OsString],
    /// Variables that are set for it beside those that halo has itself.
    pub variables: &'a [(&'a str, &'a OsStr)],
    /// Where it runs; none for where halo does.
    pub directory: Option<&'a Path>,
    /// Where its process is noted while it runs.
    pub running: Running,
    /// Where its standard output is copied to.
    pub stdout: File,
    /// Where its standard error is copied to.
    pub stderr: File,
    /// What becomes of both beside that.
    pub show: Show,
}

/// A command's process for as long as it lasts, for another thread that may have to end it.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<Option<Pid>>>);

impl Running {
    /// Ends it at once, where it runs.
    pub fn kill(&self) {
        if let Some(process) = *self.process() {
            // It may have ended in this moment, which is as good.
            let _ = kill_process(process, Signal::KILL);
        }
    }

    /// Its number, while it runs.
    pub fn id(&self) -> Option<i32> {
        self.process().map(|process| process.as_raw_nonzero().get())
    }

    /// Held while the process is reaped: its number is nobody's after that, or somebody else's.
    fn process(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The signal that asks a command to end.
pub const END: i32 = SIGTERM;

/// The signal of Ctrl-C, at which evals write down what they have.
pub const INTERRUPT: i32 = SIGINT;

/// Asks the command to end, as somebody does who sends this signal to halo: it is passed on.
pub fn ask_to_end(signal: i32) {
    // It fails for signals alone that do not exist.
    let _ = signal_hook::low_level::raise(signal);
}

/// A change in the command's life, told while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was stopped (Ctrl-Z).
    Stopped,
    /// It goes on.
    Continued,
    /// halo got this signal and passed it on, or the command got it from the terminal too.
    Signal(i32),
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, where it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What could not be copied, one sentence each.
    pub losses: Vec<String>,
}

/// The signals of this process, caught before the command is started, so that none is lost.
pub struct Signals(SignalsInfo<WithOrigin>);

impl Signals {
    /// Catches them.
    pub fn catch() -> io::Result<Self> {
        let further = [SIGCHLD, SIGCONT, SIGWINCH];
        SignalsInfo::with_exfiltrator(PASSED_ON.iter().chain(&further), WithOrigin::default())
            .map(Self)
    }

    /// A signal that has come since the last call and that would have ended halo.
    pub fn ending(&mut self) -> Option<i32> {
        let signals = self.0.pending().map(|origin| origin.signal);
        signals.filter(|signal| is_ending(*signal)).last()
    }
}

/// Whether a signal asks a program to end.
pub fn is_ending(signal: i32) -> bool {
    matches!(signal, SIGHUP | SIGINT | SIGQUIT | SIGTERM)
}

/// Ends this process by a signal, so that whoever started it sees what ended the command.
///
/// # Errors
///
/// Where the signal is none that ends a process.
pub fn end_by(signal: i32) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // The core of halo would explain nothing about the command.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    signal_hook::low_level::emulate_default_handler(signal)
}

/// The name of a signal, as `SIGKILL`.
pub fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| signal.to_string(), str::to_owned)
}

/// Runs a command to its end.
///
/// # Errors
///
/// Where it could not be started; what happens later is told in [`Ended`].
pub fn run(
    task: Task<'_>,
    signals: &mut Signals,
    started: impl FnOnce(),
    mut tell: impl FnMut(Event),
) -> io::Result<Ended> {
    let mut terminal = if task.show.is_shown { Terminal::open()? } else { None };
    let running = task.running.clone();
    let (child, tee) = spawn(task, terminal.as_mut())?;
    *running.process() = Some(child);
    started();
    let mut status = None;
    while status.is_none() {
        for origin in signals.0.wait() {
            match origin.signal {
                // Others of halo's children end too; one that was reaped is nobody's any more.
                SIGCHLD if status.is_some() => {}
                SIGCHLD => status = reap(child, &running, terminal.as_mut(), &mut tell)?,
                // `fg` brought halo to the foreground.
                SIGCONT => {
                    if let Some(terminal) = terminal.as_mut().filter(|t| !t.is_entered()) {
                        terminal.enter();
                    }
                }
                SIGWINCH => {
                    if let Some(terminal) = &terminal {
                        terminal.resize();
                    }
                }
                signal => {
                    if !has_come_to_both(&origin, terminal.is_some()) {
                        send(signal, child, terminal.as_ref());
                    }
                    tell(Event::Signal(signal));
                }
            }
        }
    }
    let losses = tee.finish();
    drop(terminal);
    let status = status.unwrap_or_default();
    Ok(Ended { losses, ..status })
}

/// Ctrl-C at a terminal goes to all processes of a group. A command that has a terminal of its
/// own is in none of halo's groups.
fn has_come_to_both(origin: &Origin, has_own_terminal: bool) -> bool {
    !has_own_terminal && origin.cause == Cause::Kernel
}

fn send(signal: i32, child: Pid, terminal: Option<&Terminal>) {
    let Some(signal) = Signal::from_named_raw(signal) else { return };
    // What a terminal sends goes to the group in its foreground; a request to end is for the
    // command alone, as `kill` without halo.
    let group = terminal.and_then(Terminal::foreground_group);
    let _ = match group {
        Some(group) if signal != Signal::TERM => kill_process_group(group, signal),
        // It may have ended in this moment, which is as good.
        _ => kill_process(child, signal),
    };
}

/// What became of the child, where it ended.
fn reap(
    child: Pid,
    running: &Running,
    mut terminal: Option<&mut Terminal>,
    tell: &mut impl FnMut(Event),
) -> io::Result<Option<Ended>> {
    let mut process = running.process();
    // Several changes may have come as one signal.
    while let Some((_, status)) =
        rustix::process::waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::UNTRACED)?
    {
        if status.stopped() {
            tell(Event::Stopped);
            if let Some(terminal) = terminal.as_deref_mut() {
                stop_too(child, terminal)?;
                tell(Event::Continued);
            }
        } else {
            *process = None;
            return Ok(Some(ended(status)));
        }
    }
    Ok(None)
}

/// Stops halo as well, so that the shell that started it has its terminal back, and goes on with
/// the command when the shell says so.
fn stop_too(child: Pid, terminal: &mut Terminal) -> io::Result<()> {
    terminal.leave();
    signal_hook::low_level::raise(signal_hook::consts::SIGSTOP)?;
    terminal.enter();
    let group = terminal.foreground_group().unwrap_or(child);
    Ok(kill_process_group(group, Signal::CONT)?)
}

fn ended(status: WaitStatus) -> Ended {
    Ended {
        exit_code: status.exit_status(),
        signal: status.terminating_signal(),
        losses: Vec::new(),
    }
}

fn spawn(task: Task<'_>, terminal: Option<&mut Terminal>) -> io::Result<(Pid, Tee)> {
    let Some((program, arguments)) = task.argv.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(task.variables.iter().copied());
    if let Some(directory) = task.directory {
        command.current_dir(directory);
    }
    let (stderr, stderr_of_command) =
        if task.show.is_shown { output_like(io::stderr())? } else { pipe()? };
    let (child, stdout) = if let Some(terminal) = terminal {
        terminal.spawn(command, stderr_of_command)?
    } else {
        if !task.show.is_shown {
            command.stdin(Stdio::null());
        }
        let (reader, writer) = pipe()?;
        (command.stdout(writer).stderr(stderr_of_command).spawn()?, reader)
    };
    let stdout = Stream::new("stdout", stdout, task.stdout, task.show.clone());
    let stderr = Stream::new("stderr", stderr, task.stderr, task.show);
    let tee = Tee::start(stdout, stderr)?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok((id.ok_or(io::ErrorKind::InvalidData)?, tee))
}

/// A way out of the command that is a terminal where halo's own is one, with the end that halo
/// reads.
fn output_like(own: impl AsFd) -> io::Result<(OwnedFd, Stdio)> {
    if let Some((master, slave)) = Terminal::twin_of(own)? {
        return Ok((master, slave.into()));
    }
    pipe()
}

/// A way out of the command that is no terminal, with the end that halo reads.
fn pipe() -> io::Result<(OwnedFd, Stdio)> {
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}
