//! What a run requires before it begins.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{HOST, Heated, recording};
use crate::machine::{Copy, fixtures};
use crate::record::{Archive, manifest, text};

fn host(name: &str) -> PathBuf {
    fixtures().join("hosts").join(name)
}

/// What is said of a run that was refused, and nothing was made of it.
fn refused(archive: &Archive, output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(archive.runs().is_empty(), "{said}");
    said.lines().last().unwrap().to_owned()
}

fn refusal(machine: &str, flags: &[&str]) -> String {
    let archive = Archive::new();
    let output = recording(&host(machine), &archive, flags, &["true"]).output().unwrap();
    refused(&archive, &output)
}

fn passes(machine: &str, flags: &[&str]) -> halo::run::Manifest {
    let archive = Archive::new();
    let output = recording(&host(machine), &archive, flags, &["true"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    manifest(&archive.only_run())
}

/// Reads what is said until a recording waits for a cool machine; what comes after is still unread.
fn until_it_waits(child: &mut Child) -> (String, BufReader<ChildStderr>) {
    let mut more = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("cooling:") {
        assert!(more.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    (said, more)
}

#[test]
fn a_hot_machine_is_waited_for() {
    let (archive, machine) = (Archive::new(), Heated::to(80));
    let mut command = machine.recording(&archive, &["--cool-to", "50"], &["true"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let (mut said, mut more) = until_it_waits(&mut child);
    thread::sleep(Duration::from_millis(1200));
    assert!(archive.runs().is_empty(), "nothing is made before the machine is cool");
    machine.set(50);
    more.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let expected = "cooling: 80.0 °C (gfx of 0000:c5:00.0), waiting for 50 °C for at most 10 min";
    assert!(said.contains(expected), "{said}");
    let facts = manifest(&archive.only_run()).environment_at_start.facts;
    assert_eq!(facts["fitness.temperature_celsius"], "50.0");
    let waited: f64 = facts["fitness.waited_seconds"].parse().unwrap();
    assert!((1.0..20.0).contains(&waited), "{waited}");
}

#[test]
fn a_machine_that_stays_hot_is_refused_in_time() {
    let (archive, machine) = (Archive::new(), Heated::to(80));
    let flags = ["--cool-to", "50.5", "--cool-timeout", "1s"];
    let began = Instant::now();
    let output = machine.recording(&archive, &flags, &["true"]).output().unwrap();
    let said = refused(&archive, &output);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(
        said.contains("--cool-to 50.5: still at 80.0 °C (gfx of 0000:c5:00.0) after 1 s"),
        "{said}"
    );
    assert!(said.contains("--cool-timeout"), "{said}");
}

#[test]
fn a_signal_ends_the_waiting_and_leaves_no_run() {
    let (archive, machine) = (Archive::new(), Heated::to(80));
    let mut command = machine.recording(&archive, &["--cool-to", "50"], &["true"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let _said = until_it_waits(&mut child);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    assert!(archive.runs().is_empty());
}

#[test]
fn a_limit_without_a_temperature_is_refused_and_not_passed() {
    for flag in ["--cool-to", "--abort-above"] {
        let said = refusal("no-gpu", &[flag, "80"]);
        assert!(said.contains(&format!("{flag} 80: no temperature")), "{said}");
        assert!(said.contains("--doctor"), "{said}");
    }
    let said = refusal(HOST, &["--abort-above", "60"]);
    assert!(
        said.contains("--abort-above 60: the machine is at 81.4 °C (cpu_tctl of package)"),
        "{said}"
    );
    assert!(said.contains("--cool-to"), "{said}");
}

#[test]
fn a_machine_in_use_is_refused_with_the_name_of_who_uses_it() {
    let said = refusal(HOST, &["--require-idle"]);
    for part in [
        "--require-idle: 0000:c5:00.0 is busy 100 % of the time and draws 88.2 W",
        "llama-server (pid 2211, holds 63.01 GiB)",
        "kill 2211",
    ] {
        assert!(said.contains(part), "{said} lacks {part}");
    }
    assert!(refusal("no-gpu", &["--require-idle"]).contains("no graphics processor is awake"));
    let facts = passes("strix-halo-zbook-64g", &["--require-idle"]).environment_at_start.facts;
    let waited: f64 = facts["fitness.waited_seconds"].parse().unwrap();
    assert!(waited > 1.0, "one reading tells little: {waited}");
}

#[test]
fn checks_of_a_group_are_required() {
    passes(HOST, &["--require-check", "power", "--require-check", "runtime"]);
    let said =
        refusal("strix-halo-zbook-64g", &["--require-check", "core", "--require-check", "runtime"]);
    assert!(said.contains("--require-check runtime: "), "{said}");
    assert!(said.contains("swappiness") && said.contains("halo-record check"), "{said}");
    let copy = Copy::of(HOST);
    for directory in ["proc/sys/vm", "sys/kernel/mm"] {
        copy.clear(directory.as_ref());
    }
    let archive = Archive::new();
    let output =
        recording(copy.path(), &archive, &["--require-check", "runtime"], &["true"]).output();
    let said = refused(&archive, &output.unwrap());
    assert!(said.contains("none of its checks can be told"), "{said}");
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let cases: [(&[&str], &str); 6] = [
        (&["--cool-to", "90", "--abort-above", "80"], "expected less than --abort-above 80"),
        (&["--abort-above", "90", "--interval", "5s"], "--abort-above needs 1s or less"),
        (&["--cool-to", "5"], "20 to 110"),
        (&["--abort-above", "hot"], "20 to 110"),
        (&["--require-check", "all"], "core, power, runtime"),
        (&["--cool-timeout", "10"], "unit"),
    ];
    for (flags, expected) in cases {
        let said = refusal(HOST, flags);
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
}

#[test]
fn a_run_that_requires_nothing_waits_for_nothing() {
    let facts = passes(HOST, &[]).environment_at_start.facts;
    assert!(!facts.keys().any(|name| name.starts_with("fitness.")), "{facts:?}");
}
