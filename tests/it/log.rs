//! The optimization log as a user keeps it.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::campaign::{User, code};
use crate::record::{Archive, text};
use crate::report::two_runs;

fn log(archive: &Archive, arguments: &[&str]) -> Output {
    archive.program(&["log"]).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    assert_eq!(code(output), 0, "{}", text(&output.stderr));
    text(&output.stdout)
}

fn changes(archive: &Archive) -> Vec<Value> {
    serde_json::from_str(&said(&log(archive, &["list", "--json"]))).unwrap()
}

#[test]
fn a_change_is_written_down_and_decided_later() {
    let archive = Archive::new();
    assert_eq!(said(&log(&archive, &["list", "--json"])), "[]\n");
    let add = ["add", "--change", "THP always", "--date", "2026-11-20"];
    assert_eq!(said(&log(&archive, &add)), "1. THP always: pending\n");
    said(&log(&archive, &["add", "--change", "newer Mesa", "--verdict", "blocked"]));
    let edit = ["edit", "1", "--verdict", "keep", "--note", "a little faster | see forum"];
    assert_eq!(said(&log(&archive, &edit)), "1. THP always: keep\n");
    let changes = changes(&archive);
    assert_eq!(changes.len(), 2);
    assert_eq!(
        (&changes[0]["verdict"], &changes[0]["date"]),
        (&"keep".into(), &"2026-11-20".into())
    );
    assert_eq!(changes[1]["verdict"], "blocked");
    let list = said(&log(&archive, &["list"]));
    assert!(list.contains("1  2026-11-20  keep     THP always"), "{list}");
    let markdown = said(&log(&archive, &["show"]));
    assert!(markdown.contains("## 1. THP always (2026-11-20, keep)"), "{markdown}");
    assert!(markdown.contains("a little faster \\| see forum"), "{markdown}");
    // An edit is a line more, so that nothing is ever lost.
    assert_eq!(fs::read_to_string(archive.path().join("log.jsonl")).unwrap().lines().count(), 3);
}

#[test]
fn differences_are_filled_in_from_the_archive() {
    let user: User = two_runs();
    let evidence = ["--evidence", "before", "tag=after"];
    let add = [&["add", "--change", "q8 cache", "--verdict", "reverted"][..], &evidence].concat();
    said(&log(&user.archive, &add));
    let markdown = said(&log(&user.archive, &["show"]));
    assert!(markdown.contains("Evidence: A is before, B is tag=after."), "{markdown}");
    let row = markdown.lines().find(|line| line.starts_with("| tg128 | tokens_per_second"));
    assert!(row.unwrap().contains("worse"), "{markdown}");
    // A part of a name means that run for ever.
    let names = user.archive.runs();
    let name = names[0].file_name().unwrap().to_str().unwrap();
    said(&log(&user.archive, &["edit", "1", "--evidence", &name[..20], "latest"]));
    assert_eq!(changes(&user.archive)[0]["evidence"][0], name);
    // Evidence that went away is said to be gone, and the rest is shown.
    said_of(&user, &["rm", "--yes", name]);
    let markdown = said(&log(&user.archive, &["show"]));
    assert!(markdown.contains("Not compared: ") && markdown.contains("no such run"), "{markdown}");
}

fn said_of(user: &User, arguments: &[&str]) {
    let output = user.program(arguments).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_written_down_is_refused_in_a_line() {
    let archive = Archive::new();
    for (arguments, part) in [
        (&["add", "--change", "x", "--evidence", "a", "b"][..], "a: no such run"),
        (&["add", "--change", "x", "--evidence", "a"], "--evidence"),
        (&["add", "--change", "x", "--verdict", "good"], "expected one of keep, reverted"),
        (&["add", "--change", "x", "--date", "tomorrow"], "expected a date"),
        (&["add"], "--change"),
        (&["edit", "7", "--verdict", "keep"], "7: no such change"),
        (&["edit", "7"], "log edit: what?"),
    ] {
        let output = log(&archive, arguments);
        let said = text(&output.stderr);
        assert_ne!(code(&output), 0, "{arguments:?}");
        assert!(said.contains(part) && said.trim().lines().count() == 1, "{arguments:?}: {said}");
    }
    assert!(changes(&archive).is_empty());
}

#[test]
fn damaged_lines_are_named_and_take_nothing_with_them() {
    let archive = Archive::new();
    said(&log(&archive, &["add", "--change", "one"]));
    let path = archive.path().join("log.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    // A full disk cut a line off, and a newer halo wrote another.
    let newer = whole.replace("\"schema_version\":1", "\"schema_version\":9");
    fs::write(&path, format!("{whole}{newer}{}", &whole[..20])).unwrap();
    said(&log(&archive, &["add", "--change", "two"]));
    let output = log(&archive, &["list", "--json"]);
    let list: Vec<Value> = serde_json::from_str(&said(&output)).unwrap();
    let names: Vec<&str> = list.iter().map(|change| change["change"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
    let told = text(&output.stderr);
    assert!(told.contains("log.jsonl line 2: is of a newer halo"), "{told}");
    assert!(told.contains("log.jsonl line 3: "), "{told}");
}

#[test]
fn those_who_write_at_once_get_numbers_of_their_own() {
    let archive = Archive::new();
    let children: Vec<_> = (0..8)
        .map(|number| {
            let change = format!("change {number}");
            let mut program = archive.program(&["log", "add", "--change", &change]);
            program.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let numbers: Vec<u64> =
        changes(&archive).iter().map(|change| change["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}
