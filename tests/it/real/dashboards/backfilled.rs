//! Two runs that were archived months ago and filled in: the comparison lays one above the other,
//! to the value.

use std::collections::BTreeMap;
use std::fs;

use halo::archive::openmetrics::{INSTANCE, JOB, Target, write};
use halo::run::journal::{By, Header, Line, Moment, NewSeries, Tick, VERSION};
use jiff::{SignedDuration, Timestamp};

use super::{View, start_prometheus};
use crate::archive::Tables;
use crate::archive::openmetrics::bench;
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

/// A run of llama-bench as text, begun at a time; a server idles, or works, beside it.
fn benchmark(name: &str, start: Timestamp, has_phases: bool, server: f64) -> String {
    let mut marks = vec![(1, By::Halo, "command started", 0, 0)];
    if has_phases {
        marks.extend([
            (100, By::Tool, "prompt", 1, 1),
            (200, By::Tool, "prompt", 1, 2),
            (300, By::Tool, "test ended", 1, 0),
            (400, By::Tool, "generation", 2, 1),
            (700, By::Tool, "test ended", 2, 0),
        ]);
    }
    marks.push((900, By::Halo, "command ended", 0, 0));
    let figures = [("pp512", Some(1), 300.0), ("pp512", Some(2), 310.0), ("tg128", Some(1), 28.0)];
    let tables = bench(&marks, &figures, &["pp512", "tg128"]);
    let target = Target { job: JOB.to_owned(), instance: INSTANCE.to_owned() };
    let mut text = Vec::new();
    assert_eq!(write(&tables.run, &target, &mut text).unwrap(), None);
    let text = String::from_utf8(text).unwrap();
    let labels = format!("{{job=\"{JOB}\",instance=\"{INSTANCE}\",server=\"s\",model=\"m\"}}");
    let mut lines: Vec<String> =
        text.replace(tables.run.name(), name).lines().map(str::to_owned).collect();
    let end = lines.pop();
    for phase in ["prompt", "generated"] {
        lines.push(format!("# TYPE halo_llama_{phase}_tokens_per_second gauge"));
        for second in (0..=1000).step_by(10) {
            lines.push(format!(
                "halo_llama_{phase}_tokens_per_second{labels} {server} {}.000",
                1000 + second
            ));
        }
    }
    for result in [("pp512", 305.0), ("tg128", 28.0)] {
        let (case, mean) = result;
        if case == "pp512" {
            lines.push("# TYPE halo_run_result gauge".to_owned());
        }
        lines.push(format!(
            "halo_run_result{{job=\"{JOB}\",instance=\"{INSTANCE}\",run=\"{name}\",task=\"llama-bench\",case=\"{case}\",metric=\"tokens_per_second\",unit=\"1/s\"}} {mean} 1990.000"
        ));
    }
    lines.extend(end);
    // It begins when it is wanted, and not at second 1000.
    let shift = start.as_second() - 1000;
    let moved = lines.iter().map(|line| match line.rsplit_once(' ') {
        Some((before, time)) if !line.starts_with('#') => {
            let (seconds, thousandths) = time.split_once('.').unwrap();
            let seconds: i64 = seconds.parse().unwrap();
            format!("{before} {}.{thousandths}\n", seconds + shift)
        }
        _ => format!("{line}\n"),
    });
    moved.collect()
}

/// What the panels show of a run, by case, second of the run and value.
fn speeds(has_phases: bool, server: f64) -> [BTreeMap<(String, i64), f64>; 2] {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let start = Timestamp::now() - SignedDuration::from_hours(24 * 30);
    let start = Timestamp::from_second(start.as_second()).unwrap();
    let name = directory_name(start);
    fs::write(path.join("run.om"), benchmark(&name, start, has_phases, server)).unwrap();
    fill(&path.join("run.om"), &path.join("data"));
    fs::write(path.join("prometheus.yml"), "global: {}\n").unwrap();
    let (_running, prometheus) = start_prometheus(path);
    let base = seconds(start);
    let view = View { prometheus, start: base - 60.0, end: base + 1400.0, step: INTERVAL as f64 };
    let given = [("history", "400d".to_owned()), ("run_a", name), ("run_b", "none".to_owned())];
    let dashboard = comparison();
    let values = view.variables(&dashboard, &given);
    ["Decode", "Prefill"].map(|title| {
        let mut queries = dashboard.queries();
        let query =
            queries.find(|q| q.panel["title"] == title && q.target["refId"] == "A").unwrap();
        let mut found = BTreeMap::new();
        for series in view.range(&view.interpolate(query.expression, &values)) {
            let case = series.metric.get("case").cloned().unwrap_or_default();
            for (time, value) in series.values {
                #[expect(clippy::cast_possible_truncation, reason = "seconds of a run")]
                let second = (time - base).round() as i64;
                found.insert((case.clone(), second), value.parse().unwrap());
            }
        }
        found
    })
}

/// The tool's own speed where it was measured, and nothing else: neither the 0 of a server that
/// idled, nor the speed of one that worked for others.
#[test]
fn a_benchmark_shows_its_repetitions_and_no_server() {
    let at = |case: &str, from: i64, to: i64, value: f64| -> BTreeMap<(String, i64), f64> {
        (from..to).step_by(10).map(|second| ((case.to_owned(), second), value)).collect()
    };
    for server in [0.0, 99.0] {
        let [decode, prefill] = speeds(true, server);
        // A step looks back for 15 s, so that the one behind an end may still see what was there.
        let inner = |found: BTreeMap<(String, i64), f64>| -> BTreeMap<(String, i64), f64> {
            let is_edge = |second: i64| [200, 300, 310, 700, 710].contains(&second);
            found.into_iter().filter(|((_, second), _)| !is_edge(*second)).collect()
        };
        assert_eq!(inner(decode), inner(at("tg128", 400, 700, 28.0)));
        let mut both = at("pp512", 100, 200, 300.0);
        both.extend(at("pp512", 200, 300, 310.0));
        assert_eq!(inner(prefill), inner(both));
    }
}

#[test]
fn a_benchmark_whose_repetitions_have_no_known_time_shows_its_means() {
    let [decode, prefill] = speeds(false, 0.0);
    for (found, case, mean) in [(decode, "tg128", 28.0), (prefill, "pp512", 305.0)] {
        assert_eq!(found.len(), 100, "{found:?}");
        assert!(found.iter().all(|((of, _), value)| of == case && *value == mean), "{found:?}");
    }
}
