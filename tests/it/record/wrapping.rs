//! A wrapped command is as without halo: what it reads, prints, gets and gives.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use halo::run::manifest::{Results, State};
use rustix::process::{Pid, Signal, kill_process};

use super::{Archive, manifest, path_with, raw, text, wait_until, write_program};

#[test]
fn output_exit_code_and_variables_pass_through() {
    let archive = Archive::new();
    let script = "echo out; echo err >&2; echo $HALO_RUN_ID; echo $HALO_RUN_DIR; exit 7";
    let output = archive.record(&["--tag", "a=b", "--tag", "c"], &["sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7));
    let run = archive.only_run();
    let about = manifest(&run);
    let printed = format!("out\n{}\n{}\n", about.id, run.display());
    assert_eq!(text(&output.stdout), printed);
    assert!(text(&output.stderr).lines().any(|line| line == "err"));
    assert_eq!(raw(&run, "stdout"), printed);
    assert_eq!(raw(&run, "stderr"), "err\n");
    assert_eq!(about.state, State::Failed);
    assert_eq!(about.results, Results::None);
    assert_eq!(about.command.exit_code, Some(7));
    assert_eq!(about.tags["a"].as_deref(), Some("b"));
    assert_eq!(about.tags["c"], None);
    assert_eq!(about.name, run.file_name().unwrap().to_str().unwrap());
    assert!(about.command.started.unwrap() <= about.command.ended.unwrap());
    assert!(about.started <= about.command.started.unwrap());
    assert!(about.ended.unwrap() >= about.command.ended.unwrap());
}

#[test]
fn bytes_that_are_no_text_arrive_as_they_are() {
    let archive = Archive::new();
    let script = r"printf '\377\000\r\n\033[1m'; head -c 300000 /dev/zero";
    let output = archive.record(&[], &["sh", "-c", script]);
    let mut expected = b"\xff\0\r\n\x1b[1m".to_vec();
    expected.resize(expected.len() + 300_000, 0);
    assert!(output.stdout == expected, "{} bytes", output.stdout.len());
    assert!(std::fs::read(archive.only_run().join("raw/stdout")).unwrap() == expected);
}

#[test]
fn standard_input_reaches_the_command() {
    let archive = Archive::new();
    let mut command = archive.recording(&[], &["sh", "-c", "read line; echo \"got $line\"; cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"first\nrest").unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), "got first\nrest");
}

#[test]
fn a_signal_that_ends_the_command_ends_halo() {
    let archive = Archive::new();
    let output = archive.record(&[], &["sh", "-c", "kill -SEGV $$"]);
    assert_eq!(output.status.signal(), Some(11));
    let about = manifest(&archive.only_run());
    assert_eq!((about.state, about.command.signal), (State::Failed, Some(11)));
}

/// Starts a command that says when it is ready, sends halo a signal, and gives the run.
fn signalled(signal: Signal, script: &str) -> (Archive, std::process::Output) {
    let archive = Archive::new();
    let mut command = archive.recording(&[], &["sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stdout = (line + &rest).into_bytes();
    (archive, output)
}

#[test]
fn signals_reach_the_command_first_and_the_run_is_archived() {
    let (archive, output) = signalled(
        Signal::TERM,
        "trap 'echo ends; exit 5' TERM; echo ready; while :; do sleep 0.01; done",
    );
    assert_eq!(text(&output.stdout), "ready\nends\n");
    assert_eq!(output.status.code(), Some(5));
    let about = manifest(&archive.only_run());
    assert_eq!((about.state, about.command.asked_to_end), (State::Cancelled, Some(15)));

    let (archive, output) = signalled(Signal::INT, "echo ready; exec sleep 20");
    assert_eq!(output.status.signal(), Some(2));
    assert_eq!(manifest(&archive.only_run()).state, State::Cancelled);

    // A signal that means something else to the command ends nothing.
    let (archive, output) = signalled(
        Signal::USR1,
        "trap 'echo one; exit 0' USR1; echo ready; while :; do sleep 0.01; done",
    );
    assert_eq!(text(&output.stdout), "ready\none\n");
    assert_eq!(manifest(&archive.only_run()).state, State::Complete);
}

#[test]
fn a_command_that_never_ran_is_told_from_one_that_was_cut_short() {
    // Ctrl-C while the machine alone is sampled.
    let archive = Archive::new();
    let mut child = archive.recording(&["--lead", "20s"], &["true"]).spawn().unwrap();
    wait_until("the machine is sampled", || {
        archive.runs().first().is_some_and(|run| run.join("journal.jsonl").exists())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    let about = manifest(&archive.only_run());
    assert_eq!((about.state, about.command.started), (State::Cancelled, None));

    // A file that may be executed and cannot be: nobody looks at the interpreter of an interpreter.
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let program = directory.path().join("program");
    write_program(&program, "");
    let interpreter = directory.path().join("interpreter");
    write_program(&interpreter, "");
    std::fs::write(&interpreter, "#!/no/such/interpreter\n").unwrap();
    std::fs::write(&program, format!("#!{}\n", interpreter.display())).unwrap();
    let output = archive.record(&[], &[program.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(125));
    let about = manifest(&archive.only_run());
    assert_eq!(about.state, State::Failed);
    assert!(about.problems[0].contains("No such file"), "{:?}", about.problems);
}

#[test]
fn a_reader_that_goes_away_ends_the_command_as_without_halo() {
    let archive = Archive::new();
    let mut command = archive.recording(&[], &["yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(13), "{}", text(&output.stderr));
    assert_eq!(manifest(&archive.only_run()).command.signal, Some(13));
}

#[test]
fn what_the_command_leaves_running_is_not_waited_for() {
    let archive = Archive::new();
    let output = archive.record(&[], &["sh", "-c", "echo done; sleep 30 &"]);
    assert_eq!(text(&output.stdout), "done\n");
    let about = manifest(&archive.only_run());
    assert_eq!(about.state, State::Complete);
    assert!(about.problems[0].contains("still prints"), "{:?}", about.problems);
}

#[test]
fn marks_come_from_inside_and_from_outside() {
    let archive = Archive::new();
    let halo = env!("CARGO_BIN_EXE_halo-record");
    let script = format!("{halo} mark inside key=value && sleep 20");
    let mut child = archive.recording(&[], &["sh", "-c", &script]).spawn().unwrap();
    let has_mark = |run: &std::path::Path, name: &str| {
        std::fs::read_to_string(run.join("journal.jsonl"))
            .is_ok_and(|journal| journal.contains(name))
    };
    wait_until("the mark from inside", || {
        archive.runs().first().is_some_and(|run| has_mark(run, r#""name":"inside""#))
    });
    let run = archive.only_run();
    archive.print(&["mark", "outside"]);
    assert!(has_mark(&run, r#""name":"outside""#));

    // Two that are active: which one is meant has to be said.
    let mut other = archive.recording(&[], &["sleep", "20"]).spawn().unwrap();
    wait_until("a second run", || {
        archive.runs().len() == 2
            && archive.runs().iter().all(|run| run.join("journal.jsonl").exists())
    });
    let refused = archive.run(&["mark", "which"]);
    assert_eq!(refused.status.code(), Some(1));
    for run in archive.runs() {
        let name = run.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(text(&refused.stderr).contains(&name), "{}", text(&refused.stderr));
    }
    let name = run.file_name().unwrap().to_str().unwrap();
    archive.print(&["mark", "which", "--run", name]);
    assert!(has_mark(&run, r#""name":"which""#));

    for child in [&mut child, &mut other] {
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        child.wait().unwrap();
    }
    let refused = archive.run(&["mark", "late"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("no run is being recorded"));
}

/// A stand-in for systemd-inhibit, because nothing suspends here. As the real one it runs a
/// program, holds its lock meanwhile, and says here how long that was.
#[test]
fn the_machine_is_kept_awake_until_halo_ends_however_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let script =
        format!("echo \"$*\" >> {0}; for last; do :; done; $last; echo free >> {0}", log.display());
    write_program(&directory.path().join("systemd-inhibit"), &script);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();

    let archive = Archive::new();
    let record = |command: &[&str]| {
        let mut recording = archive.recording(&[], command);
        recording.env("PATH", path_with(directory.path()));
        recording
    };
    assert!(record(&["true"]).status().unwrap().success());
    wait_until("the lock is free", || said().ends_with("free\n"));
    assert!(said().contains("--what=sleep:idle") && said().contains("--mode=block"), "{}", said());
    let facts = manifest(&archive.only_run()).environment_at_start.facts;
    assert_eq!(facts["sleep.inhibited"], "true");

    std::fs::remove_file(&log).unwrap();
    let mut child = record(&["sleep", "20"]).spawn().unwrap();
    wait_until("the lock is held", || said().contains("--what"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the lock is free", || said().ends_with("free\n"));
}
