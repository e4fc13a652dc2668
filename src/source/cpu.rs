//! Processor time and clocks.

use std::time::Duration;

use procfs::{ExplicitSystemInfo, FromBufReadSI, KernelStats};

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::{Cadence, Presence, Source, Stateless, absent_or};

/// Time of the processor by mode.
pub static SECONDS: Metric<1> = Metric::new(Def {
    name: "halo_cpu_seconds_total",
    help: "Time that the processor spent in a mode, summed over its threads; user includes guests.",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &["mode"],
    table: Table::CpuTime,
    from: "/proc/stat, the line cpu (ticks of 10 ms)",
});
static CLOCK: Metric<1> = Metric::new(Def {
    name: "halo_cpu_clock_hertz",
    help: "Clock of the processor's threads that are online: the lowest, the mean and the highest.",
    kind: Kind::Gauge,
    unit: Unit::Hertz,
    labels: &["stat"],
    table: Table::CpuClock,
    from: "/sys/devices/system/cpu/cpufreq/policy*/scaling_cur_freq (kHz)",
});

/// The source `cpu`.
pub static SOURCE: Source = Source {
    name: "cpu",
    about: "Processor: time by mode, clocks",
    metrics: &[SECONDS.def(), CLOCK.def()],
    default: true,
    cadence: Cadence::OnDemand,
    floor: Duration::ZERO,
    remedy: "No /proc/stat: mount procfs, or name it with --path.procfs.",
    open: |_| vec![Box::new(Stateless(read))],
};

/// Ticks of `/proc/stat` in a second: `USER_HZ`, which is 100 on every architecture that has
/// amdgpu (`include/asm-generic/param.h`).
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

/// No processor is faster.
const LARGEST_KILOHERTZ: u64 = 10_000_000;

fn read(root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
    absent_or(root.read("/proc/stat"), |text| {
        let statistics = statistics(root, &text);
        clocks(root, samples);
        let total = statistics?.total;
        let modes = [
            ("user", Some(total.user)),
            ("nice", Some(total.nice)),
            ("system", Some(total.system)),
            ("idle", Some(total.idle)),
            ("iowait", total.iowait),
            ("irq", total.irq),
            ("softirq", total.softirq),
            ("steal", total.steal),
        ];
        for (mode, ticks) in modes {
            let seconds = ticks.map(|ticks| ticks as f64 / TICKS_PER_SECOND);
            samples.record(&SECONDS, [mode], seconds);
        }
        Ok(Presence::Present)
    })
}

/// Parses `/proc/stat`. What the parser wants to know of the system does not reach the counts of
/// ticks that are used here.
pub(super) fn statistics(root: &Root, text: &str) -> Result<KernelStats, ReadError> {
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 100,
        page_size: 4096,
        is_little_endian: true,
    };
    KernelStats::from_buf_read(text.as_bytes(), &system)
        .map_err(|_| root.not_a("list of kernel statistics", "/proc/stat", text))
}

fn clocks(root: &Root, samples: &mut Samples) {
    const POLICIES: &str = "/sys/devices/system/cpu/cpufreq";
    let names = samples.known(root.list(POLICIES)).unwrap_or_default();
    let clocks: Vec<f64> = names
        .iter()
        .filter(|name| name.starts_with("policy"))
        .filter_map(|name| {
            let path = format!("{POLICIES}/{name}/scaling_cur_freq");
            let kilo: u64 = samples.known(root.number(&path))?;
            (1..=LARGEST_KILOHERTZ).contains(&kilo).then_some(kilo as f64 * 1000.0)
        })
        .collect();
    let count = clocks.len() as f64;
    samples.record(&CLOCK, ["min"], clocks.iter().copied().reduce(f64::min));
    samples.record(&CLOCK, ["mean"], (count > 0.0).then(|| clocks.iter().sum::<f64>() / count));
    samples.record(&CLOCK, ["max"], clocks.iter().copied().reduce(f64::max));
}
