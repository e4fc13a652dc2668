//! The helper that reads power limits as root, and a halo without privileges that shows them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::process::{HALO, output, said};

fn unit() -> String {
    let path = super::repository().join("configs/systemd/halo-ryzenadj.service");
    fs::read_to_string(path).unwrap()
}

/// The command of the unit, with its paths in a directory of the test.
fn script(directory: &Path) -> String {
    let unit = unit();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/bin/sh -c ")).unwrap();
    line.trim_matches('\'').replace("/run/halo", directory.to_str().unwrap())
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs as root, as this test does. The stand-in refuses whoever is not, as ryzenadj does.
#[test]
fn helper_and_exporter_together_reach_the_values() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let bin = directory.path().join("bin");
    fs::create_dir(&bin).unwrap();
    write_program(
        &bin.join("ryzenadj"),
        "#!/bin/sh
if [ \"$(id -u)\" != 0 ]; then echo 'Unable to get os_access Obj, check permission'; exit 255; fi
echo 'CPU Family: Strix Halo'
echo '| STAPM LIMIT         |    81.000 | stapm-limit        |'
echo '| STAPM VALUE         |    70.125 |                    |'
",
    );
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut helper = Command::new("/bin/sh");
    let done = output(helper.arg("-c").arg(script(directory.path())).env("PATH", path));
    assert!(done.status.success(), "{}", said(&done));
    assert!(!directory.path().join("ryzenadj.tmp").exists());

    // Where the program lies, nobody else may look.
    let halo = directory.path().join("halo-exporter");
    fs::copy(HALO, &halo).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
        .arg(&halo)
        .args(["--once", "--power.ryzenadj-file"])
        .arg(directory.path().join("ryzenadj.txt"));
    let shown = output(&mut command);
    let text = String::from_utf8(shown.stdout.clone()).unwrap();
    for line in [
        "halo_power_limit_watts{limit=\"stapm\"} 81",
        "halo_power_limit_value_watts{limit=\"stapm\"} 70.125",
        "halo_source_up{source=\"power\"} 1",
    ] {
        assert!(text.contains(line), "no {line}: {}\n{text}", said(&shown));
    }
}

#[test]
fn systemd_finds_no_fault_in_the_helper() {
    let directory = super::repository().join("configs/systemd");
    let units = ["halo-ryzenadj.service", "halo-ryzenadj.timer"].map(|name| directory.join(name));
    let verdict = output(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units));
    assert!(verdict.status.success() && said(&verdict).trim().is_empty(), "{}", said(&verdict));
}
