//! Passwords that many want to have compared: who floods, who leaves, who must not wait for them.
//!
//! What a comparison costs is processor time, and that is what is counted here: a machine that is
//! busy with something else changes the clock and not the count.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use crate::program::{Served, host_flags};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The same machine by another address.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An exporter that knows `alice` with the password `secret`.
struct Scene {
    served: Served,
    _directory: TempDir,
}

impl Scene {
    fn start(cost: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("web.yml");
        let hash = bcrypt::hash("secret", cost).unwrap();
        fs::write(&file, format!("basic_auth_users:\n  alice: {hash}\n")).unwrap();
        let mut flags = vec![format!("--web.config.file={}", file.display())];
        flags.extend(host_flags("strix-halo-desktop-128g"));
        Self { served: Served::start(flags), _directory: directory }
    }

    /// Sends a request with a password, and what follows its head.
    fn ask(&self, from: Ipv4Addr, password: &str, headers: &str, rest: &str) -> TcpStream {
        let mut stream = connect(from, self.served.address);
        let pair = STANDARD.encode(format!("alice:{password}"));
        write!(
            stream,
            "GET /-/healthy HTTP/1.1\r\nHost: halo\r\nAuthorization: Basic {pair}\r\n\
             {headers}\r\n{rest}"
        )
        .unwrap();
        stream
    }

    /// The status that a password is answered with.
    fn status(&self, from: Ipv4Addr, password: &str) -> String {
        status(self.ask(from, password, "Connection: close\r\n", ""))
    }

    /// Wrong passwords, each another.
    fn flood(&self, from: Ipv4Addr, count: usize) -> Vec<TcpStream> {
        (0..count).map(|number| self.ask(from, &format!("wrong {number}"), "", "")).collect()
    }

    /// The state of the process and the seconds of processor time that it took.
    fn stat(&self) -> (char, f64) {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.served.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
        let a_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap());
        (fields[0].parse().unwrap(), (ticks(11) + ticks(12)) / a_second)
    }

    fn processor(&self) -> f64 {
        self.stat().1
    }

    /// Waits until the process computes.
    fn compares_since(&self, before: f64) {
        eventually(|| self.processor() > before + 0.04);
    }
}

fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    stream
}

fn eventually(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(2), "it never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The seconds of processor time of one comparison, here and now.
fn comparison(cost: u32) -> f64 {
    const SMALL: u32 = 10;
    let time = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap().as_secs_f64()
    };
    let begun = time();
    bcrypt::hash("secret", SMALL).unwrap();
    (time() - begun) * f64::from(1 << (cost - SMALL))
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // A connection that is cut has no answer.
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn status(stream: TcpStream) -> String {
    answer(stream).get(9..12).unwrap_or_default().to_owned()
}

/// How many have been answered with a status, without waiting for the others.
fn answered(clients: &[TcpStream], status: &str) -> usize {
    let has = |client: &&TcpStream| {
        let mut head = [0; 12];
        client.set_nonblocking(true).unwrap();
        client.peek(&mut head).is_ok_and(|length| head[..length].ends_with(status.as_bytes()))
    };
    clients.iter().filter(has).count()
}

#[test]
fn a_signal_to_stop_waits_for_no_password() {
    let whole = comparison(14);
    for signal in [Signal::TERM, Signal::INT] {
        let mut scene = Scene::start(14);
        let before = scene.processor();
        let mut clients = scene.flood(HERE, 8);
        scene.compares_since(before);
        kill_process(Pid::from_raw(scene.served.pid()).unwrap(), signal).unwrap();
        eventually(|| scene.stat().0 == 'Z');
        let used = scene.processor() - before;
        assert!(used < whole / 2.0, "{used} s of {whole} s: it waited for the comparison");
        assert_eq!(scene.served.stop(signal), Some(0));
        // Whose password was compared is told so; nobody is told that the password was wrong.
        let first = answer(clients.remove(0));
        assert!(first.starts_with("HTTP/1.1 503") && first.ends_with("stops.\n"), "{first:?}");
        for client in clients {
            let status = status(client);
            assert!(["503", ""].contains(&status.as_str()), "{status}");
        }
    }
}

#[test]
fn a_flood_from_elsewhere_does_not_delay_a_right_password() {
    let scene = Scene::start(12);
    let flood = scene.flood(ELSEWHERE, 100);
    // Once the first is sent away all places are taken.
    eventually(|| answered(&flood, "429") > 0);
    // The first time it is compared, and then it is known.
    for _ in 0..2 {
        let before = answered(&flood, "401");
        assert_eq!(scene.status(HERE, "secret"), "200");
        let meanwhile = answered(&flood, "401") - before;
        assert!(meanwhile < 10, "it waited for {meanwhile} of more than 60 that came before it");
    }
    let waiting = flood.len() - answered(&flood, "401") - answered(&flood, "429");
    assert!(waiting > 30, "the flood lasts: {waiting} wait");
    let (mut sent_away, _) = flood
        .into_iter()
        .partition::<Vec<_>, _>(|client| answered(std::slice::from_ref(client), "429") == 1);
    let mut head = [0; 1024];
    let length = sent_away[0].read(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    assert!(head.contains("\r\nretry-after: 1\r\n"), "{head}");
}

/// Also where the server has bytes that it has not read, behind which the end is not seen.
#[test]
fn nothing_is_compared_for_who_has_left() {
    let whole = comparison(12);
    let scene = Scene::start(12);
    let before = scene.processor();
    let mut clients = Vec::new();
    for number in 0..8 {
        for (kind, headers, rest) in [
            ("plain", "", ""),
            ("another request", "", "GET / HTTP/1.1\r\nHost: halo\r\n\r\n"),
            ("a body", "Content-Length: 4\r\n", "body"),
            ("half a body", "Content-Length: 4\r\n", "bo"),
        ] {
            clients.push(scene.ask(HERE, &format!("{kind} {number}"), headers, rest));
        }
    }
    scene.compares_since(before);
    drop(clients);
    let before = scene.processor();
    for number in 0..3 {
        assert_eq!(scene.status(HERE, &format!("stays {number}")), "401");
    }
    // Those three, and the one that had begun.
    let compared = (scene.processor() - before) / whole;
    assert!(compared < 10.0, "{compared} comparisons, and 32 clients had left");
}
