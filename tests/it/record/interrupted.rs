//! Runs that were cut short: by a kill of halo at any moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use halo::archive::RunDirectory;
use halo::archive::journal::Reader;
use halo::run::journal::Line;
use halo::run::manifest::{Origin, State};

use super::{Archive, manifest, wait_until};

/// Kills a recording after a time, and lets what it started end too.
pub(crate) fn killed_after(delay: Duration) -> Archive {
    let archive = Archive::new();
    let mut command = archive.recording(&["--tag", "kill"], &["sh", "-c", "echo x; sleep 0.15"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    archive
}

/// What the journal of a run says: its ticks' times, and all values by time, family and labels.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Truth {
    pub(crate) values: BTreeMap<(i64, String, Vec<String>), f64>,
    pub(crate) ticks: usize,
    pub(crate) has_end: bool,
}

pub(crate) fn truth(run: &Path) -> Option<Truth> {
    let mut reader = Reader::open(&RunDirectory::at(run)).ok()?;
    let (mut truth, mut series) = (Truth::default(), Vec::new());
    while let Some(line) = reader.next_line().unwrap() {
        match line {
            Line::Series(new) => series.extend(new.series),
            Line::Tick(tick) => {
                truth.ticks += 1;
                for (number, value) in tick.series.iter().zip(&tick.values) {
                    let (name, labels) = series[*number as usize].clone();
                    truth.values.insert((tick.at.unix, name, labels), *value);
                }
            }
            Line::Mark(mark) => truth.has_end |= mark.name == "command ended",
            Line::Header(_) => {}
        }
    }
    Some(truth)
}

/// Recovers what a kill left, and compares it with the journal's own truth.
pub(crate) fn check_recovery(archive: &Archive) {
    let Some(run) = archive.runs().into_iter().next() else { return };
    // What halo was about to start holds its lock, too, until it has become another program.
    wait_until("nobody holds the lock", || !RunDirectory::at(&run).is_active());
    if !run.join("manifest.json").exists() {
        // It was never born; once it is old enough, recover clears it away.
        archive.print(&["recover"]);
        return;
    }
    let before = manifest(&run);
    let truth = truth(&run);
    archive.print(&["recover"]);
    archive.print(&["verify"]);
    let after = manifest(&run);
    assert!(!run.join("journal.jsonl").exists());
    assert_eq!(after.tags, before.tags);
    assert_ne!(after.state, State::Running);
    assert_eq!(archive.print(&["recover"]), "", "nothing is left to do");
    // The kill came after the last step, or before the journal was made.
    let Some(truth) = truth else { return };
    let expected = if truth.has_end { State::Complete } else { State::Interrupted };
    assert_eq!(after.state, expected);
    let ticks = after.sampling.as_ref().map_or(0, |sampling| sampling.ticks);
    assert_eq!(ticks, truth.ticks as u64);
    if before.state == State::Running {
        assert_eq!(after.origin, Origin::Recovered);
    }
    assert_eq!(super::archive_values(&run), truth.values);
}

#[test]
fn a_kill_at_any_moment_leaves_a_run_that_can_be_recovered() {
    for step in 0..24 {
        check_recovery(&killed_after(Duration::from_millis(step * 12)));
    }
}

#[test]
fn a_torn_journal_is_read_up_to_the_tear() {
    let archive = Archive::new();
    let mut child = archive.recording(&[], &["sleep", "20"]).spawn().unwrap();
    wait_until("some ticks", || {
        archive.runs().first().is_some_and(|run| truth(run).is_some_and(|truth| truth.ticks > 5))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let run = archive.only_run();
    let whole = truth(&run).unwrap();
    let mut journal = fs::read(run.join("journal.jsonl")).unwrap();
    // The kill may have come between a line that names new series and its tick.
    let last = journal.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
    let lost_ticks = u64::from(last.starts_with(b"{\"tick\""));
    let tear = journal.len() - 7;
    // What a file system leaves of a block that never reached the disk.
    journal[tear..].fill(0);
    journal.extend([0; 4096]);
    fs::write(run.join("journal.jsonl"), journal).unwrap();
    archive.print(&["recover"]);
    let after = manifest(&run);
    assert_eq!(after.sampling.unwrap().ticks, whole.ticks as u64 - lost_ticks);
    assert!(after.problems[0].contains("end of the journal is lost"), "{:?}", after.problems);
    assert!(super::archive_values(&run).iter().all(|(key, value)| whole.values[key] == *value));
}

#[test]
fn a_run_that_cannot_be_closed_keeps_its_journal() {
    let archive = Archive::new();
    // A directory where a file has to be made.
    let obstacle = "mkdir $HALO_RUN_DIR/power.parquet";
    let output = archive.record(&[], &["sh", "-c", obstacle]);
    assert_eq!(output.status.code(), Some(125));
    let told = super::text(&output.stderr);
    assert!(told.contains("the journal is kept") && told.contains("halo-record recover"), "{told}");
    let run = archive.only_run();
    let whole = truth(&run).unwrap();
    assert!(!archive.run(&["recover"]).status.success());
    fs::remove_dir(run.join("power.parquet")).unwrap();
    archive.print(&["recover"]);
    let after = manifest(&run);
    assert_eq!((after.state, after.origin), (State::Complete, Origin::Recovered));
    assert_eq!(super::archive_values(&run), whole.values);
}

#[test]
fn a_run_that_lasts_is_not_recovered_removed_or_changed() {
    let archive = Archive::new();
    let mut child = archive.recording(&[], &["sleep", "20"]).spawn().unwrap();
    wait_until("the run", || {
        archive.runs().first().is_some_and(|run| truth(run).is_some_and(|truth| truth.ticks > 0))
    });
    let name = archive.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(archive.print(&["list"]).contains("running"));
    for arguments in [
        &["rm", "--yes", &name][..],
        &["tag", &name, "x"],
        &["recover", &name],
        &["reparse", &name],
    ] {
        let output = archive.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(super::text(&output.stderr).contains("being recorded"), "{arguments:?}");
    }
    assert_eq!(archive.print(&["recover"]), "");
    assert_eq!(archive.print(&["prune", "--keep", "0"]), "");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(archive.print(&["list"]).contains("interrupted"));
}
