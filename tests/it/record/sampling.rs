//! What is sampled, and how often.

use std::collections::BTreeMap;
use std::fs;

use halo::archive::journal::Reader;
use halo::run::journal::{Line, Tick};

use super::{Archive, manifest};

/// Names and labels.
type Series = Vec<(String, Vec<String>)>;

/// The series and ticks of a run's journal while it lasts: it is copied by its own command. With
/// the ticks before the command comes their number.
fn journal(flags: &[&str], seconds: &str) -> (Series, Vec<Tick>, usize) {
    let archive = Archive::new();
    let copy = archive.path().join("copy");
    let script = format!("sleep {seconds}; cp $HALO_RUN_DIR/journal.jsonl {}", copy.display());
    assert!(archive.record(flags, &["sh", "-c", &script]).status.success());
    let mut reader = Reader::new(fs::File::open(&copy).unwrap());
    let (mut series, mut ticks, mut before) = (Vec::new(), Vec::new(), 0);
    while let Some(line) = reader.next_line().unwrap() {
        match line {
            Line::Series(new) => {
                assert_eq!(new.first as usize, series.len());
                series.extend(new.series);
            }
            Line::Tick(tick) => ticks.push(tick),
            Line::Mark(mark) if mark.name == "command started" => before = ticks.len(),
            Line::Header(_) | Line::Mark(_) => {}
        }
    }
    (series, ticks, before)
}

#[test]
fn every_source_keeps_its_own_pace() {
    let (series, ticks, _) = journal(&[], "1");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for tick in &ticks {
        assert_eq!(tick.series.len(), tick.values.len());
        for number in &tick.series {
            *counts.entry(&series[*number as usize].0).or_default() += 1;
        }
    }
    let readings = |family: &str| {
        let series = series.iter().filter(|(name, _)| name == family).count();
        assert!(series > 0, "{family} is not sampled");
        counts[family] / series
    };
    // Files of the kernel at every tick, the GPU's firmware at most ten times a second, settings
    // once. Lower bounds would depend on how busy this machine is.
    assert_eq!(readings("halo_memory_available_bytes"), ticks.len());
    let slow = |(_, (name, _)): &(usize, &(String, _))| name == "halo_power_watts";
    for (number, series) in series.iter().enumerate().filter(slow) {
        let has = |tick: &&Tick| tick.series.iter().any(|known| *known as usize == number);
        let times: Vec<i64> = ticks.iter().filter(has).map(|tick| tick.at.monotonic).collect();
        // A tick that is a little early after a late one counts.
        let rests = times.windows(2).all(|two| two[1] - two[0] >= 90_000_000);
        assert!(rests && !times.is_empty(), "{series:?}: {times:?}");
    }
    assert_eq!(readings("halo_tuning_value"), 1);
    // Nothing about halo itself, and no facts.
    assert!(
        !series.iter().any(|(name, _)| name.starts_with("process_") || name.ends_with("_info"))
    );
}

#[test]
fn the_schedule_is_absolute() {
    let (_, ticks, before) = journal(&["--interval", "50ms"], "0.7");
    // The sample that was taken for the command begins its schedule.
    let ticks = &ticks[before - 1..];
    let interval = 50_000_000;
    let due = |tick: &Tick| tick.at.monotonic - i64::try_from(tick.late).unwrap();
    let first = due(&ticks[0]);
    let mut number = 0;
    for tick in &ticks[1..] {
        number += 1 + i64::try_from(tick.skipped).unwrap();
        // To the nanosecond, however late a tick was: the time and the lateness that are written
        // come from one reading of the clock.
        assert_eq!(due(tick), first + number * interval, "tick {number} drifted");
    }
}

/// Whatever the interval and however short the command: there is a sample before and after it.
#[test]
fn a_command_shorter_than_a_sample_is_judged_by_those_around_it() {
    for flags in [
        &["--interval", "250ms"][..],
        &["--interval", "1m"],
        &["--interval", "20ms"],
        &["--interval", "10s", "--lead", "100ms"],
    ] {
        let archive = Archive::new();
        assert!(archive.record(flags, &["true"]).status.success());
        let about = manifest(&archive.only_run());
        let verdict = about.verdict.unwrap();
        assert_eq!(verdict.missing, [""; 0], "{flags:?}");
        // It is too short for sensors all the same.
        assert!(verdict.reasons.iter().any(|flag| flag.reason == "too-short"), "{verdict:?}");
        assert!(about.sampling.unwrap().ticks >= 3);
    }
}

/// What the machine does not have stays missing.
#[test]
fn a_machine_without_sensors_is_still_not_known() {
    let archive = Archive::new();
    let mut program = archive.program(&["run", "--lead", "0"]);
    program.args(crate::program::host_flags("no-gpu")).args(["--", "true"]);
    assert!(program.output().unwrap().status.success());
    let verdict = manifest(&archive.only_run()).verdict.unwrap();
    assert!(!verdict.missing.is_empty(), "{verdict:?}");
    assert_eq!(verdict.label, "unknown");
}

#[test]
fn the_machine_alone_is_sampled_before_and_after() {
    let archive = Archive::new();
    assert!(archive.record(&["--lead", "0.3s"], &["true"]).status.success());
    let about = manifest(&archive.only_run());
    let before = about.command.started.unwrap().duration_since(about.started);
    let after = about.ended.unwrap().duration_since(about.command.ended.unwrap());
    assert!(before.as_secs_f64() >= 0.3 && after.as_secs_f64() >= 0.29, "{before:?} {after:?}");
    let sampling = about.sampling.unwrap();
    assert!(sampling.ticks > 4);
    assert!((sampling.interval_seconds - 0.02).abs() < 1e-9);
    assert!(sampling.sources.iter().any(|source| source == "amdgpu"));
}
