//! At a terminal a command has a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use halo::run::manifest::State;
use pty_process::Size;
use pty_process::blocking::{Command, open};

use super::{Archive, manifest, raw, wait_until};

/// halo at a terminal of the test.
struct Session {
    child: Child,
    keyboard: File,
    screen: JoinHandle<String>,
}

impl Session {
    fn start(archive: &Archive, script: &str) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(33, 77)).unwrap();
        let halo = archive.recording(&[], &["sh", "-c", script]);
        // What the recording sets goes beside the terminal that this command brings.
        let mut command = Command::new(halo.get_program()).args(halo.get_args());
        for (name, value) in halo.get_envs() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn(pts).unwrap();
        let keyboard = File::from(pty.as_fd().try_clone_to_owned().unwrap());
        let mut screen = File::from(OwnedFd::from(pty));
        let screen = thread::spawn(move || {
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            // The end of a terminal is an error.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..length]);
            }
            String::from_utf8(seen).unwrap()
        });
        Self { child, keyboard, screen }
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.screen.join().unwrap())
    }
}

#[test]
fn the_command_has_a_terminal_of_the_same_size() {
    let archive = Archive::new();
    let script =
        "test -t 0 && test -t 1 && test -t 2 && stty size && printf 'a\\nb\\r\\n' && echo e >&2";
    let (status, screen) = Session::start(&archive, script).end();
    assert!(status.success(), "{screen}");
    assert!(screen.contains("33 77\r\na\r\nb\r\r\n"), "{screen:?}");
    // The archive has what the command wrote, without what the terminal added.
    assert_eq!(raw(&archive.only_run(), "stdout"), "33 77\na\nb\r\n");
    assert_eq!(raw(&archive.only_run(), "stderr"), "e\n");
}

#[test]
fn typed_lines_and_ctrl_c_reach_the_command() {
    let archive = Archive::new();
    let go = archive.path().with_extension("go");
    let script = format!("read line; echo \"got $line\"; touch {}; exec sleep 20", go.display());
    let mut session = Session::start(&archive, &script);
    session.type_keys(b"hello\r");
    wait_until("the command has read", || go.exists());
    session.type_keys(b"\x03");
    let (status, screen) = session.end();
    assert_eq!(status.signal(), Some(2), "{screen}");
    assert!(screen.contains("got hello"), "{screen}");
    assert_eq!(manifest(&archive.only_run()).state, State::Cancelled);
    std::fs::remove_file(go).unwrap();
}

#[test]
fn a_file_as_standard_output_gets_no_terminal() {
    let archive = Archive::new();
    let output = archive
        .recording(&[], &["sh", "-c", "test -t 1 && echo terminal || echo none"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"none\n");
}
