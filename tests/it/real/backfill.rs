//! A real Prometheus shows runs that `halo-record export --format openmetrics` wrote, as if it had
//! scraped them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use halo::archive::openmetrics::{INSTANCE, JOB, Target, write};
use halo::run::journal::{Header, Line, Moment, NewSeries, Tick, VERSION};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::free_address;
use super::process::{Running, get, output, said};
use crate::archive::Tables;
use crate::archive::openmetrics::{Labels, Point, parse};
use crate::record::Archive;

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
}

/// A Prometheus that scrapes nothing and has what was filled in.
struct Scene {
    prometheus: Running,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn start(texts: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let data = path.join("data");
        for text in texts {
            let file = path.join("run.txt");
            fs::write(&file, text).unwrap();
            fill(&file, &data);
        }
        fs::write(path.join("prometheus.yml"), "global: {}\n").unwrap();
        let address = free_address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--storage.tsdb.retention.time=10y")
            .arg(format!("--web.listen-address={address}"));
        let prometheus = Running::start(&mut command, &path.join("prometheus.log"));
        Self { prometheus, address, _directory: directory }
    }

    fn ask(&mut self, query: &str, at: Timestamp) -> Vec<Series> {
        let time = (at.as_millisecond() as f64 / 1000.0).to_string();
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let pairs = pairs.append_pair("query", query).append_pair("time", &time).finish();
        let address = self.address;
        let text = self.prometheus.wait(query, || get(address, &format!("/api/v1/query?{pairs}")));
        let answer: Answer = serde_json::from_str(&text).unwrap();
        answer.data.result
    }

    /// The one value of a query.
    fn value(&mut self, query: &str, at: Timestamp) -> f64 {
        let series = self.ask(query, at);
        assert_eq!(series.len(), 1, "{query}");
        series[0].value.as_ref().unwrap().1.parse().unwrap()
    }

    /// Every sample of the two days before a time, as it is stored.
    fn all(&mut self, end: Timestamp) -> BTreeMap<(String, Labels), Vec<Point>> {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
        let point = |(time, value): (f64, String)| ((time * 1000.0).round() as i64, value);
        let series = self.ask("{__name__=~\"halo_.+\"}[2d]", end).into_iter();
        let series = series.map(|mut series| {
            let name = series.metric.remove("__name__").unwrap();
            let points = series.values.into_iter().map(point);
            (
                (name, series.metric),
                points.map(|(at, value)| (at, value.parse().unwrap())).collect(),
            )
        });
        series.collect()
    }
}

pub(super) fn fill(text: &Path, data: &Path) {
    let mut promtool = Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(text).arg(data);
    let done = output(&mut promtool);
    assert!(done.status.success(), "{}", said(&done));
}

/// Labels whose value is empty are none to Prometheus.
fn stored(text: &str) -> BTreeMap<(String, Labels), Vec<Point>> {
    let series = parse(text).into_iter().map(|((name, mut labels), points)| {
        labels.retain(|_, value| !value.is_empty());
        ((name, labels), points)
    });
    series.collect()
}

#[test]
fn prometheus_has_the_values_of_a_recorded_run() {
    let archive = Archive::new();
    archive.record(&["--tag", "quoted=\"a\\b\" ü", "--tag", "first"], &["sleep", "0.5"]);
    let text = archive.print(&["export", "latest", "--format", "openmetrics"]);
    let manifest = crate::record::manifest(&archive.only_run());
    let expected = stored(&text);
    let mut scene = Scene::start(&[text]);
    let end = manifest.ended.unwrap();
    // A range takes what lies before its end alone, to the millisecond.
    let found = scene.all(end + SignedDuration::from_secs(1));
    assert_eq!(found, expected);
    assert!(expected.len() > 60);

    // As a dashboard selects them.
    let target = format!("job=\"{JOB}\",instance=\"{INSTANCE}\"");
    let socket = format!("halo_power_watts{{{target},domain=\"socket\"}}");
    assert!(scene.value(&socket, end) > 0.0);
    let run = format!("halo_run_active{{{target},run=\"{}\"}}", manifest.name);
    assert_eq!(scene.value(&run, manifest.started + SignedDuration::from_millis(400)), 1.0);
    assert_eq!(scene.value(&run, end + SignedDuration::from_secs(1)), 0.0);
}

const FIVE_HOURS: i64 = 5 * 3600;

/// A run of five hours with a value that tells at which second it was read.
fn long_run(start: Timestamp) -> (String, Timestamp) {
    let moment = |second: i64| Moment {
        monotonic: second * 1_000_000_000,
        unix: (start.as_second() + second) * 1_000_000_000,
    };
    let labels = ["0000:c5:00.0", "socket"].map(str::to_owned).to_vec();
    let mut lines = vec![
        Line::Header(Header {
            version: VERSION,
            run: "id".to_owned(),
            interval: 1,
            sources: Vec::new(),
            at: moment(0),
        }),
        Line::Series(NewSeries { first: 0, series: vec![("halo_power_watts".to_owned(), labels)] }),
    ];
    for second in (0..=FIVE_HOURS).step_by(10) {
        let values = vec![second as f64 + 0.125];
        let tick = Tick { at: moment(second), series: vec![0], values, ..Tick::default() };
        lines.push(Line::Tick(tick));
    }
    let tables = Tables::of(&lines, &[]);
    let end = start + SignedDuration::from_secs(FIVE_HOURS);
    tables.write_manifest(start, Some(end));
    let target = Target { job: JOB.to_owned(), instance: INSTANCE.to_owned() };
    let mut text = Vec::new();
    assert_eq!(write(&tables.run, &target, &mut text).unwrap(), None);
    (String::from_utf8(text).unwrap(), end)
}

/// The runs are of different days and no multiple of a block apart. Without a label of the run on
/// the samples, `offset` lays one above the other.
#[test]
fn two_long_runs_coincide_when_one_is_shifted() {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let first = now - SignedDuration::from_hours(24 * 40);
    let second = now - SignedDuration::from_secs(24 * 3600 * 3 + 1234);
    let ((text, first_end), (later, second_end)) = (long_run(first), long_run(second));
    let expected = [stored(&text), stored(&later)];
    let mut scene = Scene::start(&[text, later]);
    for (end, expected) in [first_end, second_end].into_iter().zip(expected) {
        let found = scene.all(end + SignedDuration::from_secs(1));
        assert_eq!(found, expected);
    }
    let shift = second.as_millisecond() - first.as_millisecond();
    let both = format!("halo_power_watts == halo_power_watts offset {shift}ms");
    for seconds in [0, 10, 7195, 7205, FIVE_HOURS / 2, FIVE_HOURS] {
        let at = second + SignedDuration::from_secs(seconds);
        let value = scene.value(&both, at);
        assert_eq!(value, (seconds / 10 * 10) as f64 + 0.125, "{seconds} s");
    }
}
