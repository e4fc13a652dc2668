//! The server as a scraper, a browser and a service manager meet it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::machine::{Copy, fixtures, stable};
use crate::program::{Response, Served, host_flags, machine_flags};

const HOST: &str = "strix-halo-desktop-128g";
const TABLE: &str = "sys/class/drm/card1/device/gpu_metrics";

/// What the golden exposition does not have: health of the process and of nothing else.
fn without_process(exposition: &str) -> String {
    let lines = exposition
        .lines()
        .filter(|line| !line.contains("process_") && !line.contains("source=\"selfstat\""));
    stable(&lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn metrics_are_the_golden_exposition_and_the_process() {
    let served = Served::start(host_flags(HOST));
    let response = served.get("/metrics");
    assert_eq!(response.status, 200);
    let content_type = response.header("content-type");
    assert_eq!(content_type, Some("text/plain; version=0.0.4; charset=utf-8"));
    let golden = fs::read_to_string(fixtures().join("hosts").join(HOST).join("expected.prom"));
    assert_eq!(without_process(response.text()), golden.unwrap());
    for name in [
        "halo_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
    ] {
        assert!(response.text().contains(&format!("\n{name}")), "{name}");
    }
}

#[test]
fn collect_narrows_to_the_sources_it_names() {
    let served = Served::start(host_flags(HOST));
    let response = served.get("/metrics?collect[]=memory&collect%5B%5D=pressure");
    assert_eq!(response.status, 200);
    assert!(response.text().contains("halo_memory_size_bytes 134233477120"));
    assert!(response.text().contains("halo_pressure_stalled_seconds_total{"));
    assert!(!response.text().contains("halo_gpu_") && !response.text().contains("process_"));
    let refused = served.get("/metrics?collect[]=nonsense");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("collect[]=nonsense: no such source"), "{}", refused.text());
    let off = Served::start(host_flags(HOST).into_iter().chain(["--no-collector.npu".into()]));
    assert_eq!(off.get("/metrics?collect[]=npu").status, 400);
    assert!(!off.get("/metrics").text().contains("halo_npu_info"));
}

#[test]
fn gzip_is_for_those_who_ask_for_it() {
    let served = Served::start(host_flags(HOST));
    let plain = served.get("/metrics");
    assert_eq!(plain.header("content-encoding"), None);
    let packed = served.request(
        "GET /metrics HTTP/1.1\r\nHost: halo\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.starts_with(&[0x1f, 0x8b]), "the magic number of gzip");
    assert!(packed.body.len() * 3 < plain.body.len(), "{} bytes", packed.body.len());
}

#[test]
fn health_readiness_landing_page_and_what_is_not_there() {
    let served = Served::start(host_flags(HOST));
    assert_eq!(served.get("/-/healthy").status, 200);
    assert_eq!(served.get("/-/ready").status, 200);
    let page = served.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for text in ["href=\"/metrics\"", "amdgpu", "supply</a></td><td>absent", "--doctor"] {
        assert!(page.text().contains(text), "{text}");
    }
    assert_eq!(served.get("/nothing").status, 404);
    let post = served.request(
        "POST /metrics HTTP/1.1\r\nHost: halo\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(post.status, 405);
    let moved = Served::start(["--web.telemetry-path=/halo"]);
    assert_eq!((moved.get("/halo").status, moved.get("/metrics").status), (200, 404));
}

/// A FIFO in place of a file that is read at each scrape stands for a driver that hangs.
#[test]
fn a_source_that_begins_to_hang_costs_its_own_series_only() {
    let copy = Copy::of(HOST);
    let served = Served::start(machine_flags(copy.path()));
    assert!(served.get("/metrics").text().contains("halo_source_up{source=\"amdgpu\"} 1"));
    let threads = || fs::read_dir(format!("/proc/{}/task", served.pid())).unwrap().count();
    copy.hang(TABLE.as_ref());
    served.get("/metrics");
    let mut ages = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let response = served.get("/metrics");
        assert!(began.elapsed() < halo::sample::DEADLINE, "waits for a source that is stuck");
        let text = response.text();
        assert!(text.contains("halo_source_up{source=\"amdgpu\"} 0"));
        assert!(text.contains("halo_source_failure{source=\"amdgpu\",reason=\"timeout\"} 1"));
        assert!(!text.contains("halo_gpu_busy_ratio") && text.contains("halo_memory_size_bytes"));
        let age = text.lines().find(|line| line.contains("age_seconds{source=\"amdgpu\"}"));
        ages.push(age.unwrap().rsplit_once(' ').unwrap().1.parse::<f64>().unwrap());
    }
    assert!(ages.is_sorted_by(|earlier, later| earlier < later), "{ages:?}");
    // The server's, and one a source at most, however many scrapes meet the one that hangs.
    for _ in 0..100 {
        served.get("/metrics");
    }
    assert!(threads() <= 1 + halo::source::SOURCES.len(), "{} threads pile up", threads());
    let log: Vec<String> = served.logged();
    let hangs = log.iter().filter(|line| line.contains("no answer for")).count();
    assert_eq!(hangs, 1, "{log:?}");
    let table = fixtures().join("hosts").join(HOST).join(TABLE);
    copy.answer(TABLE.as_ref(), &fs::read(table).unwrap());
    assert!(comes_true(|| {
        served.get("/metrics").text().contains("halo_source_up{source=\"amdgpu\"} 1")
    }));
}

/// A driver that answers, but late each time: it is asked again and never waited for, and it is
/// shown once it is on time.
#[test]
fn a_source_that_is_slow_again_and_again_costs_no_scrape_its_deadline() {
    let copy = Copy::of(HOST);
    let served = Served::start(machine_flags(copy.path()));
    let content = fs::read(copy.path().join(TABLE)).unwrap();
    copy.hang(TABLE.as_ref());
    served.get("/metrics");
    for _ in 0..3 {
        // The reading ends after its deadline, and the next one hangs again.
        copy.answer(TABLE.as_ref(), &content);
        copy.hang(TABLE.as_ref());
        let began = Instant::now();
        assert!(served.get("/metrics").text().contains("halo_source_up{source=\"amdgpu\"} 0"));
        assert!(began.elapsed() < halo::sample::DEADLINE, "waits for a source that is late");
        std::thread::sleep(halo::sample::DEADLINE);
    }
    let said = served.logged().iter().filter(|line| line.contains("no answer")).count();
    assert_eq!(said, 1, "one line a change of state");
    copy.answer(TABLE.as_ref(), &content);
    assert!(comes_true(|| {
        served.get("/metrics").text().contains("halo_source_up{source=\"amdgpu\"} 1")
    }));
}

/// The log's reader may go away, or its disk be full: that is no reason to stop measuring.
#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let copy = Copy::of(HOST);
    let mut served = Served::start_without_reader_of_log(machine_flags(copy.path()));
    fs::write(copy.clear("proc/meminfo".as_ref()), "garbage\n").unwrap();
    assert!(served.get("/metrics").text().contains("halo_source_up{source=\"memory\"} 0"));
    copy.restore(HOST, "proc/meminfo".as_ref());
    assert!(served.get("/metrics").text().contains("halo_source_up{source=\"memory\"} 1"));
    assert_eq!(served.stop(Signal::TERM), Some(0));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let broken = Copy::of(HOST);
    fs::write(broken.clear("proc/meminfo".as_ref()), "garbage\n").unwrap();
    let mut once = crate::program::command();
    let once = once.args(machine_flags(broken.path())).arg("--once").stderr(full).output();
    assert!(once.unwrap().status.success());
}

#[test]
fn sigterm_ends_it_cleanly_also_while_a_source_hangs_and_a_client_dawdles() {
    let copy = Copy::of(HOST);
    let mut served = Served::start(machine_flags(copy.path()));
    copy.hang(TABLE.as_ref());
    served.get("/metrics");
    let mut idle = TcpStream::connect(served.address).unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost").unwrap();
    assert_eq!(served.stop(Signal::TERM), Some(0));
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest);
    assert!(Served::start(host_flags(HOST)).stop(Signal::INT) == Some(0));
}

#[test]
fn scrapes_beyond_the_limit_are_refused() {
    let copy = Copy::of(HOST);
    let flags = machine_flags(copy.path()).into_iter().chain(["--web.max-requests=1".to_owned()]);
    let served = Served::start(flags);
    copy.hang(TABLE.as_ref());
    // The first scrape waits for the deadline and holds the only permit meanwhile.
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..4).map(|_| scope.spawn(|| served.get("/metrics"))).collect();
        scrapes.into_iter().map(|scrape| scrape.join().unwrap()).collect()
    });
    let refused: Vec<&Response> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(refused.len(), 3);
    assert!(refused[0].text().contains("--web.max-requests"), "{}", refused[0].text());
}

#[test]
fn many_scrapes_at_once_get_whole_answers() {
    let served = Served::start(host_flags(HOST));
    let golden = without_process(served.get("/metrics").text());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(without_process(served.get("/metrics").text()), golden);
                }
            });
        }
    });
}

#[test]
fn systemd_is_told_of_readiness_and_of_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut child = crate::program::command()
        .args(["--web.listen-address", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let receive = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert!(receive().contains("READY=1"));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(receive().contains("STOPPING=1"));
    assert!(child.wait().unwrap().success());
}

fn comes_true(condition: impl Fn() -> bool) -> bool {
    (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        condition()
    })
}
