//! Quantities as people write them.

use std::time::Duration;

/// A number with four digits that count, or more where it is larger.
pub fn number(value: f64) -> String {
    let digits: usize = match value.abs() {
        v if v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        v if v >= 0.1 || v == 0.0 => 3,
        _ => 6,
    };
    format!("{value:.digits$}")
}

/// A number of bytes: `512.00 MiB`, `18.63 GiB`.
pub fn bytes(bytes: f64) -> String {
    const MEBIBYTE: f64 = 1024.0 * 1024.0;
    match bytes / MEBIBYTE {
        large if large >= 1024.0 => format!("{:.2} GiB", large / 1024.0),
        small => format!("{small:.2} MiB"),
    }
}

/// A time: `250 ms`, `45 s`, `12 min`, `3 h 20 min`.
pub fn time(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..90 => format!("{seconds} s"),
        seconds @ 90..5400 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
