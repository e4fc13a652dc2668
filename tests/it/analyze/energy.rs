//! Energy of powers that are known exactly.

use halo::analyze::consumption;
use halo::analyze::devices::Usage;
use halo::analyze::energy::{Energy, Sensor, of_counter, of_power};
use halo::analyze::phase::{Phase, Window, Work};
use halo::analyze::telemetry::Point;
use halo::run::Thresholds;
use proptest::prelude::*;

use super::{Recording, filtered, nanoseconds, times};

/// What may be wrong with a figure.
const ERROR: f64 = 0.005;

const SOCKET: Sensor = Sensor { filter: 1.0, longest_gap: 1.0 };

fn window(from: f64, to: f64) -> Window {
    Window { from: nanoseconds(from), to: nanoseconds(to) }
}

fn integral(watts: impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    const STEPS: u32 = 100_000;
    let step = (to - from) / f64::from(STEPS);
    (0..STEPS).map(|number| watts(from + (f64::from(number) + 0.5) * step) * step).sum()
}

#[track_caller]
fn is_near(found: f64, truth: f64) {
    assert!((found / truth - 1.0).abs() <= ERROR, "{found}, but it was {truth}");
}

/// Both ends lie between samples.
const FROM: f64 = 5.13;
const TO: f64 = 11.87;

#[test]
fn a_constant_power_a_ramp_and_steps_are_summed_rightly() {
    let powers: [(&str, &dyn Fn(f64) -> f64); 6] = [
        ("constant", &|_| 88.0),
        ("ramp", &|time| 10.0 + 7.0 * time),
        ("step at the beginning", &|time| if time < FROM { 8.0 } else { 120.0 }),
        ("step at the end", &|time| if time < TO { 120.0 } else { 8.0 }),
        ("both", &|time| if (FROM..TO).contains(&time) { 120.0 } else { 8.0 }),
        ("pulses", &|time| if time.rem_euclid(1.7) < 0.6 { 120.0 } else { 20.0 }),
    ];
    for (name, watts) in powers {
        let points = filtered(20.0, watts);
        let energy = of_power(&points, window(FROM, TO), SOCKET).unwrap();
        let truth = integral(watts, FROM, TO);
        assert!((energy.joules / truth - 1.0).abs() <= ERROR, "{name}: {energy:?} {truth}");
        assert!((energy.coverage - 1.0).abs() < 1e-9, "{name}");
    }
}

#[test]
fn a_phase_lends_no_energy_to_the_next() {
    // Prefill and decode draw differently, and meet at 8 s.
    let watts = |time: f64| if time < 8.0 { 120.0 } else { 70.0 };
    let points = filtered(20.0, watts);
    let energy = |from, to| of_power(&points, window(from, to), SOCKET).unwrap();
    is_near(energy(4.0, 8.0).joules, 480.0);
    is_near(energy(8.0, 12.0).joules, 280.0);
    // Without the filter in mind the second phase would get much of the first.
    let naive = Sensor { filter: 0.0, ..SOCKET };
    let naive = of_power(&points, window(8.0, 12.0), naive).unwrap();
    assert!(naive.joules > 1.1 * 280.0, "{naive:?}");
}

#[test]
fn what_lies_in_a_gap_is_neither_counted_nor_covered() {
    let watts = |time: f64| if time < 9.0 { 100.0 } else { 60.0 };
    let mut recording = Recording::new(20.0, 0.0, 20.0);
    recording.draws(watts).lose(8.05, 10.95);
    let points = recording.series.into_values().next().unwrap();
    let Energy { joules, covered, coverage, peak } =
        of_power(&points, window(5.0, 15.0), SOCKET).unwrap();
    let gap = points
        .windows(2)
        .find(|pair| pair[1].at - pair[0].at > nanoseconds(1.0))
        .map(|pair| (pair[0].at as f64 / 1e9, pair[1].at as f64 / 1e9))
        .unwrap();
    let truth = integral(watts, 5.0, gap.0) + integral(watts, gap.1, 15.0);
    is_near(joules, truth);
    assert!((covered - (10.0 - (gap.1 - gap.0))).abs() < 1e-6);
    assert!((coverage - covered / 10.0).abs() < 1e-9);
    assert!(peak.unwrap() <= 100.0 + 1e-9);
}

#[test]
fn a_counter_is_summed_and_a_reset_is_not_covered() {
    let watts = |time: f64| 30.0 + 20.0 * (time / 3.0).sin();
    let counted = |time: f64| 30.0 * time - 60.0 * ((time / 3.0).cos() - 1.0);
    let mut points: Vec<Point> =
        times(20.0).map(|time| Point { at: nanoseconds(time), value: counted(time) }).collect();
    let energy = of_counter(&points, window(FROM, TO), 1.0).unwrap();
    is_near(energy.joules, integral(watts, FROM, TO));
    assert_eq!(energy.peak, None, "a counter knows no peak");

    // It begins anew after 8 s.
    let reset = points.iter().position(|point| point.at > nanoseconds(8.0)).unwrap();
    let (before, after) = (points[reset - 1], points[reset]);
    for point in &mut points[reset..] {
        point.value -= after.value;
    }
    let energy = of_counter(&points, window(FROM, TO), 1.0).unwrap();
    let lost = (before.at as f64 / 1e9, after.at as f64 / 1e9);
    is_near(energy.joules, integral(watts, FROM, lost.0) + integral(watts, lost.1, TO));
    assert!((energy.coverage - (1.0 - (lost.1 - lost.0) / (TO - FROM))).abs() < 1e-6);
}

#[test]
fn without_readings_there_is_nothing() {
    assert_eq!(of_power(&[], window(0.0, 1.0), SOCKET), None);
    let one = [Point { at: 0, value: 5.0 }];
    assert_eq!(of_power(&one, window(0.0, 1.0), SOCKET), None);
    let apart = filtered(3.0, |_| 5.0);
    assert_eq!(of_power(&apart, window(10.0, 12.0), SOCKET), None);
    assert_eq!(of_power(&apart, window(2.0, 2.0), SOCKET), None);
}

/// Prefill from 5 s to 9 s, decode in two repetitions from 9 s to 17 s.
fn phases() -> Vec<Phase> {
    let phase = |case: &str, work, repetition, tokens, from, to| Phase {
        task: "llama-bench".to_owned(),
        case: case.to_owned(),
        work,
        repetition: Some(repetition),
        tokens: Some(tokens),
        window: window(from, to),
    };
    vec![
        phase("pp512", Work::Prompt, 1, 512, 5.0, 9.0),
        phase("tg128", Work::Generation, 1, 128, 9.0, 13.0),
        phase("tg128", Work::Generation, 2, 128, 13.0, 17.0),
    ]
}

fn power(time: f64) -> f64 {
    match time {
        5.0..9.0 => 110.0,
        9.0..17.0 => 80.0,
        _ => 10.0,
    }
}

fn busy(time: f64) -> f64 {
    f64::from(u8::from((5.0..17.5).contains(&time)))
}

#[test]
fn joules_per_token_are_apart_for_prefill_and_decode() {
    let mut recording = Recording::new(22.0, 4.0, 18.0);
    recording.draws(power).shows("halo_gpu_busy_ratio", &["0000:c5:00.0", "gfx"], busy);
    let command = window(4.0, 18.0);
    let found = consumption::of(
        &recording,
        command,
        &phases(),
        0.25,
        &Usage::default(),
        &Thresholds::default(),
    );
    let found = found.unwrap().unwrap();
    let [whole, prompt, generation] = &found.parts[..] else { panic!("{found:?}") };
    assert_eq!((whole.work.as_str(), whole.tokens), ("command", None));
    is_near(whole.joules.unwrap(), 10.0 * 2.0 + 110.0 * 4.0 + 80.0 * 8.0);
    assert_eq!((prompt.case.as_str(), prompt.tokens), ("pp512", Some(512)));
    is_near(prompt.joules_per_token.unwrap(), 110.0 * 4.0 / 512.0);
    is_near(prompt.joules_per_token_above_idle.unwrap(), 100.0 * 4.0 / 512.0);
    is_near(generation.idle_watts.unwrap(), 10.0);
    is_near(generation.joules_per_token.unwrap(), 80.0 * 8.0 / 256.0);
    is_near(generation.tokens_per_second_per_watt.unwrap(), 32.0 / 80.0);
    assert!(generation.source.contains("socket"), "{}", generation.source);
    let repetitions: Vec<_> = found.repetitions.iter().map(|one| (one.work, one.number)).collect();
    let expected = [(Work::Prompt, 1), (Work::Generation, 1), (Work::Generation, 2)];
    assert_eq!(repetitions, expected);
}

#[test]
fn a_phase_that_is_too_short_says_so_and_has_no_figure() {
    let mut recording = Recording::new(22.0, 4.0, 18.0);
    recording.draws(power);
    let mut phases = phases();
    phases[0].window = window(8.5, 9.0);
    // Two repetitions without a break are long enough together, and each is not.
    phases[1].window = window(9.0, 11.0);
    phases[2].window = window(11.0, 13.0);
    let found = consumption::of(
        &recording,
        window(4.0, 18.0),
        &phases,
        0.25,
        &Usage::default(),
        &Thresholds::default(),
    );
    let found = found.unwrap().unwrap();
    let [_, prompt, generation] = &found.parts[..] else { panic!("{found:?}") };
    assert!(prompt.absent.as_ref().unwrap().contains("0.50 s"), "{prompt:?}");
    assert_eq!((prompt.joules, prompt.joules_per_token, prompt.mean_watts), (None, None, None));
    is_near(generation.joules_per_token.unwrap(), 80.0 * 4.0 / 256.0);
    assert!(found.repetitions.is_empty(), "{found:?}");
    assert_eq!(generation.idle_watts, None, "nobody knows whether it was idle");
}

#[test]
fn below_the_least_coverage_there_is_no_figure() {
    let mut recording = Recording::new(22.0, 4.0, 18.0);
    recording.draws(power).lose(10.0, 12.5);
    let found = consumption::of(
        &recording,
        window(4.0, 18.0),
        &phases(),
        0.25,
        &Usage::default(),
        &Thresholds::default(),
    );
    let found = found.unwrap().unwrap();
    let [whole, prompt, generation] = &found.parts[..] else { panic!("{found:?}") };
    for part in [whole, generation] {
        assert!(part.absent.as_ref().unwrap().contains("cover"), "{part:?}");
        assert_eq!(part.joules, None);
        assert!(part.coverage < 0.95);
    }
    is_near(prompt.joules.unwrap(), 440.0);
}

#[test]
fn without_socket_power_the_counter_of_the_package_is_named() {
    let mut recording = Recording::new(22.0, 4.0, 18.0);
    let counted = |time: f64| 1e6 + 50.0 * time;
    recording.shows("halo_energy_joules_total", &["core"], |time| 3.0 * time);
    recording.shows("halo_energy_joules_total", &["package"], counted);
    let found = consumption::of(
        &recording,
        window(4.0, 18.0),
        &[],
        0.25,
        &Usage::default(),
        &Thresholds::default(),
    );
    let found = found.unwrap().unwrap();
    is_near(found.parts[0].joules.unwrap(), 700.0);
    assert!(found.parts[0].source.contains("RAPL"));
    assert_eq!(found.parts[0].peak_watts, None);

    let nothing = Recording::new(22.0, 4.0, 18.0);
    let found = consumption::of(
        &nothing,
        window(4.0, 18.0),
        &[],
        0.25,
        &Usage::default(),
        &Thresholds::default(),
    );
    assert_eq!(found.unwrap(), None);
}

proptest! {
    /// Steps at any moments: the sum of the parts is the whole, and near to the truth. Nobody knows
    /// on which side of the window's end a step was that falls between the same two samples.
    #[test]
    fn parts_add_up(levels in prop::collection::vec((0.2_f64..3.0, 5.0_f64..140.0), 3..9), cut in 3.5_f64..10.0) {
        let watts = |time: f64| {
            let mut begin = 3.0;
            for (length, watts) in &levels {
                begin += length;
                if time < begin { return *watts }
            }
            20.0
        };
        let points = filtered(18.0, watts);
        let energy = |from, to| of_power(&points, window(from, to), SOCKET).unwrap().joules;
        let whole = energy(3.0, 15.0);
        prop_assert!((energy(3.0, cut) + energy(cut, 15.0) - whole).abs() < 1e-6 * whole);
        let truth = integral(watts, 3.0, 15.0);
        let powers: Vec<f64> = (0..1200).map(|n| watts(3.0 + f64::from(n) / 100.0)).collect();
        let highest = powers.iter().copied().fold(0.0, f64::max);
        let lowest = powers.iter().copied().fold(f64::MAX, f64::min);
        let unknown = 2.0 * 0.26 * (highest - lowest);
        prop_assert!((whole - truth).abs() <= ERROR * truth + unknown, "{} {}", whole, truth);
    }
}
