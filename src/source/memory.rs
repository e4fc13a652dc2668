//! Main memory and swap.

use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::{Cadence, Presence, Source, Stateless, absent_or};

pub mod linux;

use linux::Linux;

static SIZE: Metric<0> = Metric::new(Def {
    name: "halo_memory_size_bytes",
    help: "Memory that Linux manages: what is installed without what the BIOS set aside for the GPU.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    table: Table::Host,
    from: "/proc/meminfo MemTotal; in a container that has a /proc/meminfo of its own, MemTotal of /sys/devices/system/node/node*/meminfo",
});
/// Memory that is available without swapping.
pub static AVAILABLE: Metric<0> = Metric::new(Def {
    name: "halo_memory_available_bytes",
    help: "Memory that programs can still get without swapping, as the kernel estimates it.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    table: Table::Host,
    from: "/proc/meminfo MemAvailable, unless that file is a container's",
});
static HUGE_ANONYMOUS: Metric<0> = Metric::new(Def {
    name: "halo_memory_huge_anonymous_bytes",
    help: "Anonymous memory that lies in transparent huge pages.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    table: Table::Host,
    from: "/proc/meminfo AnonHugePages",
});
static SWAP_SIZE: Metric<0> = Metric::new(Def {
    name: "halo_swap_size_bytes",
    help: "Size of swap; 0 where there is none.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    table: Table::Host,
    from: "/proc/meminfo SwapTotal",
});
/// Swap that is in use.
pub static SWAP_USED: Metric<0> = Metric::new(Def {
    name: "halo_swap_used_bytes",
    help: "Swap in use; a model that is swapped out answers slowly.",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    table: Table::Host,
    from: "/proc/meminfo SwapTotal - SwapFree",
});

/// The source `memory`.
pub static SOURCE: Source = Source {
    name: "memory",
    about: "Main memory and swap",
    metrics: &[SIZE.def(), AVAILABLE.def(), HUGE_ANONYMOUS.def(), SWAP_SIZE.def(), SWAP_USED.def()],
    default: true,
    cadence: Cadence::OnDemand,
    floor: Duration::ZERO,
    remedy: "No /proc/meminfo: mount procfs, or name it with --path.procfs.",
    open: |_| vec![Box::new(Stateless(read))],
};

fn read(root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
    absent_or(root.read("/proc/meminfo"), |text| {
        let bytes = |key: &str| bytes_of(&text, key);
        let size = bytes("MemTotal").filter(|&size| size > 0);
        let Some(size) = size else {
            return Err(root.not_a("list of memory sizes", "/proc/meminfo", &text));
        };
        let linux = Linux::read(root, &text);
        samples.record(&SIZE, [], linux.total.map(|bytes| bytes as f64));
        if linux.container.is_some() {
            // The rest of the file is the container's, and no other file has it of the machine.
            return Ok(Presence::Present);
        }
        let part = |part: Option<u64>| part.filter(|&part| part <= size).map(|part| part as f64);
        let swap = bytes("SwapTotal");
        let swap_used = swap.zip(bytes("SwapFree")).and_then(|(all, free)| all.checked_sub(free));
        samples.record(&AVAILABLE, [], part(bytes("MemAvailable")));
        samples.record(&HUGE_ANONYMOUS, [], part(bytes("AnonHugePages")));
        samples.record(&SWAP_SIZE, [], swap.map(|bytes| bytes as f64));
        samples.record(&SWAP_USED, [], swap_used.map(|bytes| bytes as f64));
        Ok(Presence::Present)
    })
}

/// The value of a line `Key:   123 kB` of `/proc/meminfo`, in bytes.
///
/// `procfs` would parse it too, but loses every value where one is missing and panics on a
/// damaged line (docs/decisions/0002-packages.md).
pub(super) fn bytes_of(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}
