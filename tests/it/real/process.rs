//! Programs that end with the test, and what they say over HTTP.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const HALO: &str = env!("CARGO_BIN_EXE_halo-exporter");

/// Far above what any of these programs takes, so that only one that hangs reaches it.
const DEADLINE: Duration = Duration::from_mins(1);

/// A running program; it is killed when dropped, also by a test that fails.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a program whose standard error and output go to the file `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}", missing(command, &error)));
        Self { child, log: log.to_owned() }
    }

    /// Starts halo on a port that the kernel chooses.
    pub(super) fn halo(flags: &[&OsStr], log: &Path) -> Self {
        let mut command = Command::new(HALO);
        Self::start(command.args(["--web.listen-address", "127.0.0.1:0"]).args(flags), log)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks again and again until there is an answer; fails where the program ends before.
    pub(super) fn wait<T>(&mut self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{what}: ended with {status}\n{}", log());
            }
            assert!(began.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The address in halo's log line `serves http://127.0.0.1:40001/metrics`.
    pub(super) fn address(&mut self) -> SocketAddr {
        let log = self.log.clone();
        self.wait("the line that says where halo listens", || {
            let text = fs::read_to_string(&log).ok()?;
            let (_, rest) = text.split_once("serves ")?;
            let (_, rest) = rest.split_once("://")?;
            rest.split_once("/metrics")?.0.parse().ok()
        })
    }
}

/// Runs a program to its end.
pub(super) fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{}", missing(command, &error)))
}

/// What a program printed, on both channels.
pub(super) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn missing(command: &Command, error: &std::io::Error) -> String {
    let name = command.get_program().display();
    format!("{name}: {error}; this test needs the real program, which .ci/run installs")
}

/// The body of a successful answer over plain HTTP; `None` where nobody answers yet.
pub(super) fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    // HTTP/1.0 has no chunks to put together.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
}
