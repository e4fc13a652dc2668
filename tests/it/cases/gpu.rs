//! Machines and tables of other graphics processors.

use std::fs;
use std::process::Command;

use halo::root::Root;
use halo::source::amdgpu::{dpm, gpu_metrics};

use super::case;
use crate::machine;
use crate::program::machine_flags;
use crate::record::{Archive, manifest, text};

#[test]
fn van_gogh_is_as_busy_and_as_fast_as_it_is() {
    let bytes = fs::read(case("peers/vangogh/gpu_metrics")).unwrap();
    let metrics = gpu_metrics::parse(&bytes).unwrap();
    assert_eq!(metrics.busy_gfx, Some(1.0));
    assert_eq!(metrics.clock_gfx, Some(1.04e9));
    assert_eq!(metrics.clock_memory, Some(6.87e8));
    let series = machine::all_series(&machine::read(&Root::at(case("peers/vangogh/root"))));
    let gpu = "0000:04:00.0";
    assert_eq!(series[&format!(r#"halo_gpu_busy_ratio{{gpu="{gpu}",engine="gfx"}}"#)], 1.0);
    assert_eq!(series[&format!(r#"halo_gpu_clock_hertz{{gpu="{gpu}",domain="gfx"}}"#)], 1.04e9);
    assert_eq!(series[&format!(r#"halo_gpu_kind_info{{gpu="{gpu}",kind="apu"}}"#)], 1.0);
    let is_stopped =
        |(name, value): (&String, &f64)| name.starts_with("halo_gpu_clock_") && *value == 0.0;
    assert!(!series.iter().any(is_stopped), "{series:?}");
}

#[test]
fn a_clock_that_is_no_level_is_read() {
    let text = fs::read_to_string(case("peers/dpm/pp_dpm_socclk")).unwrap();
    let levels = dpm::parse(&text).unwrap().unwrap();
    assert_eq!(
        (levels.minimum, levels.maximum, levels.current),
        (Some(4e8), Some(1e9), Some(5.5e8))
    );
}

#[test]
fn a_vega_without_gpu_metrics_is_no_apu() {
    let combo = case("peers/dgpu_socket/combo");
    let series = machine::all_series(&machine::read(&Root::at(&combo)));
    let power = |gpu: &str, domain: &str| {
        series.get(&format!(r#"halo_power_watts{{device="{gpu}",domain="{domain}"}}"#)).copied()
    };
    let (vega, apu) = ("0000:0b:00.0", "0000:c1:00.0");
    assert_eq!((power(vega, "socket"), power(vega, "card")), (None, Some(8.0)));
    assert_eq!(power(apu, "card"), None);
    let socket = power(apu, "socket").unwrap();

    let archive = Archive::new();
    let mut command: Command = archive.program(&["run", "--lead", "300ms", "--interval", "50ms"]);
    // The case has no root directory, and of one nothing is wanted.
    let [procfs, sysfs, _] = machine_flags(&combo);
    let rootfs = format!("--path.rootfs={}", combo.display());
    let output = command.args([procfs, sysfs, rootfs]).args(["--", "sleep", "4"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let energy = manifest(&archive.only_run()).energy.remove(0);
    let watts = energy.mean_watts.unwrap_or_else(|| panic!("{energy:?}"));
    assert!((watts - socket).abs() < 0.01 && watts > 9.5, "{energy:?}");
    assert!(energy.source.contains(apu), "{}", energy.source);
}
