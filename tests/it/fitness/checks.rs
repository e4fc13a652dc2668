//! What is found out about a machine, and what is said where nothing is known.

use std::fs;
use std::path::Path;

use halo::fitness::checks::{self, Wanted, examine};
use halo::fitness::machine::{Gpu, Machine, PowerLimit, User};
use halo::fitness::{Finding, State};
use serde_json::Value;

use super::{HOST, Heated};
use crate::machine::{Copy, fixtures};
use crate::program::machine_flags;
use crate::record::{Archive, text};

const WANTED: Wanted = Wanted { cool_to: 60.0, model: Some(1 << 30) };

/// What `halo-record check` finds on a machine, and its exit code.
fn check(machine: &Path, flags: &[&str]) -> (Vec<Value>, Option<i32>) {
    let archive = Archive::new();
    let mut program = archive.program(&["check", "--json"]);
    let output = program.args(machine_flags(machine)).args(flags).output().unwrap();
    assert!(archive.runs().is_empty(), "a check makes nothing");
    let findings = serde_json::from_slice(&output.stdout);
    (findings.unwrap_or_else(|_| panic!("{}", text(&output.stderr))), output.status.code())
}

fn found<'a>(findings: &'a [Value], check: &str) -> (&'a str, &'a str, &'a str) {
    let finding = findings.iter().find(|finding| finding["check"] == check).unwrap();
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    (text("state"), text("says"), text("remedy"))
}

fn host(name: &str) -> std::path::PathBuf {
    fixtures().join("hosts").join(name)
}

#[test]
fn a_busy_machine_is_hot_and_in_use() {
    let (findings, code) = check(&host(HOST), &[]);
    assert_eq!(code, Some(1));
    let (state, says, remedy) = found(&findings, "gpu_idle");
    assert_eq!(state, "bad");
    assert!(says.contains("in use by llama-server (pid 2211, holds 63.01 GiB)"), "{says}");
    assert!(remedy.contains("kill 2211"), "{remedy}");
    let (state, says, _) = found(&findings, "temperature");
    assert_eq!((state, says), ("bad", "81.4 °C (cpu_tctl of package), limit 60 °C"));
    assert_eq!(found(&findings, "supply").0, "unknown");
    assert_eq!(found(&findings, "power_limit").0, "unknown");
    assert_eq!(found(&findings, "cpu_governor").0, "good");
    let (findings, _) = check(&host(HOST), &["--cool-to", "90"]);
    assert_eq!(found(&findings, "temperature").0, "good");
}

#[test]
fn an_idle_machine_is_idle_and_cool() {
    let (findings, code) = check(&host("strix-halo-zbook-64g"), &[]);
    assert_eq!(code, Some(1), "its tuning is the distribution's");
    for name in ["gpu_idle", "temperature", "supply", "disk"] {
        assert_eq!(found(&findings, name).0, "good", "{name}");
    }
    let (state, says, remedy) = found(&findings, "swappiness");
    assert_eq!((state, remedy), ("bad", "`sysctl vm.swappiness=1`"));
    assert!(says.contains("runtime") && says.contains("1 or less"), "{says}");
    assert_eq!(found(&findings, "clock").0, "unknown");
    assert_eq!(found(&check(&host("strix-point-890m-32g"), &[]).0, "supply").0, "bad");
}

#[test]
fn the_text_says_what_to_do_below_what_is_bad() {
    let archive = Archive::new();
    let mut program = archive.program(&["check"]);
    let output = program.args(machine_flags(&host(HOST))).output().unwrap();
    let text = text(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("bad      gpu_idle "), "{text}");
    assert!(lines[1].trim_start().starts_with("→ ") && lines[1].ends_with("`kill 2211`"), "{text}");
    // What is good needs nothing.
    let disk = lines.iter().position(|line| line.starts_with("good     disk ")).unwrap();
    assert!(!lines[disk + 1].contains('→'), "{text}");
}

#[test]
fn a_model_is_held_against_what_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model.gguf");
    let file = fs::File::create(&model).unwrap();
    let (model, machine) = (model.to_str().unwrap(), host(HOST));
    for (gib, expected) in [(8, "good"), (80, "bad"), (200, "bad")] {
        file.set_len(gib << 30).unwrap();
        let (findings, _) = check(&machine, &["--model", model]);
        let (state, says, remedy) = found(&findings, "memory");
        assert_eq!(state, expected, "{says}");
        assert!(says.contains(&format!("it has {gib}.00 GiB")), "{says}");
        assert_eq!(remedy.contains("llama-server (pid 2211)"), gib == 80, "{remedy}");
    }
    let archive = Archive::new();
    let output = archive.run(&["check", "--model", "/no/model.gguf"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--model /no/model.gguf"), "{output:?}");
}

#[test]
fn a_finding_tells_what_holds_and_what_was_asked_for() {
    let copy = Copy::of(HOST);
    copy.apply(&fixtures().join("hazards/axb35-board"));
    for (file, content) in [
        ("proc/cmdline", "root=x iommu=pt amd_iommu=pt"),
        ("sys/kernel/iommu_groups/0/type", "DMA-FQ"),
        ("sys/module/amdttm/parameters/pages_limit", "31457280"),
    ] {
        fs::write(copy.clear(file.as_ref()), format!("{content}\n")).unwrap();
    }
    let (findings, _) = check(copy.path(), &[]);
    for (name, now) in [
        (
            "iommu",
            "now: iommu_groups.type DMA-FQ, cmdline.iommu pt, cmdline.amd_iommu pt, cmdline.ignored amd_iommu=pt",
        ),
        ("ttm_pages_limit", "now: amdttm.pages_limit 31457280, cmdline.ignored amd_iommu=pt"),
        ("board_power_mode", "now: ec_su_axb35.power_mode quiet"),
    ] {
        let (state, says, _) = found(&findings, name);
        assert!(state == "bad" && says.ends_with(now), "{name}: {state}: {says}");
    }
}

#[test]
fn power_limits_are_as_asked_for_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("halo.toml");
    fs::write(&config, "[power.requested]\nstapm = 120.0\nslow = 100.0\n").unwrap();
    let flags = ["--config.file", config.to_str().unwrap()];
    let limits = |machine: &Path| -> Vec<(String, String)> {
        let (findings, _) = check(machine, &flags);
        let limits = findings.iter().filter(|finding| finding["check"] == "power_limit");
        let text =
            |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        limits.map(|finding| (text(finding, "state"), text(finding, "remedy"))).collect()
    };
    let expected = [("good", ""), ("bad", "`sudo ryzenadj --slow-limit=100000`")];
    assert_eq!(limits(&host(HOST)), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let copy = Copy::of(HOST);
    copy.clear("sys/kernel/ryzen_smu_drv".as_ref());
    assert!(limits(copy.path()).iter().all(|(state, _)| state == "unknown"));
}

#[test]
fn files_that_are_missing_make_unknown_and_not_good() {
    let copy = Copy::of("strix-halo-zbook-64g");
    for file in ["gpu_metrics", "gpu_busy_percent", "hwmon"] {
        copy.clear(&Path::new("sys/class/drm/card1/device").join(file));
    }
    copy.clear("sys/class/hwmon".as_ref());
    copy.clear("proc/meminfo".as_ref());
    let (findings, _) = check(copy.path(), &["--model", "/proc/self/exe"]);
    for name in ["gpu_idle", "temperature", "memory"] {
        let (state, _, remedy) = found(&findings, name);
        assert_eq!(state, "unknown", "{name}");
        assert!(remedy.contains("--doctor"), "{name}: {remedy}");
    }
}

/// A machine of which nothing is known is unknown in everything, never good.
#[test]
fn nothing_known_is_nothing_good() {
    let findings = examine(&Machine::default(), &WANTED);
    assert!(findings.len() > 20);
    let not_unknown: Vec<&Finding> =
        findings.iter().filter(|finding| finding.state != State::Unknown).collect();
    assert!(not_unknown.is_empty(), "{not_unknown:?}");
    for finding in findings {
        assert!(!finding.says.contains('\n') && !finding.says.is_empty(), "{finding:?}");
    }
}

#[test]
fn idle_is_told_from_busy_by_activity_and_power() {
    let state = |busy: Option<f64>, watts: Option<f64>| {
        let gpu = Gpu { address: "0000:c5:00.0".to_owned(), busy, watts };
        checks::gpu_idle(&Machine { gpus: vec![gpu], ..Machine::default() }).state
    };
    assert_eq!(state(Some(0.02), Some(3.0)), State::Good);
    assert_eq!(state(Some(0.02), None), State::Good);
    assert_eq!(state(Some(0.5), Some(3.0)), State::Bad);
    assert_eq!(state(Some(0.0), Some(40.0)), State::Bad);
    assert_eq!(state(None, Some(40.0)), State::Bad);
    assert_eq!(state(None, Some(3.0)), State::Unknown);
    assert_eq!(state(None, None), State::Unknown);
}

#[test]
fn who_uses_the_graphics_processor_is_named_as_far_as_it_is_known() {
    let machine = |users: Option<Vec<User>>| Machine {
        gpus: vec![Gpu { address: "gpu".to_owned(), busy: Some(1.0), watts: None }],
        users,
        ..Machine::default()
    };
    let user =
        |pid: u32| User { pid: pid.to_string(), comm: "tool".to_owned(), bytes: 0.0, seconds: 1.0 };
    let says = |users| checks::gpu_idle(&machine(users)).says;
    assert!(!says(None).contains("use"), "nothing is said of what is unknown");
    assert!(says(Some(vec![])).contains("by no process that this user may look at"));
    let many = says(Some((1..=5).map(user).collect()));
    assert!(many.contains("pid 3") && !many.contains("pid 4") && many.ends_with(", …"), "{many}");
}

#[test]
fn limits_clock_supply_and_room_have_three_states() {
    let limit = |enforced| {
        let limit = PowerLimit { limit: "fast".to_owned(), requested: 120.0, enforced };
        checks::power_limits(&Machine { limits: vec![limit], ..Machine::default() })[0].state
    };
    assert_eq!(
        [limit(Some(120.4)), limit(Some(85.0)), limit(Some(140.0)), limit(None)],
        [State::Good, State::Bad, State::Bad, State::Unknown]
    );
    let clock = |is_clock_synchronized| {
        checks::clock(&Machine { is_clock_synchronized, ..Machine::default() }).state
    };
    assert_eq!([clock(Some(true)), clock(Some(false))], [State::Good, State::Bad]);
    let disk = |room| checks::disk(&Machine { room: Some(room), ..Machine::default() }).state;
    assert_eq!([disk(1 << 30), disk(1 << 20)], [State::Good, State::Bad]);
    let supply = |all: &[bool]| {
        let supplies = all.iter().map(|online| ("AC".to_owned(), *online)).collect();
        checks::supply(&Machine { supplies, ..Machine::default() }).state
    };
    assert_eq!([supply(&[false, true]), supply(&[false])], [State::Good, State::Bad]);
}

#[test]
fn a_clock_that_systemd_synchronized_is() {
    let machine = Heated::to(40);
    let directory = machine.path().join("root/run/systemd/timesync");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("synchronized"), "").unwrap();
    assert_eq!(found(&check(machine.path(), &[]).0, "clock").0, "good");
}

#[test]
fn who_takes_the_processor_is_named() {
    use halo::run::manifest::ProcessUse;
    let process =
        |name: &str, cores| ProcessUse { pid: 7, name: name.to_owned(), cores, bytes: 1 << 30 };
    let of = |busiest: Option<Vec<ProcessUse>>| {
        checks::cpu_idle(&Machine { busiest, ..Machine::default() })
    };
    assert_eq!(of(None).state, State::Unknown);
    assert_eq!(of(Some(Vec::new())).state, State::Good);
    assert_eq!(of(Some(vec![process("Xwayland", 0.2)])).state, State::Good);
    let busy = of(Some(vec![process("cc1plus", 0.97), process("Xwayland", 0.2)]));
    assert_eq!(busy.state, State::Bad);
    assert!(busy.says.contains("cc1plus (pid 7, 1.0 of a core, 1.00 GiB)"), "{}", busy.says);
    assert!(busy.remedy.unwrap().contains("kill 7"));
    let machine = Machine { largest: Some(vec![process("firefox", 0.0)]), ..Machine::default() };
    let memory = checks::memory(&machine, None);
    assert!(memory.says.contains("most is held by firefox (pid 7, 1.00 GiB)"), "{}", memory.says);
}
