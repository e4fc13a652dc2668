//! From the files of a machine to a message: halo, Prometheus with the shipped rules, and
//! Alertmanager, with every duration of their configurations divided, so that minutes are seconds.
//!
//! One Alertmanager has the shipped configuration, the other one the same without inhibition; both
//! send to a webhook of this test.

pub(super) mod machine;
mod webhook;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use self::machine::{
    CALM, CARD, Firmware, HANG, Machine, TROUBLE, pressure, run_firmware, ryzenadj,
};
use self::webhook::{Message, receive};
use super::process::{HALO, Running, get};

/// How much faster than shipped everything happens.
const SPEED: u64 = 60;

/// Longer than any alert takes: 15 minutes, and what a slow machine adds.
const DEADLINE: Duration = Duration::from_mins(2);

/// Divides every duration of a text, as `5m`, `[1m:5s]` and `14d`, and counts them.
fn hurry(text: &str) -> (String, usize) {
    let (mut hurried, mut count) = (String::new(), 0);
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        let (digits, after) = number.split_at(end);
        let unit = after.chars().next().and_then(|unit| match unit {
            's' => Some(1_000),
            'm' => Some(60_000),
            'h' => Some(3_600_000),
            'd' => Some(86_400_000),
            _ => None,
        });
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let stands_alone = !before.ends_with(is_word) && !after.chars().nth(1).is_some_and(is_word);
        hurried.push_str(before);
        if let Some(milliseconds) = unit.filter(|_| stands_alone) {
            let milliseconds = digits.parse::<u64>().unwrap() * milliseconds / SPEED;
            write!(hurried, "{milliseconds}ms").unwrap();
            rest = &after[1..];
            count += 1;
        } else {
            hurried.push_str(digits);
            rest = after;
        }
    }
    (hurried + rest, count)
}

#[test]
fn durations_are_divided_and_nothing_else() {
    let (text, count) =
        hurry("rate1m: x[1m:5s] > 10 for: 5m 14d 1024^3 0.97 127.0.0.1:25 7 m %.1f");
    let expected =
        "rate1m: x[1000ms:83ms] > 10 for: 5000ms 20160000ms 1024^3 0.97 127.0.0.1:25 7 m %.1f";
    assert_eq!((text.as_str(), count), (expected, 4));
}

fn shipped(path: &str) -> String {
    fs::read_to_string(super::repository().join("configs").join(path)).unwrap()
}

/// Copies the rules; gives the names of the alerts.
pub(super) fn write_rules(directory: &Path) -> BTreeSet<String> {
    let (text, count) = hurry(&shipped("prometheus/rules/recording.yml"));
    assert!(count >= 5, "{count} durations");
    fs::write(directory.join("recording.yml"), text).unwrap();
    let rules = shipped("prometheus/rules/alerts.yml");
    // This one is a duration too: 180 s. Sources that halo reads every 60 s stay as they are.
    let age = "halo_source_age_seconds > 180";
    assert!(rules.contains(age));
    let shorter = format!("halo_source_age_seconds{{source=\"pressure\"}} > {}", 180 / SPEED);
    let rules = rules.replace(age, &shorter);
    let (text, count) = hurry(&rules);
    let names: BTreeSet<String> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect();
    assert!(count > names.len(), "{count} durations of {} alerts", names.len());
    fs::write(directory.join("alerts.yml"), text).unwrap();
    names
}

/// Everything that runs.
struct Scene {
    prometheus: Running,
    prometheus_address: SocketAddr,
    alertmanager: SocketAddr,
    halo: Option<Running>,
    halo_address: SocketAddr,
    machine: Machine,
    firmware: Arc<Mutex<Firmware>>,
    messages: Arc<Mutex<Vec<Message>>>,
    alerts: BTreeSet<String>,
    began: Instant,
    steps: Mutex<Vec<String>>,
    _alertmanagers: [Running; 2],
    directory: TempDir,
}

impl Scene {
    fn start() -> Self {
        let began = Instant::now();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let machine = Machine::copy(path);
        // A tuned machine but for one setting.
        machine.write("proc/sys/vm/swappiness", "1\n");
        machine.write("proc/sys/vm/dirty_ratio", "20\n");
        let firmware = Arc::new(Mutex::new(CALM));
        let (files, now) = (Machine(machine.0.clone()), Arc::clone(&firmware));
        machine.write("root/run/halo/ryzenadj.txt", ryzenadj(&CALM));
        thread::spawn(move || run_firmware(&files, &now));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let webhook = listener.local_addr().unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&messages);
        thread::spawn(move || receive(&listener, &kept));
        let alertmanagers = [super::free_address(), super::free_address()];
        let names = ["shipped", "plain"];
        let running = [0, 1].map(|i| start_alertmanager(path, names[i], alertmanagers[i], webhook));

        let halo_address = super::free_address();
        let alerts = write_rules(path);
        fs::write(path.join("prometheus.yml"), prometheus_configuration(alertmanagers)).unwrap();
        write_targets(path, "halo", Some(halo_address));
        write_targets(path, "blind", Some(halo_address));
        let prometheus_address = super::free_address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path.join("data").display()))
            .arg(format!("--web.listen-address={prometheus_address}"));
        let halo = Some(start_halo(path, &machine, halo_address));
        let prometheus = Running::start(&mut command, &path.join("prometheus.log"));
        Self {
            prometheus,
            prometheus_address,
            alertmanager: alertmanagers[0],
            halo,
            halo_address,
            machine,
            firmware,
            messages,
            alerts,
            began,
            steps: Mutex::default(),
            _alertmanagers: running,
            directory,
        }
    }

    fn set(&self, firmware: Firmware) {
        *self.firmware.lock().unwrap() = firmware;
    }

    /// Waits until the webhook got all of these alerts. `Name word` is one with that label value.
    fn wait(&self, from: &str, alerts: &[&str], is_resolved: bool) {
        let began = Instant::now();
        loop {
            let messages = self.messages.lock().unwrap().clone();
            let got = |alert: &&&str| !messages.iter().any(|m| m.is(from, alert, is_resolved));
            let missing: Vec<_> = alerts.iter().filter(got).collect();
            if missing.is_empty() {
                return;
            }
            assert!(
                began.elapsed() < DEADLINE,
                "{missing:?} of {from}, resolved: {is_resolved}, never came\n{:#?}\n{messages:#?}\n{}",
                self.steps.lock().unwrap(),
                get(self.prometheus_address, "/api/v1/alerts").unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn fires(&self, alerts: &[&str]) {
        self.wait("plain", alerts, false);
    }

    fn resolves(&self, alerts: &[&str]) {
        self.wait("plain", alerts, true);
    }

    /// What the machine's own job fires now, as Prometheus sees it.
    fn firing(&self) -> BTreeSet<String> {
        let text = get(self.prometheus_address, "/api/v1/alerts").unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let alerts = answer["data"]["alerts"].as_array().unwrap().iter();
        alerts
            .filter(|alert| alert["state"] == "firing" && alert["labels"]["job"] == "halo")
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until the shipped Alertmanager holds these back because of another alert.
    fn inhibits(&mut self, alerts: &[&str]) {
        let address = self.alertmanager;
        self.prometheus.wait("inhibition", || {
            let text = get(address, "/api/v2/alerts")?;
            let known: Value = serde_json::from_str(&text).unwrap();
            let is_inhibited = |name: &str| {
                known.as_array().unwrap().iter().any(|alert| {
                    alert["labels"]["alertname"] == name
                        && !alert["status"]["inhibitedBy"].as_array().unwrap().is_empty()
                })
            };
            alerts.iter().all(|name| is_inhibited(name)).then_some(())
        });
    }

    /// Notes when something was reached, for the message of a failure.
    fn reached(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.steps.lock().unwrap().push(format!("{seconds:.1} s: {what}"));
    }
}

fn start_alertmanager(
    directory: &Path,
    name: &str,
    address: SocketAddr,
    webhook: SocketAddr,
) -> Running {
    let (text, count) = hurry(&shipped("alertmanager/alertmanager.yml"));
    assert!(count > 5, "{count} durations");
    let url = "http://127.0.0.1:8080/alerts";
    assert_eq!(text.matches(url).count(), 2);
    let text = text.replace(url, &format!("http://{webhook}/{name}"));
    let (before, inhibition) = text.split_once("inhibit_rules:").unwrap();
    let text = if name == "plain" {
        before.to_owned()
    } else {
        before.to_owned() + "inhibit_rules:" + inhibition
    };
    let file = directory.join(format!("{name}.yml"));
    fs::write(&file, text).unwrap();
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", directory.join(name).display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=");
    let mut running = Running::start(&mut command, &directory.join(format!("{name}.log")));
    running.wait("Alertmanager", || get(address, "/-/ready"));
    running
}

fn start_halo(directory: &Path, machine: &Machine, address: SocketAddr) -> Running {
    let configuration = directory.join("halo.toml");
    let text =
        "[power]\nryzenadj_file = \"/run/halo/ryzenadj.txt\"\n[power.requested]\nstapm = 81.0\n";
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new(HALO);
    command
        .args(["--web.listen-address".to_owned(), address.to_string()])
        .arg("--config.file")
        .arg(configuration);
    for (flag, part) in
        [("--path.procfs", "proc"), ("--path.sysfs", "sys"), ("--path.rootfs", "root")]
    {
        command.arg(flag).arg(machine.0.join(part));
    }
    let mut running = Running::start(&mut command, &directory.join("halo.log"));
    running.wait("halo", || get(address, "/metrics"));
    running
}

/// The second job asks for one source alone: a machine of which nearly nothing is known.
fn prometheus_configuration(alertmanagers: [SocketAddr; 2]) -> String {
    let [one, other] = alertmanagers;
    format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: [recording.yml, alerts.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{one}', '{other}']}}]}}]}}
scrape_configs:
  - job_name: halo
    file_sd_configs: [{{files: [halo.json]}}]
  - job_name: halo-blind
    params: {{'collect[]': [cpu]}}
    file_sd_configs: [{{files: [blind.json]}}]
"
    )
}

fn write_targets(directory: &Path, name: &str, target: Option<SocketAddr>) {
    let targets =
        target.map_or_else(String::new, |target| format!(r#"{{"targets":["{target}"]}}"#));
    let new = directory.join("targets");
    fs::write(&new, format!("[{targets}]")).unwrap();
    fs::rename(new, directory.join(format!("{name}.json"))).unwrap();
}

const OF_TROUBLE: [&str; 13] = [
    "HaloProchot",
    "HaloThermalThrottling",
    "HaloSustainedPowerCap",
    "HaloSlowPowerCap",
    "HaloFastPowerCap",
    "HaloTemperatureNearLimit",
    "HaloOnBattery",
    "HaloPowerLimitBelowRequest",
    "HaloPowerLimitDropped",
    "HaloGttNearlyFull",
    "HaloSwapInUse",
    "HaloMemoryPressure",
    "HaloTuningDrift swappiness",
];
const OF_SOURCES: [&str; 5] = [
    "HaloGpuHang",
    "HaloGpuPhantomBusy",
    "HaloSourceDown cpu",
    "HaloSourcePartial garbage",
    "HaloSourceStale pressure",
];
const OF_GUARDS: [&str; 7] = [
    "HaloCapsNotVisible",
    "HaloThrottlingNotVisible",
    "HaloLimitsNotVisible",
    "HaloTemperatureNotVisible",
    "HaloGpuNotVisible",
    "HaloMemoryNotVisible",
    "HaloTuningNotVisible",
];
const OF_TUNING: &str = "HaloTuningCheckFailed dirty_ratio";
const OF_EXPORTER: [&str; 2] = ["HaloExporterDown", "HaloExporterAbsent"];

#[test]
fn every_alert_arrives_and_resolves() {
    let mut scene = Scene::start();
    let all = OF_TROUBLE.iter().chain(&OF_SOURCES).chain(&OF_GUARDS).chain(&OF_EXPORTER);
    let tested: BTreeSet<String> =
        all.chain([&OF_TUNING]).map(|alert| alert.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(tested, scene.alerts);
    let machine = Machine(scene.machine.0.clone());
    let gtt_total: u64 =
        machine.read(&format!("{CARD}/mem_info_gtt_total")).trim().parse().unwrap();
    let meminfo = machine.read("proc/meminfo");
    let stat = machine.read("proc/stat");
    let vram = machine.read(&format!("{CARD}/mem_info_vram_used"));

    // A calm machine: longer than it takes for most alerts, all caps included.
    scene.prometheus.wait("shares", || {
        let text = get(scene.prometheus_address, "/api/v1/query?query=halo:limiter_share:rate1m")?;
        text.contains(r#""job":"halo""#).then_some(())
    });
    scene.reached("calm");
    thread::sleep(Duration::from_secs(6));
    assert_eq!(scene.firing(), BTreeSet::new(), "a calm machine");

    scene.reached("trouble");
    scene.set(TROUBLE);
    machine.write("sys/class/hwmon/hwmon4/temp1_input", "99000\n");
    machine.write("sys/class/power_supply/AC/online", "0\n");
    machine.write(&format!("{CARD}/mem_info_gtt_used"), format!("{}\n", gtt_total / 100 * 97));
    machine.write(
        "proc/meminfo",
        meminfo.replace("SwapFree:        8388604", "SwapFree:        1388604"),
    );
    machine.write("proc/sys/vm/swappiness", "60\n");
    scene.fires(&OF_TROUBLE);
    scene.wait("shipped", &["HaloProchot", "HaloOnBattery"], false);
    let explained = [
        "HaloThermalThrottling",
        "HaloSustainedPowerCap",
        "HaloSlowPowerCap",
        "HaloFastPowerCap",
        "HaloTemperatureNearLimit",
        "HaloPowerLimitBelowRequest",
    ];
    scene.inhibits(&explained);
    scene.reached("all of the trouble has arrived");

    // The trouble ends, the GPU hangs, and sources fail.
    scene.set(HANG);
    machine.write("sys/class/hwmon/hwmon4/temp1_input", "65000\n");
    machine.write("sys/class/power_supply/AC/online", "1\n");
    machine.write(&format!("{CARD}/mem_info_gtt_used"), "20000000000\n");
    machine.write("proc/meminfo", &meminfo);
    machine.write("proc/sys/vm/swappiness", "1\n");
    machine.write("proc/stat", "garbage\n");
    machine.write(&format!("{CARD}/mem_info_vram_used"), "garbage\n");
    machine.hang("proc/pressure/memory");
    scene.fires(&OF_SOURCES);
    scene.inhibits(&["HaloGpuPhantomBusy", "HaloSourceStale"]);
    scene.fires(&[OF_TUNING]);
    scene.fires(&OF_GUARDS);
    scene.reached("all of the sources, guards and the tuning have arrived");

    // All is well again.
    machine.answer("proc/pressure/memory", &pressure(1));
    scene.set(CALM);
    machine.write("proc/stat", stat);
    machine.write(&format!("{CARD}/mem_info_vram_used"), vram);
    machine.write("proc/sys/vm/dirty_ratio", "40\n");
    write_targets(scene.directory.path(), "blind", None);
    scene.resolves(&OF_TROUBLE);
    scene.resolves(&OF_SOURCES);
    scene.resolves(&OF_GUARDS);
    scene.resolves(&[OF_TUNING]);
    scene.reached("all of it is resolved");

    // The exporter goes, and then its job.
    scene.halo = None;
    scene.fires(&["HaloExporterDown"]);
    write_targets(scene.directory.path(), "halo", None);
    scene.fires(&["HaloExporterAbsent"]);
    scene.resolves(&["HaloExporterDown"]);
    scene.halo = Some(start_halo(scene.directory.path(), &machine, scene.halo_address));
    write_targets(scene.directory.path(), "halo", Some(scene.halo_address));
    scene.resolves(&["HaloExporterAbsent"]);
    scene.reached("the exporter is back");
}
