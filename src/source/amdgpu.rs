//! AMD graphics through amdgpu's sysfs files.
//!
//! Kernel documentation: `Documentation/gpu/amdgpu/thermal.rst` and `driver-misc.rst`; code:
//! `drivers/gpu/drm/amd/pm/amdgpu_pm.c`.
//! All cards of the driver are read, by the number of the card; series are labelled with the
//! PCI address, because the number changes from boot to boot.

use std::time::Duration;

use crate::metric::{Def, Kind as MetricKind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::registered::Registered;
use crate::source::shared::{NPU_BUSY, NPU_CLOCK, POWER, TEMPERATURE, celsius_from_milli};
use crate::source::{Cadence, Presence, Reader, Source, absent_or};

pub mod dpm;
pub mod gpu_metrics;
mod identity;
mod kind;

pub use kind::Kind;

use gpu_metrics::{GpuMetrics, Limiter, Refusal};
use identity::Identity;

static INFO: Metric<8> = Metric::new(Def {
    name: "halo_gpu_info",
    help: "The graphics processors of the driver amdgpu; gpu_metrics is the version of the table that firmware gives.",
    kind: MetricKind::Gauge,
    unit: Unit::Info,
    labels: &["gpu", "card", "name", "gfx", "device_id", "revision", "vbios", "gpu_metrics"],
    table: Table::None,
    from: "device/uevent, device/device, device/revision and device/vbios_version of the card, gfx_target_version of its KFD node, libdrm's amdgpu.ids for the name",
});
/// What each GPU is part of.
pub static KIND: Metric<2> = Metric::new(Def {
    name: "halo_gpu_kind_info",
    help: "What a GPU is part of: apu, the processor with which it shares memory and power, or discrete, a card of its own; absent where nothing tells.",
    kind: MetricKind::Gauge,
    unit: Unit::Info,
    labels: &["gpu", "kind"],
    table: Table::None,
    from: "gfx_target_version and cpu_cores_count of the GPU's KFD node, device/device, else the format of gpu_metrics (1 is of discrete cards, 2 and 3 of APUs), else files that the driver shows for discrete cards alone (mem_busy_percent, pcie_bw, fan1_input, temp2_input)",
});
static RUNTIME_STATUS: Metric<2> = Metric::new(Def {
    name: "halo_gpu_runtime_status_info",
    help: "Runtime power state of the device; a suspended one is not read, because a read may wake it.",
    kind: MetricKind::Gauge,
    unit: Unit::Info,
    labels: &["gpu", "status"],
    table: Table::None,
    from: "device/power/runtime_status",
});
static PERFORMANCE_LEVEL: Metric<2> = Metric::new(Def {
    name: "halo_gpu_performance_level_info",
    help: "How clocks are chosen: auto, low, high, manual or a profile.",
    kind: MetricKind::Gauge,
    unit: Unit::Info,
    labels: &["gpu", "level"],
    table: Table::None,
    from: "device/power_dpm_force_performance_level",
});
/// How busy an engine is.
pub static BUSY: Metric<2> = Metric::new(Def {
    name: "halo_gpu_busy_ratio",
    help: "Share of time that an engine worked; firmware can report 1 on an idle machine, so look at power beside it.",
    kind: MetricKind::Gauge,
    unit: Unit::Ratio,
    labels: &["gpu", "engine"],
    table: Table::GpuEngine,
    from: "gpu_metrics average_gfx_activity and average_vcn_activity (v2: average_mm_activity), filtered over 1 s by firmware: percent in v3.0 and, of Van Gogh's newer firmware, in v2.2 to v2.4; hundredths of a percent in v2.0 to v2.3 of all others, and in v3.0 of SMU firmware up to 0x5d4600; else gpu_busy_percent and vcn_busy_percent",
});
static MEMORY_SIZE: Metric<2> = Metric::new(Def {
    name: "halo_gpu_memory_size_bytes",
    help: "Memory that the graphics processor may use; on an APU vram is the part that the BIOS set aside and gtt the rest, where models lie.",
    kind: MetricKind::Gauge,
    unit: Unit::Bytes,
    labels: &["gpu", "pool"],
    table: Table::GpuMemory,
    from: "device/mem_info_vram_total and device/mem_info_gtt_total",
});
static MEMORY_USED: Metric<2> = Metric::new(Def {
    name: "halo_gpu_memory_used_bytes",
    help: "Memory of the graphics processor in use; absent where the driver reports more than there is.",
    kind: MetricKind::Gauge,
    unit: Unit::Bytes,
    labels: &["gpu", "pool"],
    table: Table::GpuMemory,
    from: "device/mem_info_vram_used and device/mem_info_gtt_used",
});
static CLOCK: Metric<2> = Metric::new(Def {
    name: "halo_gpu_clock_hertz",
    help: "Clock that firmware aims at; 0 is a part that is switched off.",
    kind: MetricKind::Gauge,
    unit: Unit::Hertz,
    labels: &["gpu", "domain"],
    table: Table::GpuClock,
    from: "gpu_metrics average_*_frequency (MHz, filtered over 1 s by firmware), v2: current_*clk where the average is 0 or not given; else the marked line of pp_dpm_*, which may be a deep sleep (S:) or a clock between levels",
});
static CLOCK_LIMIT: Metric<2> = Metric::new(Def {
    name: "halo_gpu_clock_limit_hertz",
    help: "Highest clock that firmware allows now; it falls when a power or temperature limit is engaged.",
    kind: MetricKind::Gauge,
    unit: Unit::Hertz,
    labels: &["gpu", "domain"],
    table: Table::GpuClock,
    from: "gpu_metrics v3.0 current_gfx_maxfreq and current_core_maxfreq (MHz)",
});
static CLOCK_MINIMUM: Metric<2> = Metric::new(Def {
    name: "halo_gpu_clock_minimum_hertz",
    help: "Lowest clock that the driver may choose, apart from deep sleep; a forced performance level raises it.",
    kind: MetricKind::Gauge,
    unit: Unit::Hertz,
    labels: &["gpu", "domain"],
    table: Table::GpuClock,
    from: "device/pp_dpm_sclk, pp_dpm_mclk, pp_dpm_fclk, pp_dpm_socclk and pp_dpm_vclk",
});
static CLOCK_MAXIMUM: Metric<2> = Metric::new(Def {
    name: "halo_gpu_clock_maximum_hertz",
    help: "Highest clock that the driver may choose.",
    kind: MetricKind::Gauge,
    unit: Unit::Hertz,
    labels: &["gpu", "domain"],
    table: Table::GpuClock,
    from: "device/pp_dpm_sclk, pp_dpm_mclk, pp_dpm_fclk, pp_dpm_socclk and pp_dpm_vclk",
});
/// For how long limiters were engaged.
pub static RESIDENCY: Metric<2> = Metric::new(Def {
    name: "halo_throttle_residency_total",
    help: "Firmware ticks while a limiter was engaged; the tick is not documented, about 1 ms, and the counter wraps at 2^32.",
    kind: MetricKind::Counter,
    unit: Unit::None,
    labels: &["gpu", "limiter"],
    table: Table::Throttle,
    from: "gpu_metrics v3.0 throttle_residency_*, counted on every update of the table while the limiter was engaged (smu14_driver_if_v14_0_0.h)",
});
/// Whether a limiter is engaged, where the table has status bits.
pub static ENGAGED: Metric<2> = Metric::new(Def {
    name: "halo_throttle_active",
    help: "Whether a limiter is engaged now: 1 yes, 0 no; a moment, so short engagements are missed.",
    kind: MetricKind::Gauge,
    unit: Unit::None,
    labels: &["gpu", "limiter"],
    table: Table::Throttle,
    from: "gpu_metrics v2.1 throttle_status (bits of Rembrandt and Phoenix), v2.2 to v2.4 indep_throttle_status",
});

/// The source `amdgpu`.
pub static SOURCE: Source = Source {
    name: "amdgpu",
    about: "AMD graphics: activity, memory, clocks, power, temperatures, limiters",
    metrics: &[
        INFO.def(),
        KIND.def(),
        RUNTIME_STATUS.def(),
        PERFORMANCE_LEVEL.def(),
        BUSY.def(),
        MEMORY_SIZE.def(),
        MEMORY_USED.def(),
        CLOCK.def(),
        CLOCK_LIMIT.def(),
        CLOCK_MINIMUM.def(),
        CLOCK_MAXIMUM.def(),
        RESIDENCY.def(),
        ENGAGED.def(),
        POWER.def(),
        TEMPERATURE.def(),
        NPU_BUSY.def(),
        NPU_CLOCK.def(),
    ],
    default: true,
    cadence: Cadence::OnDemand,
    // Firmware answers, and has been seen to take it well at this rate.
    floor: Duration::from_millis(100),
    remedy: "No card of the driver amdgpu: `lspci -k -d 1002:` shows the cards and their drivers, `modprobe amdgpu` loads it.",
    open: |_| vec![Box::<Amdgpu>::default()],
};

/// The clock lists and the domains that they are about.
const CLOCK_LISTS: [(&str, &str); 5] = [
    ("pp_dpm_sclk", "gfx"),
    ("pp_dpm_mclk", "memory"),
    ("pp_dpm_fclk", "fabric"),
    ("pp_dpm_socclk", "soc"),
    ("pp_dpm_vclk", "media"),
];

/// No card has a pebibyte.
const LARGEST_MEMORY: u64 = 1 << 50;

/// The values of `power/runtime_status` (`Documentation/ABI/testing/sysfs-devices-power`).
const RUNTIME_STATUSES: [&str; 6] =
    ["active", "error", "resuming", "suspended", "suspending", "unsupported"];

/// The values of `power_dpm_force_performance_level` (`Documentation/gpu/amdgpu/thermal.rst`).
pub(super) const PERFORMANCE_LEVELS: [&str; 10] = [
    "auto",
    "high",
    "low",
    "manual",
    "perf_determinism",
    "profile_exit",
    "profile_min_mclk",
    "profile_min_sclk",
    "profile_peak",
    "profile_standard",
];

#[derive(Default)]
struct Amdgpu {
    cards: Registered<Option<Identity>>,
}

impl Reader for Amdgpu {
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        absent_or(root.entries("/sys/class/drm"), |mut entries| {
            entries.retain(|entry| is_card(&entry.name));
            let mut presence = Presence::Absent;
            let find = |samples: &mut Samples, card: &str| Identity::find(root, samples, card);
            self.cards.read(entries, samples, find, |samples, name, identity| {
                if let Some(identity) = identity {
                    presence = Presence::Present;
                    let device = format!("/sys/class/drm/{name}/device");
                    Card { root, samples, name, device: &device, gpu: &identity.gpu, identity }
                        .read();
                }
            });
            Ok(presence)
        })
    }
}

/// What a card that is awake is part of, for who reads only a few files of it.
pub(super) fn kind(root: &Root, samples: &mut Samples, card: &str) -> Option<Kind> {
    let identity = Identity::find(root, samples, card)?;
    identity.kind.or_else(|| {
        let table = root.bytes(&format!("/sys/class/drm/{card}/device/gpu_metrics"));
        let table = samples.known(table)?;
        Kind::of_table(&gpu_metrics::Version::of(&table)?.to_string())
    })
}

/// Whether a name in `/sys/class/drm` is a card and no connector (`card1-DP-1`) or render node.
pub(crate) fn is_card(name: &str) -> bool {
    name.strip_prefix("card")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a read of a device wakes nothing, by its `power/runtime_status`. In the states `active`, `error` and `unsupported` it
/// is on; a kernel without runtime power management has no such file, and its devices are on too.
/// Where the state cannot be read, nothing is risked.
pub(super) fn is_awake(runtime_status: &Result<String, ReadError>) -> bool {
    match runtime_status {
        Ok(status) => matches!(status.as_str(), "active" | "error" | "unsupported"),
        Err(error) => error.is_absent(),
    }
}

/// Whether a number of bytes can be the size of a pool of memory.
pub(super) fn is_memory_size(bytes: u64) -> bool {
    (1..=LARGEST_MEMORY).contains(&bytes)
}

/// The value of a key in a uevent file.
pub(crate) fn uevent_value<'a>(uevent: &'a str, key: &str) -> Option<&'a str> {
    uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// Whether a text is a PCI address, as `0000:c5:00.0`.
pub(super) fn is_pci_address(text: &&str) -> bool {
    identity::PciAddress::parse(text).is_some()
}

/// One card while it is read.
struct Card<'a> {
    root: &'a Root,
    samples: &'a mut Samples,
    name: &'a str,
    device: &'a str,
    gpu: &'a str,
    identity: &'a Identity,
}

impl Card<'_> {
    fn read(mut self) {
        let status = self.root.read(&self.path("power/runtime_status"));
        let awake = is_awake(&status);
        if let Some(status) = self.one_of("power/runtime_status", status, &RUNTIME_STATUSES) {
            self.samples.record(&RUNTIME_STATUS, [self.gpu, &status], 1.0);
        }
        let table = if awake { self.table() } else { FirmwareTable::Absent };
        self.info(&table);
        let kind = self.identity.kind.or_else(|| Kind::of_table(&table.version()));
        if let Some(kind) = kind {
            self.samples.record(&KIND, [self.gpu, kind.as_str()], 1.0);
        }
        if awake {
            self.memory("vram");
            self.memory("gtt");
            let decoded = table.decoded();
            self.activity(decoded);
            self.clocks(decoded);
            self.hwmon(&table, kind);
            if let Some(metrics) = decoded {
                self.firmware(metrics);
            }
            let file = "power_dpm_force_performance_level";
            let level = self.root.read(&self.path(file));
            if let Some(level) = self.one_of(file, level, &PERFORMANCE_LEVELS) {
                self.samples.record(&PERFORMANCE_LEVEL, [self.gpu, &level], 1.0);
            }
        }
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.device)
    }

    fn text(&mut self, file: &str) -> Option<String> {
        let text = self.samples.known(self.root.read(&self.path(file)))?;
        (!text.is_empty()).then_some(text)
    }

    /// A text that is one of those that the kernel documents.
    fn one_of(
        &mut self,
        file: &str,
        text: Result<String, ReadError>,
        known: &[&str],
    ) -> Option<String> {
        let text = self.samples.known(text)?;
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        self.samples.problem(self.root.not_a("documented value", &self.path(file), &text));
        None
    }

    fn number<T: std::str::FromStr>(&mut self, file: &str) -> Option<T> {
        self.samples.known(self.root.number(&self.path(file)))
    }

    fn table(&mut self) -> FirmwareTable {
        let path = self.path("gpu_metrics");
        let Some(bytes) = self.samples.known(self.root.bytes(&path)) else {
            return FirmwareTable::Absent;
        };
        match gpu_metrics::parse_of(&bytes, self.identity.smu_firmware) {
            Ok(metrics) => FirmwareTable::Decoded(Box::new(metrics)),
            Err(Refusal::Discrete(version)) => FirmwareTable::Discrete(version),
            Err(refusal) => {
                let location = self.root.locate(&path);
                self.samples.problem(match refusal {
                    Refusal::Unknown(_) => ReadError::unsupported(location, refusal.to_string()),
                    _ => ReadError::garbage(location, refusal.to_string()),
                });
                FirmwareTable::Absent
            }
        }
    }

    fn info(&mut self, table: &FirmwareTable) {
        let identity = self.identity;
        let labels = [
            self.gpu,
            self.name,
            &identity.name,
            &identity.gfx,
            &identity.device_id,
            &identity.revision,
            &identity.vbios,
            &table.version(),
        ];
        self.samples.record(&INFO, labels, 1.0);
    }

    fn memory(&mut self, pool: &str) {
        let size: Option<u64> = self.number(&format!("mem_info_{pool}_total"));
        let used: Option<u64> = self.number(&format!("mem_info_{pool}_used"));
        // An underflow shows as almost 2^64 (ROCm#5750 has -4096).
        let largest = size.unwrap_or(LARGEST_MEMORY).min(LARGEST_MEMORY);
        let is_believed = size.is_none_or(is_memory_size);
        let size = size.filter(|_| is_believed).map(|bytes| bytes as f64);
        let used = used.filter(|&bytes| is_believed && bytes <= largest).map(|b| b as f64);
        self.samples.record(&MEMORY_SIZE, [self.gpu, pool], size);
        self.samples.record(&MEMORY_USED, [self.gpu, pool], used);
    }

    fn activity(&mut self, metrics: Option<&GpuMetrics>) {
        let engines = [
            ("gfx", metrics.and_then(|metrics| metrics.busy_gfx), "gpu_busy_percent"),
            ("media", metrics.and_then(|metrics| metrics.busy_media), "vcn_busy_percent"),
        ];
        for (engine, ratio, file) in engines {
            let ratio = ratio.or_else(|| {
                let percent: u8 = self.number(file)?;
                (percent <= 100).then(|| f64::from(percent) / 100.0)
            });
            self.samples.record(&BUSY, [self.gpu, engine], ratio);
        }
    }

    fn clocks(&mut self, metrics: Option<&GpuMetrics>) {
        for (file, domain) in CLOCK_LISTS {
            let levels = self.text(file).and_then(|text| {
                let path = self.root.locate(&self.path(file));
                let levels = dpm::parse(&text);
                self.samples
                    .known(levels.map_err(|bad| ReadError::garbage(path, bad.to_string())))?
            });
            let table = metrics.and_then(|metrics| match domain {
                "gfx" => metrics.clock_gfx,
                "memory" => metrics.clock_memory,
                "fabric" => metrics.clock_fabric,
                "soc" => metrics.clock_soc,
                _ => metrics.clock_media,
            });
            let current = table.or_else(|| levels?.current);
            self.samples.record(&CLOCK, [self.gpu, domain], current);
            let minimum = levels.and_then(|levels| levels.minimum);
            let maximum = levels.and_then(|levels| levels.maximum);
            self.samples.record(&CLOCK_MINIMUM, [self.gpu, domain], minimum);
            self.samples.record(&CLOCK_MAXIMUM, [self.gpu, domain], maximum);
        }
    }

    fn hwmon(&mut self, table: &FirmwareTable, kind: Option<Kind>) {
        let Some(name) = &self.identity.hwmon else { return };
        let edge = self.number(&format!("hwmon/{name}/temp1_input")).and_then(celsius_from_milli);
        self.samples.record(&TEMPERATURE, [self.gpu, "gpu_edge"], edge);
        if table.decoded().is_some_and(|metrics| metrics.power_socket.is_some()) {
            return;
        }
        // The average is what the table of firmware has. Which of the two exists depends on the
        // kernel (power1_input since 6.6) and on the chip.
        let power = self
            .number(&format!("hwmon/{name}/power1_average"))
            .or_else(|| self.number(&format!("hwmon/{name}/power1_input")));
        let domain = match kind {
            Some(Kind::Apu) => "socket",
            Some(Kind::Discrete) => "card",
            // What hwmon calls it: of the socket or of the card, and nobody knows which.
            None => "ppt",
        };
        let watts = power.and_then(|micro| self.watts(micro));
        self.samples.record(&POWER, [self.gpu, domain], watts);
    }

    /// Watts from hwmon's microwatts.
    ///
    /// The fraction is not what it says: `amdgpu_pm.c` prints the low byte of an 8.8 number as
    /// thousandths. SMU 14 puts hundredths there, the others 256ths.
    fn watts(&self, micro: u64) -> Option<f64> {
        const SMU14: [&str; 4] = ["0x150e", "0x1586", "0x1114", "0x1902"];
        let is_smu14 = SMU14.contains(&self.identity.device_id.as_str());
        let parts = if is_smu14 { 100 } else { 256 };
        // A driver that prints true microwatts is not corrected.
        let fraction = match micro % 1_000_000 {
            wrong if wrong % 1000 == 0 && wrong / 1000 < parts => {
                (wrong / 1000) as f64 / parts as f64
            }
            right => right as f64 / 1e6,
        };
        let watts = (micro / 1_000_000) as f64 + fraction;
        (watts > 0.0 && watts <= 1000.0).then_some(watts)
    }

    /// What only the table of firmware tells.
    fn firmware(&mut self, metrics: &GpuMetrics) {
        let gpu = self.gpu;
        let samples = &mut *self.samples;
        samples.record(&TEMPERATURE, [gpu, "gfx"], metrics.temperature_gfx);
        samples.record(&TEMPERATURE, [gpu, "soc"], metrics.temperature_soc);
        samples.record(&TEMPERATURE, [gpu, "skin"], metrics.temperature_skin);
        samples.record(&POWER, [gpu, "socket"], metrics.power_socket);
        samples.record(&POWER, [gpu, "gfx"], metrics.power_gfx);
        samples.record(&POWER, [gpu, "cpu"], metrics.power_cpu);
        samples.record(&POWER, [gpu, "npu"], metrics.power_npu);
        samples.record(&NPU_BUSY, [gpu], metrics.busy_npu);
        samples.record(&NPU_CLOCK, [gpu], metrics.clock_npu);
        samples.record(&CLOCK_LIMIT, [gpu, "gfx"], metrics.clock_limit_gfx);
        samples.record(&CLOCK_LIMIT, [gpu, "cpu"], metrics.clock_limit_cpu);
        for (limiter, ticks) in Limiter::ALL.iter().zip(metrics.residency) {
            samples.record(&RESIDENCY, [gpu, limiter.as_str()], ticks.map(f64::from));
        }
        for (limiter, engaged) in Limiter::ALL.iter().zip(metrics.engaged) {
            let value = engaged.map(|engaged| f64::from(u8::from(engaged)));
            samples.record(&ENGAGED, [gpu, limiter.as_str()], value);
        }
    }
}

/// What the file `gpu_metrics` turned out to be.
enum FirmwareTable {
    /// Not there, or not usable.
    Absent,
    /// A discrete card's, whose other files are read instead.
    Discrete(gpu_metrics::Version),
    /// An APU's.
    Decoded(Box<GpuMetrics>),
}

impl FirmwareTable {
    fn decoded(&self) -> Option<&GpuMetrics> {
        match self {
            Self::Decoded(metrics) => Some(metrics),
            _ => None,
        }
    }

    fn version(&self) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Discrete(version) => version.to_string(),
            Self::Decoded(metrics) => metrics.version.to_string(),
        }
    }
}
