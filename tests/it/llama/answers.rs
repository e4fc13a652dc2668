//! What halo shows of a server, whatever it answers.

use std::fs;
use std::time::Duration;

use halo::metric::Def;
use halo::source::llama;

use super::stand_in::{Reply, StandIn};
use crate::program::{Served, command, host_flags};
use crate::record::{text, wait_until};

const HOST: &str = "strix-halo-desktop-128g";

/// A server as b11434 answered.
pub(super) fn ready() -> StandIn {
    StandIn::new(&[
        ("/health", Reply::captured("health_ok_200.txt")),
        ("/props", Reply::captured("props.txt")),
        ("/metrics", Reply::captured("metrics_1_after_chat.txt")),
        ("/slots", Reply::captured("slots_1_after_chat.json")),
    ])
}

/// A configuration with servers; each is its keys.
pub(super) fn config(servers: &[String]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let tables: Vec<String> = servers.iter().map(|keys| format!("[[llama]]\n{keys}\n")).collect();
    fs::write(file.path(), tables.concat()).unwrap();
    file
}

pub(super) fn flags(config: &tempfile::NamedTempFile) -> Vec<String> {
    let mut flags = vec![format!("--config.file={}", config.path().display())];
    flags.extend(host_flags(HOST));
    flags
}

/// What the program prints. On a machine that is busy with other tests a server may be later than
/// the half second that a source has.
pub(super) fn once(flags: &[String]) -> std::process::Output {
    loop {
        let output = command().args(flags).arg("--once").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let late = "halo_source_failure{source=\"llama\",reason=\"timeout\"} 1";
        let shown = text(&output.stdout);
        if shown.contains("halo_llama_up{") || !shown.contains(late) {
            return output;
        }
    }
}

/// What is shown of one server, without the health of sources of the machine.
pub(super) fn shown(url: &str, keys: &str) -> String {
    let config = config(&[format!("url = {url:?}\nname = \"s\"\n{keys}")]);
    let output = once(&flags(&config));
    let lines = text(&output.stdout);
    let is_ours = |line: &&str| {
        !line.starts_with('#') && (line.contains("halo_llama") || line.contains("source=\"llama\""))
    };
    let mut lines: Vec<&str> = lines.lines().filter(is_ours).collect();
    lines.retain(|line| !line.contains("_duration_") && !line.contains("_age_"));
    lines.join("\n") + "\n" + &text(&output.stderr)
}

pub(super) fn has(shown: &str, lines: &[&str]) {
    for line in lines {
        assert!(shown.contains(line), "{line}\n--\n{shown}");
    }
}

#[test]
fn a_server_is_shown_with_its_model_and_counters() {
    let server = ready();
    let shown = shown(&server.url(), "");
    has(
        &shown,
        &[
            "halo_llama_up{server=\"s\"} 1",
            "halo_llama_state{server=\"s\",state=\"ready\"} 1",
            "halo_llama_model_info{server=\"s\",model=",
            "build=\"b11434-b11434\"",
            "halo_llama_prompt_tokens_total{server=\"s\",model=",
            "halo_llama_requests{server=\"s\",model=",
            "halo_source_up{source=\"llama\"} 1",
        ],
    );
    assert!(!shown.contains("per_second"), "one answer gives no speed: {shown}");
    // Nobody works, so nobody is asked about slots: that would wake a model.
    assert_eq!(server.asked(), ["/health", "/v1/models", "/props", "/metrics"]);
}

#[test]
fn slots_are_asked_about_while_they_work() {
    let server = ready();
    server.set("/metrics", Reply::captured("metrics_3_in_flight.txt"));
    server.set("/slots", Reply::captured("slots_2_in_flight.json"));
    let shown_ = shown(&server.url(), "");
    has(&shown_, &["halo_llama_context_used_ratio{server=\"s\",model=", "slot=\"1\"}"]);
    assert!(server.asked().contains(&"/slots".to_owned()));
    let quiet = ready();
    quiet.set("/metrics", Reply::captured("metrics_3_in_flight.txt"));
    shown(&quiet.url(), "slots = false");
    assert!(!quiet.asked().contains(&"/slots".to_owned()));
}

#[test]
fn a_sleeping_model_is_not_asked_anything() {
    let server = ready();
    let props =
        Reply::captured("props.txt").body.replace("\"is_sleeping\":false", "\"is_sleeping\":true");
    assert!(props.contains("\"is_sleeping\":true"));
    server.set("/props", Reply::ok(props));
    has(&shown(&server.url(), ""), &["state=\"sleeping\"} 1", "halo_llama_up{server=\"s\"} 1"]);
    assert_eq!(server.asked(), ["/health", "/v1/models", "/props"]);
}

#[test]
fn a_router_is_asked_about_loaded_models_alone_and_loads_none() {
    let server = StandIn::new(&[
        ("/health", Reply::captured("health_ok_200.txt")),
        ("/props", Reply::captured("router_props.txt")),
        ("/models", Reply::captured("router_models_loaded.json")),
        ("/props?model=tiny-a&autoload=false", Reply::captured("router_props_model.json")),
        ("/metrics?model=tiny-a&autoload=false", Reply::captured("router_metrics_loaded.txt")),
    ]);
    // The capture's head says that the body is chunked; the stand-in sends it whole.
    let chunked = super::captures::capture("router_metrics_loaded.txt");
    if chunked.contains("chunked") && !chunked.contains("\r\n# HELP") {
        server.set(
            "/metrics?model=tiny-a&autoload=false",
            Reply::captured("metrics_1_after_chat.txt"),
        );
    }
    let shown = shown(&server.url(), "");
    has(&shown, &["halo_llama_prompt_tokens_total{server=\"s\",model=\"tiny-a\"}"]);
    assert!(!shown.contains("tiny-b"), "{shown}");
    let asked = server.asked();
    assert!(asked.iter().all(|path| !path.contains("tiny-b")), "{asked:?}");
    let of_models = asked.iter().filter(|path| path.contains("model="));
    assert!(
        of_models.clone().count() >= 2 && of_models.clone().all(|p| p.contains("autoload=false"))
    );
}

#[test]
fn servers_behind_llama_swap_are_shown() {
    let child = ready();
    let running = format!(
        r#"{{"running":[{{"model":"a","state":"ready","proxy":"{}"}},{{"model":"b","state":"stopped","proxy":"http://127.0.0.1:1"}}]}}"#,
        child.url()
    );
    let swap = StandIn::new(&[("/health", Reply::ok("OK")), ("/running", Reply::ok(running))]);
    has(
        &shown(&swap.url(), ""),
        &["halo_llama_up{server=\"s\"} 1", "halo_llama_prompt_tokens_total{server=\"s\","],
    );
    assert!(swap.asked().iter().all(|path| !path.contains("upstream")), "it would start a model");
}

#[test]
fn servers_that_ollama_started_are_shown_and_others_are_not() {
    // Written from Ollama's source, as the facts have it.
    let (child, other) = (ready(), ready());
    let ollama = StandIn::new(&[("/api/version", Reply::ok("{\"version\":\"0.12.0\"}"))]);
    let machine = tempfile::tempdir().unwrap();
    let process = |id: u32, comm: &str, parent: u32, words: &[&str]| {
        let directory = machine.path().join("proc").join(id.to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(directory.join("status"), format!("Name:\t{comm}\nPPid:\t{parent}\n")).unwrap();
        fs::write(directory.join("cmdline"), words.join("\0") + "\0").unwrap();
    };
    let port = |server: &StandIn| server.address.port().to_string();
    process(10, "ollama", 1, &["ollama", "serve"]);
    process(11, "llama-server", 10, &["llama-server", "--port", &port(&child)]);
    process(12, "llama-server", 1, &["llama-server", "--port", &port(&other)]);
    for part in ["sys", "root"] {
        fs::create_dir_all(machine.path().join(part)).unwrap();
    }
    let config = config(&[format!("url = {:?}\nname = \"s\"", ollama.url())]);
    let mut flags = vec![format!("--config.file={}", config.path().display())];
    flags.extend(crate::program::machine_flags(machine.path()));
    let shown = text(&once(&flags).stdout);
    has(&shown, &["halo_llama_up{server=\"s\"} 1", "halo_llama_prompt_tokens_total{server=\"s\","]);
    assert!(!child.asked().is_empty() && other.asked().is_empty());

    let captured = tempfile::tempdir().unwrap();
    let directory = captured.path().join("machine");
    flags.extend(["--capture".to_owned(), directory.display().to_string()]);
    assert!(command().args(&flags).output().unwrap().status.success());
    assert!(!directory.join("proc/11/cmdline").exists(), "a command line may have keys");
}

#[test]
fn each_bad_answer_has_its_state_and_reason() {
    let long = "x".repeat(5 << 20);
    let with = |path: &str, reply: Reply| {
        let server = ready();
        server.set(path, reply);
        server
    };
    let redirect =
        Reply { head: "Location: http://127.0.0.1:1/\r\n", ..Reply::with("302 Found", "") };
    let cut =
        Reply { head: "Content-Length: 9000\r\n", ..Reply::captured("metrics_1_after_chat.txt") };
    let cases: [(StandIn, &str, &str, &str); 11] = [
        (with("/metrics", cut), "ready", "1", "io"),
        (
            with(
                "/health",
                Reply::with(
                    "503 Service Unavailable",
                    "{\"error\":{\"message\":\"Loading model\"}}",
                ),
            ),
            "loading",
            "0",
            "",
        ),
        (
            with("/props", Reply::with("401 Unauthorized", "{}")),
            "unauthorized",
            "1",
            "unauthorized",
        ),
        (
            with("/metrics", Reply::with("501 Not Implemented", "{}")),
            "metrics_disabled",
            "1",
            "disabled",
        ),
        (
            with("/metrics", Reply::with("401 Unauthorized", "{}")),
            "unauthorized",
            "1",
            "unauthorized",
        ),
        (with("/health", Reply::ok("<html>hello</html>")), "down", "0", "unsupported"),
        (with("/health", redirect), "down", "0", "unsupported"),
        (with("/metrics", Reply::ok("<html>")), "ready", "1", "garbage"),
        (with("/metrics", Reply::ok(long)), "ready", "1", "unsupported"),
        (
            with("/metrics", Reply::with("500 Internal Server Error", "")),
            "ready",
            "1",
            "unsupported",
        ),
        (
            with("/metrics", Reply { after: Duration::from_millis(400), ..Reply::ok("") }),
            "ready",
            "1",
            "timeout",
        ),
    ];
    for (server, state, up, reason) in cases {
        // The others answer at once, however long this machine takes for that.
        let shown = shown(&server.url(), if reason == "timeout" { "deadline = 0.2" } else { "" });
        has(&shown, &[&format!("halo_llama_up{{server=\"s\"}} {up}")]);
        has(&shown, &[&format!("halo_llama_state{{server=\"s\",state=\"{state}\"}} 1")]);
        if !reason.is_empty() {
            let failure = format!("halo_source_failure{{source=\"llama\",reason=\"{reason}\"}} 1");
            has(&shown, &[&failure]);
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_down_where_it_was_named() {
    let shown = shown("http://127.0.0.1:9", "");
    has(
        &shown,
        &[
            "halo_llama_up{server=\"s\"} 0",
            "state=\"down\"} 1",
            "halo_source_failure{source=\"llama\",reason=\"refused\"} 1",
        ],
    );
}

#[test]
fn the_key_reaches_the_server_and_nobody_else() {
    let server = ready();
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), "sk-very-secret\n").unwrap();
    // The file is one of the machine that is shown.
    let config = config(&[format!("url = {:?}\napi_key_file = {:?}", server.url(), key.path())]);
    let output = command()
        .arg(format!("--config.file={}", config.path().display()))
        .args(["--once", "--log.level=debug"])
        .output()
        .unwrap();
    assert!(server.asked().iter().all(|path| path.ends_with("bearer sk-very-secret")));
    assert!(text(&output.stdout).contains("halo_llama_prompt_tokens_total"));
    let captured = tempfile::tempdir().unwrap();
    let directory = captured.path().join("machine");
    let capture = command()
        .arg(format!("--config.file={}", config.path().display()))
        .args(["--capture", directory.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(capture.status.success(), "{}", text(&capture.stderr));
    let mut grep = std::process::Command::new("grep");
    let found = grep.args(["-r", "very-secret"]).arg(&directory);
    assert_eq!(found.output().unwrap().status.code(), Some(1), "the key is no part of a capture");
    server.set("/metrics", Reply::with("401 Unauthorized", "sk-very-secret"));
    let refused = command()
        .arg(format!("--config.file={}", config.path().display()))
        .args(["--once", "--log.level=debug"])
        .output()
        .unwrap();
    for output in [output, refused] {
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(!all.contains("secret"), "{all}");
    }
}

#[test]
fn a_blocked_server_delays_neither_metrics_nor_other_servers() {
    let blocked = ready();
    let slow =
        Reply { after: Duration::from_secs(8), ..Reply::captured("metrics_1_after_chat.txt") };
    blocked.set("/metrics", slow);
    let other = ready();
    let config = config(&[
        format!("url = {:?}\nname = \"blocked\"\ndeadline = 10.0", blocked.url()),
        format!("url = {:?}\nname = \"other\"", other.url()),
    ]);
    let exporter = Served::start(flags(&config));
    exporter.get("/metrics");
    let began = std::time::Instant::now();
    let response = exporter.get("/metrics");
    let answer = response.text();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    has(answer, &["halo_llama_up{server=\"other\"} 1"]);
    assert!(!answer.contains("server=\"blocked\""), "nothing is known of it yet");
}

#[test]
fn speed_comes_with_the_second_answer() {
    let server = ready();
    server.set("/metrics", Reply::captured("metrics_3_in_flight.txt"));
    server.set("/slots", Reply::captured("slots_2_in_flight.json"));
    let config = config(&[format!("url = {:?}\nname = \"s\"", server.url())]);
    let exporter = Served::start(flags(&config));
    exporter.get("/metrics");
    server.set("/metrics", Reply::captured("metrics_4_in_flight_later.txt"));
    server.set("/slots", Reply::captured("slots_3_in_flight_later.json"));
    // Who asks while a reading is under way gets the one before.
    let mut answer = String::new();
    wait_until("a speed is shown", || {
        std::thread::sleep(Duration::from_millis(300));
        exporter.get("/metrics").text().contains("halo_llama_generated_tokens_per_second{")
    });
    answer.push_str(exporter.get("/metrics").text());
    let speed = answer
        .lines()
        .find_map(|line| line.strip_prefix("halo_llama_generated_tokens_per_second{"))
        .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    assert!(speed.is_some_and(|speed| speed > 0.0), "{answer}");
    let fails = |def: &&&Def| def.name == "halo_llama_model_failure";
    for def in llama::SOURCE.metrics.iter().filter(|def| !fails(def)) {
        assert!(
            answer.contains(&format!("\n{}{{", def.name)),
            "{} is shown by no server",
            def.name
        );
    }
}

#[test]
fn a_failure_is_told_once_and_shown_until_the_next_question() {
    let server = ready();
    server.set("/metrics", Reply::with("501 Not Implemented", "{}"));
    let config = config(&[format!("url = {:?}\nname = \"s\"\ninterval = 60.0", server.url())]);
    let exporter = Served::start(flags(&config));
    let failure = "halo_source_failure{source=\"llama\",reason=\"disabled\"} 1";
    for _ in 0..3 {
        has(exporter.get("/metrics").text(), &[failure, "state=\"metrics_disabled\"} 1"]);
        std::thread::sleep(Duration::from_millis(2100));
    }
    has(exporter.get("/metrics").text(), &[failure]);
    assert_eq!(server.asked().iter().filter(|path| *path == "/metrics").count(), 1);
    let told = exporter.logged();
    let told = told.iter().filter(|line| line.contains("--metrics")).count();
    assert!(told <= 1, "{told}");
}

#[test]
fn bad_keys_are_refused_before_anything_starts() {
    for (keys, expected) in [
        ("url = \"127.0.0.1:8080\"", "[[llama]] url: expected http:// or https://"),
        ("url = \"http://me:key@host\"", "[[llama]] url: expected an address alone"),
        ("deadline = 0.0", "[[llama]] deadline: expected seconds from 0.1 to 60"),
        ("interval = 0.5", "[[llama]] interval: expected seconds from 2 to 3600"),
        ("api_key_variable = \"NOT_SET_ANYWHERE\"", "NOT_SET_ANYWHERE is not set"),
        ("api_key_file = \"/x\"\napi_key_variable = \"PATH\"", "leave one of them away"),
        ("key = \"x\"", "unknown field"),
        ("url = \"http://a:1\"\n[[llama]]\nurl = \"http://a:1/\"", "a:1: stands there twice"),
    ] {
        let config = config(&[keys.to_owned()]);
        let output = command().args(flags(&config)).arg("--check-config").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{keys}");
        let told = text(&output.stderr);
        assert!(told.contains(expected) && told.lines().count() == 1, "{keys}: {told}");
    }
}

/// llama-swap with one model, at this address.
pub(super) fn swap_with(child: &str) -> StandIn {
    let running = format!(r#"{{"running":[{{"model":"a","state":"ready","proxy":"{child}"}}]}}"#);
    StandIn::new(&[("/health", Reply::ok("OK")), ("/running", Reply::ok(running))])
}

#[test]
fn the_key_goes_to_no_host_that_only_an_answer_names() {
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), "sk-very-secret\n").unwrap();
    // 0.0.0.0 reaches the same machine, and is another host to whoever reads the address.
    for (host, is_given) in [("127.0.0.1", true), ("localhost", true), ("0.0.0.0", false)] {
        let child = ready();
        let swap = swap_with(&format!("http://{host}:{}", child.address.port()));
        let config = config(&[format!("url = {:?}\napi_key_file = {:?}", swap.url(), key.path())]);
        let output = command()
            .arg(format!("--config.file={}", config.path().display()))
            .arg("--once")
            .output()
            .unwrap();
        assert!(text(&output.stdout).contains("halo_llama_prompt_tokens_total"), "{host}");
        let asked = child.asked();
        assert!(!asked.is_empty());
        assert!(asked.iter().all(|path| path.contains("secret") == is_given), "{host}: {asked:?}");
    }
}

#[test]
fn a_server_behind_another_that_hides_its_figures_is_not_called_ready() {
    let child = ready();
    let swap = swap_with(&child.url());
    has(&shown(&swap.url(), ""), &["state=\"ready\"} 1"]);
    child.set("/metrics", Reply::with("501 Not Implemented", "{}"));
    has(
        &shown(&swap.url(), ""),
        &[
            "state=\"metrics_disabled\"} 1",
            "halo_source_failure{source=\"llama\",reason=\"disabled\"}",
        ],
    );
    child.set("/metrics", Reply::with("401 Unauthorized", "{}"));
    has(&shown(&swap.url(), ""), &["state=\"unauthorized\"} 1"]);
}
