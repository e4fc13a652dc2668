//! Real llama-servers under load: three builds from wheels, and the one that `.ci/build-llama`
//! builds, which can sleep and be a router.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::free_address;
use super::llama::tiny_model;
use crate::machine::fixtures;
use crate::program::Served;
use crate::record::wait_until;

/// Tokens of each request of the load.
const TOKENS: u32 = 5000;

/// How long the load is looked at.
const LOAD: Duration = Duration::from_secs(30);

/// The builds, oldest first, as `.ci/run` installs them.
fn builds() -> Vec<PathBuf> {
    let directory = std::env::var_os("HALO_TEST_LLAMA_SERVERS")
        .expect("HALO_TEST_LLAMA_SERVERS names the directory that .ci/run filled");
    let entries = std::fs::read_dir(directory).unwrap();
    let mut builds: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    builds.retain(|path| path.is_dir());
    let number = |path: &PathBuf| {
        // A directory is named after the wheel's version: year, month, build.
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split('.').nth(2).unwrap().parse::<u32>().unwrap()
    };
    builds.sort_by_key(number);
    assert_eq!(builds.len(), 3, "{builds:?}");
    builds
}

/// A server, ended when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    fn start(mut command: Command, address: SocketAddr) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { child: command.spawn().unwrap(), address };
        wait_until("the server is ready", || server.get("/health", "").contains(" 200 "));
        server
    }

    fn of_build(build: &Path, model: &Path, flags: &[&str]) -> Self {
        let address = free_address();
        let mut command = Command::new(build.join("bin/python"));
        command.arg(fixtures().join("llama_server.py")).arg(model).args(flags);
        command.args(["--port", &address.port().to_string()]);
        Self::start(command, address)
    }

    pub(super) fn built(flags: &[&str]) -> Self {
        let address = free_address();
        let directory = std::env::var_os("HALO_TEST_LLAMA_BIN").expect("HALO_TEST_LLAMA_BIN");
        let mut command = Command::new(Path::new(&directory).join("llama-server"));
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--threads", "1"]).args(flags);
        Self::start(command, address)
    }

    /// An answer with its head; empty where there is none.
    fn get(&self, path: &str, head: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return String::new() };
        let mut answer = String::new();
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{head}Connection: close\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// How often the model has computed a batch, as its metrics say; they may want a key.
    pub(super) fn decodes(&self, key: &str) -> u64 {
        let answer = self.get("/metrics", &format!("Authorization: Bearer {key}\r\n"));
        let line = answer.lines().find(|line| line.starts_with("llamacpp:n_decode_total "));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        value.map_or(0, |value| value as u64)
    }

    /// Asks for tokens, and counts them as they come.
    pub(super) fn generate(&self, tokens: u32, body: &str, counted: &AtomicU64, stop: &AtomicBool) {
        let body = format!(
            "{{\"n_predict\":{tokens},\"ignore_eos\":true,\"stream\":true,\"temperature\":0,{body}}}"
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "POST /completion HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // The last one has no token of its own.
            if line.starts_with("data: ") && !line.contains("\"stop\":true") {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn exporter(&self, more: &str) -> (Served, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let keys = format!("[[llama]]\nurl = \"http://{}\"\nname = \"s\"\n{more}\n", self.address);
        std::fs::write(file.path(), keys).unwrap();
        (Served::start([format!("--config.file={}", file.path().display())]), file)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of the only series of a family.
fn value(exposition: &str, family: &str) -> Option<f64> {
    let line = exposition.lines().find(|line| line.starts_with(&format!("{family}{{")))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn llama_of(served: &Served) -> String {
    served.get("/metrics?collect[]=llama").text().to_owned()
}

#[test]
fn the_speed_of_two_slots_is_what_the_client_counts() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path());
    for build in builds() {
        let server = Arc::new(Server::of_build(&build, &model, &[]));
        let (exporter, _config) = server.exporter("");
        let stop = Arc::new(AtomicBool::new(false));
        let counted = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..2)
            .map(|number| {
                let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let prompt = format!("\"prompt\":\"alpha bravo {number}\"");
                        server.generate(TOKENS, &prompt, &counted, &stop);
                    }
                })
            })
            .collect();
        wait_until("a speed is shown", || {
            std::thread::sleep(Duration::from_millis(200));
            value(&llama_of(&exporter), "halo_llama_generated_tokens_per_second").is_some()
        });
        let begin = Instant::now();
        // A speed tells of the time since the one before it.
        let mut readings: Vec<(Instant, u64, f64)> = Vec::new();
        let mut used = Vec::new();
        while begin.elapsed() < LOAD {
            std::thread::sleep(Duration::from_millis(50));
            let shown = llama_of(&exporter);
            used.extend(value(&shown, "halo_llama_context_used_ratio"));
            let Some(speed) = value(&shown, "halo_llama_generated_tokens_per_second") else {
                continue;
            };
            let is_new = readings.last().is_none_or(|(.., last)| last.to_bits() != speed.to_bits());
            if is_new {
                readings.push((Instant::now(), counted.load(Ordering::Relaxed), speed));
            }
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        // The first one that is seen may have been shown for a while.
        let readings = &readings[1..];
        let (first, last) = (readings[0], readings[readings.len() - 1]);
        let span = last.0.duration_since(first.0);
        let halo: f64 = readings
            .windows(2)
            .map(|pair| pair[1].2 * pair[1].0.duration_since(pair[0].0).as_secs_f64())
            .sum();
        let client = (last.1 - first.1) as f64;
        assert!(span >= LOAD / 2, "{}: {readings:?}", build.display());
        assert!((halo / client - 1.0).abs() < 0.02, "{}: {halo} {client}", build.display());
        assert!(used.iter().all(|ratio| (0.0..=1.0).contains(ratio)), "{used:?}");
    }
}

#[test]
fn counters_are_those_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path());
    for build in builds() {
        let server = Server::of_build(&build, &model, &[]);
        server.generate(300, "\"prompt\":\"alpha\"", &AtomicU64::new(0), &AtomicBool::new(false));
        std::thread::sleep(Duration::from_millis(200));
        let (exporter, _config) = server.exporter("");
        let shown = llama_of(&exporter);
        let theirs = server.get("/metrics", "");
        let number = |family: &str| {
            let line = theirs.lines().find(|line| line.starts_with(&format!("llamacpp:{family} ")));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        for (ours, family) in [
            ("halo_llama_prompt_tokens_total", "prompt_tokens_total"),
            ("halo_llama_generated_tokens_total", "tokens_predicted_total"),
            ("halo_llama_decodes_total", "n_decode_total"),
        ] {
            assert_eq!(value(&shown, ours), number(family), "{}: {family}", build.display());
        }
        assert_eq!(value(&shown, "halo_llama_generated_tokens_total"), Some(300.0));
        assert_eq!(value(&shown, "halo_llama_up"), Some(1.0));
        assert!(shown.contains("halo_llama_state{server=\"s\",state=\"ready\"} 1"), "{shown}");
        assert!(shown.contains("model=\"tiny\""), "{shown}");
    }
}

#[test]
fn a_server_without_metrics_or_with_a_key_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path());
    let builds = builds();
    let newest = builds.last().unwrap();
    let server = Server::of_build(newest, &model, &["--no-metrics"]);
    let (exporter, _config) = server.exporter("");
    let shown = llama_of(&exporter);
    assert!(shown.contains("state=\"metrics_disabled\"} 1"), "{shown}");
    assert!(shown.contains("reason=\"disabled\"} 1"), "{shown}");
    assert_eq!(value(&shown, "halo_llama_up"), Some(1.0));

    let server = Server::of_build(newest, &model, &["--key", "sk-secret"]);
    let (exporter, _config) = server.exporter("");
    let shown = llama_of(&exporter);
    assert!(shown.contains("state=\"unauthorized\"} 1"), "{shown}");
    let key = directory.path().join("key");
    std::fs::write(&key, "sk-secret\n").unwrap();
    let (exporter, _config) = server.exporter(&format!("api_key_file = {key:?}"));
    let shown = llama_of(&exporter);
    assert!(shown.contains("state=\"ready\"} 1"), "{shown}");
    assert!(!shown.contains("secret"));
}

#[test]
fn nothing_is_woken_and_nothing_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path());
    let model = model.to_str().unwrap();
    let server =
        Server::built(&["-m", model, "--metrics", "--sleep-idle-seconds", "2", "-c", "512"]);
    let is_sleeping = || server.get("/props", "").contains("\"is_sleeping\":true");
    let (exporter, _config) = server.exporter("");
    wait_until("the model sleeps although it is looked at", || {
        llama_of(&exporter);
        std::thread::sleep(Duration::from_millis(500));
        is_sleeping()
    });
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(6) {
        llama_of(&exporter);
        std::thread::sleep(Duration::from_millis(500));
        assert!(is_sleeping(), "it was woken");
    }
    assert!(llama_of(&exporter).contains("state=\"sleeping\"} 1"));

    let models = directory.path().join("models");
    std::fs::create_dir(&models).unwrap();
    for name in ["tiny-a", "tiny-b"] {
        std::fs::copy(model, models.join(format!("{name}.gguf"))).unwrap();
    }
    let router =
        Server::built(&["--models-dir", models.to_str().unwrap(), "--metrics", "-c", "512"]);
    let ask = |model: &str| {
        let body = format!("\"model\":\"{model}\",\"prompt\":\"alpha\"");
        router.generate(5, &body, &AtomicU64::new(0), &AtomicBool::new(false));
    };
    ask("tiny-a");
    let (exporter, _config) = router.exporter("");
    for _ in 0..4 {
        llama_of(&exporter);
        std::thread::sleep(Duration::from_secs(1));
    }
    let shown = llama_of(&exporter);
    assert!(
        shown.contains("halo_llama_prompt_tokens_total{server=\"s\",model=\"tiny-a\"}"),
        "{shown}"
    );
    assert!(!shown.contains("tiny-b"), "{shown}");
    let loaded = router.get("/models", "").matches("\"value\":\"loaded\"").count();
    assert_eq!(loaded, 1, "only what was asked for is loaded");
}

/// Before b10566 a question for metrics counts as work, and would keep the model awake for ever. A
/// request that wakes it is seen by its connection, and its tokens are shown while it lasts.
#[test]
fn a_model_falls_asleep_while_it_is_looked_at_whatever_the_build() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path());
    for build in builds() {
        let server = Arc::new(Server::of_build(&build, &model, &["--sleep", "6"]));
        let (exporter, _config) = server.exporter("");
        let is_sleeping = || server.get("/props", "").contains("\"is_sleeping\":true");
        wait_until("the model sleeps although it is looked at", || {
            llama_of(&exporter);
            std::thread::sleep(Duration::from_millis(500));
            is_sleeping()
        });
        wait_until("it is seen to sleep, and not woken", || {
            std::thread::sleep(Duration::from_millis(500));
            llama_of(&exporter).contains("state=\"sleeping\"} 1")
        });
        assert!(is_sleeping(), "{}: it was woken", build.display());
        let stop = Arc::new(AtomicBool::new(false));
        let client = {
            let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    server.generate(TOKENS, "\"prompt\":\"alpha\"", &AtomicU64::new(0), &stop);
                }
            })
        };
        wait_until("its speed is shown", || {
            std::thread::sleep(Duration::from_millis(200));
            value(&llama_of(&exporter), "halo_llama_generated_tokens_per_second").is_some()
        });
        stop.store(true, Ordering::Relaxed);
        client.join().unwrap();
    }
}

/// A build before b10566 answers `/metrics` between two batches of a prompt.
/// The model is so small that no build is blocked behind its prompt for longer than a few
/// milliseconds; servers that are blocked are stand-ins (`tests/it/llama/`).
#[test]
fn a_server_that_computes_a_prompt_delays_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("deep.gguf");
    let script = fixtures().join("tiny_gguf.py");
    let made = Command::new("python3").arg(script).args(["--layers", "12"]).arg(&model).status();
    assert!(made.unwrap().success());
    let server = Arc::new(Server::of_build(&builds()[0], &model, &[]));
    let (exporter, _config) = server.exporter("deadline = 30.0");
    let prompt = format!("\"prompt\":\"{}\"", "alpha bravo ".repeat(500));
    let client = {
        let server = Arc::clone(&server);
        std::thread::spawn(move || {
            server.generate(2, &prompt, &AtomicU64::new(0), &AtomicBool::new(false));
        })
    };
    let mut longest = Duration::ZERO;
    while !client.is_finished() {
        let begin = Instant::now();
        exporter.get("/metrics");
        longest = longest.max(begin.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    client.join().unwrap();
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}
