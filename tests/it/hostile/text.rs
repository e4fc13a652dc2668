//! Text of others is text: wherever it stands in an archive, nothing of it does anything to a terminal.

use std::fs;
use std::path::Path;

use halo::run::Manifest;
use halo::visible;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{add, manifest_of, write_manifest};
use crate::campaign::code;
use crate::program;
use crate::record::Archive;
use crate::record::terminal::Session;

const ONE: &str = "20261124T050050.723Z-llama-bench-one";
const OTHER: &str = "20261124T050051.723Z-llama-bench-other";

/// Sets a title, makes a link, fills the clipboard, erases the screen, in seven and in eight bits;
/// goes back on the line; turns the direction of writing; hides letters.
const PLANTED: &str = "\u{1b}]0;t\u{7}\u{1b}]8;;http://h/\u{1b}\\\u{1b}]52;c;aGk=\u{7}\u{1b}[2J\u{9b}31m\u{9d}0;t\u{9c}\r\u{8}\u{7f}\u{85}\u{202e}\u{2066}\u{200b}\u{e0041}";

/// Whether a text holds nothing that a terminal would do something for.
fn assert_harmless(what: &str, bytes: &[u8]) {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let found = text.chars().find(|character| {
        let character = character.to_string();
        !matches!(&*character, "\n" | "\t") && visible::line(&character) != character
    });
    assert_eq!(found, None, "{what}: {text:?}");
}

/// What a manifest of a campaign's eval has, beside what every run has.
fn add_everything(manifest: &mut Value) {
    let more = json!({
        "campaign": "c",
        "cell": {"model": "m", "eval": "e"},
        "unparsed": "why",
        "failure": "why",
        "problems": ["a problem"],
        "notes": [{"time": "2026-11-24T05:00:50Z", "text": "a note"}],
        "tags": {"same": null, "key": "value"},
        "scores": [{"task": "t", "metric": "m", "value": 0.5, "samples": 4, "solved": 2,
            "chance": "guessed"}],
        "verdict": {"label": "flagged", "missing": ["evidence"],
            "reasons": [{"reason": "r", "evidence": "e", "figures": {"a": 1.0}}]},
        "energy": [
            {"task": "t", "case": "pp64", "work": "prompt", "source": "s", "seconds": 1.0,
                "coverage": 1.0, "joules": 2.0},
            {"task": "t", "case": "tg32", "work": "generation", "source": "s and s", "seconds": 1.0,
                "coverage": 0.0, "absent": "no samples"},
        ],
        "processes": [{"pid": 1, "name": "p", "cores": 1.0, "bytes": 1}],
        "models": [{"name": "name", "reference": "o/r", "file": "/m/model.gguf"}],
    });
    let more = more.as_object().unwrap().clone();
    manifest.as_object_mut().unwrap().extend(more);
}

/// Writes a text behind each text of a manifest that may be any.
fn plant(manifest: &mut Value, planted: &str) -> usize {
    let mut places = Vec::new();
    find(manifest, &mut Vec::new(), &mut places);
    let mut count = 0;
    for place in places {
        let mut changed = manifest.clone();
        change(&mut changed, &place, planted);
        if serde_json::from_value::<Manifest>(changed.clone()).is_ok() {
            *manifest = changed;
            count += 1;
        }
    }
    count
}

/// The texts of a value, each by its keys.
fn find(value: &Value, place: &mut Vec<String>, places: &mut Vec<Vec<String>>) {
    let children: Vec<(String, &Value)> = match value {
        Value::String(_) => {
            places.push(place.clone());
            return;
        }
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        _ => return,
    };
    for (name, child) in children {
        place.push(name);
        find(child, place, places);
        place.pop();
    }
}

fn change(value: &mut Value, place: &[String], planted: &str) {
    match (value, place) {
        (Value::String(text), []) => *text += planted,
        (Value::Array(list), [index, rest @ ..]) => {
            change(&mut list[index.parse::<usize>().unwrap()], rest, planted);
        }
        (Value::Object(map), [name, rest @ ..]) => {
            change(map.get_mut(name).unwrap(), rest, planted);
        }
        _ => unreachable!("the place is of this value"),
    }
}

/// An archive with two runs, a campaign and a log, in which a text stands everywhere.
fn planted(planted: &str) -> Archive {
    let archive = Archive::new();
    for name in [ONE, OTHER] {
        let run = add(&archive, name);
        let mut manifest = manifest_of(&run);
        add_everything(&mut manifest);
        assert!(plant(&mut manifest, planted) > 100);
        let keyed =
            |name: &str, value: Value| Map::from_iter([(format!("{name}{planted}"), value)]);
        manifest["tags"].as_object_mut().unwrap().extend(keyed("tag", json!(name)));
        let facts = &mut manifest["environment_at_start"]["facts"];
        facts.as_object_mut().unwrap().extend(keyed("variable.X", json!(name)));
        manifest["campaign"] = json!("c");
        manifest["id"] = json!(name);
        write_manifest(&run, &manifest);
        fs::write(run.join("raw/stderr"), format!("error: {planted}\n")).unwrap();
        // A slash and a zero are in no name of a file.
        let name = planted.replace(['/', '\0'], "");
        fs::write(run.join(format!("added{name}")), "").unwrap();
    }
    let cell = json!({"model": format!("m{planted}"), "eval": format!("e{planted}")});
    let campaign = json!({
        "schema_version": 1, "id": "i", "name": "c", "created": "2026-11-24T05:00:50Z",
        "asked": [planted], "order": "fixed", "tags": {planted: planted},
        "recording": {"interval_seconds": 0.25, "lead_seconds": 2.0, "hash_model": false},
        "endpoint": {"url": format!("http://h{planted}"), "server": "other",
            "model": format!("m{planted}"), "timeout_seconds": 1.0},
        "cells": [{"cell": cell, "argv": [planted]}, {"cell": {"model": "m", "eval": planted}, "argv": []}],
        "recorder": {"version": planted, "revision": planted},
    });
    fs::create_dir(archive.path().join("campaigns")).unwrap();
    fs::write(archive.path().join("campaigns/c.json"), campaign.to_string()).unwrap();
    archive
}

/// Everything that says something, be it that it refuses.
fn commands(planted: &str) -> Vec<Vec<String>> {
    let [change, note] = ["change", "note"].map(|name| format!("--{name}={planted}"));
    let lines: [&[&str]; 25] = [
        &["list"],
        &["list", "--json"],
        &["list", "--tag", planted],
        &["list", planted],
        &["show", ONE],
        &["show", ONE, "--json"],
        &["show", "c"],
        &["show", "c", "--json"],
        &["show", planted],
        &["compare", ONE, OTHER],
        &["compare", ONE, OTHER, "--json"],
        &["compare", ONE, OTHER, "--by", planted],
        &["report", ONE, OTHER, "--format", "md"],
        &["report", ONE, OTHER, "--format", "json"],
        &["report", ONE, OTHER, "--format", "html", "-o", "-"],
        &["verify"],
        &["verify", "none.tar.zst"],
        &["log", "add", &change, "--evidence", ONE, OTHER, &note],
        &["log", "list"],
        &["log", "show"],
        &["tag", ONE, "--remove", planted],
        &["export", ONE, "--table", planted],
        &["import", planted],
        &["reparse", ONE],
        &["rm", "--dry-run", ONE],
    ];
    lines.iter().map(|line| line.iter().map(|word| (*word).to_owned()).collect()).collect()
}

fn say_everything(planted: &str) -> String {
    let archive = self::planted(planted);
    let mut said = String::new();
    for command in commands(planted) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = archive.run(&words);
        let what = format!("{words:?}");
        assert!(code(&output) != 101, "{what} panicked");
        assert_harmless(&what, &output.stdout);
        assert_harmless(&what, &output.stderr);
        said += &String::from_utf8(output.stdout).unwrap();
    }
    said
}

#[test]
fn no_command_gives_text_of_others_to_the_terminal() {
    let said = say_everything(PLANTED);
    // It is shown all the same.
    assert!(said.contains("value\\u{1b}]0;t\\u{7}"), "{said}");
    assert!(said.contains("\\u001b]52;c;aGk="), "{said}");
    assert!(said.contains("a note\\u{1b}]0;t"), "{said}");
}

#[test]
fn json_says_what_the_manifest_says() {
    let archive = planted(PLANTED);
    let shown = archive.json(&["show", ONE, "--json"]);
    assert_eq!(shown["notes"][0]["text"], format!("a note{PLANTED}"));
    let listed = archive.json(&["list", "--json"]);
    assert_eq!(listed[0]["tags"]["key"], format!("value{PLANTED}"));
}

#[test]
fn notes_of_several_lines_are_no_lines_of_the_run() {
    let archive = planted("\nverdict     clean\n");
    let shown = archive.print(&["show", ONE]);
    assert!(!shown.lines().any(|line| line.starts_with("verdict     clean")), "{shown}");
    let listed = archive.print(&["list"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

/// Tables have as many columns in each row, whatever stands in a cell, and nothing is a link.
#[test]
fn markdown_keeps_its_form() {
    let planted = "|a|`b`\n# c\r- d ![e](http://h/i.png) [f](g) <img src=x> **h** ~~i~~";
    let archive = self::planted(planted);
    let written = archive.print(&["report", ONE, OTHER, "--format", "md"]);
    let written = written + &archive.print(&["report", ONE, "--format", "md"]);
    let columns = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = written.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
        assert_eq!(columns(pair[0]), columns(pair[1]), "{pair:?}");
    }
    for line in lines.iter().filter(|line| !line.starts_with("    ")) {
        let bare = line.replace("\\\\", "").replace("\\[", "").replace("\\]", "");
        assert!(!bare.contains(['[', ']', '<', '\r']), "{line}");
        assert!(!bare.replace("\\`", "").contains('`'), "{line}");
        assert!(!bare.contains("http://") && !line.starts_with("# c"), "{line}");
    }
    assert!(written.contains("&lt;img src=x&gt;"), "{written}");
}

#[test]
fn the_exporter_says_no_text_of_others_to_the_terminal() {
    let archive = planted(PLANTED);
    let place = archive.path().to_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let missing = format!("{}/{PLANTED}", elsewhere.path().display());
    let bad = archive.path().join("20261124T050053.723Z-bad");
    fs::create_dir(&bad).unwrap();
    fs::write(bad.join("manifest.json"), format!("{{\"schema_version\": \"{PLANTED}\"}}")).unwrap();
    let format = |name: &'static str| vec!["--once", "--log.format", name, "--archive", place];
    for arguments in [
        format("json"),
        format("logfmt"),
        vec!["--doctor", "--archive", place],
        vec!["--doctor", "--archive", &missing, "--path.rootfs", &missing],
        vec!["--once", "--config.file", &missing],
        vec!["--once", &missing],
        vec!["--web.listen-address", &missing],
        vec!["--capture", &missing],
    ] {
        let output = program::run(&arguments);
        assert_harmless(&format!("{arguments:?}"), &output.stdout);
        assert_harmless(&format!("{arguments:?}"), &output.stderr);
    }
    let output = program::run(&["--once", "--log.format", "json", "--archive", place]);
    assert_eq!(code(&output), 0);
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

/// A table is data, and goes into a pipe as it is; on a terminal it is text.
#[test]
fn tables_are_data_in_a_pipe_and_text_on_a_terminal() {
    let archive = Archive::new();
    archive.record(&[], &["sh", "-c", &format!("{} mark \"$0\"", own(&archive)), PLANTED]);
    let words = ["export", "latest", "--as-is", "--table", "marks", "--format", "csv"];
    let whole = archive.run(&words);
    assert!(String::from_utf8(whole.stdout).unwrap().contains(PLANTED));
    let json =
        archive.run(&["export", "latest", "--as-is", "--table", "marks", "--format", "json"]);
    assert_harmless("JSON Lines", &json.stdout);
    let lines = String::from_utf8(json.stdout).unwrap();
    let names: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone())
        .collect();
    assert!(names.contains(&json!(PLANTED)), "{names:?}");
    let (_, shown) = Session::as_wide_as(80, &archive.program(&words)).end();
    let shown = shown.replace("\r\n", "\n");
    assert!(shown.contains("\\u{1b}]52;c;aGk="), "{shown}");
    assert_harmless("a terminal", shown.as_bytes());
}

fn own(archive: &Archive) -> String {
    let program = archive.program(&[]);
    Path::new(program.get_program()).display().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn no_text_at_all_does_anything_to_a_terminal(
        planted in "[\u{1}-\u{9f}\u{1b}\u{7f}\u{200b}-\u{206f}]{4,40}|\\PC{1,20}\u{1b}\\PC{1,20}"
    ) {
        say_everything(&planted);
    }
}
