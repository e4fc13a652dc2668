//! The program as a process: started, asked, stopped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::machine::fixtures;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// `halo-exporter` without the variables of whoever runs the test.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halo-exporter"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HALO_")) {
        command.env_remove(name);
    }
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

/// The flags that show a host fixture instead of this machine.
pub(crate) fn machine_flags(directory: &Path) -> [String; 3] {
    [("procfs", "proc"), ("sysfs", "sys"), ("rootfs", "root")]
        .map(|(flag, part)| format!("--path.{flag}={}", directory.join(part).display()))
}

pub(crate) fn host_flags(host: &str) -> [String; 3] {
    machine_flags(&fixtures().join("hosts").join(host))
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

/// A serving program, ended when dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Mutex<mpsc::Receiver<String>>,
}

impl Served {
    /// Starts the program on a free port and waits until it is ready.
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let (served, sender, lines) = Self::launch(arguments);
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|l| sender.send(l)));
        served
    }

    /// The same, with a log that nobody reads any more once it is ready.
    pub(crate) fn start_without_reader_of_log<S: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::launch(arguments).0
    }

    fn launch<S: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = S>,
    ) -> (Self, mpsc::Sender<String>, Lines<BufReader<ChildStderr>>) {
        let mut command = command();
        command.args(["--web.listen-address", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("not ready: {seen}")).unwrap();
            // Servers that it reads have addresses as well.
            let served = line.split_once("serves ").and_then(|(_, rest)| rest.split_once("://"));
            if let Some((_, rest)) = served {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
            seen.push_str(&line);
        };
        let (sender, log) = mpsc::channel();
        (Self { child, address, log: Mutex::new(log) }, sender, lines)
    }

    /// What it has logged since it was ready or since the last call.
    pub(crate) fn logged(&self) -> Vec<String> {
        self.log.lock().unwrap().try_iter().collect()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Asks for a path with a new connection.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: halo\r\nConnection: close\r\n\r\n"))
    }

    /// Sends a request that asks for the connection to be closed, and reads to its end.
    pub(crate) fn request(&self, request: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Response::parse(&bytes)
    }

    /// Sends a signal and waits for the end; the exit code, where it has one.
    pub(crate) fn stop(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still runs after {signal:?}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let body = &bytes[end + 4..];
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Self { status, head, body: body.to_vec() };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = unchunked(body);
        }
        response
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = std::str::from_utf8(&body[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend(&body[end + 2..end + 2 + length]);
        body = &body[end + 2 + length + 2..];
    }
}
