//! `halo-record export` of tables, and what it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use halo::archive::read;
use halo::archive::{RunDirectory, schema};
use serde_json::Value;

use crate::record::{Archive, archive_values, text, wait_until};

fn recorded() -> Archive {
    let archive = Archive::new();
    archive.record(&[], &["sleep", "0.2"]);
    archive
}

/// The cells of a table in CSV, which quotes only where it must, by column.
fn csv(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), names.len(), "{line}");
            names.iter().copied().zip(cells).collect()
        })
        .collect()
}

fn nanoseconds(time: &str) -> i64 {
    let time: jiff::Timestamp = time.parse().unwrap();
    time.as_nanosecond().try_into().unwrap()
}

#[test]
fn texts_hold_the_values_of_the_archive() {
    let archive = recorded();
    let expected = archive_values(&archive.only_run());
    let (mut from_csv, mut from_json) = (BTreeMap::new(), BTreeMap::new());
    let run = RunDirectory::at(archive.only_run());
    let names = read::names(&run).unwrap();
    for wide in schema::wide_tables().values().filter(|wide| names.iter().any(|n| n == wide.name)) {
        let print =
            |format| archive.print(&["export", "latest", "--format", format, "--table", wide.name]);
        for row in csv(&print("csv")) {
            let labels: Vec<String> = wide.labels.iter().map(|l| row[l].to_owned()).collect();
            for family in wide.families.iter().filter(|family| !row[family.name].is_empty()) {
                let key = (nanoseconds(row["time"]), family.name.to_owned(), labels.clone());
                from_csv.insert(key, row[family.name].parse::<f64>().unwrap());
            }
        }
        for line in print("json").lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let label = |label: &&str| row[*label].as_str().unwrap().to_owned();
            let labels: Vec<String> = wide.labels.iter().map(label).collect();
            for family in &wide.families {
                let Some(value) = row.get(family.name) else { continue };
                let time = nanoseconds(row["time"].as_str().unwrap());
                let key = (time, family.name.to_owned(), labels.clone());
                from_json.insert(key, value.as_f64().unwrap());
            }
        }
    }
    assert_eq!(from_csv, expected);
    assert_eq!(from_json, expected);
    assert!(expected.len() > 100);
}

#[test]
fn a_directory_gets_every_table() {
    let archive = recorded();
    let run = archive.only_run();
    let names = read::names(&RunDirectory::at(&run)).unwrap();
    assert!(names.iter().any(|name| name == "results"), "an empty one too");
    let place = tempfile::tempdir().unwrap();
    for (format, extension) in [("csv", "csv"), ("json", "jsonl"), ("parquet", "parquet")] {
        let directory = place.path().join("deep").join(format);
        let output = directory.to_str().unwrap();
        archive.print(&["export", "latest", "--as-is", "--format", format, "--output", output]);
        let mut found: Vec<String> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let expected: Vec<String> =
            names.iter().map(|name| format!("{name}.{extension}")).collect();
        assert_eq!(found, expected);
    }
    let csv = fs::read_to_string(place.path().join("deep/csv/results.csv")).unwrap();
    assert_eq!(csv, "task,case,repetition,metric,value,unit\n");
    for name in &names {
        let file = format!("{name}.parquet");
        let copy = fs::read(place.path().join("deep/parquet").join(&file)).unwrap();
        assert_eq!(copy, fs::read(run.join(&file)).unwrap(), "{file}");
    }
}

#[test]
fn one_table_goes_to_a_file_or_to_standard_output() {
    let archive = recorded();
    let place = tempfile::tempdir().unwrap();
    for format in ["csv", "json", "parquet", "openmetrics"] {
        let file = place.path().join(format);
        let mut command = vec!["export", "latest", "--format", format];
        if format != "openmetrics" {
            command.extend(["--table", "power"]);
        }
        let printed = archive.run(&command);
        command.extend(["--output", file.to_str().unwrap()]);
        assert_eq!(archive.print(&command), "");
        assert!(printed.status.success() && !printed.stdout.is_empty());
        assert_eq!(fs::read(&file).unwrap(), printed.stdout, "{format}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 4, "nothing unfinished is left");
}

/// One line, with this exit code, and nothing written.
fn refused(archive: &Archive, flags: &[&str], code: i32, parts: &[&str]) {
    let output = archive.run(&[&["export", "latest"], flags].concat());
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{flags:?}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{flags:?}: {message}");
    assert_eq!(output.stdout, b"");
    for part in parts {
        assert!(message.contains(part), "{flags:?}: {message} lacks {part}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let archive = recorded();
    let place = tempfile::tempdir().unwrap();
    let taken = place.path().join("taken");
    fs::write(&taken, "mine").unwrap();
    let (taken, full) = (taken.to_str().unwrap(), place.path().to_str().unwrap());
    let cases: [(&[&str], i32, &[&str]); 11] = [
        (&[], 2, &["--format"]),
        (&["--format", "xml"], 2, &["xml", "openmetrics"]),
        (&["--format", "csv"], 2, &["--output", "--table"]),
        (&["--format", "parquet"], 2, &["--output", "--table"]),
        (&["--format", "openmetrics", "--table", "power"], 2, &["--table"]),
        (&["--format", "csv", "--table", "power", "--job", "x"], 2, &["--job", "openmetrics"]),
        (&["--format", "openmetrics", "--instance", ""], 2, &["--instance"]),
        (&["--format", "csv", "--table", "watts"], 1, &["watts", "gpu_clock, gpu_engine"]),
        (&["--format", "csv", "--table", "../power"], 1, &["no such table"]),
        (&["--format", "openmetrics", "--output", taken], 1, &[taken, "exists"]),
        (&["--format", "csv", "--output", full], 1, &[full, "not empty"]),
    ];
    for (flags, code, parts) in cases {
        refused(&archive, flags, code, parts);
    }
    refused(&archive, &["--format", "csv", "--output", taken], 1, &[taken, "new directory"]);
    assert_eq!(fs::read_to_string(taken).unwrap(), "mine");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn a_run_that_is_not_finished_is_refused() {
    let archive = Archive::new();
    let mut child = archive.recording(&[], &["sleep", "2"]).stderr(Stdio::null()).spawn().unwrap();
    let journal = || archive.runs().first().map(|run| run.join("journal.jsonl"));
    wait_until("the machine is sampled", || {
        journal().and_then(|path| path.metadata().ok()).is_some_and(|about| about.len() > 10_000)
    });
    refused(&archive, &["--format", "openmetrics"], 1, &["is being recorded"]);
    child.kill().unwrap();
    child.wait().unwrap();
    refused(&archive, &["--format", "openmetrics"], 1, &["halo-record recover"]);
    archive.print(&["recover"]);
    archive.print(&["export", "latest", "--format", "openmetrics"]);
}

#[test]
fn a_damaged_table_is_named() {
    let archive = recorded();
    let table = archive.only_run().join("power.parquet");
    let whole = fs::read(&table).unwrap();
    fs::write(&table, &whole[..whole.len() / 2]).unwrap();
    let path = table.to_str().unwrap();
    for format in ["csv", "json", "parquet"] {
        refused(&archive, &["--format", format, "--table", "power"], 1, &[path]);
    }
    let file = archive.path().join("unwritten");
    let output = file.to_str().unwrap();
    refused(&archive, &["--format", "openmetrics", "--output", output], 1, &[path]);
    assert!(!file.exists() && !Path::new(&format!("{output}.unfinished")).exists());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let archive = recorded();
    for flags in [["openmetrics"].as_slice(), &["csv", "--table", "sampling"]] {
        let mut command = archive.program(&["export", "latest", "--format"]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.args(flags).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{flags:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
    }
}
