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
