//! What clpeak 1.1 prints.

use super::{Device, Measured};

/// What a test is called that stands on one line.
const LATENCY: &str = "Kernel launch latency";

/// The figures of each test of each device.
pub(super) fn read(printed: &str) -> Vec<Measured> {
    let mut platform = String::new();
    let mut devices: Vec<Device> = Vec::new();
    // A test's name and unit; the lines about a device, as its compute units, are of no test.
    let mut test: Option<(String, String)> = None;
    let mut measured = Vec::new();
    let whole = printed.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    for line in whole.map(str::trim) {
        if let Some(name) = line.strip_prefix("Platform: ") {
            name.clone_into(&mut platform);
            test = None;
        } else if let Some(name) = line.strip_prefix("Device: ") {
            // Behind it stands what the driver says of itself.
            let name = name.split(" (").next().unwrap_or(name).to_owned();
            devices.push(Device { backend: platform.clone(), name, number: devices.len() });
            test = None;
        } else if let Some((name, unit)) = line.strip_suffix(')').and_then(|l| l.split_once(" (")) {
            // `Global memory bandwidth (GBPS)`; the driver's version has a colon before.
            if !name.contains(':') {
                test = Some((name.to_owned(), unit.to_owned()));
            }
        } else if let Some((name, value)) = line.split_once(" : ") {
            let name = name.trim();
            let (value, own_unit) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
            let Some(value) = value.parse::<f64>().ok().filter(|value| value.is_finite()) else {
                continue;
            };
            let (test, metric, unit) = match &test {
                _ if name == LATENCY => (name.to_owned(), "latency", own_unit),
                Some((test, unit)) if own_unit.is_empty() => {
                    (format!("{test} {name}"), "throughput", unit.as_str())
                }
                _ => continue,
            };
            measured.push(Measured {
                device: devices.last().cloned().unwrap_or_default(),
                test,
                metric: metric.to_owned(),
                value,
                unit: unit.to_owned(),
            });
        }
    }
    measured
}
