//! A model that its server would let sleep is not kept awake by being looked at.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use halo::root::Root;
use halo::source::llama::text::{Health, health, loaded_models, props};
use halo::source::llama::watch::{Connections, Watch, Work, connections, open_connection};

use super::answers::{config, flags, has, ready, shown};
use super::stand_in::{Reply, StandIn};
use crate::program::Served;
use crate::record::wait_until;

/// What an idle server says.
const IDLE: &str = "llamacpp:prompt_tokens_total 1200\nllamacpp:tokens_predicted_total 640\n\
                    llamacpp:requests_processing 0\nllamacpp:requests_deferred 0\n";

/// `/props` of a build, which may be one that does not say whether it sleeps.
fn props_of(build: &str, sleep: Option<bool>) -> Reply {
    let body = Reply::captured("props.txt").body.replace("b11434-b11434", build);
    Reply::ok(match sleep {
        Some(sleep) => body.replace("\"is_sleeping\":false", &format!("\"is_sleeping\":{sleep}")),
        None => body.replace("\"is_sleeping\":false,", ""),
    })
}

fn server(build: &str, sleep: Option<bool>) -> StandIn {
    let server = ready();
    server.set("/props", props_of(build, sleep));
    server.set("/metrics", Reply::ok(IDLE));
    server
}

fn count(server: &StandIn, path: &str) -> usize {
    server.asked().iter().filter(|asked| *asked == path).count()
}

/// Scrapes until a server was asked for its health so often, which halo does every 2 s.
fn scrape_until(exporter: &Served, server: &StandIn, times: usize) {
    wait_until("the server is asked again", || {
        exporter.get("/metrics?collect[]=llama");
        std::thread::sleep(Duration::from_millis(200));
        count(server, "/health") >= times
    });
}

#[test]
fn an_idle_server_of_an_old_build_is_left_alone_until_it_sleeps() {
    let server = server("b9760-6ee0f6579", Some(false));
    let config = config(&[format!("url = {:?}\nname = \"s\"", server.url())]);
    let exporter = Served::start(flags(&config));
    has(exporter.get("/metrics").text(), &["halo_llama_prompt_tokens_total{server=\"s\""]);
    let began = Instant::now();
    scrape_until(&exporter, &server, 4);
    // It is asked again after half a minute at the earliest.
    let rests = usize::try_from(began.elapsed().as_secs() / 30).unwrap();
    assert!(count(&server, "/metrics") <= 1 + rests, "{:?}", server.asked());
    let text = exporter.get("/metrics").text().to_owned();
    has(&text, &["state=\"ready\"} 1", "halo_llama_model_info{server=\"s\""]);
    // Nobody knows whether they are still so, and nothing is shown that was true a while ago.
    for family in ["prompt_tokens", "requests", "generated_tokens_per_second"] {
        assert!(!text.contains(&format!("halo_llama_{family}")), "{text}");
    }
    let told = exporter.logged();
    let told = told.iter().filter(|line| line.contains("while it is idle halo asks rarely"));
    assert_eq!(told.count(), 1);

    server.set("/props", props_of("b9760-6ee0f6579", Some(true)));
    wait_until("it is seen to sleep", || {
        std::thread::sleep(Duration::from_millis(200));
        exporter.get("/metrics").text().contains("state=\"sleeping\"} 1")
    });
    // What wakes it is a request, and then it is looked at again.
    server.set("/props", props_of("b9760-6ee0f6579", Some(false)));
    wait_until("its counters are shown again", || {
        std::thread::sleep(Duration::from_millis(200));
        exporter.get("/metrics").text().contains("halo_llama_prompt_tokens_total{")
    });
}

#[test]
fn a_new_build_is_asked_as_often_as_ever_and_so_is_one_that_works() {
    let new = server("b10566-1", Some(false));
    let busy = server("b9760-1", Some(false));
    busy.set("/metrics", Reply::captured("metrics_3_in_flight.txt"));
    let config = config(&[
        format!("url = {:?}\nname = \"new\"", new.url()),
        format!("url = {:?}\nname = \"busy\"", busy.url()),
    ]);
    let exporter = Served::start(flags(&config));
    scrape_until(&exporter, &new, 3);
    scrape_until(&exporter, &busy, 3);
    for server in [&new, &busy] {
        assert!(count(server, "/metrics") + 1 >= count(server, "/health"), "{:?}", server.asked());
    }
}

/// The program reads this machine's connections, as no fixture has any.
#[test]
fn a_new_connection_to_an_idle_server_is_a_reason_to_ask() {
    let server = server("b9760-1", Some(false));
    let config = config(&[format!("url = {:?}\nname = \"s\"", server.url())]);
    let exporter = Served::start([format!("--config.file={}", config.path().display())]);
    scrape_until(&exporter, &server, 3);
    assert_eq!(count(&server, "/metrics"), 1, "{:?}", server.asked());
    let mut client = TcpStream::connect(server.address).unwrap();
    client.write_all(b"POST /v1/chat/completions HTTP/1.1\r\n").unwrap();
    wait_until("it is asked again", || {
        exporter.get("/metrics?collect[]=llama");
        std::thread::sleep(Duration::from_millis(200));
        count(&server, "/metrics") >= 2
    });
}

#[test]
fn a_server_that_says_in_its_health_that_it_sleeps_is_asked_nothing_more() {
    for (status, body) in [
        ("200 OK", "{\"status\":\"ok\",\"sleeping\":true}"),
        ("200 OK", "{\"status\":\"sleeping\"}"),
        ("200 OK", "{\"is_sleeping\":true,\"status\":\"ok\",\"slots_idle\":1}"),
        ("503 Service Unavailable", "{\"status\":\"sleeping\"}"),
    ] {
        let server = server("b9760-6ee0f6579", None);
        server.set("/health", Reply::with(status, body));
        let shown = shown(&server.url(), "");
        has(&shown, &["state=\"sleeping\"} 1", "halo_llama_up{server=\"s\"} 1"]);
        assert_eq!(server.asked(), ["/health"], "{body}");
    }
    assert_eq!(health("{\"status\":\"ok\",\"sleeping\":false}"), Some(Health::Ok));
    assert_eq!(health("{\"status\":\"error\"}"), None);
    assert_eq!(health("OK"), None);
}

#[test]
fn one_that_does_not_say_whether_it_sleeps_is_not_asked_for_its_properties_either() {
    let server = server("b4200-fork", None);
    let config = config(&[format!("url = {:?}\nname = \"s\"", server.url())]);
    let exporter = Served::start(flags(&config));
    let began = Instant::now();
    scrape_until(&exporter, &server, 4);
    let rests = usize::try_from(began.elapsed().as_secs() / 30).unwrap();
    for path in ["/props", "/metrics"] {
        assert!(count(&server, path) <= 1 + rests, "{path}: {:?}", server.asked());
    }
    let text = exporter.get("/metrics").text().to_owned();
    // Its model cannot change while its process lives.
    has(&text, &["state=\"ready\"} 1", "halo_llama_model_info{server=\"s\",model=\"tiny\""]);
}

#[test]
fn a_model_of_a_router_that_sleeps_is_not_asked() {
    let models = Reply::captured("router_models_loaded.json").body;
    let models = models.replace("\"value\":\"loaded\"", "\"value\":\"sleeping\"");
    assert_eq!(loaded_models(&models).unwrap().len(), 1);
    let router = StandIn::new(&[
        ("/health", Reply::captured("health_ok_200.txt")),
        ("/props", Reply::captured("router_props.txt")),
        ("/models", Reply::ok(models)),
    ]);
    let shown = shown(&router.url(), "");
    has(&shown, &["state=\"sleeping\"} 1", "halo_llama_model_info{server=\"s\",model=\"tiny-a\""]);
    assert_eq!(router.asked(), ["/health", "/v1/models", "/props", "/models"]);
}

/// One that says so in its list alone is not asked what could wake it.
#[test]
fn a_server_that_says_in_its_list_of_models_that_they_sleep_is_asked_nothing_more() {
    for (list, sleeps) in [
        ("{\"data\":[{\"id\":\"m\",\"status\":{\"value\":\"sleeping\"}}]}", true),
        ("{\"data\":[{\"id\":\"m\",\"status\":\"sleeping\"}]}", true),
        (
            "{\"data\":[{\"id\":\"m\",\"status\":{\"value\":\"sleeping\"}},\
              {\"id\":\"n\",\"status\":{\"value\":\"unloaded\"}}]}",
            true,
        ),
        (
            "{\"data\":[{\"id\":\"m\",\"status\":{\"value\":\"sleeping\"}},\
              {\"id\":\"n\",\"status\":{\"value\":\"loaded\"}}]}",
            false,
        ),
        ("{\"data\":[{\"id\":\"m\"}]}", false),
        ("{\"data\":[]}", false),
        ("sleeping", false),
    ] {
        let server = server("b9760-6ee0f6579", None);
        server.set("/v1/models", Reply::ok(list));
        let shown = shown(&server.url(), "");
        assert_eq!(shown.contains("state=\"sleeping\"} 1"), sleeps, "{list}: {shown}");
        assert_eq!(server.asked() == ["/health", "/v1/models"], sleeps, "{list}");
        assert!(!sleeps || shown.contains("halo_llama_model_info{server=\"s\",model=\"m\""));
    }
}

#[test]
fn builds_that_count_no_question_are_known_by_their_number() {
    let is_free =
        |build: &str, sleep| props(&props_of(build, sleep).body).unwrap().has_free_metrics();
    for (build, expected) in [
        ("b10566-0123456", true),
        ("b11434-b11434", true),
        ("b10565-0123456", false),
        ("b9760-6ee0f6579", false),
        ("b0-unknown", false),
        ("b-", false),
        ("11434", false),
        ("", false),
    ] {
        assert_eq!(is_free(build, Some(false)), expected, "{build}");
        assert!(!is_free(build, None), "{build} of a fork");
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn idle(tokens: f64) -> Work {
    Work { tokens, is_busy: false }
}

fn none() -> Option<Connections> {
    None
}

/// The times at which a server is asked that is tried every 2 s.
fn asked(watch: &mut Watch, from: Instant, seconds: u32, tokens: impl Fn(u32) -> f64) -> Vec<u32> {
    let mut asked = Vec::new();
    for second in (0..seconds).step_by(2) {
        let now = from + SECOND * second;
        if watch.may_ask(now, none) {
            watch.answered(now, idle(tokens(second)), None);
            asked.push(second);
        }
    }
    asked
}

#[test]
fn an_idle_server_is_left_alone_for_longer_each_time() {
    let begin = Instant::now();
    let mut watch = Watch::default();
    assert_eq!(asked(&mut watch, begin, 1000, |_| 5.0), [0, 30, 90, 210, 450, 930]);
    // Any time of sleep up to an hour comes to pass.
    let later = asked(&mut watch, begin + SECOND * 1000, 100_000, |_| 5.0);
    let gaps: Vec<u32> = later.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.contains(&3840) && gaps.iter().all(|gap| *gap <= 7200), "{gaps:?}");
    watch.fell_asleep();
    assert!(watch.may_ask(begin + SECOND * 101_001, none), "it was woken by a request");
}

#[test]
fn a_server_that_works_is_asked_each_time() {
    let begin = Instant::now();
    let mut watch = Watch::default();
    // It works for 10 s, then no more; short requests end between two looks.
    let asked = asked(&mut watch, begin, 60, |second| f64::from(second.min(10)));
    assert_eq!(asked, [0, 30, 32]);
    let mut watch = Watch::default();
    for second in [0, 2, 4] {
        let now = begin + SECOND * second;
        assert!(watch.may_ask(now, none));
        watch.answered(now, Work { tokens: 3.0, is_busy: true }, None);
    }
}

#[test]
fn work_that_no_connection_announced_shortens_the_rest() {
    let begin = Instant::now();
    let mut watch = Watch::default();
    let asked = asked(&mut watch, begin, 560, |second| if second < 300 { 5.0 } else { 6.0 });
    // 450: it worked meanwhile; 452: it does no more; 482: it still does not.
    assert_eq!(asked, [0, 30, 90, 210, 450, 452, 482, 542]);
}

#[test]
fn who_opens_connections_and_asks_for_nothing_is_believed_less_and_less() {
    let begin = Instant::now();
    let open = |name: &str| Some(Connections::from([name.to_owned()]));
    let mut watch = Watch::default();
    let at = |seconds: u32| begin + SECOND * seconds;
    watch.answered(begin, idle(1.0), open("a"));
    assert!(!watch.may_ask(at(2), || Some(Connections::new())), "it was closed");
    // A question may come before the request of who is connected: it stays new for a while, and then
    // is believed less.
    for second in [2, 4, 6] {
        assert!(watch.may_ask(at(second), || open("a")), "{second}");
        watch.answered(at(second), idle(1.0), open("a"));
    }
    assert!(!watch.may_ask(at(8), || open("a")), "it asks for nothing");
    assert!(!watch.may_ask(at(8), || open("c")), "three false alarms");
    assert!(watch.may_ask(at(36), || open("c")));
    watch.answered(at(36), Work { tokens: 2.0, is_busy: true }, None);
    watch.answered(at(38), idle(2.0), None);
    assert!(watch.may_ask(at(40), || open("d")), "that one was none");
}

#[test]
fn who_was_connected_at_the_end_of_a_rest_and_asks_for_nothing_is_known() {
    let begin = Instant::now();
    let open = |name: &str| Some(Connections::from([name.to_owned()]));
    let mut watch = Watch::default();
    watch.answered(begin, idle(1.0), None);
    watch.answered(begin + SECOND * 30, idle(1.0), open("a"));
    assert!(!watch.may_ask(begin + SECOND * 32, || open("a")));
    assert!(watch.may_ask(begin + SECOND * 32, || open("b")));
}

/// Each closed connection stands in the table for a minute.
#[test]
fn a_connection_is_found_behind_any_number_of_closed_ones() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("net")).unwrap();
    let line =
        |state: &str| format!("   9: 0100007F:1F90 0100007F:C350 {state} 00:00 00:00 0 0 0 1\n");
    let table = line("06").repeat(20_000) + &line("01");
    std::fs::write(directory.path().join("net/tcp"), table).unwrap();
    let here = directory.path();
    let root = Root::new(here, here, here);
    assert_eq!(connections(&root, 8080).map(|open| open.len()), Some(1));
}

#[test]
fn open_connections_are_read_from_the_kernels_table() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 21 1\n\
        1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 22 1\n\
        2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 23 1\n\
        3: 0100007F:C351 0100007F:1F90 06 00000000:00000000 03:00001770 00000000     0        0 0 3\n\
        4: 0100007F:1F91 0100007F:C352 01 00000000:00000000 00:00000000 00000000  1000        0 24 1\n";
    let both = ["0100007F:1F90 0100007F:C350", "0100007F:C350 0100007F:1F90"];
    let open: Vec<String> = table.lines().filter_map(|line| open_connection(line, 8080)).collect();
    assert_eq!(open, both);
    let six = "   0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:D431 01 0:0\n";
    assert!(open_connection(six, 8080).is_some());
    for garbage in ["", "sl", "0: x", "0: :1F90", "0: :1F90 y", "\0\0\0"] {
        assert!(open_connection(garbage, 8080).is_none(), "{garbage}");
    }
}
