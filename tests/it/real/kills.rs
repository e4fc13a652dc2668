//! The recorder killed at every step of its sequence, at random moments, and on a full disk.

use std::process::{Command, Stdio};
use std::time::Duration;

use halo::run::manifest::State;

use crate::record::interrupted::{check_recovery, killed_after};
use crate::record::{Archive, manifest, text};

/// System calls that change what is on the disk, and those that open it. strace kills halo when
/// it is about to make the first of them, then the second, and so on.
const STEPS: [&str; 8] =
    ["mkdir", "openat", "write", "fallocate", "fsync", "fdatasync", "renameat", "unlinkat"];

#[test]
fn a_kill_at_every_step_leaves_a_run_that_can_be_recovered() {
    for step in STEPS {
        let mut kills = 0;
        loop {
            let archive = Archive::new();
            let recording = archive.recording(&["--tag", "kill"], &["echo", "x"]);
            let mut strace = Command::new("strace");
            strace.args(["-o", "/dev/null", "-e", &format!("trace={step}")]);
            strace.args(["-e", &format!("inject={step}:signal=KILL:when={}", kills + 1)]);
            strace.arg(recording.get_program()).args(recording.get_args());
            strace.env("HALO_ARCHIVE", archive.path()).stdin(Stdio::null());
            let status = strace.output().expect("strace is there").status;
            if status.success() {
                break;
            }
            kills += 1;
            assert!(kills < 2000, "{step}: halo never got to its end");
            check_recovery(&archive);
        }
        assert!(kills > 0, "{step}: halo makes no such call any more");
    }
}

#[test]
fn two_hundred_kills_at_random_moments() {
    // A recording takes about 300 ms; primes, so that the moments differ from round to round.
    for number in 0..200_u64 {
        check_recovery(&killed_after(Duration::from_micros(number * 7919 % 400_000)));
    }
}

/// The disk is a file system in memory that the command itself fills.
#[test]
fn a_full_disk_ends_the_sampling_and_not_the_command() {
    let archive = Archive::new();
    let fill = archive.path().join("fill");
    let command = format!("cat /dev/zero > {} 2>&-; sleep 0.3; echo done", fill.display());
    let recording = archive.recording(&[], &["sh", "-c", &command]);
    let script = r#"
        mount -t tmpfs -o size=300m none "$HALO_ARCHIVE" && {
            "$@"; code=$?
            rm "$HALO_ARCHIVE/fill"
            "$1" recover && "$1" verify || exit 99
            "$1" show latest --json >&3
            exit $code
        }"#;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", &format!("exec 3>&1 1>&2; {script}"), "sh"]);
    unshare.arg(recording.get_program()).args(recording.get_args());
    unshare.env("HALO_ARCHIVE", archive.path()).stdin(Stdio::null());
    let output = unshare.output().expect("unshare is there");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("done\n"), "{told}");
    assert!(told.contains("the sampling ended early: No space left on device"), "{told}");
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&told);
    assert_eq!(run["state"], "complete");
    assert!(run["problems"][0].as_str().unwrap().contains("No space left"), "{run}");
    assert!(run["sampling"]["ticks"].as_u64().unwrap() > 0, "{run}");
}

/// Random moments hit the short last steps rarely; that a run without a kill is whole shows that
/// the comparison can succeed at all.
#[test]
fn a_run_without_a_kill_is_complete() {
    let archive = killed_after(Duration::from_secs(5));
    check_recovery(&archive);
    assert_eq!(manifest(&archive.runs()[0]).state, State::Complete);
}
