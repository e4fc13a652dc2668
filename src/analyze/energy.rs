//! Energy in a span of time, from readings of power or of a counter.
//!
//! Firmware does not show power itself but a low-pass filter of it: `time_filter_alphavalue` of
//! `gpu_metrics` v3.0 is a time constant of one second. A reading `m` follows the power `p` by
//! `p = m + τ·dm/dt`, so the energy between two readings is the area below them plus
//! `τ·(m₂ − m₁)`. Without that term a phase would lend energy to the one after it.

use super::phase::Window;
use super::telemetry::Point;

/// What is known of a sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensor {
    /// The time constant of its filter in seconds; 0 for one without.
    pub filter: f64,
    /// Seconds between two readings beyond which nobody knows what was between them.
    pub longest_gap: f64,
}

/// Energy that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Energy {
    /// In the time that is covered; never more than was measured.
    pub joules: f64,
    /// Seconds for which there are readings.
    pub covered: f64,
    /// The share of the window that is covered, from 0 to 1.
    pub coverage: f64,
    /// The highest reading in the window, in watts; none for a counter.
    pub peak: Option<f64>,
}

impl Energy {
    /// Watts, mean over the time that is covered.
    pub fn mean_watts(&self) -> f64 {
        self.joules / self.covered
    }
}

/// The energy in a window from readings of power in watts, in the order of time. None where no
/// part of the window is covered.
pub fn of_power(points: &[Point], window: Window, sensor: Sensor) -> Option<Energy> {
    let area = |pair: Pair| {
        let (first, last) = (pair.first.value, pair.last.value);
        Some(f64::midpoint(first, last) * pair.seconds() + sensor.filter * (last - first))
    };
    let peak = points.iter().filter(|point| window.holds(point.at)).map(|point| point.value);
    let energy = sum(points, window, sensor.longest_gap, area)?;
    Some(Energy { peak: peak.reduce(f64::max), ..energy })
}

/// The energy in a window from readings of a counter in joules. None where no part of the window is
/// covered.
pub fn of_counter(points: &[Point], window: Window, longest_gap: f64) -> Option<Energy> {
    // A counter that falls began anew, and nobody knows what it counted between.
    let increase =
        |pair: Pair| Some(pair.last.value - pair.first.value).filter(|more| *more >= 0.0);
    sum(points, window, longest_gap, increase)
}

/// Two readings beside each other, cut to the window.
#[derive(Debug, Clone, Copy)]
struct Pair {
    first: Point,
    last: Point,
}

impl Pair {
    fn seconds(self) -> f64 {
        Window { from: self.first.at, to: self.last.at }.seconds()
    }

    fn cut(self, window: Window) -> Option<Self> {
        let whole = Window { from: self.first.at, to: self.last.at };
        let part = whole.overlap(window)?;
        let slope = (self.last.value - self.first.value) / self.seconds();
        let at = |at: i64| Point {
            at,
            value: self.first.value + slope * Window { from: self.first.at, to: at }.seconds(),
        };
        Some(Self { first: at(part.from), last: at(part.to) })
    }
}

fn sum(
    points: &[Point],
    window: Window,
    longest_gap: f64,
    joules_of: impl Fn(Pair) -> Option<f64>,
) -> Option<Energy> {
    let (mut joules, mut covered) = (0.0, 0.0);
    for pair in points.windows(2).map(|pair| Pair { first: pair[0], last: pair[1] }) {
        if pair.seconds() > longest_gap {
            continue;
        }
        let Some(part) = pair.cut(window) else { continue };
        let Some(more) = joules_of(part) else { continue };
        joules += more;
        covered += part.seconds();
    }
    let coverage = covered / window.seconds();
    (covered > 0.0).then_some(Energy { joules, covered, coverage, peak: None })
}
