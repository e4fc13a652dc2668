//! The OpenMetrics text of a run: its form, and that its values are the archive's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use halo::archive::openmetrics::{INSTANCE, JOB, Target, write};
use halo::config::Config;
use halo::metric::Samples;
use halo::root::Root;
use halo::run::journal::{Header, Line, Moment, NewSeries, Tick, VERSION};
use halo::source::runs;

use super::Tables;
use crate::record::{Archive, archive_values, manifest};

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// A sample: milliseconds and the value.
pub(crate) type Point = (i64, f64);

/// A text, as a strict reader understands it: families in one piece each, the series of a family
/// in one piece each, times that rise.
pub(crate) fn parse(text: &str) -> BTreeMap<(String, Labels), Vec<Point>> {
    let mut all: BTreeMap<(String, Labels), Vec<Point>> = BTreeMap::new();
    let (mut family, mut kind, mut last) = (String::new(), String::new(), None);
    let mut families = BTreeSet::new();
    let body = text.strip_suffix("# EOF\n").unwrap();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let [keyword, name, value] = rest.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            match keyword {
                "TYPE" => {
                    assert!(families.insert(name.to_owned()), "{name} comes twice");
                    (family, kind, last) = (name.to_owned(), value.to_owned(), None);
                }
                "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                "HELP" => assert!(value.ends_with('.'), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, family);
            continue;
        }
        let (name, labels, rest) = series(line);
        let ending = if kind == "counter" { "_total" } else { "" };
        assert_eq!(name, format!("{family}{ending}"), "{line}");
        let (value, time) = rest.split_once(' ').unwrap();
        let (seconds, thousandths) = time.split_once('.').unwrap();
        assert_eq!(thousandths.len(), 3, "{line}");
        let time: i64 = format!("{seconds}{thousandths}").parse().unwrap();
        let key = (name, labels);
        let is_new = last.as_ref() != Some(&key);
        assert!(!is_new || !all.contains_key(&key), "{line}: the series comes twice");
        let points = all.entry(key.clone()).or_default();
        assert!(points.last().is_none_or(|(before, _)| *before < time), "{line}: goes back");
        points.push((time, value.parse().unwrap()));
        last = Some(key);
    }
    all
}

/// The name, the labels, and what stands behind them.
fn series(line: &str) -> (String, Labels, &str) {
    let (name, mut rest) = line.split_once('{').unwrap();
    let mut labels = Labels::new();
    while !rest.starts_with("} ") {
        let (label, quoted) = rest.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        assert!(labels.insert(label.trim_start_matches(',').to_owned(), value).is_none());
        rest = &quoted[end + 1..];
    }
    (name.to_owned(), labels, &rest[2..])
}

/// What a text must hold of the samples of a run: times by the millisecond.
pub(crate) fn expected(
    run: &Path,
    target: &[(&str, &str)],
) -> BTreeMap<(String, Labels), Vec<Point>> {
    let names: BTreeMap<&str, &[&str]> = halo::archive::schema::wide_tables()
        .values()
        .flat_map(|wide| wide.families.iter().map(|def| (def.name, def.labels)))
        .collect();
    let mut series: BTreeMap<(String, Labels), Vec<Point>> = BTreeMap::new();
    for ((time, family, values), value) in archive_values(run) {
        let own = names[family.as_str()].iter().copied().zip(values);
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let added = target.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let points = series.entry((family.clone(), own.chain(added).collect())).or_default();
        let time = time.div_euclid(1_000_000);
        if points.last().is_none_or(|(last, _)| *last < time) {
            points.push((time, value));
        }
    }
    series
}

#[test]
fn every_sample_of_a_run_is_in_the_text() {
    let archive = Archive::new();
    archive.record(&["--tag", "kv=\"q4\\0\"", "--tag", "first"], &["sleep", "0.3"]);
    let run = archive.only_run();
    let mut found = parse(&archive.print(&["export", "latest", "--format", "openmetrics"]));
    let about_run: BTreeMap<_, _> =
        found.extract_if(.., |(name, _), _| name.starts_with("halo_run_")).collect();
    assert_eq!(found, expected(&run, &[("job", JOB), ("instance", INSTANCE)]));
    assert!(found.len() > 50 && found.values().any(|points| points.len() > 5));

    let name = run.file_name().unwrap().to_str().unwrap();
    let manifest = manifest(&run);
    let start = manifest.started.as_millisecond();
    let end = manifest.ended.unwrap().as_millisecond();
    let series = |family: &str, labels: &[(&str, &str)]| {
        let fixed = [("run", name), ("job", JOB), ("instance", INSTANCE)];
        let labels = labels.iter().chain(&fixed);
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        about_run[&(family.to_owned(), labels.collect())].clone()
    };
    assert_eq!(series("halo_run_active", &[]), [(start, 1.0), (end, 0.0)]);
    let tag = [("key", "kv"), ("value", "\"q4\\0\"")];
    assert_eq!(series("halo_run_tag_info", &tag), [(start, 1.0), (end, 1.0)]);
    let seconds = start as f64 / 1000.0;
    let started = series("halo_run_start_timestamp_seconds", &[]);
    assert_eq!(started, [(start, seconds), (end, seconds)]);
    let info: Vec<&Labels> = about_run
        .keys()
        .filter_map(|(family, labels)| (family == "halo_run_info").then_some(labels))
        .collect();
    assert_eq!(info.len(), 1);
    assert_eq!(
        [&info[0]["kind"], &info[0]["tool"], &info[0]["state"]],
        ["run", "sleep", "complete"]
    );
}

/// The dashboards select by what Prometheus has for a live exporter.
#[test]
fn the_labels_are_those_of_the_shipped_configuration() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/prometheus/prometheus.yml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(&format!("job_name: {JOB}\n")));
    assert!(text.contains(&format!("- targets: ['{INSTANCE}']\n")));

    let archive = Archive::new();
    archive.record(&[], &["true"]);
    let flags = ["--job", "other", "--instance", "strix.example:10395"];
    let command = [&["export", "latest", "--format", "openmetrics"], &flags[..]].concat();
    let labels = [("job", "other"), ("instance", "strix.example:10395")];
    let mut found = parse(&archive.print(&command));
    found.retain(|(name, _), _| !name.starts_with("halo_run_"));
    assert_eq!(found, expected(&archive.only_run(), &labels));
}

/// Somebody sets the clock back while a run lasts, and two samples fall into one millisecond.
#[test]
fn times_only_rise() {
    const SECOND: i64 = 1_000_000_000;
    let at = |unix| Moment { monotonic: 0, unix };
    let labels = vec!["a\\b\"c\nd".to_owned(), "socket".to_owned()];
    let mut lines = vec![
        Line::Header(Header {
            version: VERSION,
            run: "id".to_owned(),
            interval: 1,
            sources: Vec::new(),
            at: at(100 * SECOND),
        }),
        Line::Series(NewSeries {
            first: 0,
            series: vec![("halo_power_watts".to_owned(), labels.clone())],
        }),
    ];
    let times = [100 * SECOND, 100 * SECOND + 900_000, 90 * SECOND, 95 * SECOND, 101 * SECOND];
    for (time, value) in times.into_iter().zip([1e300, 2.0, 3.0, 4.0, -0.0]) {
        let tick = Tick { at: at(time), series: vec![0], values: vec![value], ..Tick::default() };
        lines.push(Line::Tick(tick));
    }
    let tables = Tables::of(&lines, &[]);
    tables.write_manifest(jiff::Timestamp::from_second(100).unwrap(), None);
    let target = Target { job: "j".to_owned(), instance: "i".to_owned() };
    let mut text = Vec::new();
    let remark = write(&tables.run, &target, &mut text).unwrap().unwrap();
    assert!(remark.contains("2 samples"), "{remark}");
    let text = String::from_utf8(text).unwrap();
    let names = ["device", "domain", "job", "instance"].map(str::to_owned);
    let values = labels.into_iter().chain(["j".to_owned(), "i".to_owned()]);
    let power = ("halo_power_watts".to_owned(), names.into_iter().zip(values).collect());
    assert_eq!(parse(&text)[&power], [(100_000, 1e300), (101_000, -0.0)]);
    assert!(text.contains(" 1e300 100.000\n") && text.contains(" -0.0 101.000\n"), "{text}");
    // Nobody knows when it ended, so it is there at its start alone.
    assert!(text.contains("halo_run_active{run=\"20261124T035512.123Z-test\",job=\"j\",instance=\"i\"} 0.0 100.000\n"), "{text}");
}

/// A long run is still found by who looks at its middle.
#[test]
fn what_is_known_of_a_run_is_repeated_while_it_lasts() {
    let versions = crate::machine::fixtures().join("archive/v1");
    let run = halo::archive::Archive::at(versions).find("latest").unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut manifest = run.manifest().unwrap();
    manifest.ended = Some(manifest.started + jiff::SignedDuration::from_mins(150));
    let copy = halo::archive::RunDirectory::at(copy.path());
    copy.write_manifest(&manifest).unwrap();
    let target = Target { job: "j".to_owned(), instance: "i".to_owned() };
    let mut text = Vec::new();
    assert_eq!(write(&copy, &target, &mut text).unwrap(), None);
    let series = parse(std::str::from_utf8(&text).unwrap());
    let results = manifest.summary.len();
    assert!(results > 0);
    let found = series.keys().filter(|(name, _)| name == "halo_run_result").count();
    assert_eq!(found, results);
    for ((name, _), points) in series {
        assert_eq!(points.len(), 151, "{name}");
        assert!(points.windows(2).all(|two| two[1].0 - two[0].0 <= 60_000), "{name}");
    }
}

/// Scraped and backfilled, a run has the same series: two kinds would break every join on it.
#[test]
fn a_run_is_described_as_the_exporter_describes_it() {
    let archive = Archive::new();
    archive.record(&["--tag", "kv=q4_0", "--tag", "name=before"], &["true"]);
    let config = Config { archive: archive.path().to_owned(), ..Config::default() };
    let mut live = Samples::default();
    (runs::SOURCE.open)(&config).remove(0).read(&Root::live(), &mut live).unwrap();
    let live: BTreeSet<String> = live.values().iter().map(ToString::to_string).collect();
    assert!(live.iter().any(|series| series.contains("name=\"before\"")), "{live:?}");

    let text = archive.print(&["export", "latest", "--format", "openmetrics"]);
    let target = format!(",job=\"{JOB}\",instance=\"{INSTANCE}\"}} ");
    let last: BTreeMap<String, String> = text
        .lines()
        .filter(|line| line.starts_with("halo_run_"))
        .map(|line| {
            let (series, value) = line.split_once(&target).unwrap();
            (series.to_owned(), value.split(' ').next().unwrap().to_owned())
        })
        .collect();
    let exported: BTreeSet<String> = last
        .into_iter()
        .map(|(series, value)| format!("{series}}} {}", value.parse::<f64>().unwrap()))
        .collect();
    assert_eq!(exported, live);
}
