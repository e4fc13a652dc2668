//! The OpenMetrics text of a run: its form, and that its values are the archive's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use halo::archive::openmetrics::{INSTANCE, JOB, Target, write};
use halo::config::Config;
use halo::metric::Samples;
use halo::root::Root;
use halo::run::Row;
use halo::run::journal::{By, Header, Line, Mark, Moment, NewSeries, Tick, VERSION};
use halo::source::runs;
use proptest::prelude::*;

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// An archive of somebody else may have any text in place of a label.
    #[test]
    fn labels_may_be_any_text(
        device in prop_oneof![any::<String>(), "[\"\\\\\n\r\u{1b}\u{85}\u{2028}{}, =#]{0,9}"],
        domain in any::<String>(),
    ) {
        let at = Moment { monotonic: 0, unix: 100_000_000_000 };
        let header = Header { version: VERSION, run: "id".to_owned(), interval: 1, sources: Vec::new(), at };
        let labels = vec![device.clone(), domain.clone()];
        let lines = [
            Line::Header(header),
            Line::Series(NewSeries { first: 0, series: vec![("halo_power_watts".to_owned(), labels)] }),
            Line::Tick(Tick { at, series: vec![0], values: vec![7.0], ..Tick::default() }),
        ];
        let tables = Tables::of(&lines, &[]);
        tables.write_manifest(jiff::Timestamp::from_second(100).unwrap(), None);
        let target = Target { job: "j".to_owned(), instance: "i".to_owned() };
        let mut text = Vec::new();
        write(&tables.run, &target, &mut text).unwrap();
        let found = parse(std::str::from_utf8(&text).unwrap());
        let labels = [("device", &device), ("domain", &domain)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone()));
        let target = [("job", "j"), ("instance", "i")];
        let target = target.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let power = ("halo_power_watts".to_owned(), labels.into_iter().chain(target).collect());
        prop_assert_eq!(&found[&power], &[(100_000, 7.0)]);
    }
}

/// A long run is still found by who looks at its middle.
#[test]
fn what_is_known_of_a_run_is_repeated_while_it_lasts() {
    let versions = crate::machine::fixtures().join("archive/v1");
    let run = halo::archive::select::run(&halo::archive::Archive::at(versions), "latest").unwrap();
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
    let config = Config { archive: Some(archive.path().to_owned()), ..Config::default() };
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

/// A run of llama-bench that began at second 1000: its marks as second, who, what, test and
/// repetition, and its speeds as case, repetition and value.
pub(crate) fn bench(
    marks: &[(i64, By, &str, u32, u32)],
    speeds: &[(&str, Option<u32>, f64)],
    cases: &[&str],
) -> Tables {
    let at = |second: i64| Moment {
        monotonic: 7_000_000_000 + second * 1_000_000_000,
        unix: (1000 + second) * 1_000_000_000,
    };
    let header = Header {
        version: VERSION,
        run: "id".to_owned(),
        interval: 1,
        sources: Vec::new(),
        at: at(0),
    };
    let mut lines = vec![Line::Header(header)];
    for (second, by, name, test, repetition) in marks {
        let attributes = [("test", test), ("repetition", repetition)];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_string()));
        let attributes = if *by == By::Tool { attributes.into() } else { BTreeMap::new() };
        lines.push(Line::Mark(Mark {
            at: at(*second),
            by: *by,
            name: (*name).to_owned(),
            attributes,
        }));
    }
    let rows: Vec<Row> = speeds
        .iter()
        .map(|(case, repetition, value)| Row {
            task: "llama-bench".to_owned(),
            case: (*case).to_owned(),
            repetition: *repetition,
            metric: "tokens_per_second".to_owned(),
            value: *value,
            unit: "1/s".to_owned(),
        })
        .collect();
    let tables = Tables::of(&lines, &rows);
    let start = jiff::Timestamp::from_second(1000).unwrap();
    tables.write_manifest(start, Some(start + jiff::SignedDuration::from_secs(1000)));
    let path = tables.path().join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    manifest["tool"] = serde_json::json!({"name": "llama-bench"});
    let case =
        |case: &&str| serde_json::json!({"task": "llama-bench", "case": case, "parameters": {}});
    manifest["cases"] = cases.iter().map(case).collect();
    std::fs::write(path, manifest.to_string()).unwrap();
    tables
}

/// Milliseconds, and a speed where there is one.
type Known = (i64, Option<f64>);

/// The points of the tool's own speed by case and phase; NaN is none.
fn speeds(tables: &Tables) -> Vec<(String, Vec<Known>)> {
    let target = Target { job: "j".to_owned(), instance: "i".to_owned() };
    let mut text = Vec::new();
    assert_eq!(write(&tables.run, &target, &mut text).unwrap(), None);
    let series = parse(std::str::from_utf8(&text).unwrap());
    let ours = series.into_iter().filter(|((name, _), _)| name == "halo_run_tokens_per_second");
    ours.map(|((_, labels), points)| {
        assert_eq!(labels["run"], tables.run.name());
        assert_eq!((&*labels["task"], &*labels["job"]), ("llama-bench", "j"));
        let known =
            points.into_iter().map(|(time, value)| (time, (!value.is_nan()).then_some(value)));
        (format!("{} {}", labels["case"], labels["phase"]), known.collect())
    })
    .collect()
}

const STARTED: (i64, By, &str, u32, u32) = (1, By::Halo, "command started", 0, 0);
const ENDED: (i64, By, &str, u32, u32) = (900, By::Halo, "command ended", 0, 0);

/// Two cases: prefill twice in a row, and decode that lasts longer than a minute, with a pause.
#[test]
fn each_repetition_has_its_speed_while_it_lasts_and_not_a_moment_longer() {
    let marks = [
        STARTED,
        (5, By::Tool, "warm-up prompt", 1, 1),
        (10, By::Tool, "prompt", 1, 1),
        (12, By::Tool, "prompt", 1, 2),
        (15, By::Tool, "test ended", 1, 0),
        (20, By::Tool, "generation", 2, 1),
        (150, By::Tool, "test ended", 2, 0),
        (160, By::Tool, "generation", 2, 2),
        ENDED,
    ];
    let figures = [
        ("pp512", Some(1), 300.5),
        ("pp512", Some(2), 310.0),
        ("tg128", Some(1), 28.0),
        ("pp512", None, 305.0),
    ];
    let tables = bench(&marks, &figures, &["pp512", "tg128"]);
    let prefill = vec![(1_010_000, Some(300.5)), (1_012_000, Some(310.0)), (1_015_000, None)];
    let decode = [
        (1_020_000, Some(28.0)),
        (1_080_000, Some(28.0)),
        (1_140_000, Some(28.0)),
        (1_150_000, None),
    ];
    // Of the second repetition nobody printed a speed, so it has none.
    assert_eq!(
        speeds(&tables),
        [("pp512 prompt".to_owned(), prefill), ("tg128 generation".to_owned(), decode.to_vec())]
    );
}

#[test]
fn what_was_not_measured_or_is_not_known_has_no_speed() {
    let of = |marks: &[_], figures: &[_], cases: &[&str]| speeds(&bench(marks, figures, cases));
    let prompt = (10, By::Tool, "prompt", 1, 1);
    let pp = [("pp512", Some(1), 300.0)];
    assert_eq!(of(&[STARTED, prompt, ENDED], &pp, &["pp512"]).len(), 1);
    // A tool that tells no phases, a figure without a repetition, a run without results.
    assert!(of(&[STARTED, ENDED], &pp, &["pp512"]).is_empty());
    assert!(of(&[STARTED, prompt, ENDED], &[("pp512", None, 300.0)], &["pp512"]).is_empty());
    assert!(of(&[STARTED, prompt, ENDED], &[], &[]).is_empty());
    // Both kinds of work in one figure.
    let both = [STARTED, prompt, (12, By::Tool, "generation", 1, 1), ENDED];
    assert!(of(&both, &[("pp512+tg128", Some(1), 60.0)], &["pp512+tg128"]).is_empty());
    // A command that never began, and a phase without length.
    assert!(of(&[prompt], &pp, &["pp512"]).is_empty());
    let short = [STARTED, prompt, (10, By::Tool, "test ended", 1, 0), ENDED];
    assert!(of(&short, &pp, &["pp512"]).is_empty());
}

/// A run that llama-bench really made, of which an older halo kept no phases.
#[test]
fn a_run_whose_repetitions_have_no_known_time_has_no_speed_but_its_means() {
    let versions = crate::machine::fixtures().join("archive/v1");
    let run = halo::archive::select::run(&halo::archive::Archive::at(versions), "latest").unwrap();
    let target = Target { job: "j".to_owned(), instance: "i".to_owned() };
    let mut text = Vec::new();
    write(&run, &target, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains("halo_run_tokens_per_second") && text.contains("halo_run_result{"));
}

/// Each phase that the recorder saw of a program that tells them has the figure that it printed.
#[test]
fn a_recorded_run_of_llama_bench_shows_its_repetitions() {
    let archive = Archive::new();
    let program = crate::machine::fixtures().join("bin/llama-bench");
    archive.record(&[], &[program.to_str().unwrap(), "-m", "slow.gguf", "-p", "16", "-n", "4"]);
    let text = archive.print(&["export", "latest", "--format", "openmetrics"]);
    let mut values: Vec<f64> = parse(&text)
        .into_iter()
        .filter(|((name, _), _)| name == "halo_run_tokens_per_second")
        .flat_map(|(_, points)| points.into_iter().map(|(_, value)| value))
        .filter(|value| !value.is_nan())
        .collect();
    let run = halo::archive::RunDirectory::at(archive.only_run());
    let rows = halo::archive::results::read(&run).unwrap();
    let rows = rows.iter().filter(|row| row.metric == "tokens_per_second");
    let rows: Vec<f64> = rows.filter(|r| r.repetition.is_some()).map(|row| row.value).collect();
    // A phase shorter than a millisecond has no sample.
    assert!(!values.is_empty() && values.len() <= rows.len(), "{text}");
    values.retain(|value| !rows.contains(value));
    assert!(values.is_empty(), "{values:?} are not among {rows:?}");
}
