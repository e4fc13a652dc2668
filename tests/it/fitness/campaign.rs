//! What a campaign requires, it requires of each of its cells.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::Heated;
use crate::campaign::{User, code};
use crate::program::machine_flags;
use crate::record::{manifest, text, wait_until};

/// The last flags count, so the machine of a campaign of these tests can be another one.
fn flags<'a>(machine: &'a [String; 3], more: &[&'a str]) -> Vec<&'a str> {
    let mut flags = vec!["--skip-longctx"];
    flags.extend(machine.iter().map(String::as_str));
    flags.extend(more);
    flags
}

#[test]
fn a_cell_that_overheats_the_machine_has_failed_and_the_rest_goes_on_when_it_is_cool() {
    let user = User::with_models(&["hang.gguf", "ok.gguf"]);
    let machine = Heated::to(70);
    let paths = machine_flags(machine.path());
    let flags = flags(&paths, &["--abort-above", "90", "--cool-to", "75"]);
    let mut campaign = user.campaign(&["hang.gguf", "ok.gguf"], &flags);
    let child = campaign.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first cell runs", || user.commands().len() == 1);
    machine.set(95);
    wait_until("it is ended", || {
        let runs = user.archive.runs();
        let first = runs.iter().find(|run| run.join("manifest.json").exists());
        first.is_some_and(|run| manifest(run).command.aborted.is_some())
    });
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(user.commands().len(), 1, "the second waits");
    machine.set(60);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("cooling: 95 °C, to 75 °C"), "{}", text(&output.stderr));
    assert_eq!(user.states(), ["failed", "done"]);
    let reason = user.matrix()[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("halo ended it: 95.0 °C"), "{reason}");

    // What is required is remembered.
    machine.set(80);
    let mut again = user.program(&["benchmark", "--resume", "latest", "--retry-failed"]);
    let mut again = again.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(user.commands().len(), 2, "the machine is too hot");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&again),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    again.wait().unwrap();
}

#[test]
fn a_campaign_whose_machine_is_not_as_required_says_so_of_each_cell() {
    let user = User::with_models(&["ok.gguf", "other.gguf"]);
    let machine = Heated::to(80);
    let paths = machine_flags(machine.path());
    let flags = flags(&paths, &["--cool-to", "50", "--cool-timeout", "100ms"]);
    let output = user.run(&["ok.gguf", "other.gguf"], &flags);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    let told = text(&output.stderr);
    assert_eq!(told.matches("not run: --cool-to 50: still at 80.0 °C").count(), 2, "{told}");
    assert!(user.commands().is_empty());
}

#[test]
fn a_cell_that_takes_too_long_has_failed_and_the_rest_goes_on() {
    let user = User::with_models(&["hang.gguf", "ok.gguf"]);
    let output = user.run(&["hang.gguf", "ok.gguf"], &["--skip-longctx", "--timeout", "3s"]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    assert_eq!(user.states(), ["failed", "done"]);
    let reason = user.matrix()[0]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason, "halo ended it: it took longer than --timeout 3s");
}
