//! Sensors of the board that explain a run: the processor's own temperature, disks that a
//! model is loaded from, memory modules, fans.
//!
//! Kernel documentation: `Documentation/hwmon/sysfs-interface.rst` and `k10temp.rst`.
//! Boards of Sixunited (AXB35), in mini PCs of many vendors, have the files of their controller's
//! driver instead (`cmetz/ec-su_axb35-linux`).
//! The sensors of amdgpu and amdxdna belong to their own sources.

use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root};
use crate::source::registered::Registered;
use crate::source::shared::{TEMPERATURE, celsius_from_milli, plausible_celsius};
use crate::source::{Cadence, Presence, Reader, Source, absent_or};

static BOARD_TEMPERATURE: Metric<3> = Metric::new(Def {
    name: "halo_board_temperature_celsius",
    help: "Temperature of what surrounds the processor: disks, memory modules, network, chassis.",
    kind: Kind::Gauge,
    unit: Unit::Celsius,
    labels: &["chip", "device", "sensor"],
    table: Table::BoardTemperature,
    from: "/sys/class/hwmon/hwmon*/temp*_input (thousandths of a degree), /sys/class/ec_su_axb35/temp1/temp (degrees)",
});
static FAN: Metric<3> = Metric::new(Def {
    name: "halo_fan_speed_rpm",
    help: "Speed of a fan; 0 is one that stands still.",
    kind: Kind::Gauge,
    unit: Unit::Rpm,
    labels: &["chip", "device", "fan"],
    table: Table::Fan,
    from: "/sys/class/hwmon/hwmon*/fan*_input, /sys/class/ec_su_axb35/fan*/rpm",
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

/// Chips whose sensors other sources read, those of other graphics drivers, which a read would
/// wake, and one that repeats the files of [`BOARD`].
const FOREIGN: [&str; 9] = [
    "NPU_power",
    "NPU_temperature",
    "amdgpu",
    "amdxdna",
    "i915",
    "nouveau",
    "radeon",
    "su_axb35",
    "xe",
];

/// The class of the devices of an AXB35 board's controller.
const BOARD: &str = "ec_su_axb35";

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
        let has_board = read_board(root, samples);
        let of_board = if has_board { Presence::Present } else { Presence::Absent };
        let entries = match root.entries("/sys/class/hwmon") {
            Err(error) if error.is_absent() && has_board => Ok(Vec::new()),
            entries => entries,
        };
        absent_or(entries, |entries| {
            let mut presence = of_board;
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

/// Reads the fans and the temperature of an AXB35 board, and says whether it is one.
fn read_board(root: &Root, samples: &mut Samples) -> bool {
    let directory = format!("/sys/class/{BOARD}");
    let Some(devices) = samples.known(root.list(&directory)) else { return false };
    for device in devices {
        if is_numbered(&device, "fan") {
            let rpm = samples.known(root.number(&format!("{directory}/{device}/rpm")));
            samples.record(&FAN, [BOARD, "", &device], rpm.and_then(plausible_rpm));
        } else if is_numbered(&device, "temp") {
            let celsius: Option<u32> =
                samples.known(root.number(&format!("{directory}/{device}/temp")));
            let celsius = celsius.and_then(|celsius| plausible_celsius(f64::from(celsius)));
            samples.record(&BOARD_TEMPERATURE, [BOARD, "", &device], celsius);
        }
    }
    true
}

fn plausible_rpm(rpm: u32) -> Option<f64> {
    (rpm <= LARGEST_RPM).then_some(f64::from(rpm))
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
                let rpm = samples.known(root.number(path)).and_then(plausible_rpm);
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
