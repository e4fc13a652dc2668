//! What can be done with runs afterwards.

use std::fs;

use super::{Archive, manifest, text};

#[test]
fn runs_are_listed_by_what_is_said_of_them() {
    let archive = Archive::new();
    archive.record(&["--tag", "kv=q4_0", "--tag", "first"], &["true"]);
    archive.record(&["--tag", "kv=f16"], &["false"]);
    let names = |flags: &[&str]| -> Vec<String> {
        let output = archive.run(&[&["list", "--json"], flags].concat());
        let runs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        // As of grep: nothing that was looked for is a failure.
        assert_eq!(output.status.success(), runs != serde_json::json!([]), "{flags:?}");
        runs.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(&[]);
    assert_eq!(all.len(), 2);
    assert_eq!(names(&["--tag", "kv"]), all);
    assert_eq!(names(&["--tag", "kv=q4_0"]), all[..1]);
    assert_eq!(names(&["--tag", "kv=f16", "--tag", "first"]), all[..0]);
    assert_eq!(names(&["--state", "failed"]), all[1..]);
    assert_eq!(names(&["--tool", "true"]), all[..1]);
    assert_eq!(names(&["--since", "1h"]), all);
    assert_eq!(names(&["--until", "1h"]), all[..0]);
    assert_eq!(names(&["--since", "2026-01-01", "--model", "x"]), all[..0]);
    let table = archive.print(&["list"]);
    assert!(all.iter().all(|name| table.contains(name)) && table.contains("kv=q4_0"), "{table}");

    // An archive that is not there yet has no runs, which is no failure.
    let empty = Archive::new();
    let output = empty.run(&["list", "--archive", "/nonexistent"]);
    assert!(output.status.success() && text(&output.stderr).contains("no such runs"));
}

#[test]
fn tags_and_remarks_are_kept_and_shown() {
    let archive = Archive::new();
    archive.record(&["--tag", "old"], &["true"]);
    let run = archive.only_run();
    archive.print(&["tag", "latest", "new=1", "--remove", "old"]);
    archive.print(&["note", "latest", "throttled, as it seems"]);
    let about = manifest(&run);
    assert_eq!(about.tags.keys().collect::<Vec<_>>(), ["new"]);
    assert_eq!(about.notes[0].text, "throttled, as it seems");
    let shown = archive.print(&["show", &about.id]);
    for part in [
        about.id.as_str(),
        "new=1",
        "throttled, as it seems",
        "complete",
        "samples",
        "kernel 7.0.9",
        "stapm 120 W",
    ] {
        assert!(shown.contains(part), "{shown} lacks {part}");
    }
    let json = archive.json(&["show", "latest", "--json"]);
    assert_eq!(json["id"], about.id);
    assert_eq!(json["active"], false);
    assert_eq!(json["directory"], run.to_str().unwrap());
}

#[test]
fn files_that_changed_are_found() {
    let archive = Archive::new();
    archive.record(&[], &["echo", "x"]);
    let run = archive.only_run();
    assert!(archive.print(&["verify"]).contains("files as archived"));
    let faults = |what: &str| {
        let output = archive.run(&["verify", "latest"]);
        assert_eq!(output.status.code(), Some(1), "{what}");
        text(&output.stdout)
    };
    fs::write(run.join("raw/stdout"), "y\n").unwrap();
    assert!(faults("changed").contains("raw/stdout: changed"));
    fs::write(run.join("raw/stdout"), "x\n").unwrap();
    fs::write(run.join("extra"), "").unwrap();
    assert!(faults("added").contains("extra: was not there"));
    fs::remove_file(run.join("extra")).unwrap();
    fs::remove_file(run.join("power.parquet")).unwrap();
    assert!(faults("removed").contains("power.parquet: No such file"));
}

#[test]
fn runs_are_removed_whole_and_by_age() {
    let archive = Archive::new();
    for _ in 0..4 {
        archive.record(&[], &["true"]);
    }
    let runs = archive.runs();
    let name = |index: usize| runs[index].file_name().unwrap().to_str().unwrap();
    assert!(archive.print(&["prune", "--keep", "3", "--dry-run"]).contains(name(0)));
    assert_eq!(archive.runs(), runs);
    archive.print(&["prune", "--keep", "3", "--yes"]);
    assert_eq!(archive.runs(), runs[1..]);
    // A name that is wrong removes nothing.
    assert!(!archive.run(&["rm", name(1), "nothing"]).status.success());
    assert_eq!(archive.runs(), runs[1..]);
    archive.print(&["rm", "--yes", name(1), name(3)]);
    assert_eq!(archive.runs(), runs[2..3]);
}

#[test]
fn a_manifest_of_a_newer_halo_is_refused_and_not_misread() {
    let archive = Archive::new();
    archive.record(&[], &["true"]);
    archive.record(&[], &["false"]);
    let path = archive.runs()[0].join("manifest.json");
    let newer = fs::read_to_string(&path)
        .unwrap()
        .replace(r#""schema_version": 1"#, r#""schema_version": 99"#);
    fs::write(&path, newer).unwrap();
    let output = archive.run(&["list", "--json"]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("update halo"), "{}", text(&output.stderr));
    let runs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), 1);
}
