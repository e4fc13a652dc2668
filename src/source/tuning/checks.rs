//! What the settings should be, and why: the table behind `halo_tuning_check` and
//! `docs/tuning.md`.
//!
//! The targets are those that owners of such machines measured; each says where it comes from.

use procfs::sys::kernel::Version;

use crate::metric::Samples;
use crate::root::Root;
use crate::source::amdgpu::{
    self, Kind, PERFORMANCE_LEVELS, is_awake, is_card, is_memory_size, uevent_value,
};
use crate::source::memory::linux::{Linux, MODULE};
use crate::source::tuning::Settings;

/// One thing that should be so.
#[derive(Debug)]
pub struct Check {
    /// The name in the label `check`.
    pub name: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// The setting that it looks at.
    pub what: &'static str,
    /// The names of the settings that tell: what holds first, then what was asked for.
    pub settings: &'static [&'static str],
    /// What it should be.
    pub should_be: &'static str,
    /// Why, with the source of the advice.
    pub why: &'static str,
    /// What sets it, with the command in backquotes.
    pub set_with: &'static str,
    /// Whether it is so; `None` where it cannot be told.
    pub passes: fn(&Settings, &Machine) -> Option<bool>,
}

/// The groups of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Set once: firmware, kernel and its parameters.
    Core,
    /// What decides clocks and power.
    Power,
    /// What every boot starts anew.
    Runtime,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 3] = [Self::Core, Self::Power, Self::Runtime];

    /// The value of the label `group`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Power => "power",
            Self::Runtime => "runtime",
        }
    }
}

/// What the checks must know of the machine beside its settings.
#[derive(Debug, Default)]
pub struct Machine {
    /// Kernel release, as `6.18.4-200.fc43.x86_64`.
    kernel: Option<String>,
    /// Memory that Linux manages, in bytes.
    memory: Option<u64>,
    /// The BIOS carve-out of the APU, in bytes; none where no card is known to be one.
    vram: Option<u64>,
    /// GPU-mapped memory of the APU, in bytes.
    gtt: Option<u64>,
    /// Whether mains is connected.
    mains: Option<bool>,
}

const GIB: u64 = 1 << 30;

/// Memory that the operating system keeps: the reference machines give the GPU all but this.
const SYSTEM_RESERVE: u64 = 4 * GIB;

/// The reference values were rounded in ways that differ by one.
const TOLERANCE: u64 = GIB;

const PAGE: f64 = 4096.0;

impl Machine {
    /// Reads it.
    pub fn read(root: &Root, samples: &mut Samples) -> Self {
        let mut machine = Self {
            kernel: samples.known(root.read("/proc/sys/kernel/osrelease")),
            mains: mains(root, samples),
            ..Self::default()
        };
        let mut used = None;
        // The memory of a discrete card is none of the machine's.
        let cards = awake_cards(root, samples);
        let mut is_apu = |device: &&String| {
            let card = device.rsplit('/').nth(1);
            card.is_some_and(|card| amdgpu::kind(root, samples, card) == Some(Kind::Apu))
        };
        let apu = cards.iter().find(|device| is_apu(device));
        if let Some(device) = apu {
            let mut number =
                |file: &str| samples.known(root.number::<u64>(&format!("{device}/{file}")));
            machine.vram = number("mem_info_vram_total").filter(|&bytes| is_memory_size(bytes));
            machine.gtt = number("mem_info_gtt_total").filter(|&bytes| is_memory_size(bytes));
            used = number("mem_info_gtt_used");
        }
        if let Some(text) = samples.known(root.read("/proc/meminfo")) {
            let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
            let linux = Linux::read(root, &text);
            let linux = linux.beside(bytes(machine.vram), bytes(machine.gtt), bytes(used));
            machine.memory = linux.total;
        }
        machine
    }

    /// The least and the most memory that the GPU should be given, in bytes.
    fn gpu_target(&self) -> Option<(u64, u64)> {
        let known = self.memory?.checked_add(self.vram?)?;
        let rounded_to = |unit: u64| known.div_ceil(unit).checked_mul(unit);
        let least = rounded_to(GIB)?.checked_sub(SYSTEM_RESERVE + TOLERANCE)?;
        // The kernel and firmware keep up to 3 GiB of what the modules have.
        let most = rounded_to(MODULE)?.checked_sub(SYSTEM_RESERVE - TOLERANCE)?;
        // More than Linux has cannot be given.
        Some((least, most.min(self.memory?.checked_sub(1)?)))
    }
}

// The values that the kernel documents. A check tells nothing about any other: it may be better
// than what is asked for, or no value at all.
const BOARD_POWER_MODES: &[&str] = &["balanced", "performance", "quiet"];
const GOVERNORS: &[&str] =
    &["conservative", "ondemand", "performance", "powersave", "schedutil", "userspace"];
const PLATFORM_PROFILES: &[&str] = &[
    "balanced",
    "balanced-performance",
    "cool",
    "custom",
    "low-power",
    "max-power",
    "performance",
    "quiet",
];
const PREFERENCES: &[&str] =
    &["balance_performance", "balance_power", "default", "performance", "power"];
const PSTATE_STATUSES: &[&str] = &["active", "disable", "guided", "passive"];
const THP_DEFRAG: &[&str] = &["always", "defer", "defer+madvise", "madvise", "never"];
const THP_ENABLED: &[&str] = &["always", "madvise", "never"];

/// Every check, in the order in which one would go about tuning.
pub static CHECKS: &[Check] = &[
    Check {
        name: "kernel_version",
        group: Group::Core,
        what: "the kernel's release",
        settings: &[],
        should_be: "6.18.4 or later",
        why: "Older kernels are unstable on gfx1151 (kyuz0/amd-strix-halo-toolboxes, README).",
        set_with: "upgrade the distribution's kernel",
        passes: |_, machine| {
            let release = machine.kernel.as_deref()?;
            Some(release.parse::<Version>().ok()? >= Version::new(6, 18, 4))
        },
    },
    Check {
        name: "iommu",
        group: Group::Core,
        what: "`/sys/kernel/iommu_groups/*/type` of the GPU; where that is not there, the kernel parameters `iommu`, `iommu.passthrough` and `amd_iommu`",
        settings: &[
            "iommu_groups.type",
            "cmdline.iommu",
            "cmdline.amd_iommu",
            "cmdline.iommu.passthrough",
            "cmdline.ignored",
        ],
        should_be: "`identity`, or no group; `iommu=pt` or `amd_iommu=off` asks for that",
        why: "Translated DMA costs bandwidth; `amd_iommu=off` is measured at 5 to 12 % (kyuz0/amd-strix-halo-toolboxes issue 66).",
        set_with: "add `iommu=pt` to the kernel command line",
        passes: |settings, _| settings.is_memory_untranslated(),
    },
    Check {
        name: "carve_out",
        group: Group::Core,
        what: "`mem_info_vram_total` of the APU",
        settings: &[],
        should_be: "1 GiB or less",
        why: "What the BIOS sets aside is lost to everything else, and models lie in GTT; 512 MiB is the goal.",
        set_with: "set the UMA frame buffer to 512 MiB in the BIOS",
        passes: |_, machine| Some(machine.vram? <= GIB),
    },
    Check {
        name: "ttm_pages_limit",
        group: Group::Core,
        what: "`ttm.pages_limit`, with amdgpu-dkms `amdttm.pages_limit`",
        settings: &[
            "amdttm.pages_limit",
            "ttm.pages_limit",
            "cmdline.amdttm.pages_limit",
            "cmdline.ttm.pages_limit",
            "cmdline.ignored",
        ],
        should_be: "the installed memory less 4 GiB, in pages of 4 KiB, give or take 1 GiB",
        why: "It bounds GPU memory; the kernel's default is half of the machine's.",
        set_with: "add `ttm.pages_limit=PAGES` (with amdgpu-dkms `amdttm.pages_limit=PAGES`) to the kernel command line",
        passes: |settings, machine| {
            let bytes = settings.pages_limit()? * PAGE;
            let (least, most) = machine.gpu_target()?;
            Some(bytes >= least as f64 && bytes <= most as f64)
        },
    },
    Check {
        name: "gttsize_agrees",
        group: Group::Core,
        what: "`amdgpu.gttsize` and `ttm.pages_limit`",
        settings: &[
            "amdgpu.gttsize",
            "amdttm.pages_limit",
            "ttm.pages_limit",
            "cmdline.amdgpu.gttsize",
            "cmdline.ignored",
        ],
        should_be: "`amdgpu.gttsize` unset, or 256 times it equal to `ttm.pages_limit`",
        why: "The kernel warns where they differ, and that `amdgpu.gttsize` is deprecated: `ttm.pages_limit` is the parameter of record.",
        set_with: "remove `amdgpu.gttsize` from the kernel command line",
        passes: |settings, _| {
            let mebibytes = settings.number("amdgpu.gttsize")?;
            let pages = settings.pages_limit()?;
            Some(mebibytes < 0.0 || (mebibytes * 256.0 - pages).abs() < 0.5)
        },
    },
    Check {
        name: "gtt_size",
        group: Group::Core,
        what: "`mem_info_gtt_total` of the APU",
        settings: &["amdgpu.gttsize", "amdttm.pages_limit", "ttm.pages_limit"],
        should_be: "at least the smaller of what `ttm.pages_limit` and `amdgpu.gttsize` ask for",
        why: "A parameter that did not take effect shows only here.",
        set_with: "`journalctl --dmesg --grep gtt` after a reboot says why not",
        passes: |settings, machine| {
            let pages = settings.pages_limit()? * PAGE;
            let mebibytes = settings.number("amdgpu.gttsize").filter(|&size| size >= 0.0);
            let asked = mebibytes.map_or(pages, |size| pages.min(size * 1024.0 * 1024.0));
            Some(machine.gtt? as f64 >= asked - TOLERANCE as f64)
        },
    },
    Check {
        name: "mains",
        group: Group::Power,
        what: "`/sys/class/power_supply/*/online`",
        settings: &[],
        should_be: "1",
        why: "Firmware lowers power limits on battery.",
        set_with: "connect the supply",
        passes: |_, machine| machine.mains,
    },
    Check {
        name: "tuned_profile",
        group: Group::Power,
        what: "`/etc/tuned/active_profile`",
        settings: &["tuned.profile"],
        should_be: "`accelerator-performance`",
        why: "Measured at 5 to 8 % of prompt and 2 to 3 % of generation speed on a ZBook Ultra G1a.",
        set_with: "`tuned-adm profile accelerator-performance`",
        // Several profiles may be merged into one.
        passes: |settings, _| {
            let mut profiles = settings.text("tuned.profile")?.split_whitespace();
            Some(profiles.any(|profile| profile == "accelerator-performance"))
        },
    },
    Check {
        name: "amd_pstate",
        group: Group::Power,
        what: "`/sys/devices/system/cpu/amd_pstate/status`",
        settings: &["amd_pstate.status", "cmdline.amd_pstate"],
        should_be: "`active`",
        why: "Only the active driver passes the energy preference on to firmware.",
        set_with: "add `amd_pstate=active` to the kernel command line",
        passes: |settings, _| settings.is("amd_pstate.status", "active", PSTATE_STATUSES),
    },
    Check {
        name: "cpu_governor",
        group: Group::Power,
        what: "`scaling_governor` of every policy",
        settings: &["cpu.governor"],
        should_be: "`performance`",
        why: "The cores that feed the GPU and sample tokens must not wait for their clock.",
        set_with: "`cpupower frequency-set -g performance`",
        passes: |settings, _| settings.is("cpu.governor", "performance", GOVERNORS),
    },
    Check {
        name: "energy_performance_preference",
        group: Group::Power,
        what: "`energy_performance_preference` of every policy",
        settings: &["cpu.energy_performance_preference"],
        should_be: "`performance`",
        why: "With the active driver it is firmware, not the governor, that chooses clocks.",
        set_with: "`tuned-adm profile accelerator-performance`",
        passes: |settings, _| {
            settings.is("cpu.energy_performance_preference", "performance", PREFERENCES)
        },
    },
    Check {
        name: "platform_profile",
        group: Group::Power,
        what: "`/sys/firmware/acpi/platform_profile`",
        settings: &["platform_profile"],
        should_be: "`performance`",
        why: "It selects the power limits of the vendor's firmware.",
        set_with: "`echo performance > /sys/firmware/acpi/platform_profile`",
        passes: |settings, _| settings.is("platform_profile", "performance", PLATFORM_PROFILES),
    },
    Check {
        name: "board_power_mode",
        group: Group::Power,
        what: "`/sys/class/ec_su_axb35/apu/power_mode`",
        settings: &["ec_su_axb35.power_mode"],
        should_be: "`balanced` or `performance`",
        why: "On boards of Sixunited (AXB35) it selects the power limits: 54 W sustained with `quiet`, 85 W and 120 W with the others (strixhalo-homelab wiki).",
        set_with: "`echo performance > /sys/class/ec_su_axb35/apu/power_mode`",
        passes: |settings, _| {
            let mode = settings.text("ec_su_axb35.power_mode")?;
            BOARD_POWER_MODES.contains(&mode).then(|| mode != "quiet")
        },
    },
    Check {
        name: "performance_level",
        group: Group::Power,
        what: "`power_dpm_force_performance_level` of the cards that are awake",
        settings: &["power_dpm_force_performance_level"],
        should_be: "`auto` or `high`",
        why: "Any other level keeps clocks down; `high` is reported to help where they stick near 900 MHz (hogeheer499/strix-halo-guide).",
        set_with: "`echo auto > /sys/class/drm/card1/device/power_dpm_force_performance_level`",
        passes: |settings, _| {
            let levels = settings.text("power_dpm_force_performance_level")?;
            let known = levels.split('+').all(|level| PERFORMANCE_LEVELS.contains(&level));
            known.then(|| levels.split('+').all(|level| matches!(level, "auto" | "high")))
        },
    },
    Check {
        name: "thp_enabled",
        group: Group::Runtime,
        what: "`/sys/kernel/mm/transparent_hugepage/enabled`",
        settings: &["transparent_hugepage.enabled"],
        should_be: "`always`",
        why: "Weights in huge pages need fewer translations.",
        set_with: "`echo always > /sys/kernel/mm/transparent_hugepage/enabled`",
        passes: |settings, _| settings.is("transparent_hugepage.enabled", "always", THP_ENABLED),
    },
    Check {
        name: "thp_defrag",
        group: Group::Runtime,
        what: "`/sys/kernel/mm/transparent_hugepage/defrag`",
        settings: &["transparent_hugepage.defrag"],
        should_be: "`defer+madvise`",
        why: "Huge pages are made in the background, so that no allocation stalls.",
        set_with: "`echo defer+madvise > /sys/kernel/mm/transparent_hugepage/defrag`",
        passes: |settings, _| {
            settings.is("transparent_hugepage.defrag", "defer+madvise", THP_DEFRAG)
        },
    },
    Check {
        name: "swappiness",
        group: Group::Runtime,
        what: "`vm.swappiness`",
        settings: &["vm.swappiness"],
        should_be: "1 or less",
        why: "A model must not be swapped out for the page cache.",
        set_with: "`sysctl vm.swappiness=1`",
        passes: |settings, _| Some(settings.number("vm.swappiness")? <= 1.0),
    },
    Check {
        name: "dirty_ratio",
        group: Group::Runtime,
        what: "`vm.dirty_ratio`",
        settings: &["vm.dirty_ratio"],
        should_be: "40 or more",
        why: "Downloads and archives are written in the background and stall nothing.",
        set_with: "`sysctl vm.dirty_ratio=40`",
        passes: |settings, _| Some(settings.number("vm.dirty_ratio")? >= 40.0),
    },
    Check {
        name: "dirty_background_ratio",
        group: Group::Runtime,
        what: "`vm.dirty_background_ratio`",
        settings: &["vm.dirty_background_ratio"],
        should_be: "10 or more",
        why: "It belongs to `vm.dirty_ratio`: writing back begins here.",
        set_with: "`sysctl vm.dirty_background_ratio=10`",
        passes: |settings, _| Some(settings.number("vm.dirty_background_ratio")? >= 10.0),
    },
    Check {
        name: "max_map_count",
        group: Group::Runtime,
        what: "`vm.max_map_count`",
        settings: &["vm.max_map_count"],
        should_be: "500000 or more",
        why: "ROCm and split models map many regions.",
        set_with: "`sysctl vm.max_map_count=500000`",
        passes: |settings, _| Some(settings.number("vm.max_map_count")? >= 500_000.0),
    },
    Check {
        name: "zone_reclaim_mode",
        group: Group::Runtime,
        what: "`vm.zone_reclaim_mode`",
        settings: &["vm.zone_reclaim_mode"],
        should_be: "0",
        why: "With one memory for everything, reclaiming from a zone only evicts the model.",
        set_with: "`sysctl vm.zone_reclaim_mode=0`",
        passes: |settings, _| Some(settings.number("vm.zone_reclaim_mode")? == 0.0),
    },
];

fn mains(root: &Root, samples: &mut Samples) -> Option<bool> {
    let names = samples.known(root.list("/sys/class/power_supply"))?;
    let mut mains = None;
    for name in names {
        let path = |file: &str| format!("/sys/class/power_supply/{name}/{file}");
        let kind = samples.known(root.read(&path("type")));
        if kind.as_deref() != Some("Mains") {
            continue;
        }
        if let Some(online) = samples.known(root.number::<u8>(&path("online"))) {
            mains = Some(mains.unwrap_or(false) || online == 1);
        }
    }
    mains
}

/// The device directories of amdgpu's cards that a read does not wake.
pub(super) fn awake_cards(root: &Root, samples: &mut Samples) -> Vec<String> {
    let names = samples.known(root.list("/sys/class/drm")).unwrap_or_default();
    let mut devices = Vec::new();
    for name in names.iter().filter(|name| is_card(name)) {
        let device = format!("/sys/class/drm/{name}/device");
        let uevent = samples.known(root.read(&format!("{device}/uevent")));
        let ours = uevent.is_some_and(|text| uevent_value(&text, "DRIVER") == Some("amdgpu"));
        let status = root.read(&format!("{device}/power/runtime_status"));
        if ours && is_awake(&status) {
            devices.push(device);
        }
        samples.known(status);
    }
    devices
}
