//! What the kernel says counts before what it was asked for; what cannot be told is absent.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::machine::{self, Copy};

const HOST: &str = "strix-halo-desktop-128g";

/// The settings and checks of a machine with other files: a path and its one line, or nothing where
/// an empty directory is meant.
fn tuning(files: &[(&str, Option<&str>)]) -> BTreeMap<String, f64> {
    let copy = Copy::of(HOST);
    for (path, content) in files {
        let place = copy.clear(Path::new(path));
        match content {
            Some(content) => fs::write(place, format!("{content}\n")).unwrap(),
            None => fs::create_dir(place).unwrap(),
        }
    }
    machine::read(&copy.root())["tuning"].series()
}

fn check(series: &BTreeMap<String, f64>, name: &str) -> Option<f64> {
    series.get(&format!(r#"halo_tuning_check{{check="{name}",group="core"}}"#)).copied()
}

fn has(series: &BTreeMap<String, f64>, setting: &str, value: &str) -> bool {
    series.contains_key(&format!(r#"halo_tuning_info{{setting="{setting}",value="{value}"}}"#))
}

fn number(series: &BTreeMap<String, f64>, setting: &str) -> Option<f64> {
    series.get(&format!(r#"halo_tuning_value{{setting="{setting}"}}"#)).copied()
}

#[test]
fn the_last_of_the_parameters_of_the_iommu_counts() {
    for (line, expected) in [
        ("iommu=pt", Some(1.0)),
        ("iommu.passthrough=1", Some(1.0)),
        ("iommu=nopt iommu.passthrough=on", Some(1.0)),
        ("iommu=pt iommu.passthrough=0", Some(0.0)),
        ("iommu.passthrough=0 iommu=pt", Some(1.0)),
        ("amd_iommu=off", Some(1.0)),
        ("amd-iommu=off", Some(1.0)),
        ("amd_iommu=pt", Some(0.0)),
        ("amd_iommu=on", Some(0.0)),
        ("iommu=off iommu=nopt", Some(1.0)),
        ("quiet", Some(0.0)),
        ("-- iommu=pt", Some(0.0)),
        (r#"x="a iommu=pt""#, Some(0.0)),
        (r#""iommu=pt""#, Some(1.0)),
    ] {
        let series = tuning(&[("proc/cmdline", Some(&format!("root=/dev/sda1 {line}")))]);
        assert_eq!(check(&series, "iommu"), expected, "{line}");
    }
    // Without a line nothing is known.
    assert_eq!(check(&tuning(&[("proc/cmdline", Some(""))]), "iommu"), None);
}

#[test]
fn the_kernel_counts_before_its_command_line_and_both_are_told() {
    let groups = "sys/kernel/iommu_groups";
    let of = |line: &str, types: &[&str]| {
        let line = format!("root=/dev/sda1 {line}");
        let files: Vec<(String, &str)> = types
            .iter()
            .enumerate()
            .map(|(number, kind)| (format!("{groups}/{number}/type"), *kind))
            .collect();
        let mut all: Vec<(&str, Option<&str>)> = vec![("proc/cmdline", Some(&line))];
        all.extend(files.iter().map(|(path, kind)| (path.as_str(), Some(*kind))));
        tuning(&all)
    };
    for (line, types, said, expected) in [
        ("iommu=pt", vec!["DMA-FQ", "DMA-FQ"], "DMA-FQ", Some(0.0)),
        ("amd_iommu=off", vec!["DMA"], "DMA", Some(0.0)),
        ("iommu=nopt", vec!["identity"], "identity", Some(1.0)),
        ("quiet", vec!["identity", "identity"], "identity", Some(1.0)),
        ("iommu=pt", vec!["identity", "DMA"], "DMA+identity", Some(0.0)),
        ("iommu=pt", vec!["identity", "blocked"], "blocked+identity", Some(1.0)),
        ("iommu=pt", vec!["a new word"], "a new word", None),
    ] {
        let series = of(line, &types);
        assert_eq!(check(&series, "iommu"), expected, "{line} {types:?}");
        assert!(has(&series, "iommu_groups.type", said), "{line} {types:?}");
        if let Some((name, value)) = line.split_once('=') {
            assert!(has(&series, &format!("cmdline.{name}"), value), "{line} {types:?}");
        }
    }
    // No group at all: the IOMMU does not work, whatever was asked for.
    let series = tuning(&[("proc/cmdline", Some("root=x iommu=nopt")), (groups, None)]);
    assert_eq!(check(&series, "iommu"), Some(1.0));
    assert!(has(&series, "iommu_groups.type", "none"));
}

#[test]
fn the_module_that_amdgpu_uses_bounds_its_memory() {
    let amdttm = "sys/module/amdttm/parameters/pages_limit";
    let ttm = "sys/module/ttm/parameters/pages_limit";
    let series = tuning(&[(amdttm, Some("31457280")), (ttm, Some("4058844"))]);
    assert_eq!(number(&series, "amdttm.pages_limit"), Some(31_457_280.0));
    assert_eq!(number(&series, "ttm.pages_limit"), None, "it bounds nothing");
    assert_eq!(check(&series, "ttm_pages_limit"), Some(0.0), "120 of 128 GiB");
    let series = tuning(&[(amdttm, Some("32505856")), (ttm, Some("4058844"))]);
    assert_eq!(check(&series, "ttm_pages_limit"), Some(1.0));
    let series = tuning(&[("sys/module/amdttm/refcnt", Some("3"))]);
    for name in ["ttm_pages_limit", "gttsize_agrees", "gtt_size"] {
        assert_eq!(check(&series, name), None, "{name}");
    }
    assert_eq!(number(&series, "ttm.pages_limit"), None);
    // Nonsense of the module in force is not replaced by the other's.
    let series = tuning(&[(amdttm, Some("-1"))]);
    assert_eq!(
        (check(&series, "ttm_pages_limit"), number(&series, "ttm.pages_limit")),
        (None, None)
    );
}

#[test]
fn a_limit_that_leaves_linux_nothing_is_not_as_it_should_be() {
    for (gib, expected) in [
        (64.0, 0.0),
        (120.0, 0.0),
        (121.0, 1.0),
        (124.0, 1.0),
        (125.0, 1.0),
        (125.5, 0.0),
        (128.0, 0.0),
        (192.0, 0.0),
    ] {
        let pages = (gib * 262_144.0_f64).to_string();
        let series = tuning(&[("sys/module/ttm/parameters/pages_limit", Some(&pages))]);
        assert_eq!(check(&series, "ttm_pages_limit"), Some(expected), "{gib} GiB");
    }
}

#[test]
fn what_the_kernel_ignores_is_said_and_counts_for_nothing() {
    for (line, ignored) in [
        ("amd_iommu=pt", "amd_iommu=pt"),
        ("ttm.page_limit=32505856", "ttm.page_limit=32505856"),
        ("ttm.pages_pool_size=1", "ttm.pages_pool_size=1"),
        ("amdgpu.gtt_size=126976 amd_iommu=on", "amdgpu.gtt_size=126976 amd_iommu=on"),
    ] {
        let series = tuning(&[("proc/cmdline", Some(&format!("root=x {line} quiet")))]);
        assert!(has(&series, "cmdline.ignored", ignored), "{line}");
        let series_of_it = series.keys().filter(|key| key.contains("page_limit\"")).count();
        assert_eq!(series_of_it, 0, "no setting has a name that no module knows");
    }
    let series =
        tuning(&[("proc/cmdline", Some("root=x amdgpu.dcdebugmask=0x10 ttm.pages-limit=7"))]);
    assert!(!series.keys().any(|key| key.contains("cmdline.ignored")));
    assert!(has(&series, "cmdline.ttm.pages_limit", "7"));
}
