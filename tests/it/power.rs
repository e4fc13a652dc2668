//! Power limits from each of their three ways, and energy counters that wrap.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use halo::config::Config;
use halo::metric::Samples;
use halo::root::{Reason, Root};
use halo::source::power::pm_table::{self, Refusal};
use halo::source::power::{Limit, ryzenadj};
use halo::source::{Presence, Reader, power, rapl};
use rustix::io::Errno;

use crate::machine::{Copy, fixtures};

const HOST: &str = "strix-halo-desktop-128g";

/// Output of `ryzenadj -i`, written from its format string (`RyzenAdj`, `main.c`).
fn output(rows: &[(&str, &str)]) -> String {
    let mut text = String::from(
        "CPU Family: Strix Halo\nSMU BIOS Interface Version: 25\nVersion: v0.19.0 \n\
         PM Table Version: 64020c\n|        Name         |   Value   |     Parameter      |\n\
         |---------------------|-----------|--------------------|\n",
    );
    for (name, value) in rows {
        writeln!(text, "| {name:<19} | {value:>9} | {:<18} |", "").unwrap();
    }
    text
}

/// Limits as firmware grants them where 85 W were asked for.
fn granted() -> String {
    output(&[
        ("STAPM LIMIT", "81.000"),
        ("STAPM VALUE", "70.125"),
        ("PPT LIMIT FAST", "81.000"),
        ("PPT VALUE FAST", "70.500"),
        ("PPT LIMIT SLOW", "70.000"),
        ("PPT VALUE SLOW", "69.875"),
        ("StapmTimeConst", "nan"),
        ("PPT LIMIT APU", "70.000"),
        ("PPT VALUE APU", "0.000"),
        ("TDC LIMIT VDD", "-nan"),
        ("THM LIMIT CORE", "100.000"),
        ("THM VALUE CORE", "78.500"),
        ("STT LIMIT APU", "100.000"),
        ("STT LIMIT dGPU", "95.000"),
    ])
}

fn read(config: &Config, root: &Root) -> (Result<Presence, Reason>, BTreeMap<String, f64>) {
    let mut reader = (power::SOURCE.open)(config).remove(0);
    read_with(reader.as_mut(), root)
}

fn read_with(
    reader: &mut dyn Reader,
    root: &Root,
) -> (Result<Presence, Reason>, BTreeMap<String, f64>) {
    let mut samples = Samples::default();
    let outcome = reader.read(root, &mut samples).map_err(|error| error.reason());
    let series = samples.values().iter().map(|sample| {
        let labels: Vec<&str> = sample.labels.iter().map(AsRef::as_ref).collect();
        (format!("{} {}", sample.def.name, labels.join(" ")), sample.value)
    });
    (outcome, series.collect())
}

#[test]
fn rows_of_ryzenadj_are_taken_by_name() {
    let readings = ryzenadj::parse(&granted()).unwrap();
    let limits =
        [(Limit::Stapm, 81.0), (Limit::Fast, 81.0), (Limit::Slow, 70.0), (Limit::ApuSlow, 70.0)];
    assert_eq!(readings.limits(), limits);
    let values = [(Limit::Stapm, 70.125), (Limit::Fast, 70.5), (Limit::Slow, 69.875)];
    assert_eq!(readings.values(), values, "the value of the APU is marked as untested");
    // What the rows are called is not what they show on this chip.
    assert_eq!(readings.temperature_limits(), [("gfx", 100.0), ("soc", 95.0)]);
    let other = granted().replace("Strix Halo", "Phoenix").replace("64020c", "4c0007");
    assert_eq!(ryzenadj::parse(&other).unwrap().temperature_limits(), []);
    // 0x64010C: the first six rows have numbers, the others do not.
    let partial = output(&[("STAPM LIMIT", "60.000"), ("PPT LIMIT APU", "nan")]);
    assert_eq!(ryzenadj::parse(&partial).unwrap().limits(), [(Limit::Stapm, 60.0)]);
    // A text that was cut while it was written gives what is whole.
    let cut = granted();
    for length in 0..cut.len() {
        if let Ok(readings) = ryzenadj::parse(&cut[..length]) {
            assert!(
                readings
                    .limits()
                    .iter()
                    .all(|(_, watts)| [81.0, 70.0].contains(watts) || *watts < 81.0)
            );
        }
    }
}

#[test]
fn each_failure_text_has_its_reason() {
    let header = "CPU Family: Strix Halo\nPM Table Version: 64010d\n";
    let cases = [
        (
            "Unable to get os_access Obj, check permission\nUnable to init ryzenadj\n",
            Reason::Permission,
        ),
        ("pci_alloc failed\nUnable to get PCI Obj, check permission\n", Reason::Permission),
        (
            "PCI Bus is not writeable, check secure boot\nUnable to get MP1 SMU Obj\nUnable to init ryzenadj\n",
            Reason::Lockdown,
        ),
        (
            "Unable to get memory access\nUnable to init power metric table: -5, this does not affect adjustments because it is only needed for monitoring.\n",
            Reason::Lockdown,
        ),
        ("Not AMD processor, must be kidding\nUnable to init ryzenadj\n", Reason::Unsupported),
        (
            "Fam1ah: unsupported model 96\nUnsupported family: 1ah\nOnly Ryzen Mobile Series are supported\nUnable to init ryzenadj\n",
            Reason::Unsupported,
        ),
        ("request_transfer_table was rejected twice\n", Reason::Rejected),
        ("request_transfer_table was rejected - busy\n", Reason::Busy),
        ("Unable to refresh power metric table: -4\n", Reason::Rejected),
        (header, Reason::UnknownTable),
        ("", Reason::Garbage),
        ("<html>", Reason::Garbage),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (text, reason) in cases {
        let program = stand_in(directory.path(), &format!("cat <<'END'\n{text}END\nexit 0\n"));
        let (outcome, series) = read(&with_command(&program), &Root::at("/nowhere"));
        assert_eq!((outcome, series.len()), (Err(reason), 0), "{text}");
    }
}

/// The stand-in for `ryzenadj`, doing what a shell script says.
fn stand_in(directory: &Path, script: &str) -> PathBuf {
    let program = directory.join("ryzenadj");
    fs::copy(fixtures().join("bin/ryzenadj"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.join("ryzenadj.case"), script).unwrap();
    program
}

fn with_command(program: &Path) -> Config {
    let mut config = Config::default();
    config.power.ryzenadj_command = Some(program.to_owned());
    config.power.requested.stapm = None;
    config
}

#[test]
fn the_command_counts_by_its_numbers_and_not_by_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("[ \"$*\" = -i ] || exit 9\ncat <<'END'\n{}END\nexit 251\n", granted());
    let program = stand_in(directory.path(), &script);
    let mut config = with_command(&program);
    config.power.requested.stapm = Some(85.0);
    let (outcome, series) = read(&config, &Root::at("/nowhere"));
    assert_eq!(outcome, Ok(Presence::Present));
    assert_eq!(series["halo_power_limit_watts stapm"], 81.0);
    assert_eq!(series["halo_power_limit_value_watts slow"], 69.875);
    assert_eq!(series["halo_power_limit_requested_watts stapm"], 85.0);
}

#[test]
fn a_command_that_hangs_is_killed_with_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}\nwait\n", pid_file.display());
    let program = stand_in(directory.path(), &script);
    let mut reader = (power::SOURCE.open)(&with_command(&program)).remove(0);
    let began = Instant::now();
    let (outcome, _) = read_with(reader.as_mut(), &Root::at("/nowhere"));
    assert_eq!(outcome, Err(Reason::Timeout));
    assert!(began.elapsed() < Duration::from_secs(10));
    let sleeper = fs::read_to_string(pid_file).unwrap();
    // A killed process that nobody waits for stays as a zombie, which is gone for every purpose.
    let gone = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        fs::read_to_string(format!("/proc/{}/stat", sleeper.trim()))
            .map_or(true, |stat| stat.contains(") Z "))
    });
    assert!(gone, "the process that ryzenadj started still runs");
    let (outcome, _) = read_with(reader.as_mut(), &Root::at("/nowhere"));
    assert_eq!(outcome, Err(Reason::Timeout), "it is tried again");
}

#[test]
fn the_helpers_file_is_believed_while_it_is_new() {
    let copy = Copy::of("strix-halo-zbook-64g");
    let path = copy.path().join("halo-ryzenadj.txt");
    let mut config = Config::default();
    config.power.ryzenadj_file = "/halo-ryzenadj.txt".into();
    let root = Root::new(copy.path().join("proc"), copy.path().join("sys"), copy.path());
    assert_eq!(read(&config, &root), (Ok(Presence::Absent), BTreeMap::new()));
    fs::write(&path, granted()).unwrap();
    let (outcome, series) = read(&config, &root);
    assert_eq!(outcome, Ok(Presence::Present));
    assert_eq!(series["halo_power_limit_watts fast"], 81.0);
    assert!(series["halo_power_reading_age_seconds "] < 10.0);
    let old = SystemTime::now() - Duration::from_hours(1);
    fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    let (outcome, series) = read(&config, &root);
    assert_eq!(outcome, Err(Reason::Stale));
    assert!(series["halo_power_reading_age_seconds "] >= 3600.0 && series.len() == 1);
}

#[test]
fn the_first_way_that_gives_numbers_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("cat <<'END'\n{}END\n", granted());
    let config = with_command(&stand_in(directory.path(), &script));
    let copy = Copy::of(HOST);
    let (_, series) = read(&config, &copy.root());
    assert_eq!(series["halo_power_limit_watts stapm"], 120.0, "the table comes first");
    let table = "/sys/kernel/ryzen_smu_drv/pm_table";
    let (outcome, series) = read(&config, &copy.root().failing(table, Errno::ACCESS));
    assert_eq!((outcome, series["halo_power_limit_watts stapm"]), (Ok(Presence::Present), 81.0));
    let (outcome, _) = read(&Config::default(), &copy.root().failing(table, Errno::ACCESS));
    assert_eq!(outcome, Err(Reason::Permission), "and nothing else is there");
}

#[test]
fn tables_of_known_versions_are_decoded_and_others_refused() {
    let table = fixtures().join("hosts").join(HOST).join("sys/kernel/ryzen_smu_drv/pm_table");
    let table = fs::read(table).unwrap();
    let whole = pm_table::parse(0x0064_020C, &table).unwrap();
    let limits =
        [(Limit::Stapm, 120.0), (Limit::Fast, 140.0), (Limit::Slow, 120.0), (Limit::ApuSlow, 70.0)];
    assert_eq!(whole.limits(), limits);
    assert_eq!(whole.temperature_limits(), [("gfx", 100.0), ("soc", 100.0)]);
    let beginning = pm_table::parse(0x0064_010C, &table).unwrap();
    assert_eq!(beginning.limits(), &limits[..3]);
    assert_eq!(beginning.temperature_limits(), []);
    assert_eq!(pm_table::parse(0x0064_020D, &table), Err(Refusal::UnknownVersion(0x0064_020D)));
    assert_eq!(pm_table::parse(0x0064_020C, &[]), Err(Refusal::Empty));
    for length in 1..0x68 {
        let cut = pm_table::parse(0x0064_020C, &table[..length]);
        assert_eq!(cut, Err(Refusal::Truncated(length)));
    }
    for sustained in [f32::NAN, f32::INFINITY, 0.0, -5.0, 3e8] {
        let mut table = table.clone();
        table[..4].copy_from_slice(&sustained.to_le_bytes());
        let refusal = pm_table::parse(0x0064_020C, &table);
        assert!(matches!(refusal, Err(Refusal::Implausible(_))), "{sustained}");
    }
    let copy = Copy::of(HOST);
    fs::write(copy.clear("sys/kernel/ryzen_smu_drv/pm_table".as_ref()), b"").unwrap();
    assert_eq!(read(&Config::default(), &copy.root()).0, Err(Reason::Rejected));
}

#[test]
fn a_module_without_a_table_is_too_old_and_not_missing() {
    let driver = Path::new("sys/kernel/ryzen_smu_drv");
    let outcome = |copy: &Copy| {
        let mut reader = (power::SOURCE.open)(&Config::default()).remove(0);
        let outcome = reader.read(&copy.root(), &mut Samples::default());
        outcome.map_err(|error| (error.reason(), error.to_string()))
    };
    let files = ["pm_table", "pm_table_version", "pm_table_size"];
    for gone in [&files[..], &files[..1], &files[1..2]] {
        let copy = Copy::of(HOST);
        for file in gone {
            copy.clear(&driver.join(file));
        }
        let (reason, text) = outcome(&copy).unwrap_err();
        assert_eq!(reason, Reason::UnknownTable, "{gone:?}");
        assert!(text.contains("ryzen_smu 0.1.7 is loaded and gives no table"), "{text}");
        assert!(text.contains("update it") && !text.contains("modprobe"), "{text}");
        // Its release may be unknown too.
        copy.clear(&driver.join("drv_version"));
        let (_, text) = outcome(&copy).unwrap_err();
        assert!(text.contains("ryzen_smu is loaded and gives no table"), "{text}");
    }
    // A module that is not there is no failure.
    let copy = Copy::of(HOST);
    copy.clear(driver);
    assert_eq!(outcome(&copy), Ok(Presence::Absent));
    // What ryzenadj says beside it does not hide the cause, and its numbers are taken.
    let copy = Copy::of(HOST);
    for file in files {
        copy.clear(&driver.join(file));
    }
    let helper = copy.clear("root/run/halo/ryzenadj.txt".as_ref());
    let refused = "Unable to get os_access Obj, check permission\nUnable to init ryzenadj\n";
    fs::write(&helper, refused).unwrap();
    assert_eq!(outcome(&copy).unwrap_err().0, Reason::UnknownTable);
    fs::write(&helper, granted()).unwrap();
    assert_eq!(outcome(&copy), Ok(Presence::Present));
    let (_, why) = ryzenadj::parse(refused).unwrap_err();
    assert!(why.contains("root") && why.contains("ryzen_smu"), "{why}");
}

#[test]
fn energy_goes_on_where_its_counter_wraps() {
    let copy = Copy::of(HOST);
    let energy = |micro: u64| {
        let path = copy.clear("sys/class/powercap/intel-rapl:0/energy_uj".as_ref());
        fs::write(path, format!("{micro}\n")).unwrap();
    };
    let mut reader = (rapl::SOURCE.open)(&Config::default()).remove(0);
    let mut joules = |micro| {
        energy(micro);
        read_with(reader.as_mut(), &copy.root()).1["halo_energy_joules_total package"]
    };
    // The range of the fixture is 65 532 610 987 µJ.
    assert!((joules(65_532_000_000) - 65_532.0).abs() < 1e-6);
    assert!((joules(1_000_000) - 65_533.610_987).abs() < 1e-6);
    assert!((joules(3_000_000) - 65_535.610_987).abs() < 1e-6);
    let path = "/sys/class/powercap/intel-rapl:0/energy_uj";
    let core = "/sys/class/powercap/intel-rapl:0:0/energy_uj";
    let root = copy.root().failing(path, Errno::ACCESS).failing(core, Errno::ACCESS);
    let outcome = reader_outcome(&root);
    assert_eq!(outcome, Err(Reason::Permission), "since Linux 5.10 only root may read it");
}

fn reader_outcome(root: &Root) -> Result<Presence, Reason> {
    let mut reader = (rapl::SOURCE.open)(&Config::default()).remove(0);
    read_with(reader.as_mut(), root).0
}
