//! Sensors of the board that explain a run: the processor's own temperature, disks that a
//! model is loaded from, memory modules, fans.
//!
//! Kernel documentation: `Documentation/hwmon/sysfs-interface.rst` and `k10temp.rst`.
//! The sensors of amdgpu and amdxdna belong to their own sources.

use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::registered::Registered;
use crate::source::shared::{TEMPERATURE, celsius_from_milli};
use crate::source::{Cadence, Presence, Reader, Source, absent_or};

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
    // Firmware answers, and has been seen to take it well at this rate.
    floor: Duration::from_millis(100),
    remedy: "No sensors in /sys/class/hwmon: `modprobe k10temp` gives the processor's; Strix Halo needs Linux 6.18, or a stable kernel since November 2025.",
    open: |_| vec![Box::<Hwmon>::default()],
};

/// Chips whose sensors other sources read, and those of other graphics drivers, which a read
/// would wake.
const FOREIGN: [&str; 8] =
    ["NPU_power", "NPU_temperature", "amdgpu", "amdxdna", "i915", "nouveau", "radeon", "xe"];

/// No fan of a board turns faster.
const LARGEST_RPM: u32 = 50_000;

#[derive(Default)]
struct Hwmon {
    chips: Registered<Option<Chip>>,
}

/// One chip.
struct Chip {
    name: String,
    device: String,
    sensors: Vec<Sensor>,
}

struct Sensor {
    path: String,
    /// The label of a temperature or the number of a fan.
    label: String,
    kind: SensorKind,
}

#[derive(Clone, Copy, PartialEq)]
enum SensorKind {
    Processor,
    Board,
    Fan,
}

impl Reader for Hwmon {
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        absent_or(root.entries("/sys/class/hwmon"), |entries| {
            let mut presence = Presence::Absent;
            let find = |samples: &mut Samples, entry: &str| Chip::find(root, samples, entry);
            self.chips.read(entries, samples, find, |samples, _, chip| {
                if let Some(chip) = chip {
                    presence = Presence::Present;
                    chip.read(root, samples);
                }
            });
            Ok(presence)
        })
    }
}

impl Chip {
    /// Finds a chip's sensors, unless other sources read them.
    fn find(root: &Root, samples: &mut Samples, entry: &str) -> Option<Self> {
        let directory = format!("/sys/class/hwmon/{entry}");
        let name = samples.known(root.word(&format!("{directory}/name")))?;
        if name.is_empty() || FOREIGN.contains(&name.as_str()) {
            return None;
        }
        // The device is stable, the number of the hwmon is not.
        let device = root.link(&format!("{directory}/device")).unwrap_or_default();
        let files = samples.known(root.list(&directory))?;
        let inputs = files.iter().filter_map(|file| file.strip_suffix("_input"));
        let sensors =
            inputs.filter_map(|input| Sensor::find(root, samples, &directory, &name, input));
        Some(Self { sensors: sensors.collect(), name, device })
    }

    fn read(&self, root: &Root, samples: &mut Samples) {
        for Sensor { path, label, kind } in &self.sensors {
            if *kind == SensorKind::Fan {
                let rpm: Option<u32> = samples.known(root.number(path));
                let rpm = rpm.filter(|&rpm| rpm <= LARGEST_RPM).map(f64::from);
                samples.record(&FAN, [&self.name, &self.device, label], rpm);
                continue;
            }
            let celsius = samples.known(root.number(path)).and_then(celsius_from_milli);
            if *kind == SensorKind::Processor {
                samples.record(&TEMPERATURE, ["package", "cpu_tctl"], celsius);
            } else {
                samples.record(&BOARD_TEMPERATURE, [&self.name, &self.device, label], celsius);
            }
        }
    }
}

impl Sensor {
    fn find(
        root: &Root,
        samples: &mut Samples,
        directory: &str,
        chip: &str,
        input: &str,
    ) -> Option<Self> {
        let path = format!("{directory}/{input}_input");
        if is_numbered(input, "fan") {
            return Some(Self { path, label: input.to_owned(), kind: SensorKind::Fan });
        }
        if !is_numbered(input, "temp") {
            return None;
        }
        let label = samples
            .known(root.word(&format!("{directory}/{input}_label")))
            .filter(|label| !label.is_empty())
            .unwrap_or_else(|| input.to_owned());
        let kind = match (chip, label.as_str()) {
            ("k10temp" | "zenpower", "Tctl") => SensorKind::Processor,
            // Strix Halo has no other; what zenpower shows as Tccd there is 149 or 0.
            ("k10temp" | "zenpower", _) => return None,
            _ => SensorKind::Board,
        };
        Some(Self { path, label, kind })
    }
}

fn is_numbered(sensor: &str, kind: &str) -> bool {
    sensor
        .strip_prefix(kind)
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
