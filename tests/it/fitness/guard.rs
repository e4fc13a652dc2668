//! A machine that overheats while a command runs.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use halo::run::Manifest;
use halo::run::manifest::State;

use super::Heated;
use crate::record::environment::PODMAN;
use crate::record::{Archive, manifest, path_with, text, wait_until, write_program};

/// Overheats a machine while a shell script runs that makes the file `$READY`, and gives the run.
fn overheat(archive: &Archive, command: &[&str], programs: &Path) -> (Output, Manifest, Duration) {
    let machine = Heated::to(70);
    let ready = programs.join("ready");
    let mut recording = machine.recording(archive, &["--abort-above", "90"], command);
    recording.env("READY", &ready).env("PATH", path_with(programs));
    let child = recording.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the command runs", || ready.exists());
    // At the limit is not above it.
    machine.set(90);
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    machine.set(95);
    let output = child.wait_with_output().unwrap();
    let took = began.elapsed();
    let manifest = manifest(&archive.only_run());
    assert_eq!(manifest.state, State::Cancelled, "{}", text(&output.stderr));
    (output, manifest, took)
}

#[test]
fn a_command_is_ended_and_its_run_archived() {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let script = "echo before; touch $READY; exec sleep 30";
    let (output, about, took) = overheat(&archive, &["sh", "-c", script], directory.path());
    assert_eq!(output.status.signal(), Some(15));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let reason = "halo ended it: 95.0 °C (gfx of 0000:c5:00.0) is above --abort-above 90";
    assert_eq!(about.failure.as_deref(), Some(reason));
    assert_eq!(about.command.aborted.as_deref(), Some(reason));
    assert_eq!((about.command.signal, about.command.asked_to_end), (Some(15), Some(15)));
    assert!(text(&output.stderr).contains(reason));
    assert_eq!(text(&output.stdout), "before\n");
    assert!(archive.print(&["verify"]).contains("as archived"));
    assert!(archive.print(&["show", "latest"]).contains(reason));
    // It is there however often the output is read.
    archive.print(&["reparse", "latest"]);
    assert_eq!(manifest(&archive.only_run()).failure.as_deref(), Some(reason));
    let marks = marks(&archive.only_run());
    let mark = marks.iter().find(|(name, _)| name == "aborted").unwrap();
    for part in [r#""sensor":"gfx""#, r#""celsius":"95""#, r#""device":"0000:c5:00.0""#] {
        assert!(mark.1.contains(part), "{mark:?} lacks {part}");
    }
    let order: Vec<&str> = marks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(order, ["command started", "aborted", "signal", "command ended", "recording ended"]);
}

/// The marks of a run by name, with their attributes.
fn marks(run: &Path) -> Vec<(String, String)> {
    use arrow::array::AsArray;
    let file = fs::File::open(run.join("marks.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    let mut marks = Vec::new();
    for batch in reader.unwrap().build().unwrap().map(Result::unwrap) {
        let text = |column: &str, row| batch[column].as_string::<i32>().value(row).to_owned();
        marks.extend((0..batch.num_rows()).map(|row| (text("name", row), text("attributes", row))));
    }
    marks
}

#[test]
fn a_command_that_tidies_up_and_ends_well_was_ended_all_the_same() {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let script = "trap 'exit 0' TERM; touch $READY; while :; do sleep 0.05; done";
    let (output, about, _) = overheat(&archive, &["sh", "-c", script], directory.path());
    assert_eq!(output.status.signal(), Some(15));
    assert_eq!(about.command.exit_code, Some(0));
}

#[test]
fn a_command_that_will_not_end_is_killed_with_what_it_started() {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let inside = directory.path().join("inside");
    let script = "trap '' TERM; sleep 60 & echo $! > $0; touch $READY; while :; do sleep 1; done";
    let command = ["sh", "-c", script, inside.to_str().unwrap()];
    let (output, about, took) = overheat(&archive, &command, directory.path());
    assert_eq!(output.status.signal(), Some(9));
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(30), "{took:?}");
    assert_eq!(about.command.signal, Some(9));
    assert!(!is_there(fs::read_to_string(&inside).unwrap().trim()), "it computes on");
    assert!(about.problems.iter().any(|problem| problem.contains("that the command left")));
}

fn is_there(process: &str) -> bool {
    fs::read(format!("/proc/{process}/environ")).is_ok_and(|environment| !environment.is_empty())
}

#[test]
fn a_command_in_a_container_is_ended_inside_it() {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    write_program(&directory.path().join("podman"), PODMAN);
    let inside = directory.path().join("inside");
    let script = format!("echo $$ > {}; touch $READY; exec sleep 60", inside.display());
    let command = ["podman", "exec", "box", "sh", "-c", &script];
    let (output, about, _) = overheat(&archive, &command, directory.path());
    assert_eq!(output.status.signal(), Some(15));
    assert!(!is_there(fs::read_to_string(&inside).unwrap().trim()), "it lives on");
    assert!(about.problems.iter().any(|problem| problem.contains("in the container were ended")));
}

#[test]
fn a_machine_that_stays_below_ends_nothing() {
    let (archive, machine) = (Archive::new(), Heated::to(89));
    let mut recording = machine.recording(&archive, &["--abort-above", "90"], &["sleep", "1"]);
    assert!(recording.status().unwrap().success());
    let about = manifest(&archive.only_run());
    assert_eq!((about.state, about.failure), (State::Complete, None));
}
