//! Sensors of the board that explain a run: the processor's own temperature, disks that a
//! model is loaded from, memory modules, fans.
//!
//! Kernel documentation: `Documentation/hwmon/sysfs-interface.rst` and `k10temp.rst`.
//! The sensors of amdgpu and amdxdna belong to their own sources.

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::shared::{TEMPERATURE, celsius_from_milli};
use crate::source::{Cadence, Presence, Source, Stateless, absent_or};

static BOARD_TEMPERATURE: Metric<3> = Metric::new(Def {
    name: "halo_board_temperature_celsius",
    help: "Temperature of what surrounds the processor: disks, memory modules, network, chassis.",
    kind: Kind::Gauge,
    unit: Unit::Celsius,
    labels: &["chip", "device", "sensor"],
    table: Table::BoardTemperature,
    from: "/sys/class/hwmon/hwmon*/temp*_input (thousandths of a degree)",
});
static FAN: Metric<3> = Metric::new(Def {
    name: "halo_fan_speed_rpm",
    help: "Speed of a fan; 0 is one that stands still.",
    kind: Kind::Gauge,
    unit: Unit::Rpm,
    labels: &["chip", "device", "fan"],
    table: Table::Fan,
    from: "/sys/class/hwmon/hwmon*/fan*_input",
});

/// The source `hwmon`.
pub static SOURCE: Source = Source {
    name: "hwmon",
    about: "Sensors of the board: processor temperature (k10temp), disks, memory modules, fans",
    metrics: &[TEMPERATURE.def(), BOARD_TEMPERATURE.def(), FAN.def()],
    default: true,
    cadence: Cadence::OnDemand,
    remedy: "No sensors in /sys/class/hwmon: `modprobe k10temp` gives the processor's; Strix Halo needs Linux 6.18, or a stable kernel since November 2025.",
    open: |_| vec![Box::new(Stateless(read))],
};

/// Chips whose sensors other sources read, and those of other graphics drivers, which a read
/// would wake.
const FOREIGN: [&str; 8] =
    ["NPU_power", "NPU_temperature", "amdgpu", "amdxdna", "i915", "nouveau", "radeon", "xe"];

/// No fan of a board turns faster.
const LARGEST_RPM: u32 = 50_000;

fn read(root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
    absent_or(root.list("/sys/class/hwmon"), |names| {
        let mut presence = Presence::Absent;
        for name in &names {
            let directory = format!("/sys/class/hwmon/{name}");
            let Some(chip) = samples.known(root.read(&format!("{directory}/name"))) else {
                continue;
            };
            if chip.is_empty() || FOREIGN.contains(&chip.as_str()) {
                continue;
            }
            presence = Presence::Present;
            let Some(files) = samples.known(root.list(&directory)) else { continue };
            // The device is stable, the number of the hwmon is not.
            let device = root.link(&format!("{directory}/device")).unwrap_or_else(|_| name.clone());
            for file in &files {
                let Some(sensor) = file.strip_suffix("_input") else { continue };
                if is_numbered(sensor, "temp") {
                    temperature(root, samples, &directory, &chip, &device, sensor);
                } else if is_numbered(sensor, "fan") {
                    let rpm: Option<u32> =
                        samples.known(root.number(&format!("{directory}/{file}")));
                    let rpm = rpm.filter(|&rpm| rpm <= LARGEST_RPM).map(f64::from);
                    samples.record(&FAN, [&chip, &device, sensor], rpm);
                }
            }
        }
        Ok(presence)
    })
}

fn temperature(
    root: &Root,
    samples: &mut Samples,
    directory: &str,
    chip: &str,
    device: &str,
    sensor: &str,
) {
    let label = samples
        .known(root.read(&format!("{directory}/{sensor}_label")))
        .filter(|label| !label.is_empty())
        .unwrap_or_else(|| sensor.to_owned());
    let milli = samples.known(root.number(&format!("{directory}/{sensor}_input")));
    let celsius = milli.and_then(celsius_from_milli);
    match (chip, label.as_str()) {
        ("k10temp" | "zenpower", "Tctl") => {
            samples.record(&TEMPERATURE, ["package", "cpu_tctl"], celsius);
        }
        // Strix Halo has no other; what zenpower shows as Tccd there is 149 or 0.
        ("k10temp" | "zenpower", _) => {}
        _ => samples.record(&BOARD_TEMPERATURE, [chip, device, &label], celsius),
    }
}

fn is_numbered(sensor: &str, kind: &str) -> bool {
    sensor
        .strip_prefix(kind)
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
