//! A terminal for a command whose output halo reads: without one, programs would print as into a
//! file.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;

use pty_process::Size;
use pty_process::blocking::{Pts, Pty};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
    tcgetwinsize, tcsetattr,
};

/// The terminal of a command, and what was changed at the user's own.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    slave: Option<Slave>,
    /// How the user's terminal was, where what is typed there is passed on.
    before: Option<Termios>,
    /// Closed to end the thread that passes on what is typed.
    typing: Option<io::PipeWriter>,
}

struct Slave(Pty, Pts);

impl std::fmt::Debug for Slave {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Slave")
    }
}

impl Terminal {
    /// A terminal like the one that standard output is, where it is one.
    pub(super) fn open() -> io::Result<Option<Self>> {
        let Some((pty, pts)) = pair_like(io::stdout())? else { return Ok(None) };
        let master = pty.as_fd().try_clone_to_owned()?;
        Ok(Some(Self { master, slave: Some(Slave(pty, pts)), before: None, typing: None }))
    }

    /// A second terminal like `own`, without any say over the command: for standard error.
    pub(super) fn twin_of(own: impl AsFd) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
        let Some((pty, pts)) = pair_like(own)? else { return Ok(None) };
        Ok(Some((pty.into(), pts.as_fd().try_clone_to_owned()?)))
    }

    /// Starts a command as the leader of this terminal, and gives the end to read from.
    pub(super) fn spawn(
        &mut self,
        command: Command,
        stderr: Stdio,
    ) -> io::Result<(Child, OwnedFd)> {
        let Slave(pty, pts) = self.slave.take().ok_or(io::ErrorKind::AlreadyExists)?;
        let mut command = pty_process::blocking::Command::from(command).stderr(stderr);
        if !io::stdin().is_terminal() {
            command = command.stdin(Stdio::inherit());
        }
        let child = command.spawn(pts).map_err(system_error)?;
        self.enter();
        Ok((child, pty.into()))
    }

    /// Takes every key of the user's terminal as it is, Ctrl-C too, for the command's terminal to
    /// make sense of. In the background, where a shell's `&` put halo, there are no keys to take.
    /// Where it cannot be done the command runs all the same.
    pub(super) fn enter(&mut self) {
        self.resize();
        if !is_in_foreground() {
            return;
        }
        let Ok(before) = tcgetattr(io::stdin()) else { return };
        if self.typing.is_none() && self.pass_typing_on().is_err() {
            return;
        }
        let mut raw = before.clone();
        raw.make_raw();
        if tcsetattr(io::stdin(), OptionalActions::Drain, &raw).is_ok() {
            self.before = Some(before);
        }
    }

    /// Whether keys are taken.
    pub(super) fn is_entered(&self) -> bool {
        self.before.is_some()
    }

    /// Gives the user's terminal back as it was.
    pub(super) fn leave(&mut self) {
        if let Some(before) = self.before.take() {
            // A terminal that is gone cannot be set, and nobody types at it either.
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &before);
        }
    }

    /// Takes the size of the user's terminal over.
    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(io::stdout()) {
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    /// The processes that Ctrl-C is for.
    pub(super) fn foreground_group(&self) -> Option<Pid> {
        tcgetpgrp(&self.master).ok()
    }

    fn pass_typing_on(&mut self) -> io::Result<()> {
        let (ended, typing) = io::pipe()?;
        self.typing = Some(typing);
        let mut master = File::from(self.master.try_clone()?);
        thread::Builder::new().name("typing".to_owned()).spawn(move || {
            let mut keys = [0; 4096];
            loop {
                let stdin = io::stdin();
                let mut ready =
                    [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
                if poll(&mut ready, None).is_err() || !ready[1].revents().is_empty() {
                    return;
                }
                match rustix::io::read(&stdin, &mut keys) {
                    Ok(length @ 1..) if master.write_all(&keys[..length]).is_ok() => {
                        stop_if_asked(&master, &keys[..length]);
                    }
                    _ => return,
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Stops the command where Ctrl-Z is among the keys and means that.
///
/// The kernel lets nobody stop a command that has no shell beside it in its session, because
/// nobody could let it go on. Here halo can.
fn stop_if_asked(master: &File, keys: &[u8]) {
    let Ok(termios) = tcgetattr(master) else { return };
    let suspend = termios.special_codes[SpecialCodeIndex::VSUSP];
    if termios.local_modes.contains(LocalModes::ISIG)
        && suspend != 0
        && keys.contains(&suspend)
        && let Ok(group) = tcgetpgrp(master)
    {
        // It may have ended in this moment, which is as good.
        let _ = kill_process_group(group, Signal::STOP);
    }
}

/// Whether keys that are typed at halo's terminal are for halo.
fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn system_error(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => error.into(),
    }
}

/// A pair of terminal ends like an own one, where that is a terminal.
fn pair_like(own: impl AsFd) -> io::Result<Option<(Pty, Pts)>> {
    let Ok(like) = tcgetattr(&own) else { return Ok(None) };
    let (pty, pts) = pty_process::blocking::open().map_err(system_error)?;
    tcsetattr(&pts, OptionalActions::Now, &like)?;
    if let Ok(size) = tcgetwinsize(&own) {
        let size = Size::new_with_pixel(size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel);
        pty.resize(size).map_err(system_error)?;
    }
    Ok(Some((pty, pts)))
}

/// Whether a terminal writes a carriage return before each line feed, and a copy of what passed
/// it has to leave that out again.
pub(super) fn adds_carriage_returns(output: &File) -> bool {
    tcgetattr(output)
        .is_ok_and(|termios| termios.output_modes.contains(OutputModes::OPOST | OutputModes::ONLCR))
}
