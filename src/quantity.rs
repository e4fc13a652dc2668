//! Quantities as people write them.

use std::time::Duration;

/// The most decimals that are written out; what is smaller is written with an exponent.
const MOST_DECIMALS: i32 = 9;

/// A number with four digits that count, or more where it is larger.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value:.3}");
    }
    let decimals = 3 - magnitude(value);
    match decimals {
        tiny if tiny > MOST_DECIMALS => format!("{value:.3e}"),
        // Between 0.1 and 1 three are enough: 0.544.
        few if value.abs() >= 0.1 => fixed(value, few.clamp(0, 3)),
        more => fixed(value, more),
    }
}

/// A number and how far it may be off: the latter with two digits that count, the former to the same
/// place. `28.200` and `0.069`; `12350` and `680`.
pub fn uncertain(value: f64, uncertainty: f64) -> (String, String) {
    // Equal values whose sum is rounded seem to vary in the last bits.
    let uncertainty = if uncertainty.abs() <= 1e-12 * value.abs() { 0.0 } else { uncertainty };
    match place(uncertainty) {
        Some(place) if place <= MOST_DECIMALS => {
            // 28.33 and 0.07, from a table with two decimals, have no third.
            let fewer = place - 1;
            let is_exact = |number: f64| fixed(number, fewer).parse() == Ok(number);
            let place =
                if place > 0 && is_exact(value) && is_exact(uncertainty) { fewer } else { place };
            (fixed(value, place), fixed(uncertainty, place))
        }
        _ if uncertainty == 0.0 => (number(value), "0".to_owned()),
        _ => (number(value), number(uncertainty)),
    }
}

/// A number with digits as far as it is known.
pub fn within(value: f64, uncertainty: Option<f64>) -> String {
    uncertainty.map_or_else(|| number(value), |uncertainty| uncertain(value, uncertainty).0)
}

/// A share as percent: `3 %`, `0.5 %`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A relative difference and its interval, with as many digits as the interval is sure of:
/// `-9.03 % (-9.41 to -8.65)`.
pub fn relative(difference: f64, interval: Option<(f64, f64)>) -> String {
    let signed = |share: f64, decimals: i32| {
        let text = fixed(100.0 * share, decimals);
        if text.starts_with('-') { text } else { format!("+{text}") }
    };
    let Some((low, high)) = interval else { return format!("{} %", signed(difference, 2)) };
    let reach = 100.0 * (high - difference).max(difference - low);
    // More than four decimals of a percent say nothing to anybody.
    let decimals = place(reach).unwrap_or(2).min(4);
    let signed = |share: f64| signed(share, decimals);
    format!("{} % ({} to {})", signed(difference), signed(low), signed(high))
}

/// How many decimals show two digits of an uncertainty that count; fewer than 0 where it ends left
/// of the point. `None` if it is 0 or no number.
fn place(uncertainty: f64) -> Option<i32> {
    if uncertainty == 0.0 || !uncertainty.is_finite() {
        return None;
    }
    let decimals = 1 - magnitude(uncertainty);
    // 0.0996 is rounded to 0.10, which has one digit less behind the point.
    let power = 10_f64.powi(decimals);
    Some(1 - magnitude((uncertainty * power).round() / power))
}

/// The power of ten of the first digit that counts: 0 for 1 to 9.99.
fn magnitude(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "an exponent is between -324 and 308")]
    let exponent = value.abs().log10().floor() as i32;
    exponent
}

/// A number with so many decimals, or rounded left of the point where they are fewer than 0.
fn fixed(value: f64, decimals: i32) -> String {
    let power = 10_f64.powi(-decimals.min(0));
    let rounded = if decimals < 0 { (value / power).round() * power } else { value };
    let decimals = usize::try_from(decimals).unwrap_or(0);
    let text = format!("{rounded:.decimals$}");
    // There is no -0.
    let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
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
