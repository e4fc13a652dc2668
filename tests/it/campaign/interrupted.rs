//! Campaigns that a kill or a user ended, and that go on where they stopped.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{User, code};
use crate::record::text;

const MODELS: [&str; 2] = ["slow.gguf", "ok.gguf"];
const FLAGS: [&str; 6] = ["--kv-types", "f16,q8_0", "--context", "512", "--reps", "2"];

/// A campaign in its third cell.
fn in_the_middle(user: &User) -> Child {
    let mut program = user.campaign(&MODELS, &FLAGS);
    let child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while user.commands().len() < 3 {
        assert!(begin.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn send(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(id, signal).unwrap();
}

fn uninterrupted() -> Vec<serde_json::Value> {
    let user = User::with_models(&MODELS);
    let output = user.run(&MODELS, &FLAGS);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    user.matrix()
}

/// The directories of models differ between users.
fn without_paths(cells: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let plain = |cell: &serde_json::Value| {
        let mut cell = cell.clone();
        cell.as_object_mut().unwrap().remove("argv");
        cell
    };
    cells.iter().map(plain).collect()
}

#[test]
fn a_campaign_that_was_killed_goes_on_and_comes_to_the_same() {
    let user = User::with_models(&MODELS);
    let mut child = in_the_middle(&user);
    send(&child, Signal::KILL);
    child.wait().unwrap();
    let states = user.states();
    assert_eq!(states[..2], ["done", "done"]);
    assert_eq!(states[2..], ["open"; 6]);

    let output = user.resume(&[]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("2 of 8 cells are done already"));
    // The third was begun twice, the others once.
    assert_eq!(user.commands().len(), 9);
    assert_eq!(without_paths(&user.matrix()), without_paths(&uninterrupted()));
    let all = user.archive.json(&["list", "--json"]);
    let states: Vec<&str> =
        all.as_array().unwrap().iter().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "interrupted").count(), 1);
    assert_eq!(states.iter().filter(|state| **state == "complete").count(), 8);
}

#[test]
fn a_user_who_ends_a_cell_ends_the_campaign() {
    for signal in [Signal::INT, Signal::TERM] {
        let user = User::with_models(&MODELS);
        let mut child = in_the_middle(&user);
        send(&child, signal);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status:?}");
        assert_eq!(user.states()[2..], ["open"; 6]);
        assert_eq!(user.commands().len(), 3);
        assert_eq!(code(&user.resume(&[])), 0);
        assert_eq!(user.states(), ["done"; 8]);
    }
}

#[test]
fn two_do_not_run_one_campaign() {
    let user = User::with_models(&MODELS);
    let mut child = in_the_middle(&user);
    let output = user.resume(&[]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("is running; wait for its end"));
    send(&child, Signal::TERM);
    child.wait().unwrap();
}

#[test]
fn campaigns_that_are_planned_at_once_get_names_of_their_own_and_appear_whole() {
    let archive = tempfile::tempdir().unwrap();
    let planned = halo::run::Campaign {
        endpoint: None,
        schema_version: halo::run::manifest::SCHEMA_VERSION,
        id: "0198".to_owned(),
        name: "sweep".to_owned(),
        created: jiff::Timestamp::UNIX_EPOCH,
        asked: Vec::new(),
        order: "fixed".to_owned(),
        tags: halo::run::manifest::Tags::new(),
        recording: serde_json::from_str(
            r#"{"interval_seconds":1.0,"lead_seconds":0.0,"hash_model":false}"#,
        )
        .unwrap(),
        cells: Vec::new(),
        removed: Vec::new(),
        recorder: halo::run::manifest::Recorder::this(),
    };
    let archive = halo::archive::Archive::at(archive.path());
    let seen = |archive: &halo::archive::Archive| {
        let files = std::fs::read_dir(archive.directory().join("campaigns"));
        let files = files.into_iter().flatten().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect::<Vec<_>>()
    };
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                for path in seen(&archive) {
                    let text = std::fs::read(&path).unwrap();
                    serde_json::from_slice::<halo::run::Campaign>(&text)
                        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                }
            }
        });
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut campaign = planned.clone();
                    halo::archive::campaign::create(&archive, &mut campaign).unwrap();
                    campaign.name
                })
            })
            .collect();
        let mut names: Vec<String> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        looking.join().unwrap();
        names.sort();
        let numbered = (2..9).map(|number| format!("sweep-{number}"));
        let expected: Vec<String> = std::iter::once("sweep".to_owned()).chain(numbered).collect();
        assert_eq!(names, expected);
    });
}
