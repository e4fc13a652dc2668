//! Two runs that were archived months ago and filled in: the comparison lays one above the other,
//! to the value.

use std::collections::BTreeMap;
use std::fs;

use halo::archive::openmetrics::{INSTANCE, JOB, Target, write};
use halo::run::journal::{Header, Line, Moment, NewSeries, Tick, VERSION};
use jiff::{SignedDuration, Timestamp};

use super::{View, start_prometheus};
use crate::archive::Tables;
use crate::dashboards::{Dashboard, dashboards};
use crate::real::backfill::fill;
use crate::real::process::Running;

/// Seconds that each run lasts.
const LASTED: i64 = 900;

/// Seconds between two samples.
const INTERVAL: i64 = 10;

/// A run whose power tells at which second it was read. The second of its runs draws 20 W more.
fn run(name: &str, start: Timestamp, watts: f64) -> String {
    let moment = |second: i64| Moment {
        monotonic: second * 1_000_000_000,
        unix: i64::try_from(start.as_nanosecond()).unwrap() + second * 1_000_000_000,
    };
    let labels = ["0000:c5:00.0", "socket"].map(str::to_owned).to_vec();
    let header = Header {
        version: VERSION,
        run: "id".to_owned(),
        interval: 1,
        sources: Vec::new(),
        at: moment(0),
    };
    let series = NewSeries { first: 0, series: vec![("halo_power_watts".to_owned(), labels)] };
    let mut lines = vec![Line::Header(header), Line::Series(series)];
    // The machine was looked at before and after, too.
    for second in (0..=LASTED).step_by(10) {
        let values = vec![watts + second as f64];
        lines.push(Line::Tick(Tick {
            at: moment(second),
            series: vec![0],
            values,
            ..Tick::default()
        }));
    }
    let tables = Tables::of(&lines, &[]);
    tables.write_manifest(start, Some(start + SignedDuration::from_secs(LASTED)));
    let target = Target { job: JOB.to_owned(), instance: INSTANCE.to_owned() };
    let mut text = Vec::new();
    assert_eq!(write(&tables.run, &target, &mut text).unwrap(), None);
    let text = String::from_utf8(text).unwrap();
    let all_runs = tables.run.name();
    assert!(text.contains(all_runs));
    text.replace(all_runs, name)
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}

fn directory_name(start: Timestamp) -> String {
    format!("{}-test", start.strftime("%Y%m%dT%H%M%S.000Z"))
}

/// A Prometheus with two runs: the one 200 days ago, the other 3 days and no round time later.
struct Scene {
    view: View,
    starts: [Timestamp; 2],
    names: [String; 2],
    _prometheus: Running,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let first = now - SignedDuration::from_hours(24 * 200);
        let second = first + SignedDuration::from_millis((3 * 24 * 3600 + 1234) * 1000 + 567);
        let starts = [first, second];
        let names = starts.map(directory_name);
        for (index, watts) in [30.0, 50.0].into_iter().enumerate() {
            let file = path.join("run.om");
            fs::write(&file, run(&names[index], starts[index], watts)).unwrap();
            fill(&file, &path.join("data"));
        }
        fs::write(path.join("prometheus.yml"), "global: {}\n").unwrap();
        let (running, prometheus) = start_prometheus(path);
        let view = View { prometheus, start: 0.0, end: 0.0, step: INTERVAL as f64 };
        Self { view, starts, names, _prometheus: running, _directory: directory }
    }

    /// The view of a run with some time around it, as a link from the table of runs gives it.
    fn view_of(&self, run: usize) -> View {
        let start = seconds(self.starts[run]);
        View { start: start - 60.0, end: start + LASTED as f64 + 400.0, ..self.view }
    }
}

fn comparison() -> Dashboard {
    dashboards().into_iter().find(|one| one.name == "run-comparison").unwrap()
}

/// The points of slots A and B in "Power of the socket", by second of A's run.
fn curves(view: &View, values: &BTreeMap<String, String>, base: f64) -> [BTreeMap<i64, f64>; 2] {
    let dashboard = comparison();
    let mut found = Vec::new();
    for query in dashboard.queries() {
        let is_slot = query.target["refId"] == "A" || query.target["refId"] == "B";
        if query.panel["title"] == "Power of the socket" && is_slot {
            let series = view.range(&view.interpolate(query.expression, values));
            assert_eq!(series.len(), 1, "{}", query.expression);
            #[expect(clippy::cast_possible_truncation, reason = "seconds of a run")]
            let second = |time: f64| (time - base).round() as i64;
            let points = series[0].values.iter();
            found.push(
                points.map(|(time, value)| (second(*time), value.parse().unwrap())).collect(),
            );
        }
    }
    found.try_into().unwrap()
}

/// Both ways round: a later run laid on an earlier one, and an earlier one on a later.
#[test]
fn runs_of_different_days_lie_one_above_the_other() {
    let scene = Scene::start();
    for (base, other, difference) in [(0, 1, 20.0), (1, 0, -20.0)] {
        // Aligned to A's start, so that every step is at a sample.
        let mut view = scene.view_of(base);
        view.start = seconds(scene.starts[base]) - 60.0;
        let given = [
            ("history", "400d".to_owned()),
            ("run_a", scene.names[base].clone()),
            ("run_b", scene.names[other].clone()),
        ];
        let values = view.variables(&comparison(), &given);
        let shift = scene.starts[base].as_millisecond() - scene.starts[other].as_millisecond();
        assert_eq!(values["shift_b"], shift.to_string());
        assert_eq!(values["shift_c"], "1", "a slot without a run");

        let [a, b] = curves(&view, &values, seconds(scene.starts[base]));
        // Neither begins before the run nor goes on after it, though Prometheus shows a last
        // value for 5 minutes. The end itself is the moment at which it is no more recorded.
        let expected: Vec<i64> = (0..LASTED).step_by(10).collect();
        assert_eq!(a.keys().copied().collect::<Vec<_>>(), expected);
        assert_eq!(b.keys().copied().collect::<Vec<_>>(), expected);
        for second in expected {
            let power = [30.0, 50.0][base] + second as f64;
            assert_eq!(a[&second], power, "A at {second} s");
            assert_eq!(b[&second] - a[&second], difference, "B and A at {second} s");
        }
    }
}

/// The lists offer both runs from either side, and the newest first; B does not offer A's.
#[test]
fn both_runs_are_offered_wherever_one_looks() {
    let scene = Scene::start();
    let dashboard = comparison();
    for base in [0, 1] {
        let view = scene.view_of(base);
        let values = view.variables(&dashboard, &[("history", "400d".to_owned())]);
        assert_eq!(values["run_a"], scene.names[1], "the newest");
        assert_eq!(values["run_b"], scene.names[0], "the newest of the others");
        assert_eq!((values["run_c"].as_str(), values["run_d"].as_str()), ("none", "none"));
        let variable = dashboard.variables().iter().find(|one| one["name"] == "run_a").unwrap();
        let options = view.options(variable, &values);
        assert_eq!(options, [scene.names[1].clone(), scene.names[0].clone()]);
    }
}

/// The table of runs finds them from today.
#[test]
fn the_table_of_runs_shows_what_was_filled_in() {
    let scene = Scene::start();
    let end = seconds(Timestamp::now());
    let view = View { start: end - 60.0, end, ..scene.view };
    let dashboard = dashboards().into_iter().find(|one| one.name == "runs").unwrap();
    let table = dashboard.queries().find(|query| query.panel["title"] == "Runs").unwrap();
    for (history, expected) in [("90d", 0), ("400d", 2)] {
        let values = view.variables(&dashboard, &[("history", history.to_owned())]);
        let mut rows = view.instant(&view.interpolate(table.expression, &values));
        rows.sort_by(|one, other| one.metric["run"].cmp(&other.metric["run"]));
        assert_eq!(rows.len(), expected, "{history}");
        for (row, start) in rows.iter().zip(scene.starts) {
            // Grafana takes milliseconds for a time.
            let shown: f64 = row.value.as_ref().unwrap().1.parse().unwrap();
            assert!((shown - start.as_millisecond() as f64).abs() < 1.0, "{row:?}");
            assert_eq!(row.metric["state"], "complete");
        }
    }
}
