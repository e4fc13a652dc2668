//! The unit file: what systemd says of it, and what halo still reads under it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use super::process::{Running, get, output, said};
use super::systemd::Service;

/// The exposure that we promise, in tenths.
const THRESHOLD: &str = "--threshold=17";

fn unit() -> std::path::PathBuf {
    super::repository().join("configs/systemd/halo-exporter.service")
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is worth seeing")]
fn the_exposure_of_the_unit_is_small() {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", THRESHOLD]).arg(unit());
    let analysis = output(&mut command);
    let text = said(&analysis);
    let figure = text.lines().find(|line| line.contains("Overall exposure level"));
    println!("{}", figure.unwrap_or("no figure"));
    assert!(analysis.status.success() && figure.is_some(), "{text}");
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    let mut command = Command::new("systemd-analyze");
    let verdict = output(command.args(["verify", "--man=no"]).arg(unit()));
    let text = said(&verdict);
    // The program is not installed on the machine that tests; systemd names nothing else.
    let faults: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("Command /usr/bin/halo-exporter is not executable"))
        .collect();
    assert!(faults.is_empty(), "{text}");
}

/// The names and labels in an exposition.
fn series(exposition: &str) -> BTreeSet<&str> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect()
}

fn as_root(flags: &[OsString]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let flags: Vec<&OsStr> = flags.iter().map(OsString::as_os_str).collect();
    let mut halo = Running::halo(&flags, &directory.path().join("log"));
    let address = halo.address();
    halo.wait("an answer", || get(address, "/metrics"))
}

const ANY_PORT: &str = "HALO_WEB_LISTEN_ADDRESS=127.0.0.1:0\n";

fn fixture() -> std::path::PathBuf {
    super::hosts().join("strix-halo-desktop-128g")
}

#[test]
fn under_the_unit_halo_reads_of_this_machine_what_root_reads() {
    let mut service = Service::start(ANY_PORT, &fixture());
    let confined = service.metrics();
    let free = as_root(&[]);
    assert_eq!(series(&confined), series(&free), "{}", service.log());
    assert!(confined.contains("halo_pressure_stalled_seconds_total{"), "{confined}");
    assert!(confined.contains("process_resident_memory_bytes "), "{confined}");
}

#[test]
fn under_the_unit_halo_reads_of_a_strix_halo_what_root_reads() {
    let parts = [("procfs", "proc"), ("sysfs", "sys"), ("rootfs", "root")];
    let settings = parts.map(|(flag, part)| {
        format!("HALO_PATH_{}=/run/halo/machine/{part}\n", flag.to_uppercase())
    });
    let flags: Vec<OsString> = parts
        .iter()
        .flat_map(|(flag, part)| [format!("--path.{flag}").into(), fixture().join(part).into()])
        .collect();
    let mut service = Service::start(&(ANY_PORT.to_owned() + &settings.concat()), &fixture());
    let confined = service.metrics();
    assert_eq!(series(&confined), series(&as_root(&flags)), "{}", service.log());
    assert!(confined.contains("halo_throttle_residency_total{"), "{confined}");
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is worth seeing")]
fn under_the_unit_halo_has_no_privilege_and_stops_cleanly() {
    let mut service = Service::start(ANY_PORT, &fixture());
    service.metrics();
    // Type=notify: systemd calls it active only after halo said so.
    assert_eq!(service.property("ActiveState"), "active");

    let status = service.process_file("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("{name} in {status}")).to_owned()
    };
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2", "system calls are filtered");
    assert!(!field("Uid").split('\t').any(|id| id == "0"), "{}", field("Uid"));
    assert!(!field("Gid").split('\t').any(|id| id == "0"), "{}", field("Gid"));

    // MemoryMax= may not be imposed here, so the most that it used is compared with it.
    let peak: u64 = field("VmHWM").trim_end_matches(" kB").trim().parse().unwrap();
    let limit: u64 = service.property("MemoryMax").parse().unwrap();
    println!("{peak} KiB at most, {} KiB allowed", limit / 1024);
    assert!(peak * 1024 * 2 < limit, "{peak} KiB are more than half of MemoryMax=");

    let mounts = service.process_file("mountinfo");
    for place in ["/", "/sys", "/proc/sys"] {
        assert!(is_read_only(&mounts, place), "{place} can be written:\n{mounts}");
    }

    service.stop();
    assert_eq!(service.property("Result"), "success", "{}", service.log());
    assert_eq!(service.property("ActiveState"), "inactive");
}

/// Whether the mount on top of a place is read-only.
fn is_read_only(mounts: &str, place: &str) -> bool {
    let mut options = mounts.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        (Path::new(fields.get(4)?) == Path::new(place)).then(|| fields[5].to_owned())
    });
    options.next_back().is_some_and(|options| options.split(',').any(|option| option == "ro"))
}
