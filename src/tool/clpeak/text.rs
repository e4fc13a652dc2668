//! What clpeak 1.1 prints.

use super::NAME;
use crate::tool::Row;

/// The platform, and the figures of each test.
pub(super) fn read(printed: &str) -> (Option<String>, Vec<Row>) {
    let mut platform = None;
    let (mut test, mut unit) = (String::new(), String::new());
    let mut devices = 0;
    let mut rows = Vec::new();
    for line in printed.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("Platform: ") {
            platform = platform.or_else(|| Some(name.to_owned()));
        } else if line.starts_with("Device: ") {
            devices += 1;
        } else if let Some((name, rest)) = line.strip_suffix(')').and_then(|l| l.split_once(" (")) {
            // `Global memory bandwidth (GBPS)`; the driver's version has a colon before.
            if !name.contains(':') {
                (test, unit) = (name.to_owned(), rest.to_owned());
            }
        } else if let Some((name, value)) = line.split_once(" : ") {
            let name = name.trim();
            let (value, own_unit) = value.split_once(' ').unwrap_or((value, ""));
            let is_of_test = own_unit.is_empty() && !test.is_empty();
            let is_latency = name == "Kernel launch latency";
            let Ok(value) = value.trim().parse::<f64>() else { continue };
            if is_of_test || is_latency {
                let device =
                    if devices > 1 { format!(", device {devices}") } else { String::new() };
                let case = if is_latency { name.to_owned() } else { format!("{test} {name}") };
                let unit = if is_latency { own_unit.to_owned() } else { unit.clone() };
                rows.push(Row {
                    task: NAME.to_owned(),
                    case: case + &device,
                    repetition: None,
                    metric: if is_latency { "latency" } else { "throughput" }.to_owned(),
                    value,
                    unit,
                });
            }
        }
    }
    (platform, rows)
}
