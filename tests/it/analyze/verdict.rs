//! A recording for each verdict, and for each reason.

use halo::analyze::telemetry::Unreadable;
use halo::analyze::verdict::{
    CONTENDED, ENVIRONMENT_CHANGED, GAPS, MEMORY_PRESSURE, POWER_CAPPED, REASONS,
    THERMALLY_THROTTLED, TOO_SHORT, judge,
};
use halo::run::manifest::{Case, Kind, Origin, State, Tool, Verdict};
use halo::run::{Environment, Evidence, Manifest, Thresholds};

use super::Recording;

const GPU: &str = "0000:c5:00.0";

/// The command runs from here to there.
const FROM: f64 = 3.0;
const TO: f64 = 23.0;

/// A run of llama-bench to which nothing happened: prefill from 4 s to 10 s, decode until it ends.
fn clean() -> (Manifest, Recording) {
    let tool = Tool { name: "llama-bench".to_owned(), version: None };
    let started = jiff::Timestamp::UNIX_EPOCH;
    let mut manifest = Manifest::begin(
        "0198".to_owned(),
        Kind::Benchmark,
        Origin::Recorded,
        State::Complete,
        started,
        tool,
    );
    let case = |name: &str, parameters: serde_json::Value| Case {
        task: "llama-bench".to_owned(),
        case: name.to_owned(),
        parameters: serde_json::from_value(parameters).unwrap(),
    };
    manifest.cases = vec![
        case("pp512", serde_json::json!({"n_prompt": 512, "n_gen": 0})),
        case("tg128", serde_json::json!({"n_prompt": 0, "n_gen": 128})),
    ];
    let mut recording = Recording::new(30.0, FROM, TO);
    recording.event("tool", "prompt", 4.0, &[("test", "1"), ("repetition", "1")]);
    recording.event("tool", "test ended", 10.0, &[]);
    recording.event("tool", "generation", 10.0, &[("test", "2"), ("repetition", "1")]);
    recording.draws(|time| if (FROM..TO).contains(&time) { 90.0 } else { 9.0 });
    recording
        .shows("halo_temperature_celsius", &[GPU, "gfx"], |_| 70.0)
        .shows("halo_memory_available_bytes", &[], |_| 5e10)
        .shows("halo_swap_used_bytes", &[], |_| 1e9)
        .shows("halo_pressure_stalled_seconds_total", &["memory", "some"], |time| 0.001 * time)
        .shows("halo_cpu_seconds_total", &["user"], |time| time)
        .shows("halo_gpu_busy_ratio", &[GPU, "gfx"], |time| {
            f64::from(u8::from((FROM..TO).contains(&time)))
        })
        .shows("halo_power_limit_watts", &["stapm"], |_| 120.0)
        .shows("halo_throttle_residency_total", &[GPU, "fppt"], |time| 1e6 + 10.0 * time);
    for limiter in ["spl", "sppt", "thm_gfx", "thm_soc", "thm_core", "prochot"] {
        recording.shows("halo_throttle_residency_total", &[GPU, limiter], |_| 1e6);
    }
    (manifest, recording)
}

fn judged((manifest, recording): &(Manifest, Recording)) -> Verdict {
    judge(manifest, recording, &Thresholds::default()).unwrap()
}

/// A clean run to which something is done.
fn but(change: impl Fn(&mut Manifest, &mut Recording)) -> Verdict {
    let mut run = clean();
    change(&mut run.0, &mut run.1);
    judged(&run)
}

#[track_caller]
fn is_flagged(verdict: &Verdict, reason: &str, evidence: &[&str]) {
    assert_eq!(verdict.label, "flagged", "{verdict:?}");
    let reasons: Vec<&str> = verdict.reasons.iter().map(|flag| flag.reason.as_str()).collect();
    assert_eq!(reasons, [reason]);
    for part in evidence {
        assert!(verdict.reasons[0].evidence.contains(part), "{part}: {verdict:?}");
    }
    assert!(REASONS.contains(&reason));
}

#[track_caller]
fn is_unknown(verdict: &Verdict, missing: &str) {
    assert_eq!(verdict.label, "unknown", "{verdict:?}");
    assert_eq!(verdict.missing.len(), 1, "{verdict:?}");
    assert!(verdict.missing[0].contains(missing), "{missing}: {verdict:?}");
}

#[test]
fn a_run_to_which_nothing_happened_is_clean() {
    let verdict = judged(&clean());
    assert_eq!((verdict.label.as_str(), verdict.reasons.len()), ("clean", 0), "{verdict:?}");
    assert!(verdict.missing.is_empty());
}

#[test]
fn a_power_limit_is_found_in_the_phase_in_which_it_was_engaged() {
    let verdict = but(|_, recording| {
        // Engaged for half of the prompt alone: 3 s of 20 s.
        let counted = |time: f64| 1e6 + 1000.0 * (time.clamp(5.0, 8.0) - 5.0);
        recording.shows("halo_throttle_residency_total", &[GPU, "spl"], counted);
    });
    let evidence = ["spl was engaged for 5", "% of prompt of pp512", "residency"];
    is_flagged(&verdict, POWER_CAPPED, &evidence);
    let figures = &verdict.reasons[0].figures;
    assert!((figures["spl"] - 0.5).abs() < 0.03, "{figures:?}");
    assert!((figures["limit_watts.stapm"] - 120.0).abs() < 1e-9);
    assert_eq!(figures.len(), 2, "{figures:?}");
}

#[test]
fn without_residency_status_bits_or_limits_tell_it() {
    let without_residency = |recording: &mut Recording| {
        recording.series.retain(|(family, _), _| *family != "halo_throttle_residency_total");
    };
    let verdict = but(|_, recording| {
        without_residency(recording);
        let bit = |time: f64| f64::from(u8::from(time > 12.0));
        recording.shows("halo_throttle_active", &[GPU, "sppt"], bit);
    });
    is_flagged(&verdict, POWER_CAPPED, &["sppt", "status bits"]);
    let verdict = but(|_, recording| {
        without_residency(recording);
        recording.shows("halo_power_limit_value_watts", &["stapm"], |_| 119.0);
    });
    is_flagged(&verdict, POWER_CAPPED, &["stapm", "97 % of the limit"]);
    let verdict = but(|_, recording| {
        without_residency(recording);
        recording.shows("halo_power_limit_value_watts", &["stapm"], |_| 100.0);
    });
    assert_eq!(verdict.label, "clean");
}

#[test]
fn heat_is_found_by_counters_and_by_temperature() {
    let verdict = but(|_, recording| {
        let counted = |time: f64| 100.0 * (time - 12.0).max(0.0);
        recording.shows("halo_throttle_residency_total", &[GPU, "thm_gfx"], counted);
    });
    is_flagged(&verdict, THERMALLY_THROTTLED, &["thm_gfx", "generation of tg128"]);
    let verdict =
        but(|_, recording| {
            recording
                .shows("halo_temperature_limit_celsius", &["package", "gfx"], |_| 100.0)
                .shows("halo_temperature_celsius", &[GPU, "gfx"], |time| 78.0 + time);
        });
    is_flagged(&verdict, THERMALLY_THROTTLED, &["gfx was within 2 K of its limit of 100 °C"]);
}

#[test]
fn short_memory_is_found_by_waiting_and_by_swap() {
    let verdict = but(|_, recording| {
        let waited = |time: f64| 0.1 * time;
        recording.shows("halo_pressure_stalled_seconds_total", &["memory", "some"], waited);
    });
    is_flagged(&verdict, MEMORY_PRESSURE, &["10 %", "PSI"]);
    let verdict = but(|_, recording| {
        // It comes back before the end, and went there all the same.
        let used = |time: f64| if (8.0..15.0).contains(&time) { 3e9 } else { 1e9 };
        recording.shows("halo_swap_used_bytes", &[], used);
    });
    is_flagged(&verdict, MEMORY_PRESSURE, &["1.86 GiB went to swap"]);
}

#[test]
fn other_users_of_the_processor_are_found() {
    for (when, busy) in [("before", 0.0..4.0), ("after", 25.0..40.0)] {
        let verdict = but(|_, recording| {
            let is_busy = |time: f64| (FROM..TO).contains(&time) || busy.contains(&time);
            let shown = |time: f64| f64::from(u8::from(is_busy(time)));
            recording.shows("halo_gpu_busy_ratio", &[GPU, "gfx"], shown);
        });
        is_flagged(&verdict, CONTENDED, &[when]);
    }
    let with_another = |manifest: &mut Manifest, recording: &mut Recording, kind: Kind| {
        manifest.kind = kind;
        let labels = [GPU, "812", "ollama", "gfx"];
        recording.shows("halo_process_gpu_seconds_total", &labels, |time| 0.3 * time);
    };
    let verdict = but(|manifest, recording| with_another(manifest, recording, Kind::Benchmark));
    is_flagged(&verdict, CONTENDED, &["ollama (pid 812) computed 30 %"]);
    let verdict = but(|manifest, recording| with_another(manifest, recording, Kind::Eval));
    assert_eq!(verdict.label, "clean", "the server of an eval is no other");
}

#[test]
fn activity_that_dies_away_after_the_command_is_its_own() {
    let verdict = but(|_, recording| {
        let shown = |time: f64| match time {
            FROM..TO => 1.0,
            TO.. => (TO - time).exp(),
            _ => 0.0,
        };
        recording.shows("halo_gpu_busy_ratio", &[GPU, "gfx"], shown);
    });
    assert_eq!(verdict.label, "clean", "{verdict:?}");
}

#[test]
fn samples_that_were_left_out_are_gaps() {
    let verdict = but(|_, recording| {
        recording.ticks.iter_mut().filter(|tick| tick.at > 0).for_each(|tick| tick.skipped = 1);
    });
    is_flagged(&verdict, GAPS, &["50 % of the samples are skipped"]);
    let verdict = but(|_, recording| {
        for tick in &mut recording.ticks {
            tick.failing = Some("tuning:io amdgpu:timeout".to_owned());
        }
    });
    is_flagged(&verdict, GAPS, &["100 % of the samples are without a source that timed out"]);
}

#[test]
fn a_machine_that_was_set_anew_meanwhile_is_flagged() {
    let verdict = but(|_, recording| {
        let limit = |time: f64| if time < 9.0 { 120.0 } else { 85.0 };
        recording.shows("halo_power_limit_watts", &["stapm"], limit);
    });
    is_flagged(&verdict, ENVIRONMENT_CHANGED, &["stapm moved between 85 and 120 W"]);
    let verdict = but(|_, recording| {
        let online = |time: f64| f64::from(u8::from(time < 9.0));
        recording.shows("halo_supply_online", &["ACAD"], online);
    });
    is_flagged(&verdict, ENVIRONMENT_CHANGED, &["ACAD"]);
    let verdict = but(|manifest, _| {
        let facts = |governor: &str, users: &str| {
            let facts = [("tuning.cpu.governor", governor), ("gpu.users", users)];
            let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let swappiness = "halo_tuning_value{setting=\"vm.swappiness\"}".to_owned();
            let used = "halo_swap_used_bytes".to_owned();
            let length = users.len() as f64;
            Environment { facts: facts.into(), values: [(swappiness, 60.0), (used, length)].into() }
        };
        manifest.environment_at_start = facts("performance", "none seen");
        manifest.environment_at_end = Some(facts("powersave", "ollama"));
    });
    let evidence = "tuning.cpu.governor was performance and became powersave";
    is_flagged(&verdict, ENVIRONMENT_CHANGED, &[evidence]);
    assert_eq!(verdict.reasons[0].evidence, evidence, "circumstances are no settings");
}

#[test]
fn a_phase_that_is_too_short_for_sensors_is_named() {
    let verdict = but(|_, recording| {
        recording.events.retain(|event| event.by != "tool");
        recording.event("tool", "prompt", 4.0, &[("test", "1"), ("repetition", "1")]);
        recording.event("tool", "generation", 5.5, &[("test", "2"), ("repetition", "1")]);
    });
    is_flagged(&verdict, TOO_SHORT, &["prompt of pp512 (1.50 s)"]);
}

#[test]
fn without_the_least_evidence_nothing_is_clean() {
    let without = |families: &[&str]| {
        let families: Vec<String> = families.iter().map(|family| (*family).to_owned()).collect();
        but(move |_, recording| {
            recording.series.retain(|(family, _), _| !families.iter().any(|f| f == family));
        })
    };
    let power = ["halo_power_watts", "halo_throttle_residency_total"];
    is_unknown(&without(&power), "neither socket power nor a count of engaged limits");
    assert_eq!(without(&power[..1]).label, "clean", "one of both is enough");
    assert_eq!(without(&power[1..]).label, "clean");
    is_unknown(&without(&["halo_temperature_celsius"]), "temperature");
    is_unknown(&without(&["halo_memory_available_bytes"]), "memory");
    is_unknown(&but(|_, recording| recording.lose(8.0, 15.0)), "samples cover 6");
    is_unknown(&but(|_, recording| recording.events.clear()), "never started");
}

#[test]
fn counters_that_were_reset_make_a_run_unknown() {
    for (family, labels) in [
        ("halo_throttle_residency_total", vec![GPU, "spl"]),
        ("halo_cpu_seconds_total", vec!["user"]),
        ("halo_pressure_stalled_seconds_total", vec!["memory", "some"]),
    ] {
        let verdict = but(|_, recording| {
            let counted = |time: f64| if time < 12.0 { 1e6 } else { 0.0 };
            recording.shows(family, &labels, counted);
        });
        is_unknown(&verdict, &format!("{family} began anew 12.0 s"));
    }
}

#[test]
fn what_is_flagged_stays_so_where_evidence_is_missing() {
    let verdict = but(|_, recording| {
        recording.series.retain(|(family, _), _| *family != "halo_temperature_celsius");
        recording.shows("halo_swap_used_bytes", &[], |time| 1e9 * time);
    });
    assert_eq!(verdict.label, "unknown");
    assert_eq!(verdict.reasons[0].reason, MEMORY_PRESSURE);
}

#[test]
fn thresholds_and_the_least_evidence_can_be_set() {
    let (manifest, mut recording) = clean();
    recording.series.retain(|(family, _), _| *family != "halo_temperature_celsius");
    recording.shows("halo_swap_used_bytes", &[], |time| 1e9 + 1e6 * time);
    let mut thresholds = Thresholds {
        evidence: vec![Evidence::Power, Evidence::Memory, Evidence::Samples],
        ..Thresholds::default()
    };
    let judged = |thresholds: &Thresholds| judge(&manifest, &recording, thresholds).unwrap();
    assert_eq!(judged(&thresholds).label, "clean");
    thresholds.swap_growth_bytes = 1e6;
    is_flagged(&judged(&thresholds), MEMORY_PRESSURE, &["swap"]);
}

#[test]
fn thresholds_are_read_from_the_configuration() {
    let config =
        halo::config::Config::parse("[verdict]\nshortest_phase = 1.5\nevidence = [\"memory\"]\n");
    let verdict = config.unwrap().verdict;
    assert_eq!(verdict.evidence, [Evidence::Memory]);
    let expected = Thresholds {
        shortest_phase: 1.5,
        evidence: verdict.evidence.clone(),
        ..Thresholds::default()
    };
    assert_eq!(verdict, expected);
    let wrong = halo::config::Config::parse("[verdict]\nshortest = 1\n").unwrap_err();
    assert!(wrong.contains("shortest"), "{wrong}");
}

#[test]
fn a_damaged_recording_is_an_error() {
    struct Damaged;
    impl halo::analyze::Telemetry for Damaged {
        fn series(
            &self,
            _: &halo::metric::Def,
        ) -> Result<Vec<halo::analyze::telemetry::Series>, Unreadable> {
            Err(Unreadable("power.parquet: no footer".to_owned()))
        }
        fn events(&self) -> Result<Vec<halo::analyze::telemetry::Event>, Unreadable> {
            Ok(clean().1.events)
        }
        fn ticks(&self) -> Result<Vec<halo::analyze::telemetry::Tick>, Unreadable> {
            Ok(clean().1.ticks)
        }
    }
    let error = judge(&clean().0, &Damaged, &Thresholds::default()).unwrap_err();
    assert!(error.0.contains("no footer"));
}

#[test]
fn another_process_that_keeps_the_processor_busy_contends() {
    use halo::run::manifest::ProcessUse;
    let used = |name: &str, cores: f64| {
        let (mut manifest, recording) = clean();
        manifest.processes =
            Some(vec![ProcessUse { pid: 7, name: name.to_owned(), cores, bytes: 1 }]);
        judge(&manifest, &recording, &Thresholds::default()).unwrap()
    };
    let verdict = used("cc1plus", 0.9);
    assert_eq!(verdict.reasons[0].reason, CONTENDED, "{verdict:?}");
    assert_eq!(
        verdict.reasons[0].evidence,
        "cc1plus (pid 7) took 0.9 of a core while the command ran"
    );
    assert_eq!(used("Xwayland", 0.3).reasons, []);
    // It may be what is measured; its use of the GPU tells.
    assert_eq!(used("llama-server", 3.0).reasons, []);
}
