//! The parser of `gpu_metrics` against tables that another encoder wrote, and against anything.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use halo::source::amdgpu::dpm;
use halo::source::amdgpu::gpu_metrics::{GpuMetrics, Limiter, Refusal, parse, parse_of};
use proptest::prelude::*;

use crate::machine::fixtures;

/// The raw fields of a table by name and index, as `make.py` wrote them.
struct Fields(BTreeMap<(String, Option<usize>), u64>);

impl Fields {
    fn of(version: &str) -> Self {
        let path = fixtures().join(format!("gpu_metrics/{version}.tsv"));
        let text = fs::read_to_string(path).unwrap();
        let fields = text.lines().map(|line| {
            let [name, index, value] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            ((name.to_owned(), index.parse().ok()), value.parse().unwrap())
        });
        Self(fields.collect())
    }

    /// A field in base units, given how many raw units make one.
    fn scaled(&self, name: &str, per_unit: f64) -> f64 {
        self.0[&(name.to_owned(), None)] as f64 / per_unit
    }
}

fn table(version: &str) -> Vec<u8> {
    fs::read(fixtures().join(format!("gpu_metrics/{version}.bin"))).unwrap()
}

#[test]
fn every_field_of_version_3_is_where_the_other_encoder_put_it() {
    let (fields, metrics) = (Fields::of("v3_0"), parse(&table("v3_0")).unwrap());
    assert_eq!(metrics.version.to_string(), "v3.0");
    assert_eq!(metrics.temperature_gfx, Some(fields.scaled("temperature_gfx", 100.0)));
    assert_eq!(metrics.temperature_soc, Some(fields.scaled("temperature_soc", 100.0)));
    assert_eq!(metrics.temperature_skin, Some(fields.scaled("temperature_skin", 100.0)));
    assert_eq!(metrics.busy_gfx, Some(fields.scaled("average_gfx_activity", 100.0)));
    assert_eq!(metrics.busy_media, Some(fields.scaled("average_vcn_activity", 100.0)));
    let columns = (0..8).map(|i| fields.0[&("average_ipu_activity".to_owned(), Some(i))] as f64);
    let mean = columns.sum::<f64>() / 8.0 / 100.0;
    assert!((metrics.busy_npu.unwrap() - mean).abs() < 1e-12);
    assert_eq!(metrics.power_socket, Some(fields.scaled("average_socket_power", 1000.0)));
    assert_eq!(metrics.power_gfx, Some(fields.scaled("average_gfx_power", 1000.0)));
    assert_eq!(metrics.power_cpu, Some(fields.scaled("average_all_core_power", 1000.0)));
    assert_eq!(metrics.power_npu, Some(fields.scaled("average_ipu_power", 1000.0)));
    assert_eq!(metrics.clock_gfx, Some(fields.scaled("average_gfxclk_frequency", 1e-6)));
    assert_eq!(metrics.clock_soc, Some(fields.scaled("average_socclk_frequency", 1e-6)));
    assert_eq!(metrics.clock_memory, Some(fields.scaled("average_uclk_frequency", 1e-6)));
    assert_eq!(metrics.clock_fabric, Some(fields.scaled("average_fclk_frequency", 1e-6)));
    assert_eq!(metrics.clock_media, Some(fields.scaled("average_vclk_frequency", 1e-6)));
    assert_eq!(metrics.clock_npu, Some(fields.scaled("average_ipuclk_frequency", 1e-6)));
    assert_eq!(metrics.clock_limit_gfx, Some(fields.scaled("current_gfx_maxfreq", 1e-6)));
    assert_eq!(metrics.clock_limit_cpu, Some(fields.scaled("current_core_maxfreq", 1e-6)));
    for (limiter, ticks) in Limiter::ALL.iter().zip(metrics.residency) {
        let name = format!("throttle_residency_{}", limiter.as_str());
        assert_eq!(ticks.map(f64::from), Some(fields.scaled(&name, 1.0)), "{name}");
    }
    assert_eq!(metrics.engaged, [None; 7]);
}

/// Every field has a value in these tables, as in Van Gogh's alone: it counts percent.
#[test]
fn every_field_of_versions_2_is_where_the_other_encoder_put_it() {
    for version in ["v2_0", "v2_1", "v2_2", "v2_3", "v2_4"] {
        let (fields, metrics) = (Fields::of(version), parse(&table(version)).unwrap());
        assert_eq!(metrics.version.to_string(), version.replace('_', "."));
        assert_eq!(
            metrics.temperature_gfx,
            Some(fields.scaled("temperature_gfx", 100.0)),
            "{version}"
        );
        assert_eq!(
            metrics.temperature_soc,
            Some(fields.scaled("temperature_soc", 100.0)),
            "{version}"
        );
        assert_eq!(
            metrics.busy_gfx,
            Some(fields.scaled("average_gfx_activity", 100.0)),
            "{version}"
        );
        assert_eq!(
            metrics.busy_media,
            Some(fields.scaled("average_mm_activity", 100.0)),
            "{version}"
        );
        assert_eq!(
            metrics.power_socket,
            Some(fields.scaled("average_socket_power", 1000.0)),
            "{version}"
        );
        assert_eq!(
            metrics.power_cpu,
            Some(fields.scaled("average_cpu_power", 1000.0)),
            "{version}"
        );
        assert_eq!(
            metrics.power_gfx,
            Some(fields.scaled("average_gfx_power", 1000.0)),
            "{version}"
        );
        assert_eq!(
            metrics.clock_gfx,
            Some(fields.scaled("average_gfxclk_frequency", 1e-6)),
            "{version}"
        );
        assert_eq!(
            metrics.clock_soc,
            Some(fields.scaled("average_socclk_frequency", 1e-6)),
            "{version}"
        );
        assert_eq!(metrics.clock_memory, Some(fields.scaled("average_uclk_frequency", 1e-6)));
        assert_eq!(metrics.clock_fabric, Some(fields.scaled("average_fclk_frequency", 1e-6)));
        assert_eq!(metrics.clock_media, Some(fields.scaled("average_vclk_frequency", 1e-6)));
        assert_eq!(metrics.residency, [None; 7], "{version}");
    }
}

/// Where a field is absent that only Van Gogh's newer firmware fills, it is another chip's table.
#[test]
fn activity_is_in_hundredths_where_the_table_is_not_of_newer_van_gogh() {
    for (version, moved) in [("v2_0", 4), ("v2_1", 0), ("v2_2", 0), ("v2_3", 0), ("v2_4", 0)] {
        for (chip, absent) in [("Renoir", 46), ("Rembrandt, or an older Van Gogh", 76)] {
            let mut bytes = table(version);
            bytes[absent + moved..absent + moved + 2].fill(0xff);
            let activity = Fields::of(version).scaled("average_gfx_activity", 10_000.0);
            let busy = parse(&bytes).unwrap().busy_gfx;
            assert_eq!(busy, Some(activity), "{version} of {chip}");
        }
    }
}

#[test]
fn the_current_clock_stands_in_for_an_average_of_0() {
    let mut bytes = table("v2_2");
    let current = Fields::of("v2_2").scaled("current_gfxclk", 1e-6);
    bytes[64..66].fill(0);
    assert_eq!(parse(&bytes).unwrap().clock_gfx, Some(current));
    // Without one, 0 is what the table says.
    bytes[76..78].fill(0xff);
    assert_eq!(parse(&bytes).unwrap().clock_gfx, Some(0.0));
}

#[test]
fn old_firmware_of_the_smu_14_counts_hundredths() {
    let bytes = table("v3_0");
    let busy = |firmware| parse_of(&bytes, firmware).unwrap().busy_gfx;
    let activity = Fields::of("v3_0").scaled("average_gfx_activity", 100.0);
    for firmware in [None, Some(0x005d_4601), Some(0x0a64_0600)] {
        assert_eq!(busy(firmware), Some(activity), "{firmware:?}");
    }
    assert_eq!(busy(Some(0x005d_4600)), Some(activity / 100.0));
}

/// Bit numbers from `amdgpu_smu.h` and `smu13_driver_if_v13_0_4.h`, written again here so that a
/// slip in the parser's masks shows.
#[test]
fn status_bits_are_the_limiters_that_the_kernel_names() {
    let engaged = |version: &str, offset: usize, bits: u64| -> Vec<&str> {
        let mut bytes = table(version);
        let width = if version == "v2_1" { 4 } else { 8 };
        bytes[offset..offset + width].copy_from_slice(&bits.to_le_bytes()[..width]);
        let metrics = parse(&bytes).unwrap();
        let limiters = Limiter::ALL.iter().zip(metrics.engaged);
        limiters.filter(|(_, is)| *is == Some(true)).map(|(limiter, _)| limiter.as_str()).collect()
    };
    let raw = [(0, "spl"), (1, "fppt"), (2, "sppt"), (4, "thm_core"), (5, "thm_gfx")];
    for (bit, limiter) in raw.into_iter().chain([(6, "thm_soc"), (9, "prochot"), (10, "prochot")]) {
        assert_eq!(engaged("v2_1", 108, 1 << bit), [limiter]);
    }
    let independent = [(4, "spl"), (5, "fppt"), (6, "sppt"), (32, "thm_gfx"), (33, "thm_core")];
    for (bit, limiter) in
        independent.into_iter().chain([(37, "thm_soc"), (46, "prochot"), (47, "prochot")])
    {
        for version in ["v2_2", "v2_3", "v2_4"] {
            assert_eq!(engaged(version, 120, 1 << bit), [limiter]);
        }
    }
    assert!(engaged("v2_2", 120, 1 << 36).is_empty(), "the hotspot's bit is always set somewhere");
    assert_eq!(parse(&table("v2_0")).unwrap().engaged, [None; 7]);
}

#[test]
fn discrete_cards_and_unknown_revisions_are_refused_by_name() {
    assert!(matches!(parse(&table("v1_3")), Err(Refusal::Discrete(_))));
    let mut bytes = table("v3_0");
    bytes[3] = 1;
    assert!(matches!(parse(&bytes), Err(Refusal::Unknown(_))));
    bytes[2] = 4;
    assert!(matches!(parse(&bytes), Err(Refusal::Unknown(_))));
    let mut bytes = table("v3_0");
    bytes[0] -= 1;
    assert!(matches!(parse(&bytes), Err(Refusal::WrongSize { declared: 263, expected: 264, .. })));
}

fn is_plausible(metrics: &GpuMetrics) -> bool {
    let within =
        |value: Option<f64>, low: f64, high: f64| value.is_none_or(|v| v >= low && v <= high);
    let celsius = [metrics.temperature_gfx, metrics.temperature_soc, metrics.temperature_skin];
    let ratios = [metrics.busy_gfx, metrics.busy_media, metrics.busy_npu];
    let watts = [metrics.power_socket, metrics.power_gfx, metrics.power_cpu, metrics.power_npu];
    let hertz = [
        metrics.clock_gfx,
        metrics.clock_soc,
        metrics.clock_memory,
        metrics.clock_fabric,
        metrics.clock_media,
        metrics.clock_npu,
        metrics.clock_limit_gfx,
        metrics.clock_limit_cpu,
    ];
    celsius.into_iter().all(|value| within(value, f64::MIN_POSITIVE, 150.0))
        && ratios.into_iter().all(|value| within(value, 0.0, 1.0))
        && watts.into_iter().all(|value| within(value, 0.0, 1000.0))
        && hertz.into_iter().all(|value| within(value, 0.0, 1e10))
        && metrics.residency.iter().all(|ticks| *ticks != Some(u32::MAX))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(metrics) = parse(&bytes) {
            prop_assert!(is_plausible(&metrics));
        }
    }

    #[test]
    fn any_content_behind_a_true_header_is_plausible_or_absent(
        version in prop::sample::select(vec!["v2_0", "v2_1", "v2_2", "v2_3", "v2_4", "v3_0"]),
        noise in prop::collection::vec(any::<u8>(), 264),
        beyond in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = table(version);
        let length = bytes.len();
        bytes[4..].copy_from_slice(&noise[4..length]);
        let exact = parse(&bytes).unwrap();
        prop_assert!(is_plausible(&exact));
        bytes.extend(beyond);
        prop_assert_eq!(parse(&bytes).unwrap(), exact, "what follows the table does not matter");
    }

    #[test]
    fn any_text_is_a_clock_list_or_refused(text in "(?s).{0,200}") {
        let _ = dpm::parse(&text);
    }

    #[test]
    fn a_clock_list_gives_bounds_that_hold_its_clock(
        clocks in prop::collection::vec((0_u32..=10_000, any::<bool>()), 1..9),
    ) {
        let mut lines = String::new();
        for (i, (mega, is_marked)) in clocks.iter().enumerate() {
            let mark = if *is_marked { "*" } else { "" };
            writeln!(lines, "{i}: {mega}Mhz {mark}").unwrap();
        }
        let Some(levels) = dpm::parse(&lines).unwrap() else {
            prop_assert!(clocks.iter().all(|(mega, _)| *mega == 0), "only holes say nothing");
            return Ok(());
        };
        let (least, most) = (levels.minimum.unwrap_or(0.0), levels.maximum.unwrap_or(1e10));
        prop_assert!(least <= most);
        prop_assert!(levels.minimum != Some(0.0) && levels.maximum != Some(0.0));
        // The line in the middle of three is no level.
        if clocks.len() != 3 {
            prop_assert!(levels.current.is_none_or(|c| c >= least && c <= most));
        }
    }
}
