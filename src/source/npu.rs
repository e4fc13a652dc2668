//! The neural processing unit through the driver amdxdna.
//!
//! Kernel code: `drivers/accel/amdxdna`. Its activity, clock and power come from the graphics
//! firmware's table, so the source `amdgpu` records those; the power of this driver's own hwmon is
//! the same once more.

use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::amdgpu::{is_pci_address, uevent_value};
use crate::source::shared::{TEMPERATURE, celsius_from_milli};
use crate::source::{Cadence, Presence, Source, Stateless, absent_or};

static INFO: Metric<3> = Metric::new(Def {
    name: "halo_npu_info",
    help: "The neural processing units of the driver amdxdna.",
    kind: Kind::Gauge,
    unit: Unit::Info,
    labels: &["device", "name", "firmware"],
    table: Table::None,
    from: "/sys/class/accel/accel*/device/uevent, vbnv and fw_version",
});

/// The source `npu`.
pub static SOURCE: Source = Source {
    name: "npu",
    about: "Neural processing unit: identity, and temperature where the driver has a sensor",
    metrics: &[INFO.def(), TEMPERATURE.def()],
    default: true,
    cadence: Cadence::OnDemand,
    // Firmware answers; nothing is known of this unit, so the rate is that of the graphics processor.
    floor: Duration::from_millis(100),
    remedy: "No device of the driver amdxdna: `modprobe amdxdna` loads it (Linux 6.14 or later), and the BIOS can switch the unit off.",
    open: |_| vec![Box::new(Stateless(read))],
};

fn read(root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
    absent_or(root.list("/sys/class/accel"), |names| {
        let mut presence = Presence::Absent;
        for name in names.iter().filter(|name| name.starts_with("accel")) {
            let directory = format!("/sys/class/accel/{name}/device");
            let path = format!("{directory}/uevent");
            let Some(uevent) = samples.known(root.read(&path)) else { continue };
            match uevent_value(&uevent, "DRIVER") {
                Some("amdxdna") => {}
                Some(_) => continue,
                None => {
                    samples.problem(root.not_a("bound device's uevent", &path, &uevent));
                    continue;
                }
            }
            let Some(device) = uevent_value(&uevent, "PCI_SLOT_NAME").filter(is_pci_address) else {
                samples.problem(root.not_a("PCI device's uevent", &path, &uevent));
                continue;
            };
            presence = Presence::Present;
            let mut text = |file: &str| {
                samples.known(root.word(&format!("{directory}/{file}"))).unwrap_or_default()
            };
            let (name, firmware) = (text("vbnv"), text("fw_version"));
            samples.record(&INFO, [device, &name, &firmware], 1.0);
            sensors(root, samples, &directory, device);
        }
        Ok(presence)
    })
}

/// The sensors that newer drivers have (Linux 7.0 with `AMD_PMF`).
fn sensors(root: &Root, samples: &mut Samples, directory: &str, device: &str) {
    let chips = samples.known(root.list(&format!("{directory}/hwmon"))).unwrap_or_default();
    for chip in chips.iter().filter(|chip| chip.starts_with("hwmon")) {
        let path = |file: &str| format!("{directory}/hwmon/{chip}/{file}");
        let milli = samples.known(root.number(&path("temp1_input")));
        samples.record(&TEMPERATURE, [device, "npu"], milli.and_then(celsius_from_milli));
    }
}
