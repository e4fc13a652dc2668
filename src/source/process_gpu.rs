//! Who uses the graphics processor, and how much of it.
//!
//! Kernel documentation: `Documentation/gpu/drm-usage-stats.rst`; code:
//! `drivers/gpu/drm/amd/amdgpu/amdgpu_fdinfo.c`.
//! Only a process that has a device file of DRM open can be a client, and where an open file leads
//! is one call of the system; so the links are looked at first, and of the few that lead there the
//! file in `fdinfo` is read.
//! Processes of others cannot be looked at without `CAP_SYS_PTRACE`: they are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Reason, Root};
use crate::source::amdgpu::{is_card, is_pci_address};
use crate::source::{Cadence, Presence, Source, Stateless, absent_or};

/// Memory of the graphics processor that a process holds.
pub static MEMORY: Metric<4> = Metric::new(Def {
    name: "halo_process_gpu_memory_bytes",
    help: "Memory of the graphics processor that a process holds; what several processes share counts for each.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &["gpu", "pid", "comm", "pool"],
    table: Table::ProcessGpuMemory,
    from: "/proc/PID/fdinfo/FD drm-resident-vram, -gtt and -cpu, else drm-memory-vram, -gtt and -cpu, each client of a device once",
});

/// Time that the engines of the graphics processor worked for a process.
pub static TIME: Metric<4> = Metric::new(Def {
    name: "halo_process_gpu_seconds_total",
    help: "Time that an engine of the graphics processor worked for a process; compute of ROCm is not in it.",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &["gpu", "pid", "comm", "engine"],
    table: Table::ProcessGpuTime,
    from: "/proc/PID/fdinfo/FD drm-engine-* (ns), summed over the clients that the process has open now",
});

/// Main memory that such a process holds.
pub static RESIDENT: Metric<2> = Metric::new(Def {
    name: "halo_process_resident_bytes",
    help: "Main memory that a process which uses the graphics processor holds; of the graphics processor's memory only what is mapped into it.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &["pid", "comm"],
    table: Table::ProcessMemory,
    from: "/proc/PID/statm, the second number (pages)",
});

/// The source `process_gpu`.
pub static SOURCE: Source = Source {
    name: "process_gpu",
    about: "Processes that use the graphics processor: their memory and time",
    metrics: &[MEMORY.def(), TIME.def(), RESIDENT.def()],
    // The names of a user's programs are nobody else's business unless somebody says so.
    default: false,
    // Every open file of every process that may be looked at costs a call of the system.
    cadence: Cadence::Apart(Duration::from_secs(1)),
    floor: Duration::from_secs(1),
    remedy: "No render node in /sys/class/drm: `modprobe amdgpu` makes one.",
    open: |_| vec![Box::new(Stateless(read))],
};

/// Open files that are looked at in a process. Numbers are given from the lowest free one, so a
/// graphics processor that is opened when a program begins is among the first.
const MOST_OF_PROCESS: usize = 4096;

/// Open files that are looked at in one reading: at 4 µs each (measured), less than half of the
/// deadline.
const MOST: usize = 50_000;

/// No process holds a pebibyte.
const LARGEST_MEMORY: u64 = 1 << 50;

/// The pools of memory, as amdgpu calls them; `cpu` is what was evicted to main memory.
const POOLS: [&str; 3] = ["vram", "gtt", "cpu"];

/// The longest name of an engine; amdgpu's have seven letters at most.
const LONGEST_ENGINE: usize = 16;

fn read(root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
    absent_or(root.list("/sys/class/drm"), |nodes| {
        // A file and not the name alone, so that a captured machine has it too.
        let mut is_there =
            |node: &str| samples.known(root.word(&format!("/sys/class/drm/{node}/dev"))).is_some();
        if !nodes.iter().any(|node| is_numbered(node, "renderD") && is_there(node)) {
            return Ok(Presence::Absent);
        }
        absent_or(root.list("/proc/"), |names| {
            read_processes(root, samples, &names);
            Ok(Presence::Present)
        })
    })
}

fn read_processes(root: &Root, samples: &mut Samples, names: &[String]) {
    let (mut seen, mut left) = (BTreeSet::new(), MOST);
    for pid in names.iter().filter(|name| is_numbered(name, "")) {
        if left == 0 {
            let detail = format!("more than {MOST} files are open; the rest was not looked at");
            samples.problem(ReadError::new(root.locate("/proc/"), Reason::Io, detail));
            return;
        }
        let directory = format!("/proc/{pid}/fd");
        let most = left.min(MOST_OF_PROCESS);
        // It has ended, or is another user's: neither is a failure.
        let Ok(links) = root.links(&directory, most, is_device) else { continue };
        left -= links.looked_at;
        if links.names.is_empty() {
            continue;
        }
        let usage = usage(root, samples, pid, &links.names, &mut seen);
        if usage.is_empty() {
            continue;
        }
        let Some(comm) = samples.known(root.word(&format!("/proc/{pid}/comm"))) else { continue };
        let pages = root.read(&format!("/proc/{pid}/statm"));
        let pages = samples.known(pages).as_deref().and_then(resident_pages);
        let bytes = pages.map(|pages| pages as f64 * rustix::param::page_size() as f64);
        samples.record(&RESIDENT, [pid, &comm], bytes);
        for (gpu, used) in &usage {
            for (pool, bytes) in &used.memory {
                samples.record(&MEMORY, [gpu, pid, &comm, pool], *bytes as f64);
            }
            for (engine, nanoseconds) in &used.engines {
                samples.record(&TIME, [gpu, pid, &comm, engine], *nanoseconds as f64 / 1e9);
            }
        }
    }
}

/// The resident pages in `statm`.
fn resident_pages(text: &str) -> Option<u64> {
    text.split(' ').nth(1)?.parse().ok()
}

/// What a process uses, by the address of the graphics processor; nothing where a part of it is
/// unknown. A client counts for the first process that has it: who inherits an open file does not
/// use it once more.
fn usage(
    root: &Root,
    samples: &mut Samples,
    pid: &str,
    files: &[String],
    seen: &mut BTreeSet<(String, u64)>,
) -> BTreeMap<String, Usage> {
    let mut all: BTreeMap<String, Usage> = BTreeMap::new();
    for file in files {
        let path = format!("/proc/{pid}/fdinfo/{file}");
        let parsed =
            root.read(&path).and_then(|t| parse(&t).map_err(|what| root.not_a(what, &path, &t)));
        let client = match parsed {
            Ok(Some(client)) => client,
            Ok(None) => continue,
            // It was closed in this moment.
            Err(error) if error.is_absent() => continue,
            Err(error) => {
                samples.problem(error);
                return BTreeMap::new();
            }
        };
        if seen.insert((client.gpu.clone(), client.id)) {
            all.entry(client.gpu).or_default().add(client.usage);
        }
    }
    all
}

/// Engine time in nanoseconds from which on a process has worked on a GPU: who opens a GPU to ask what
/// it is has some of it too.
const WORKED: u64 = 200_000_000;

/// Memory from which on it has: a model is larger, and the buffers of one who only asks are not.
const HELD: u64 = 256 << 20;

/// The GPUs on which a process worked, by PCI address: those whose engines did, and those of which it
/// holds as much memory as a model needs, since what `ROCm` computes is in no engine's time.
pub fn worked_on(root: &Root, pid: &str) -> BTreeSet<String> {
    let Ok(links) = root.links(&format!("/proc/{pid}/fd"), MOST_OF_PROCESS, is_device) else {
        return BTreeSet::new();
    };
    let usage = usage(root, &mut Samples::default(), pid, &links.names, &mut BTreeSet::new());
    let sum = |values: &mut dyn Iterator<Item = &u64>| {
        values.fold(0_u64, |sum, value| sum.saturating_add(*value))
    };
    let worked = usage.into_iter().filter(|(_, usage)| {
        sum(&mut usage.engines.values()) >= WORKED || sum(&mut usage.memory.values()) >= HELD
    });
    worked.map(|(gpu, _)| gpu).collect()
}

/// Whether a link leads to a device file of DRM, by the last part of its target.
fn is_device(name: &str) -> bool {
    is_numbered(name, "renderD") || is_card(name)
}

fn is_numbered(name: &str, start: &str) -> bool {
    name.strip_prefix(start)
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// One client of the driver amdgpu, as an open file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The PCI address of the graphics processor.
    pub gpu: String,
    /// The number that the kernel gave the client.
    pub id: u64,
    /// What it uses.
    pub usage: Usage,
}

/// What clients use of a graphics processor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes by pool.
    pub memory: BTreeMap<&'static str, u64>,
    /// Nanoseconds by engine.
    pub engines: BTreeMap<String, u64>,
}

impl Usage {
    fn add(&mut self, other: Self) {
        for (pool, bytes) in other.memory {
            let sum = self.memory.entry(pool).or_default();
            *sum = sum.saturating_add(bytes);
        }
        for (engine, nanoseconds) in other.engines {
            let sum = self.engines.entry(engine).or_default();
            *sum = sum.saturating_add(nanoseconds);
        }
    }
}

/// Reads a file of `fdinfo`. An open file of another driver is no client of this one.
///
/// # Errors
///
/// What the text should have been.
pub fn parse(text: &str) -> Result<Option<Client>, &'static str> {
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
    };
    // The kernel begins every such file so, whatever is open.
    if value("flags").is_none() {
        return Err("description of an open file");
    }
    if value("drm-driver") != Some("amdgpu") {
        return Ok(None);
    }
    let id = value("drm-client-id").and_then(|id| id.parse().ok());
    let (Some(gpu), Some(id)) = (value("drm-pdev").filter(is_pci_address), id) else {
        return Err("description of a client with drm-pdev and drm-client-id");
    };
    let mut usage = Usage::default();
    for pool in POOLS {
        // The second key is the older one and has the same meaning.
        let keys = ["resident", "memory"].map(|kind| format!("drm-{kind}-{pool}"));
        if let Some(bytes) = keys.iter().find_map(|key| bytes(value(key)?)) {
            usage.memory.insert(pool, bytes);
        }
    }
    for line in text.lines() {
        let Some((engine, time)) = line.strip_prefix("drm-engine-").and_then(|l| l.split_once(':'))
        else {
            continue;
        };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_engine =
            !engine.is_empty() && engine.len() <= LONGEST_ENGINE && engine.chars().all(is_name);
        let time = time.trim().strip_suffix("ns").and_then(|time| time.trim_end().parse().ok());
        if let Some(nanoseconds) = time.filter(|_| is_engine) {
            usage.engines.insert(engine.to_owned(), nanoseconds);
        }
    }
    Ok(Some(Client { gpu: gpu.to_owned(), id, usage }))
}

/// Bytes of a value as `12 KiB`, `3 MiB` or `0`.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit.trim() {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|&bytes| bytes <= LARGEST_MEMORY)
}
