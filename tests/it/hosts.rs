//! Every host fixture against its golden exposition, and every hazard against its difference.

use std::collections::BTreeMap;

use halo::root::Root;

use crate::machine::{self, Copy, about, directories, ensure_contents, exposition, name};

#[test]
fn every_host_gives_its_golden_exposition() {
    let goldens = directories("hosts");
    ensure_contents(
        goldens.into_iter().map(|host| (host.join("expected.prom"), exposition(Root::at(&host)))),
    );
}

/// A hazard is a host with a few files changed; `changes.diff` is what that changes in the
/// exposition, and nothing else changes.
#[test]
fn every_hazard_changes_what_its_golden_difference_says() {
    let hosts = directories("hosts").into_iter();
    let hosts: BTreeMap<String, String> =
        hosts.map(|host| (name(&host).to_owned(), exposition(Root::at(&host)))).collect();
    ensure_contents(directories("hazards").into_iter().map(|hazard| {
        let about = about(&hazard);
        assert!(!about.hazard.is_empty() && !about.evidence.is_empty(), "{}", name(&hazard));
        let copy = Copy::of(&about.base);
        copy.apply(&hazard);
        let changes = difference(&hosts[&about.base], &exposition(copy.root()));
        (hazard.join("changes.diff"), changes)
    }));
}

/// The lines that only one side has, in the order of their series.
fn difference(before: &str, after: &str) -> String {
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let (before, after) = (samples(before), samples(after));
    let removed = before.iter().filter(|line| !after.contains(line)).map(|line| (line, '-'));
    let added = after.iter().filter(|line| !before.contains(line)).map(|line| (line, '+'));
    let mut lines: Vec<(&str, char, &str)> = removed
        .chain(added)
        .map(|(line, sign)| (line.rsplit_once(' ').unwrap().0, sign, line.as_str()))
        .collect();
    lines.sort_by_key(|(series, sign, _)| (*series, *sign != '-'));
    lines.iter().fold(String::new(), |text, (_, sign, line)| text + &format!("{sign}{line}\n"))
}

/// The discrete card of this host sleeps, and its files hold values that no other file has.
#[test]
fn a_suspended_card_is_not_read() {
    let host = machine::fixtures().join("hosts/apu-and-discrete");
    let root = Root::at(&host).recording();
    machine::read(&root);
    let touched: Vec<String> = root
        .take_opened()
        .into_iter()
        .map(|opened| match opened {
            halo::root::Opened::File(path, _)
            | halo::root::Opened::Directory(path, _)
            | halo::root::Opened::Link(path, _) => path,
        })
        .filter(|path| path.starts_with("/sys/class/drm/card10/device/"))
        .map(|path| path["/sys/class/drm/card10/device/".len()..].to_owned())
        .collect();
    // These are kept by the PCI core and the driver's own memory: they wake nothing.
    let harmless = [
        "device",
        "fw_version/smc_fw_version",
        "power/runtime_status",
        "revision",
        "uevent",
        "vbios_version",
        "hwmon",
    ];
    assert_eq!(touched, harmless);
}

/// A fraction that the driver's mistake cannot have made is taken as it is.
#[test]
fn power_of_a_driver_without_the_mistake_is_not_corrected() {
    let copy = Copy::of("strix-halo-zbook-64g");
    copy.clear("sys/class/drm/card1/device/gpu_metrics".as_ref());
    let chips = copy.path().join("sys/class/drm/card1/device/hwmon");
    let chip = std::fs::read_dir(chips).unwrap().next().unwrap().unwrap().file_name();
    let file = format!("sys/class/drm/card1/device/hwmon/{}/power1_average", chip.display());
    // 9.87 W as it is, and as amdgpu prints it for SMU 14: hundredths as thousandths.
    for text in ["9870000\n", "9087000\n"] {
        std::fs::write(copy.clear(file.as_ref()), text).unwrap();
        let series = machine::all_series(&machine::read(&copy.root()));
        let watts = series[r#"halo_power_watts{device="0000:c3:00.0",domain="socket"}"#];
        assert!((watts - 9.87).abs() < 1e-9, "{text}: {watts}");
    }
}

#[test]
fn a_size_of_memory_that_cannot_be_is_unknown_and_judges_nothing() {
    let copy = Copy::of("strix-halo-zbook-64g");
    let size = "sys/class/drm/card1/device/mem_info_vram_total";
    std::fs::write(copy.clear(size.as_ref()), format!("{}\n", u64::MAX)).unwrap();
    let series = machine::all_series(&machine::read(&copy.root()));
    let is_there = |text: &str| series.keys().any(|name| name.contains(text));
    assert!(!is_there(r#"pool="vram""#), "neither the size nor what is used of it");
    assert!(is_there(r#"pool="gtt""#));
    assert!(!is_there("carve_out"), "no verdict from a value that is unknown");
}
