//! Families that several sources feed.

use crate::metric::{Def, Kind, Metric, Table, Unit};

/// Power, by the device that reported it and the domain that it is about.
pub static POWER: Metric<2> = Metric::new(Def {
    name: "halo_power_watts",
    help: "Power of a part of the machine: socket is the whole processor and includes gfx, cpu and npu, so never sum over domain; card is a discrete GPU with its board as far as firmware counts it; ppt is one of the two, of a GPU of which nobody knows whether it is an APU or a card.",
    kind: Kind::Gauge,
    unit: Unit::Watts,
    labels: &["device", "domain"],
    table: Table::Power,
    from: "gpu_metrics average_socket_power, average_gfx_power, average_all_core_power (v2: average_cpu_power) and average_ipu_power; where the table has no socket power, power1_average or power1_input of the GPU's hwmon, which is the socket's for an APU and the card's for a discrete one (halo_gpu_kind_info)",
});

/// Temperatures of the processor and its parts.
pub static TEMPERATURE: Metric<2> = Metric::new(Def {
    name: "halo_temperature_celsius",
    help: "Temperature of a part of the processor, by the device that reported it.",
    kind: Kind::Gauge,
    unit: Unit::Celsius,
    labels: &["device", "sensor"],
    table: Table::Temperature,
    from: "gpu_metrics temperature_gfx, temperature_soc and temperature_skin; temp1_input of the card's hwmon (gpu_edge); Tctl of k10temp (cpu_tctl); temp1_input of amdxdna's hwmon (npu)",
});

/// Activity of a neural processing unit.
pub static NPU_BUSY: Metric<1> = Metric::new(Def {
    name: "halo_npu_busy_ratio",
    help: "Share of time that the columns of the neural processing unit worked, mean over the columns.",
    kind: Kind::Gauge,
    unit: Unit::Ratio,
    labels: &["device"],
    table: Table::Npu,
    from: "gpu_metrics v3.0 average_ipu_activity (percent for each column, filtered over 1 s by firmware)",
});

/// Clock of a neural processing unit.
pub static NPU_CLOCK: Metric<1> = Metric::new(Def {
    name: "halo_npu_clock_hertz",
    help: "Clock of the neural processing unit, as firmware aims at it.",
    kind: Kind::Gauge,
    unit: Unit::Hertz,
    labels: &["device"],
    table: Table::Npu,
    from: "gpu_metrics v3.0 average_ipuclk_frequency (MHz, filtered over 1 s by firmware)",
});

/// Degrees Celsius from the hwmon interface's thousandths, where they can be true.
pub fn celsius_from_milli(milli: i64) -> Option<f64> {
    plausible_celsius(milli as f64 / 1000.0)
}

/// A temperature that silicon can have. Firmware reports 0 for a sensor that it does not have
/// (all of `temperature_core` on Strix Halo), and 150 is above any limit.
pub fn plausible_celsius(celsius: f64) -> Option<f64> {
    (celsius > 0.0 && celsius <= 150.0).then_some(celsius)
}
