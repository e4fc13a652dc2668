//! Pressure stall information (PSI).
//!
//! Kernel documentation: `Documentation/accounting/psi.rst`.

use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::Root;
use crate::source::{Cadence, Presence, Source, Stateless};

/// Time that processes waited for a resource (PSI).
pub static STALLED: Metric<2> = Metric::new(Def {
    name: "halo_pressure_stalled_seconds_total",
    help: "Time that some or all tasks waited for a resource.",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &["resource", "kind"],
    table: Table::Pressure,
    from: "/proc/pressure/cpu, memory and io: total (microseconds)",
});

/// The source `pressure`.
pub static SOURCE: Source = Source {
    name: "pressure",
    about: "Pressure stall information: time that tasks waited for processor, memory, disks",
    metrics: &[STALLED.def()],
    default: true,
    cadence: Cadence::OnDemand,
    floor: Duration::ZERO,
    remedy: "No /proc/pressure: the kernel needs CONFIG_PSI; where it is built in but off, add `psi=1` to the kernel command line.",
    open: |_| vec![Box::new(Stateless(|root, samples| Ok(read(root, samples))))],
};

fn read(root: &Root, samples: &mut Samples) -> Presence {
    let mut presence = Presence::Absent;
    for resource in ["cpu", "memory", "io"] {
        let path = format!("/proc/pressure/{resource}");
        let text = match root.read(&path) {
            Err(error) if error.is_absent() => continue,
            text => text,
        };
        presence = Presence::Present;
        let Some(text) = samples.known(text) else { continue };
        let known = samples.values().len();
        for kind in ["some", "full"] {
            let seconds = stalled_microseconds(&text, kind).map(|micro| micro as f64 / 1e6);
            samples.record(&STALLED, [resource, kind], seconds);
        }
        if samples.values().len() == known {
            samples.problem(root.not_a("pressure record", &path, &text));
        }
    }
    presence
}

/// The total of a line `some avg10=0.00 avg60=0.00 avg300=0.00 total=123`.
///
/// `procfs` would parse it too, but panics on a line that is cut after its first word
/// (docs/decisions/0002-packages.md).
fn stalled_microseconds(text: &str, kind: &str) -> Option<u64> {
    let record = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
    record.split_whitespace().find_map(|field| field.strip_prefix("total=")?.parse().ok())
}
