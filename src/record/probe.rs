//! Fills in what a run was run on.
//!
//! What costs time or starts programs is asked before the command only; who compares the two
//! environments of a run compares the keys that both have.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Request;
use super::find_program;
use crate::command_line::container::{self, Client};
use crate::config::Config;
use crate::metric::{Sample, Samples};
use crate::process::{Output, Program};
use crate::redact::keys;
use crate::root::Root;
use crate::run::Environment;
use crate::sample::Sampler;
use crate::source::amdgpu::{is_card, uevent_value};
use crate::source::{Presence, Source, process_gpu, runs, selfstat};

/// How long all programs that are asked may take together.
const DEADLINE: Duration = Duration::from_secs(2);

/// Longer texts tell nobody anything.
const LONGEST: usize = 4096;

/// Variables that change what an inference engine does. Everything else is nobody's business.
const VARIABLES: [&str; 9] = [
    "RADV_",
    "HSA_",
    "ROCBLAS_",
    "GGML_",
    "LLAMA_",
    // Which GPUs a command sees.
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
];

/// Families whose values belong to the environment: they change between runs rather than in them.
const VALUES: [&str; 12] = [
    "halo_gpu_memory_size_bytes",
    "halo_gpu_memory_used_bytes",
    "halo_memory_available_bytes",
    "halo_memory_size_bytes",
    "halo_power_limit_requested_watts",
    "halo_power_limit_watts",
    "halo_supply_online",
    "halo_swap_size_bytes",
    "halo_swap_used_bytes",
    "halo_temperature_celsius",
    "halo_tuning_check",
    "halo_tuning_value",
];

/// Packages whose version decides how fast a model is, by the names of the distributions.
const PACKAGES: [(&str, &str); 7] = [
    ("firmware-amd-graphics", "firmware.package"),
    ("linux-firmware", "firmware.package"),
    ("linux-firmware-amdgpu", "firmware.package"),
    ("amd-gpu-firmware", "firmware.package"),
    ("mesa-vulkan-drivers", "mesa"),
    ("vulkan-radeon", "mesa"),
    ("rocm-core", "rocm.package"),
];

/// The machine, the place and the variables before the command.
pub(super) fn at_start(request: &Request, root: &Root, sampler: &Sampler) -> Environment {
    let mut environment = at_end(root, sampler);
    let facts = &mut environment.facts;
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.map(|v| v.trim().to_owned()).filter(|v| is_fact(v)) {
            facts.insert(name.to_owned(), value);
        }
    };
    for (name, value) in variables(&request.argv) {
        add(&format!("variable.{name}"), Some(keys::hide(&value)));
    }
    let programs = Programs { until: Instant::now() + DEADLINE };
    // Looking at a repository must run nothing that it configures itself.
    let git = |arguments: &[&str]| {
        programs.ask(
            "git",
            &[&["--no-optional-locks", "-c", "core.fsmonitor=false"], arguments].concat(),
        )
    };
    add("git.commit", git(&["rev-parse", "HEAD"]));
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
    add("git.dirty", changes.map(|changes| (!changes.trim().is_empty()).to_string()));
    add("container.image", programs.image_of(&request.argv));
    // What the programs of this machine say is true of no machine that is made of files, and of
    // no container either.
    let is_here = request.config.path == crate::config::Paths::default();
    if is_here && container::recognize(&request.argv).is_none() {
        for (name, version) in programs.packages() {
            add(name, Some(version));
        }
    }
    environment
}

/// What can change while a command runs.
pub(super) fn at_end(root: &Root, sampler: &Sampler) -> Environment {
    let mut environment = Environment::default();
    let is_wanted = |source: &Source| {
        [&runs::SOURCE, &selfstat::SOURCE].iter().all(|other| source.name != other.name)
    };
    if let Ok(snapshot) = sampler.read_now(is_wanted) {
        snapshot.values().for_each(|sample| take(&mut environment, sample));
    }
    for (name, value) in facts_of_files(root) {
        environment.facts.insert(name, value);
    }
    if let Some(users) = users(root) {
        environment.facts.insert("gpu.users".to_owned(), users);
    }
    environment
}

/// The programs that have a graphics processor open while the command does not run; processes of
/// other users may not be looked at.
fn users(root: &Root) -> Option<String> {
    let mut samples = Samples::default();
    for mut reader in (process_gpu::SOURCE.open)(&Config::default()) {
        if reader.read(root, &mut samples) != Ok(Presence::Present) {
            return None;
        }
    }
    let resident = process_gpu::RESIDENT.def();
    let of_process = samples.values().iter().filter(|sample| std::ptr::eq(sample.def, resident));
    let names: BTreeSet<&str> = of_process.map(|sample| &*sample.labels[1]).collect();
    let names: Vec<&str> = names.into_iter().collect();
    Some(if names.is_empty() { "none seen".to_owned() } else { names.join(", ") })
}

/// Takes over what a sample says of the environment.
fn take(environment: &mut Environment, sample: &Sample) {
    let name = sample.def.name;
    if VALUES.contains(&name) {
        let text = sample.to_string();
        let series = text.rsplit_once(' ').map_or(text.as_str(), |(series, _)| series);
        environment.values.insert(series.trim_end_matches("{}").to_owned(), sample.value);
        return;
    }
    let labels: Vec<(&str, &str)> =
        sample.def.labels.iter().copied().zip(sample.labels.iter().map(AsRef::as_ref)).collect();
    let mut add = |name: String, value: &str| {
        if is_fact(value) {
            environment.facts.insert(name, value.to_owned());
        }
    };
    match (name, &labels[..]) {
        ("halo_host_info", labels) => {
            for (label, value) in labels {
                add(format!("host.{label}"), value);
            }
        }
        (
            "halo_gpu_info"
            | "halo_gpu_kind_info"
            | "halo_npu_info"
            | "halo_gpu_performance_level_info",
            labels,
        ) => {
            let Some(((kind, device), labels)) = labels.split_first() else { return };
            let kind = if *kind == "device" { "npu" } else { kind };
            // The number of a card says nothing about it.
            for (label, value) in labels.iter().filter(|(label, _)| *label != "card") {
                add(format!("{kind}.{device}.{label}"), value);
            }
        }
        ("halo_tuning_info", [(_, setting), (_, value)]) => {
            add(format!("tuning.{setting}"), value);
        }
        _ => {}
    }
}

/// What stands in single files.
fn facts_of_files(root: &Root) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| is_fact(value)) {
            facts.push((name.to_owned(), value));
        }
    };
    add("kernel.command_line", root.read("/proc/cmdline").ok().map(|line| keys::hide(&line)));
    add("kernel.build", root.read("/proc/version").ok());
    let microcode = root.read("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("microcode"))?;
        Some(line.trim_matches([' ', '\t', ':']).to_owned())
    });
    add("cpu.microcode", microcode);
    add("rocm", root.word("/opt/rocm/.info/version").ok());
    add("ryzen_smu", root.word("/sys/kernel/ryzen_smu_drv/drv_version").ok());
    let inside = root.read("/run/.containerenv").unwrap_or_default();
    for (key, name) in [("name=", "host.container.name"), ("image=", "host.container.image")] {
        let value = inside.lines().find_map(|line| line.strip_prefix(key));
        add(name, value.map(|value| value.trim_matches('"').to_owned()));
    }
    for card in root.list("/sys/class/drm").unwrap_or_default() {
        let device = format!("/sys/class/drm/{card}/device");
        let uevent = root.read(&format!("{device}/uevent")).unwrap_or_default();
        let Some(address) = uevent.lines().find_map(|line| line.strip_prefix("PCI_SLOT_NAME="))
        else {
            continue;
        };
        for file in root.list(&format!("{device}/fw_version")).unwrap_or_default() {
            let part = file.strip_suffix("_fw_version").unwrap_or(&file);
            let version = root.word(&format!("{device}/fw_version/{file}"));
            // What the card does not have is version 0.
            let version = version.ok().filter(|version| version != "0x00000000");
            add(&format!("gpu.{address}.firmware.{part}"), version);
        }
    }
    facts.extend(gpus_of_others(root));
    facts
}

/// The GPUs of other drivers than amdgpu: halo reads nothing of them, and a run has to say so. The
/// PCI bus has those too whose driver makes no device of DRM.
fn gpus_of_others(root: &Root) -> Vec<(String, String)> {
    const BUS: &str = "/sys/bus/pci/devices";
    let cards = root.list("/sys/class/drm").unwrap_or_default();
    let cards = cards.iter().filter(|name| is_card(name));
    let mut places: Vec<String> =
        cards.map(|card| format!("/sys/class/drm/{card}/device")).collect();
    let devices = root.list(BUS).unwrap_or_default();
    places.extend(devices.iter().map(|device| format!("{BUS}/{device}")).filter(|place| {
        // Base class 3: display controllers.
        root.word(&format!("{place}/class")).is_ok_and(|class| class.starts_with("0x03"))
    }));
    let mut facts = Vec::new();
    for place in places {
        let uevent = root.read(&format!("{place}/uevent")).unwrap_or_default();
        let value = |key| uevent_value(&uevent, key).filter(|value| is_fact(value));
        let address = value("PCI_SLOT_NAME").or_else(|| place.strip_prefix(BUS)?.get(1..));
        let driver = value("DRIVER").unwrap_or("none");
        // What makes pictures alone: a console of a server's management, or the firmware's buffer.
        let (Some(address), false) = (address, ["amdgpu", "ast", "mgag200"].contains(&driver))
        else {
            continue;
        };
        facts.push((format!("gpu.{address}.driver"), driver.to_owned()));
        if let Some(id) = value("PCI_ID") {
            facts.push((format!("gpu.{address}.pci_id"), id.to_lowercase()));
        }
    }
    facts
}

/// The variables that the command sees and that may be archived. Names and values need not be
/// text, and `vars` would panic at one that is none. A container has the host's variables not, and
/// what a command line assigns behind `env` or `--env` counts before what was there.
fn variables(argv: &[OsString]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        if is_shown(name) {
            found.insert(name.to_owned(), value.to_owned());
        }
    };
    if container::recognize(argv).is_none() {
        for (name, value) in std::env::vars_os() {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
                add(name, value);
            }
        }
    }
    for word in argv.iter().filter_map(|word| word.to_str()) {
        let word = word.trim_start_matches("--env=").trim_start_matches("-e");
        if let Some((name, value)) = word.split_once('=') {
            add(name, value);
        }
    }
    found
}

/// The programs of this machine that are asked, as long as there is time.
struct Programs {
    until: Instant,
}

impl Programs {
    /// The image of the container that a command runs in. Another user's containers are not asked
    /// for: behind `sudo` they are root's.
    fn image_of(&self, argv: &[OsString]) -> Option<String> {
        let container = container::recognize(argv)?;
        if container.image.is_some() {
            return container.image;
        }
        let name = container.name.as_deref()?;
        if container.client_index > 0 {
            return None;
        }
        let engines: &[&str] = match container.client {
            Client::Podman | Client::Toolbox => &["podman"],
            Client::Docker => &["docker"],
            Client::Distrobox => &["podman", "docker"],
        };
        let options = match container.client {
            Client::Podman | Client::Docker => container.engine_options(argv)?,
            Client::Toolbox | Client::Distrobox => Vec::new(),
        };
        engines.iter().find_map(|engine| {
            let image = if *engine == "docker" { "{{.Config.Image}}" } else { "{{.ImageName}}" };
            let inspect = ["container", "inspect", "--format", image, name];
            self.ask(engine, &[&options[..], &inspect].concat())
        })
    }

    /// Versions of installed packages, from whichever package manager is there.
    fn packages(&self) -> Vec<(&'static str, String)> {
        let names: Vec<&str> = PACKAGES.iter().map(|(package, _)| *package).collect();
        let managers: [(&str, &[&str]); 3] = [
            ("dpkg-query", &["-W", "-f", "${Package} ${Version}\\n"]),
            ("rpm", &["-q", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n"]),
            ("pacman", &["-Q"]),
        ];
        let mut found = Vec::new();
        for (manager, arguments) in managers {
            let Some(output) = self.run(manager, &[arguments, &names].concat()) else { continue };
            for line in output.stdout.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [package, version] = words[..] else { continue };
                if let Some((_, fact)) = PACKAGES.iter().find(|(name, _)| *name == package) {
                    found.push((*fact, format!("{package} {version}")));
                }
            }
        }
        found
    }

    /// What a program says that succeeds.
    fn ask(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let output = self.run(program, arguments)?;
        output.status.success().then_some(output.stdout)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Option<Output> {
        let left = self.until.checked_duration_since(Instant::now())?;
        let path = find_program(Path::new(program))?;
        Program::new(&path, arguments, left).run().ok()
    }
}

/// Whether a variable may be archived.
fn is_shown(name: &str) -> bool {
    VARIABLES.iter().any(|start| name.starts_with(start)) && !keys::is_secret_variable(name)
}

fn is_fact(value: &str) -> bool {
    !value.is_empty() && value.len() <= LONGEST
}
