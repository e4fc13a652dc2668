//! What halo itself uses: the conventional metrics of a process, always of the live one.

use std::time::Duration;

use procfs::FromRead;
use procfs::process::Stat;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::cpu::{TICKS_PER_SECOND, statistics};
use crate::source::{Cadence, Presence, Reader, Source};

static CPU: Metric<0> = Metric::new(Def {
    name: "process_cpu_seconds_total",
    help: "Processor time that this program used.",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &[],
    table: Table::None,
    from: "/proc/self/stat utime + stime",
});
static RESIDENT: Metric<0> = Metric::new(Def {
    name: "process_resident_memory_bytes",
    help: "Memory that this program occupies.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    table: Table::None,
    from: "/proc/self/stat rss",
});
static VIRTUAL: Metric<0> = Metric::new(Def {
    name: "process_virtual_memory_bytes",
    help: "Address space of this program.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    table: Table::None,
    from: "/proc/self/stat vsize",
});
static THREADS: Metric<0> = Metric::new(Def {
    name: "process_threads",
    help: "Threads of this program.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
    table: Table::None,
    from: "/proc/self/stat num_threads",
});
static START: Metric<0> = Metric::new(Def {
    name: "process_start_time_seconds",
    help: "When this program started, in seconds since 1970.",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    table: Table::None,
    from: "/proc/stat btime + /proc/self/stat starttime",
});
static OPEN_FILES: Metric<0> = Metric::new(Def {
    name: "process_open_fds",
    help: "Files that this program has open.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
    table: Table::None,
    from: "/proc/self/fd",
});
static MAX_FILES: Metric<0> = Metric::new(Def {
    name: "process_max_fds",
    help: "Files that this program may have open.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
    table: Table::None,
    from: "/proc/self/limits",
});

/// The source `selfstat`.
pub static SOURCE: Source = Source {
    name: "selfstat",
    about: "This program: processor time, memory, open files",
    metrics: &[
        CPU.def(),
        RESIDENT.def(),
        VIRTUAL.def(),
        THREADS.def(),
        START.def(),
        OPEN_FILES.def(),
        MAX_FILES.def(),
    ],
    default: true,
    cadence: Cadence::OnDemand,
    floor: Duration::ZERO,
    remedy: "No /proc/self: mount procfs at /proc.",
    open: |_| vec![Box::new(SelfReader(Root::live()))],
};

/// Reads the live machine whatever machine is shown, because this program runs on it.
struct SelfReader(Root);

impl Reader for SelfReader {
    fn read(&mut self, _: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        let live = &self.0;
        let text = live.read("/proc/self/stat")?;
        let stat = Stat::from_read(text.as_bytes())
            .map_err(|_| live.not_a("process status", "/proc/self/stat", &text))?;
        let page = rustix::param::page_size() as f64;
        samples.record(&CPU, [], (stat.utime + stat.stime) as f64 / TICKS_PER_SECOND);
        samples.record(&RESIDENT, [], stat.rss as f64 * page);
        samples.record(&VIRTUAL, [], stat.vsize as f64);
        samples.record(&THREADS, [], stat.num_threads as f64);
        let booted = samples
            .known(live.read("/proc/stat").and_then(|text| statistics(live, &text)))
            .map(|statistics| statistics.btime as f64);
        let started = stat.starttime as f64 / TICKS_PER_SECOND;
        samples.record(&START, [], booted.map(|booted| booted + started));
        let open = samples.known(live.list("/proc/self/fd"));
        // One of them is the directory that is being listed.
        samples.record(&OPEN_FILES, [], open.map(|names| names.len().saturating_sub(1) as f64));
        let limits = samples.known(live.read("/proc/self/limits"));
        samples.record(&MAX_FILES, [], limits.as_deref().and_then(max_open_files));
        Ok(Presence::Present)
    }
}

/// The soft limit of the line `Max open files            1024                 524288               files`.
fn max_open_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
