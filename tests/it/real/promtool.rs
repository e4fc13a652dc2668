//! What Prometheus' own tool says of halo's text and of the configuration that halo ships.

use std::fs::{self, File};
use std::process::Command;

use super::process::{HALO, output, said};

#[test]
fn the_exposition_of_every_host_is_without_complaint() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metrics");
    let mut hosts = 0;
    for host in fs::read_dir(super::hosts()).unwrap() {
        let host = host.unwrap().path();
        let mut halo = Command::new(HALO);
        for (flag, part) in
            [("--path.procfs", "proc"), ("--path.sysfs", "sys"), ("--path.rootfs", "root")]
        {
            halo.arg(flag).arg(host.join(part));
        }
        let once = output(halo.arg("--once"));
        assert!(once.status.success(), "{}: {}", host.display(), said(&once));
        assert!(!once.stdout.is_empty());
        fs::write(&file, &once.stdout).unwrap();
        let mut check = Command::new("promtool");
        let check = output(check.args(["check", "metrics"]).stdin(File::open(&file).unwrap()));
        assert!(check.status.success(), "{}: {}", host.display(), said(&check));
        assert_eq!(said(&check), "", "{}", host.display());
        hosts += 1;
    }
    assert!(hosts >= 6, "{hosts} hosts");
}

#[test]
fn the_configuration_that_we_ship_is_valid() {
    let path = super::repository().join("configs/prometheus/prometheus.yml");
    let check = output(Command::new("promtool").args(["check", "config"]).arg(path));
    assert!(check.status.success(), "{}", said(&check));
    assert!(said(&check).contains("is valid prometheus config file syntax"), "{}", said(&check));
}

#[test]
fn the_web_configuration_that_we_ship_is_valid_for_prometheus_and_for_halo() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    fs::copy(super::repository().join("configs/prometheus/web.yml"), &file).unwrap();
    super::write_certificate(directory.path(), "halo");
    let check = output(Command::new("promtool").args(["check", "web-config"]).arg(&file));
    assert!(check.status.success(), "{}", said(&check));
    let check = output(Command::new(HALO).args(["--check-config", "--web.config.file"]).arg(&file));
    assert!(check.status.success(), "{}", said(&check));
}
