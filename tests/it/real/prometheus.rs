//! A real Prometheus scrapes halo over TLS with a password, and shows what the machine's files
//! say.
//!
//! What is expected is read here from the files of the fixture, at the offsets of
//! `struct gpu_metrics_v3_0` in the kernel's `kgd_pp_interface.h`; nothing of it comes from halo.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

use super::process::{Running, get, output};

const GPU: &str = "0000:c5:00.0";
const DEVICE: &str = "sys/class/drm/card1/device";

/// A copy of the fixture, which a test may change while it is read.
struct Machine(PathBuf);

impl Machine {
    fn copy(directory: &Path) -> Self {
        let machine = directory.join("machine");
        let fixture = super::hosts().join("strix-halo-desktop-128g");
        assert!(output(Command::new("cp").arg("-r").arg(fixture).arg(&machine)).status.success());
        Self(machine)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap().trim().to_owned()
    }

    fn number(&self, path: &str) -> f64 {
        self.text(path).parse().unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        assert!(path.exists(), "{}: the fixture has no such file", path.display());
        fs::write(path, text).unwrap();
    }

    fn short(&self, offset: usize) -> f64 {
        let table = fs::read(self.0.join(DEVICE).join("gpu_metrics")).unwrap();
        f64::from(u16::from_le_bytes(table[offset..offset + 2].try_into().unwrap()))
    }

    fn long(&self, offset: usize) -> f64 {
        let table = fs::read(self.0.join(DEVICE).join("gpu_metrics")).unwrap();
        f64::from(u32::from_le_bytes(table[offset..offset + 4].try_into().unwrap()))
    }

    /// A float of the table of `ryzen_smu`, by its offset.
    fn float(&self, offset: usize) -> f64 {
        let table = fs::read(self.0.join("sys/kernel/ryzen_smu_drv/pm_table")).unwrap();
        f64::from(f32::from_le_bytes(table[offset..offset + 4].try_into().unwrap()))
    }

    /// The value of a file of the hwmon chip with this name.
    fn hwmon(&self, chip: &str, file: &str) -> f64 {
        (0..16)
            .map(|number| format!("sys/class/hwmon/hwmon{number}"))
            .find(|directory| self.text(&format!("{directory}/name")) == chip)
            .map(|directory| self.number(&format!("{directory}/{file}")))
            .unwrap()
    }

    /// Queries and what they must give.
    fn expected(&self) -> Vec<(String, f64)> {
        let mut all = vec![
            (power("socket"), self.long(112) / 1000.0),
            (power("gfx"), self.long(124) / 1000.0),
            (power("cpu"), self.long(132) / 1000.0),
            (temperature("gfx"), self.short(4) / 100.0),
            (temperature("soc"), self.short(6) / 100.0),
            (temperature("skin"), self.short(40) / 100.0),
            (temperature("gpu_edge"), self.hwmon("amdgpu", "temp1_input") / 1000.0),
            (
                r#"halo_temperature_celsius{device="package",sensor="cpu_tctl"}"#.to_owned(),
                self.hwmon("k10temp", "temp1_input") / 1000.0,
            ),
        ];
        let limiters = ["prochot", "spl", "fppt", "sppt", "thm_core", "thm_gfx", "thm_soc"];
        for (offset, limiter) in (228..).step_by(4).zip(limiters) {
            let query = format!(r#"halo_throttle_residency_total{{limiter="{limiter}"}}"#);
            all.push((query, self.long(offset)));
        }
        for (offset, limit) in (0..).step_by(8).zip(["stapm", "fast", "slow"]) {
            let query =
                |family: &str| format!(r#"halo_power_limit{family}_watts{{limit="{limit}"}}"#);
            all.push((query(""), self.float(offset)));
            all.push((query("_value"), self.float(offset + 4)));
        }
        let package = self.number("sys/class/powercap/intel-rapl:0/energy_uj") / 1e6;
        all.push((r#"halo_energy_joules_total{domain="package"}"#.to_owned(), package));
        for pool in ["vram", "gtt"] {
            for (family, file) in [("size", "total"), ("used", "used")] {
                let query = format!(r#"halo_gpu_memory_{family}_bytes{{pool="{pool}"}}"#);
                all.push((query, self.number(&format!("{DEVICE}/mem_info_{pool}_{file}"))));
            }
        }
        for name in ["dirty_ratio", "max_map_count", "swappiness"] {
            let query = format!(r#"halo_tuning_value{{setting="vm.{name}"}}"#);
            all.push((query, self.number(&format!("proc/sys/vm/{name}"))));
        }
        all
    }
}

fn power(domain: &str) -> String {
    format!(r#"halo_power_watts{{device="{GPU}",domain="{domain}"}}"#)
}

fn temperature(sensor: &str) -> String {
    format!(r#"halo_temperature_celsius{{device="{GPU}",sensor="{sensor}"}}"#)
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Vector {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Targets {
    #[serde(rename = "activeTargets")]
    active: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    labels: BTreeMap<String, String>,
    #[serde(rename = "lastError")]
    last_error: String,
}

/// Prometheus and the halo that it scrapes.
struct Scene {
    prometheus: Running,
    address: SocketAddr,
    machine: Machine,
    _halo: Running,
    _directory: TempDir,
}

impl Scene {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let machine = Machine::copy(path);
        // One setting is wrong, so that a check has something to find.
        machine.write("proc/sys/vm/swappiness", "60\n");
        write_web_config(path);
        let part = |name: &str| machine.0.join(name);
        let (procfs, sysfs, rootfs) = (part("proc"), part("sys"), part("root"));
        let web = path.join("web.yml");
        let flags = [
            "--web.config.file".as_ref(),
            web.as_os_str(),
            "--path.procfs".as_ref(),
            procfs.as_os_str(),
            "--path.sysfs".as_ref(),
            sysfs.as_os_str(),
            "--path.rootfs".as_ref(),
            rootfs.as_os_str(),
        ];
        let mut halo = Running::halo(&flags, &path.join("halo.log"));
        fs::write(path.join("prometheus.yml"), configuration(halo.address())).unwrap();
        let address = super::free_address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path.join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let prometheus = Running::start(&mut command, &path.join("prometheus.log"));
        Self { prometheus, address, machine, _halo: halo, _directory: directory }
    }

    /// Asks until Prometheus has what the test waits for.
    fn wait<T>(&mut self, query: &str, mut accept: impl FnMut(Vec<Series>) -> Option<T>) -> T {
        let address = self.address;
        self.prometheus.wait(query, || accept(ask(address, query)?))
    }

    fn series(&mut self, query: &str) -> Vec<Series> {
        self.wait(query, Some)
    }

    /// The single value of a query; it is waited for.
    fn value(&mut self, query: &str) -> f64 {
        self.wait(query, |series| match series.as_slice() {
            [] => None,
            [one] => Some(one.value.1.parse().unwrap()),
            _ => panic!("{query}: {} series instead of one", series.len()),
        })
    }

    /// Waits until every job was answered, and gives what went wrong with each.
    fn errors(&mut self) -> BTreeMap<String, String> {
        self.wait("count(up)", |series| (series.first()?.value.1 == "4").then_some(()));
        let address = self.address;
        self.prometheus.wait("an answer to every job", || {
            let text = get(address, "/api/v1/targets")?;
            let answer: Answer<Targets> = serde_saphyr::from_str(&text).unwrap();
            let targets = answer.data.active.into_iter();
            let errors: BTreeMap<_, _> =
                targets.map(|target| (target.labels["job"].clone(), target.last_error)).collect();
            // A machine that is busy answers a later scrape.
            let is_late = errors.values().any(|error| error.contains("deadline exceeded"));
            (!is_late).then_some(errors)
        })
    }
}

fn ask(address: SocketAddr, query: &str) -> Option<Vec<Series>> {
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
    let text = get(address, &format!("/api/v1/query?{query}"))?;
    // JSON is YAML.
    let answer: Answer<Vector> = serde_saphyr::from_str(&text).unwrap();
    Some(answer.data.result)
}

fn write_web_config(directory: &Path) {
    super::write_certificate(directory, "server");
    let hash = bcrypt::hash("secret", 4).unwrap();
    let text = format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n\
         basic_auth_users:\n  alice: {hash}\n"
    );
    fs::write(directory.join("web.yml"), text).unwrap();
}

/// One job that may scrape and three that may not.
fn configuration(halo: SocketAddr) -> String {
    let trusts = "{ca_file: server.crt, server_name: localhost}";
    let login =
        |password: &str| format!("    basic_auth: {{username: alice, password: {password}}}\n");
    let jobs = [
        ("halo", trusts, login("secret")),
        ("anonymous", trusts, String::new()),
        ("mistaken", trusts, login("wrong")),
        ("distrustful", "{server_name: localhost}", login("secret")),
    ];
    let jobs = jobs.map(|(job, tls, login)| {
        format!(
            "  - job_name: {job}\n    scheme: https\n    tls_config: {tls}\n{login}    \
             static_configs: [{{targets: ['{halo}']}}]\n"
        )
    });
    let global = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n";
    global.to_owned() + &jobs.concat()
}

#[test]
fn prometheus_shows_what_the_files_of_the_machine_say() {
    let mut scene = Scene::start();
    assert!((scene.value(r#"up{job="halo"} == 1"#) - 1.0).abs() < f64::EPSILON);

    for (query, expected) in scene.machine.expected() {
        let value = scene.value(&query);
        assert!(
            (value - expected).abs() < 1e-9 * expected.abs(),
            "{query}: {value}, not {expected}"
        );
    }

    let info = scene.series("halo_gpu_info");
    let [info] = info.as_slice() else { panic!("{} cards", info.len()) };
    let file = |name: &str| scene.machine.text(&format!("{DEVICE}/{name}"));
    for (label, expected) in [
        ("job", "halo".to_owned()),
        ("gpu", GPU.to_owned()),
        ("card", "card1".to_owned()),
        ("device_id", file("device")),
        ("revision", file("revision")),
        ("vbios", file("vbios_version")),
        ("gpu_metrics", "v3.0".to_owned()),
    ] {
        assert_eq!(info.metric.get(label), Some(&expected), "{label}");
    }

    let failed = scene.series("halo_tuning_check == 0");
    let failed: Vec<_> = failed.iter().map(|series| series.metric["check"].as_str()).collect();
    assert_eq!(failed, ["swappiness"]);
    assert!(scene.value("count(halo_tuning_check == 1)") > 15.0);

    let sources = scene.series("halo_source_up == 1");
    let mut sources: Vec<_> = sources.iter().map(|one| one.metric["source"].as_str()).collect();
    sources.sort_unstable();
    let expected = [
        "amdgpu", "cpu", "host", "hwmon", "memory", "npu", "power", "pressure", "rapl", "runs",
        "selfstat", "tuning",
    ];
    assert_eq!(sources, expected, "a desktop has no supply");
    assert_eq!(scene.series("halo_source_up == 0").len(), 0);
    assert_eq!(scene.series("halo_source_failure").len(), 0);

    // Prometheus took every line that halo wrote.
    let stored = scene.value(r#"count({job="halo",__name__=~"(halo|process)_.+"})"#);
    let scraped = scene.value(r#"scrape_samples_scraped{job="halo"}"#);
    assert!((stored - scraped).abs() < f64::EPSILON, "{stored} stored of {scraped}");
    assert!(scraped > 100.0, "{scraped}");
}

#[test]
fn prometheus_sees_what_changes_on_the_machine() {
    let mut scene = Scene::start();
    let query = r#"halo_gpu_memory_used_bytes{pool="gtt"}"#;
    let before = scene.machine.number(&format!("{DEVICE}/mem_info_gtt_used"));
    assert!((scene.value(query) - before).abs() < f64::EPSILON);
    scene.machine.write(&format!("{DEVICE}/mem_info_gtt_used"), "123456789\n");
    scene.wait(query, |series| (series.first()?.value.1 == "123456789").then_some(()));
}

#[test]
fn prometheus_gets_nothing_without_the_password_or_the_authority() {
    let mut scene = Scene::start();
    let errors = scene.errors();
    assert_eq!(errors["halo"], "");
    for job in ["anonymous", "mistaken"] {
        assert!(errors[job].contains("401"), "{job}: {}", errors[job]);
    }
    assert!(errors["distrustful"].contains("certificate"), "{}", errors["distrustful"]);
    for job in ["anonymous", "mistaken", "distrustful"] {
        assert!(scene.value(&format!(r#"up{{job="{job}"}}"#)).abs() < f64::EPSILON, "{job}");
        let query = format!(r#"{{job="{job}",__name__=~"(halo|process)_.+"}}"#);
        assert_eq!(scene.series(&query).len(), 0, "{job}");
    }
}
