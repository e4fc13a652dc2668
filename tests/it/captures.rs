//! Real machines that others captured. They are not part of this repository:
//! `HALO_TEST_CAPTURES` names the folder that holds them.

use std::path::PathBuf;

use halo::root::Root;

use crate::machine::{self, all_series};

fn capture(name: &str) -> Root {
    let folder = std::env::var_os("HALO_TEST_CAPTURES")
        .expect("HALO_TEST_CAPTURES names the folder with the captured machines");
    let path = PathBuf::from(folder).join(name);
    assert!(path.join("sys").is_dir(), "no captured machine at {}", path.display());
    Root::at(path)
}

fn check(name: &str, expected: &[(&str, f64)]) {
    let readings = machine::read(&capture(name));
    let series = all_series(&readings);
    for (name, value) in expected {
        let found = series.get(*name).unwrap_or_else(|| panic!("no {name} in {series:#?}"));
        assert!((found - value).abs() <= value.abs() * 1e-12, "{name}: {found}, not {value}");
    }
    let failures: Vec<_> = readings.values().flat_map(machine::Reading::failures).collect();
    assert!(failures.is_empty(), "{failures:?}");
}

/// Values from `decoded-gpu_metrics.txt` and the files of the capture.
#[test]
fn radeon_890m() {
    check(
        "strix-point-890m",
        &[
            (r#"halo_power_watts{device="0000:c1:00.0",domain="socket"}"#, 9.839),
            (r#"halo_power_watts{device="0000:c1:00.0",domain="gfx"}"#, 1.536),
            (r#"halo_power_watts{device="0000:c1:00.0",domain="cpu"}"#, 2.499),
            (r#"halo_power_watts{device="0000:c1:00.0",domain="npu"}"#, 0.0),
            (r#"halo_temperature_celsius{device="0000:c1:00.0",sensor="gfx"}"#, 38.12),
            (r#"halo_temperature_celsius{device="0000:c1:00.0",sensor="soc"}"#, 40.62),
            (r#"halo_temperature_celsius{device="0000:c1:00.0",sensor="skin"}"#, 35.98),
            (r#"halo_temperature_celsius{device="0000:c1:00.0",sensor="gpu_edge"}"#, 38.0),
            (r#"halo_gpu_busy_ratio{gpu="0000:c1:00.0",engine="gfx"}"#, 0.03),
            (r#"halo_gpu_clock_hertz{gpu="0000:c1:00.0",domain="gfx"}"#, 849e6),
            (r#"halo_gpu_clock_hertz{gpu="0000:c1:00.0",domain="memory"}"#, 836e6),
            (r#"halo_gpu_clock_limit_hertz{gpu="0000:c1:00.0",domain="gfx"}"#, 2900e6),
            (r#"halo_gpu_clock_limit_hertz{gpu="0000:c1:00.0",domain="cpu"}"#, 5050e6),
            (r#"halo_gpu_clock_minimum_hertz{gpu="0000:c1:00.0",domain="gfx"}"#, 600e6),
            (r#"halo_gpu_clock_maximum_hertz{gpu="0000:c1:00.0",domain="gfx"}"#, 2900e6),
            (r#"halo_gpu_memory_size_bytes{gpu="0000:c1:00.0",pool="gtt"}"#, 16_441_004_032.0),
            (r#"halo_gpu_memory_used_bytes{gpu="0000:c1:00.0",pool="gtt"}"#, 3_946_811_392.0),
            (r#"halo_gpu_memory_used_bytes{gpu="0000:c1:00.0",pool="vram"}"#, 514_580_480.0),
            (r#"halo_throttle_residency_total{gpu="0000:c1:00.0",limiter="prochot"}"#, 28.0),
            (r#"halo_throttle_residency_total{gpu="0000:c1:00.0",limiter="spl"}"#, 1868.0),
            (r#"halo_throttle_residency_total{gpu="0000:c1:00.0",limiter="fppt"}"#, 92382.0),
            (r#"halo_throttle_residency_total{gpu="0000:c1:00.0",limiter="sppt"}"#, 257.0),
            (r#"halo_throttle_residency_total{gpu="0000:c1:00.0",limiter="thm_core"}"#, 1795.0),
            (r#"halo_throttle_residency_total{gpu="0000:c1:00.0",limiter="thm_gfx"}"#, 0.0),
            (
                r#"halo_gpu_info{gpu="0000:c1:00.0",card="card1",name="",gfx="gfx1150",device_id="0x150e",revision="0xc4",vbios="113-STRIXEMU-001",gpu_metrics="v3.0"}"#,
                1.0,
            ),
        ],
    );
}

#[test]
fn radeon_780m() {
    let readings = machine::read(&capture("phoenix-780m"));
    let series = all_series(&readings);
    let gpu = series
        .keys()
        .find_map(|name| name.strip_prefix("halo_gpu_info{gpu=\"")?.split('"').next())
        .unwrap();
    let power = format!("halo_power_watts{{device={gpu:?},domain=\"socket\"}}");
    let temperature = format!("halo_temperature_celsius{{device={gpu:?},sensor=\"soc\"}}");
    let busy = format!("halo_gpu_busy_ratio{{gpu={gpu:?},engine=\"gfx\"}}");
    let active = format!("halo_throttle_active{{gpu={gpu:?},limiter=\"sppt\"}}");
    check(
        "phoenix-780m",
        &[(&power, 3.401), (&temperature, 27.37), (&busy, 0.0079), (&active, 0.0)],
    );
}

/// hwmon and `gpu_metrics` tell the same power, once the fraction of hwmon is read as what it is.
#[test]
fn power_of_hwmon_agrees_with_the_table_of_firmware() {
    for (name, device, tolerance) in
        [("strix-point-890m", "0000:c1:00.0", 0.1), ("phoenix-780m", "", 0.1)]
    {
        let socket = |root: Root| -> f64 {
            let readings = machine::read(&root);
            let (_, watts) = all_series(&readings)
                .into_iter()
                .find(|(name, _)| {
                    name.starts_with(&format!("halo_power_watts{{device=\"{device}"))
                        && name.contains("domain=\"socket\"")
                })
                .unwrap();
            watts
        };
        let table = socket(capture(name));
        let card = "/sys/class/drm/card1/device/gpu_metrics";
        let card0 = "/sys/class/drm/card0/device/gpu_metrics";
        let hwmon = socket(
            capture(name)
                .failing(card, rustix::io::Errno::NOENT)
                .failing(card0, rustix::io::Errno::NOENT),
        );
        assert!((table - hwmon).abs() <= tolerance, "{name}: {table} W and {hwmon} W");
    }
}

/// Real output of `ryzenadj -i` on two Strix Halo machines.
#[test]
fn ryzenadj_of_real_machines() {
    use halo::source::power::{Limit, ryzenadj};
    let folder = PathBuf::from(std::env::var_os("HALO_TEST_CAPTURES").unwrap()).join("ryzenadj");
    let parse =
        |name: &str| ryzenadj::parse(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    let laptop = parse("strix-halo-zbook-ultra-g1a.txt");
    let limits =
        [(Limit::Stapm, 60.0), (Limit::Fast, 60.0), (Limit::Slow, 20.0), (Limit::ApuSlow, 70.0)];
    assert_eq!(laptop.limits(), limits);
    assert_eq!(laptop.values(), [(Limit::Stapm, 4.272), (Limit::Fast, 6.396), (Limit::Slow, 4.24)]);
    assert_eq!(laptop.temperature_limits(), [], "without its header the chip is not known");
    let desktop = parse("strix-halo-desktop-partial.txt");
    let limits =
        [(Limit::Stapm, 120.0), (Limit::Fast, 140.0), (Limit::Slow, 120.0), (Limit::ApuSlow, 70.0)];
    assert_eq!(desktop.limits(), limits);
}
