//! Three machines: one that changes and serves a model, one whose processes are seen, and one whose
//! firmware tells limiters as bits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{View, start_prometheus};
use crate::dashboards::{Dashboard, dashboards, exceptions};
use crate::real::alerts::machine::{CALM, CARD, Firmware, Machine, TROUBLE, run_firmware};
use crate::real::alerts::write_rules;
use crate::real::llama::{llama_bench, tiny_model};
use crate::real::llama_server::Server;
use crate::real::process::{HALO, Running, output, said};
use crate::real::{free_address, hosts};
use crate::record::Archive;

/// As long as alerts and slow sources take, and what a busy machine adds.
const DEADLINE: Duration = Duration::from_mins(3);

/// Longer than the step of the queries about a whole run, 15 s, so that each run has a moment.
const LEAD: &str = "18s";

/// Tokens of a request: seconds, so that prefill and decode are apart.
const TOKENS: u32 = 5000;

/// A run of the fixture that has a reason to be flagged.
const FLAGGED: &str = "20261121T190000.000Z-llama-bench-qwen3";

struct Scene {
    view: View,
    machine: Machine,
    firmware: Arc<Mutex<Firmware>>,
    archive: Archive,
    model: std::path::PathBuf,
    running: Vec<Running>,
    /// The load ends with the scene.
    stop: Arc<AtomicBool>,
    directory: TempDir,
    _server: Arc<Server>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Scene {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let machine = Machine::copy(path);
        machine.write("proc/sys/vm/swappiness", "1\n");
        // The runs of another machine, with results, tags and verdicts.
        let runs = hosts().join("strix-halo-desktop-128g").join("root/var/lib/halo");
        fs::create_dir_all(machine.0.join("root/var/lib")).unwrap();
        let copied =
            output(Command::new("cp").arg("-r").arg(runs).arg(machine.0.join("root/var/lib")));
        assert!(copied.status.success(), "{}", said(&copied));
        add_figures_of_an_eval(&machine);
        let firmware = Arc::new(Mutex::new(CALM));
        let (files, shared) = (Machine(machine.0.clone()), Arc::clone(&firmware));
        thread::spawn(move || run_firmware(&files, &shared));

        let model = tiny_model(path);
        let server = Server::built(&[
            "--model",
            model.to_str().unwrap(),
            "--ctx-size",
            "16384",
            "--parallel",
            "2",
            "--metrics",
            "--slots",
        ]);
        let (server, stop) = (Arc::new(server), Arc::new(AtomicBool::new(false)));
        for user in 0..2 {
            let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
            thread::spawn(move || {
                let counted = AtomicU64::new(0);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let body =
                        format!("\"prompt\":\"the same again {user}\",\"cache_prompt\":true");
                    server.generate(TOKENS, &body, &counted, &stop);
                }
            });
        }

        let changing = free_address();
        let keys = format!(
            "[power]\nryzenadj_file = \"/run/halo/ryzenadj.txt\"\n\
             [power.requested]\nstapm = 81.0\nfast = 81.0\nslow = 81.0\napu_slow = 81.0\n\
             [[llama]]\nurl = \"http://{}\"\n",
            server.address
        );
        let others = [
            ("strix-halo-desktop-128g", "[collector]\nprocess_gpu = true\n"),
            ("phoenix-780m-32g", ""),
        ];
        let mut running = vec![exporter(path, "changing", &machine.0, &keys, changing)];
        let mut addresses = vec![changing];
        for (host, keys) in others {
            let address = free_address();
            running.push(exporter(path, host, &hosts().join(host), keys, address));
            addresses.push(address);
        }

        write_rules(path);
        fs::write(path.join("prometheus.yml"), configuration(&addresses)).unwrap();
        let (server_of_data, prometheus) = start_prometheus(path);
        running.push(server_of_data);
        let start = now();
        let view = View { prometheus, start, end: start, step: 1.0 };
        let archive = Archive::new();
        Self { view, machine, firmware, archive, model, running, stop, directory, _server: server }
    }

    /// A recording into the archive that the exporter of the changing machine shows.
    fn recording(&self, flags: &[&str], command: &[&str]) -> Command {
        let mut recording = self.archive.program(&["run", "--lead", LEAD]);
        recording.env("HALO_ARCHIVE", self.machine.0.join("root/var/lib/halo"));
        for (flag, part) in
            [("--path.procfs", "proc"), ("--path.sysfs", "sys"), ("--path.rootfs", "root")]
        {
            recording.arg(flag).arg(self.machine.0.join(part));
        }
        recording.args(flags).arg("--").args(command);
        recording
    }

    /// Every query of every dashboard that gives nothing, as `DASHBOARD PANEL LETTER`, now.
    fn empty(&mut self) -> BTreeSet<String> {
        self.view.end = now();
        let view = self.view;
        let mut empty = BTreeSet::new();
        for dashboard in dashboards() {
            let choices = choices(view, &dashboard);
            let values = &choices[0];
            for query in dashboard.queries() {
                let gives = |values: &Values| {
                    let text = view.interpolate(query.expression, values);
                    let is_instant = query.target["instant"] == true;
                    !if is_instant { view.instant(&text) } else { view.range(&text) }.is_empty()
                };
                if !choices.iter().any(gives) {
                    let letter = query.target["refId"].as_str().unwrap();
                    empty.insert(format!("{} {} {letter}", dashboard.name, query.panel["id"]));
                }
            }
            for annotation in dashboard.json["annotations"]["list"].as_array().unwrap() {
                let Some(expression) = annotation["expr"].as_str() else { continue };
                if view.range(&view.interpolate(expression, values)).is_empty() {
                    empty.insert(format!("{} {}", dashboard.name, annotation["name"]));
                }
            }
            for variable in dashboard.variables().iter().filter(|one| one["type"] == "query") {
                if view.options(variable, values).is_empty() {
                    empty.insert(format!("{} ${}", dashboard.name, variable["name"]));
                }
            }
        }
        empty
    }
}

/// What llama-bench does not give: a score, and figures of a task.
fn add_figures_of_an_eval(machine: &Machine) {
    let path = format!("root/var/lib/halo/{FLAGGED}/manifest.json");
    let mut manifest: Value = serde_json::from_str(&machine.read(&path)).unwrap();
    let summary = manifest["summary"].as_array_mut().unwrap();
    for (metric, unit, mean) in
        [("accuracy", "", 0.8), ("duration", "s", 600.0), ("joules_per_token", "J", 1.5)]
    {
        summary.push(json!({
            "task": "gsm8k",
            "case": "",
            "metric": metric,
            "unit": unit,
            "mean": mean,
        }));
    }
    machine.write(&path, manifest.to_string());
}

type Values = BTreeMap<String, String>;

/// What users choose: what comes first; and where runs are compared, the same two in all four
/// places, and one that is flagged.
fn choices(view: View, dashboard: &Dashboard) -> Vec<Values> {
    let first = view.variables(dashboard, &[]);
    let Some((a, b)) = first.get("run_a").zip(first.get("run_b")) else { return vec![first] };
    let with = |runs: [&str; 4]| {
        let given = ["run_a", "run_b", "run_c", "run_d"].into_iter().zip(runs.map(str::to_owned));
        view.variables(dashboard, &given.collect::<Vec<_>>())
    };
    vec![with([a, b, b, a]), with([FLAGGED; 4])]
}

fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1e3
}

fn exporter(
    directory: &Path,
    name: &str,
    machine: &Path,
    keys: &str,
    address: SocketAddr,
) -> Running {
    let file = directory.join(format!("{name}.toml"));
    fs::write(&file, keys).unwrap();
    let mut command = Command::new(HALO);
    command.args(["--web.listen-address".to_owned(), address.to_string()]);
    command.arg("--config.file").arg(file);
    for (flag, part) in
        [("--path.procfs", "proc"), ("--path.sysfs", "sys"), ("--path.rootfs", "root")]
    {
        command.arg(flag).arg(machine.join(part));
    }
    Running::start(&mut command, &directory.join(format!("{name}.log")))
}

/// The rules of `write_rules` are hurried: what takes a minute takes a second.
fn configuration(addresses: &[SocketAddr]) -> String {
    let targets: Vec<String> = addresses.iter().map(|one| format!("'{one}'")).collect();
    format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: [recording.yml, alerts.yml]
scrape_configs:
  - job_name: halo
    static_configs: [{{targets: [{}]}}]
",
        targets.join(", ")
    )
}

#[test]
fn every_query_of_every_panel_gives_what_it_should() {
    let mut scene = Scene::start();
    // A run that ends, with the figures of a real llama-bench.
    let bench = llama_bench();
    let arguments = [
        bench.to_str().unwrap(),
        "-m",
        scene.model.to_str().unwrap(),
        "-p",
        "16",
        "-n",
        "4",
        "-t",
        "1",
        "-r",
        "2",
    ];
    let recorded = output(&mut scene.recording(&["--tag", "kv=f16"], &arguments));
    assert!(recorded.status.success(), "{}", said(&recorded));

    // What changes while a run is still seen as active counts as its own.
    let began = Instant::now();
    loop {
        scene.view.end = now();
        let all = scene.view.instant("count(halo_run_active)");
        let active = scene.view.instant("halo_run_active == 1");
        if !all.is_empty() && active.is_empty() {
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{active:?}");
        thread::sleep(Duration::from_millis(200));
    }

    // Another one goes on while the machine has trouble and a setting is lost.
    scene.machine.write("proc/sys/vm/swappiness", "60\n");
    scene.machine.write("sys/firmware/acpi/platform_profile", "quiet\n");
    *scene.firmware.lock().unwrap() = TROUBLE;
    scene.machine.write(&format!("{CARD}/mem_info_vram_used"), "garbage\n");
    let log = scene.directory.path().join("record.log");
    let mut recording = scene.recording(&["--tag", "kv=q4_0"], &["sleep", "600"]);
    scene.running.push(Running::start(&mut recording, &log));

    let expected: BTreeSet<String> = exceptions().no_data.into_keys().collect();
    let began = Instant::now();
    let mut empty = scene.empty();
    while !empty.is_subset(&expected) && began.elapsed() < DEADLINE {
        thread::sleep(Duration::from_millis(500));
        empty = scene.empty();
    }
    let unexpected: Vec<&String> = empty.difference(&expected).collect();
    assert!(unexpected.is_empty(), "nothing for {unexpected:#?}");
    let needless: Vec<&String> = expected.difference(&empty).collect();
    assert!(needless.is_empty(), "{needless:?} need no exception");
}

/// Where nothing is scraped, every query is still understood, and gives nothing.
#[test]
fn a_prometheus_without_data_understands_every_query() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("prometheus.yml"), "global: {}\n").unwrap();
    let (_running, prometheus) = start_prometheus(path);
    let end = now();
    let view = View { prometheus, start: end - 60.0, end, step: 1.0 };
    let mut asked = 0;
    for dashboard in dashboards() {
        let none = ["a", "b"].map(|slot| (format!("run_{slot}"), "none".to_owned()));
        let none: Vec<(&str, String)> =
            none.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let values = view.variables(&dashboard, &none);
        for query in dashboard.queries() {
            let text = view.interpolate(query.expression, &values);
            let found = view.instant(&text);
            assert!(found.is_empty(), "{}: {found:?}", dashboard.place(query.panel));
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked} queries");
}
