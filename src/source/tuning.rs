//! The settings that decide how fast a model runs, and whether they are what they should be.
//!
//! Settings are named as their owner names them: sysctls, module parameters, sysfs files.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{Root, is_word};
use crate::source::{Cadence, Presence, Source, Stateless};

pub mod checks;
pub mod command_line;
mod iommu;

static INFO: Metric<2> = Metric::new(Def {
    name: "halo_tuning_info",
    help: "A setting that matters for local models and its value now.",
    kind: Kind::Gauge,
    unit: Unit::Info,
    labels: &["setting", "value"],
    table: Table::None,
    from: "/sys/kernel/mm/transparent_hugepage, /proc/cmdline (cmdline.ignored is what the kernel does not know), /sys/kernel/iommu_groups/*/type (of the GPUs), cpufreq, amd_pstate, /sys/firmware/acpi/platform_profile, /sys/class/ec_su_axb35/apu/power_mode, /etc/tuned/active_profile, power_dpm_force_performance_level",
});
static VALUE: Metric<1> = Metric::new(Def {
    name: "halo_tuning_value",
    help: "A numeric setting that matters for local models, in the unit of its owner.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &["setting"],
    table: Table::Tuning,
    from: "/proc/sys/vm, /sys/module/ttm/parameters/pages_limit (pages of 4 KiB; of amdttm where amdgpu uses that), /sys/module/amdgpu/parameters/gttsize (MiB, -1 is the driver's choice)",
});
static CHECK: Metric<2> = Metric::new(Def {
    name: "halo_tuning_check",
    help: "Whether a setting is what docs/tuning.md says that it should be: 1 yes, 0 no; absent where it cannot be told.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &["check", "group"],
    table: Table::TuningCheck,
    from: "the settings of halo_tuning_info and halo_tuning_value, compared as docs/tuning.md lists",
});

/// The source `tuning`.
pub static SOURCE: Source = Source {
    name: "tuning",
    about: "Tuning: huge pages, sysctls, GPU memory limits, clock governors, profiles, and checks on them",
    metrics: &[INFO.def(), VALUE.def(), CHECK.def()],
    default: true,
    cadence: Cadence::Hold(Duration::from_secs(10)),
    floor: Duration::ZERO,
    remedy: "No settings in /sys and /proc: name them with --path.sysfs and --path.procfs.",
    open: |_| vec![Box::new(Stateless(|root, samples| Ok(read(root, samples))))],
};

/// What is known of the machine's settings, by the names that their owners give them.
#[derive(Debug, Default)]
pub struct Settings {
    texts: BTreeMap<String, String>,
    numbers: BTreeMap<String, f64>,
    asked_of_iommu: Option<command_line::Iommu>,
}

impl Settings {
    /// The text of a setting, where it is known.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Whether a setting has a value; `None` where it is unknown or not among the known values.
    /// Policies or cards that disagree have their values joined by a plus.
    fn is(&self, name: &str, value: &str, known: &[&str]) -> Option<bool> {
        let text = self.text(name)?;
        let is_known = known.contains(&text) || text.split('+').all(|part| known.contains(&part));
        is_known.then_some(text == value)
    }

    /// Whether the GPUs see memory as it is: the IOMMU is off or passes them through. What the
    /// kernel says counts, and what its command line asks only where it does not say.
    fn is_memory_untranslated(&self) -> Option<bool> {
        let Some(types) = self.text("iommu_groups.type") else {
            let asked = self.asked_of_iommu?;
            return Some(asked.is_off || asked.is_passthrough == Some(true));
        };
        // The other types belong to devices that a virtual machine or nobody has.
        let told = types.split('+').filter_map(|one| match one {
            iommu::NONE | "identity" => Some(true),
            "DMA" | "DMA-FQ" => Some(false),
            _ => None,
        });
        told.reduce(|one, other| one && other)
    }

    /// How many pages of 4 KiB the GPU may have of Linux's memory.
    fn pages_limit(&self) -> Option<f64> {
        TTM_MODULES.iter().find_map(|module| self.number(&format!("{module}.pages_limit")))
    }

    /// The number of a setting, where it is known.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }
}

/// Sysctls in `/proc/sys/vm`.
const SYSCTLS: [&str; 5] =
    ["swappiness", "dirty_ratio", "dirty_background_ratio", "max_map_count", "zone_reclaim_mode"];

/// Files whose whole text is the value.
const TEXTS: [(&str, &str); 6] = [
    ("amd_pstate.status", "/sys/devices/system/cpu/amd_pstate/status"),
    ("amd_pstate.prefcore", "/sys/devices/system/cpu/amd_pstate/prefcore"),
    ("cpu.boost", "/sys/devices/system/cpu/cpufreq/boost"),
    // The boards of many mini PCs have this in place of a platform profile.
    ("ec_su_axb35.power_mode", "/sys/class/ec_su_axb35/apu/power_mode"),
    ("platform_profile", "/sys/firmware/acpi/platform_profile"),
    ("tuned.profile", "/etc/tuned/active_profile"),
];

/// Files that list every choice and put the one in force in brackets.
const CHOICES: [(&str, &str); 2] = [
    ("transparent_hugepage.enabled", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ("transparent_hugepage.defrag", "/sys/kernel/mm/transparent_hugepage/defrag"),
];

/// Files of every cpufreq policy; the policies should agree.
const POLICIES: [(&str, &str); 3] = [
    ("cpu.driver", "scaling_driver"),
    ("cpu.governor", "scaling_governor"),
    ("cpu.energy_performance_preference", "energy_performance_preference"),
];

/// The modules that bound GPU memory: amdgpu of the kernel uses the one, amdgpu-dkms the other.
const TTM_MODULES: [&str; 2] = ["amdttm", "ttm"];

fn read(root: &Root, samples: &mut Samples) -> Presence {
    let settings = settings(root, samples);
    for (name, value) in &settings.texts {
        samples.record(&INFO, [name, value], 1.0);
    }
    for (name, value) in &settings.numbers {
        samples.record(&VALUE, [name], *value);
    }
    let machine = checks::Machine::read(root, samples);
    for check in checks::CHECKS {
        let passed = (check.passes)(&settings, &machine);
        let value = passed.map(|passed| f64::from(u8::from(passed)));
        samples.record(&CHECK, [check.name, check.group.as_str()], value);
    }
    let empty = settings.texts.is_empty() && settings.numbers.is_empty();
    if empty { Presence::Absent } else { Presence::Present }
}

/// Reads every setting.
pub fn settings(root: &Root, samples: &mut Samples) -> Settings {
    let mut settings = Settings::default();
    for name in SYSCTLS {
        let number: Option<u64> = samples.known(root.number(&format!("/proc/sys/vm/{name}")));
        settings.number_is(&format!("vm.{name}"), number.map(|number| number as f64));
    }
    let mut parameter = |name: &str, smallest: i64| {
        let (module, parameter) = name.split_once('.').unwrap_or_default();
        let path = format!("/sys/module/{module}/parameters/{parameter}");
        let number = samples.known(root.number::<i64>(&path)).filter(|&n| n >= smallest);
        settings.number_is(name, number.map(|number| number as f64));
    };
    // -1 is the driver's own choice.
    parameter("amdgpu.gttsize", -1);
    parameter(&format!("{}.pages_limit", ttm_module(root)), 1);
    for (name, path) in TEXTS {
        settings.text_is(name, samples.known(root.word(path)));
    }
    for (name, path) in CHOICES {
        let text = samples.known(root.read(path));
        settings.text_is(name, text.as_deref().and_then(chosen).map(str::to_owned));
    }
    for (name, file) in POLICIES {
        settings.text_is(name, of_all_policies(root, samples, file));
    }
    performance_levels(root, samples, &mut settings);
    settings.text_is("iommu_groups.type", iommu::domain_type(root, samples));
    if let Some(line) = samples.known(root.read("/proc/cmdline")) {
        for (name, value) in command_line::known(&line) {
            settings.text_is(&format!("cmdline.{name}"), Some(value));
        }
        settings.text_is("cmdline.ignored", command_line::ignored(&line));
        // Every boot loader passes at least one NAME=VALUE, the root filesystem if nothing else.
        settings.asked_of_iommu = line.contains('=').then(|| command_line::iommu(&line));
    }
    settings
}

impl Settings {
    fn text_is(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.texts.insert(name.to_owned(), value);
        }
    }

    fn number_is(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.numbers.insert(name.to_owned(), value);
        }
    }
}

/// The module that bounds GPU memory. Where both are loaded, that one is used that amdgpu holds;
/// amdttm is there only with the amdgpu that needs it.
fn ttm_module(root: &Root) -> &'static str {
    let is_held =
        |module: &&&str| root.link(&format!("/sys/module/{module}/holders/amdgpu")).is_ok();
    let is_loaded = |module: &&&str| root.list(&format!("/sys/module/{module}")).is_ok();
    let held = TTM_MODULES.iter().find(is_held);
    held.or_else(|| TTM_MODULES.iter().find(is_loaded)).unwrap_or(&"ttm")
}

/// The choice in force of a list as `always [madvise] never`.
fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    let (choice, _) = rest.split_once(']')?;
    is_word(choice).then_some(choice)
}

/// The value that all policies have, or their values with a plus between them.
fn of_all_policies(root: &Root, samples: &mut Samples, file: &str) -> Option<String> {
    const CPUFREQ: &str = "/sys/devices/system/cpu/cpufreq";
    let names = samples.known(root.list(CPUFREQ))?;
    let mut values: Vec<String> = names
        .iter()
        .filter(|name| name.starts_with("policy"))
        .filter_map(|name| samples.known(root.word(&format!("{CPUFREQ}/{name}/{file}"))))
        .collect();
    values.sort();
    values.dedup();
    Some(values.join("+"))
}

/// The performance level of the cards that are awake; the same as `halo_gpu_performance_level_info`
/// shows, here for the checks and beside the other settings.
fn performance_levels(root: &Root, samples: &mut Samples, settings: &mut Settings) {
    let cards = checks::awake_cards(root, samples);
    let mut levels: Vec<String> = cards
        .iter()
        .filter_map(|device| {
            let path = format!("{device}/power_dpm_force_performance_level");
            samples.known(root.word(&path))
        })
        .collect();
    levels.sort();
    levels.dedup();
    settings.text_is("power_dpm_force_performance_level", Some(levels.join("+")));
}
