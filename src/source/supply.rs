//! Whether the machine runs from mains: power limits change with it.
//!
//! Kernel documentation: `Documentation/ABI/testing/sysfs-class-power`.

use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::{Cadence, Presence, Source, Stateless, absent_or};

/// Whether a supply is connected.
pub static ONLINE: Metric<1> = Metric::new(Def {
    name: "halo_supply_online",
    help: "Whether a mains or USB supply is connected: 1 yes, 0 no; firmware lowers power limits on battery.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &["supply"],
    table: Table::Supply,
    from: "/sys/class/power_supply/*/online of type Mains or USB",
});

/// The source `supply`.
pub static SOURCE: Source = Source {
    name: "supply",
    about: "Mains or battery",
    metrics: &[ONLINE.def()],
    default: true,
    cadence: Cadence::OnDemand,
    floor: Duration::ZERO,
    remedy: "Nothing in /sys/class/power_supply, as on every desktop: nothing to do.",
    open: |_| vec![Box::new(Stateless(read))],
};

/// The kinds that are no connection to mains (`POWER_SUPPLY_TYPE_TEXT` in
/// `drivers/power/supply/power_supply_sysfs.c`).
const OTHERS: [&str; 5] = ["Battery", "BrickID", "UPS", "Unknown", "Wireless"];

fn read(root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
    absent_or(root.list("/sys/class/power_supply"), |names| {
        let mut presence = Presence::Absent;
        for name in &names {
            let path = |file: &str| format!("/sys/class/power_supply/{name}/{file}");
            let Some(kind) = samples.known(root.word(&path("type"))) else { continue };
            if kind != "Mains" && !kind.starts_with("USB") {
                if !OTHERS.contains(&kind.as_str()) {
                    samples.problem(root.not_a("kind of power supply", &path("type"), &kind));
                }
                continue;
            }
            presence = Presence::Present;
            // USB supplies report 2 for a fixed and 3 for a programmable voltage.
            let online: Option<u8> = samples.known(root.number(&path("online")));
            let online = online.filter(|&online| online <= 3).map(|online| online.min(1));
            samples.record(&ONLINE, [name], online.map(f64::from));
        }
        Ok(presence)
    })
}
