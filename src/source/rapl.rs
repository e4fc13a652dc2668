//! Energy counters of the processor (RAPL) through the powercap interface.
//!
//! Kernel documentation: `Documentation/power/powercap/powercap.rst`. Since Linux 5.10 only root
//! may read them (CVE-2020-8694).

use std::time::Duration;

use std::collections::BTreeMap;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::{Cadence, Presence, Reader, Source, absent_or};

/// Energy counted by RAPL.
pub static ENERGY: Metric<1> = Metric::new(Def {
    name: "halo_energy_joules_total",
    help: "Energy that the processor used, by domain; package includes core, and the wrap of the counter is made up for.",
    kind: Kind::Counter,
    unit: Unit::Joules,
    labels: &["domain"],
    table: Table::Energy,
    from: "/sys/class/powercap/intel-rapl:*/energy_uj (microjoules, wraps at max_energy_range_uj); AMD processors have the same names",
});

/// The source `rapl`.
pub static SOURCE: Source = Source {
    name: "rapl",
    about: "Energy of the processor's package and cores (RAPL), where it may be read",
    metrics: &[ENERGY.def()],
    default: true,
    cadence: Cadence::OnDemand,
    floor: Duration::ZERO,
    remedy: "No /sys/class/powercap/intel-rapl:0: `modprobe intel_rapl_msr` loads it, also on AMD processors.",
    open: |_| vec![Box::<Rapl>::default()],
};

/// The counters so far: a wrap cannot be told from a smaller counter later.
#[derive(Default)]
struct Rapl {
    zones: BTreeMap<String, Zone>,
}

#[derive(Debug, Clone, Copy)]
struct Zone {
    last: u64,
    total: u64,
}

impl Reader for Rapl {
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        absent_or(root.list("/sys/class/powercap"), |names| {
            let mut presence = Presence::Absent;
            let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
            let mut failure = None;
            for name in names.iter().filter(|name| name.starts_with("intel-rapl:")) {
                let path = |file: &str| format!("/sys/class/powercap/{name}/{file}");
                let Some(kind) = samples.known(root.read(&path("name"))) else { continue };
                let domain = match kind.as_str() {
                    "core" => "core",
                    kind if kind.starts_with("package-") => "package",
                    _ => continue,
                };
                presence = Presence::Present;
                match root.number(&path("energy_uj")) {
                    Ok(energy) => {
                        let range = samples.known(root.number(&path("max_energy_range_uj")));
                        *totals.entry(domain).or_default() += self.advance(name, energy, range);
                    }
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            match failure {
                Some(error) if totals.is_empty() => return Err(error),
                Some(error) => samples.problem(error),
                None => {}
            }
            for (domain, micro) in totals {
                samples.record(&ENERGY, [domain], micro as f64 / 1e6);
            }
            Ok(presence)
        })
    }
}

impl Rapl {
    /// The energy of a zone since its counter began, in microjoules.
    fn advance(&mut self, name: &str, now: u64, range: Option<u64>) -> u64 {
        let zone = self.zones.entry(name.to_owned()).or_insert(Zone { last: now, total: now });
        let step = match now.checked_sub(zone.last) {
            Some(step) => step,
            // The counter wrapped; where its range is unknown, what came before the wrap is lost.
            None => range.and_then(|range| range.checked_sub(zone.last)).unwrap_or(0) + now,
        };
        *zone = Zone { last: now, total: zone.total + step };
        zone.total
    }
}
