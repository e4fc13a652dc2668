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
    let area = |first: Point, last: Point, seconds: f64| {
        let below = f64::midpoint(first.value, last.value) * seconds;
        Some(below + sensor.filter * (last.value - first.value))
    };
    let energy = sum(&spans(points, sensor.longest_gap, area), window)?;
    let inside = points.iter().filter(|point| window.holds(point.at));
    Some(Energy { peak: inside.map(|point| point.value).reduce(f64::max), ..energy })
}

/// The energy in a window from readings of a counter in joules. None where no part of the window is
/// covered.
pub fn of_counter(points: &[Point], window: Window, longest_gap: f64) -> Option<Energy> {
    // A counter that falls began anew, and nobody knows what it counted between.
    let more =
        |first: Point, last: Point, _| Some(last.value - first.value).filter(|more| *more >= 0.0);
    sum(&spans(points, longest_gap, more), window)
}

/// The time between two readings, and its energy.
#[derive(Debug, Clone, Copy)]
struct Span {
    window: Window,
    joules: f64,
}

impl Span {
    fn watts(self) -> f64 {
        (self.joules / self.window.seconds()).max(0.0)
    }
}

/// What lies between readings that are near enough to each other.
fn spans(
    points: &[Point],
    longest_gap: f64,
    joules: impl Fn(Point, Point, f64) -> Option<f64>,
) -> Vec<Span> {
    let spans = points.windows(2).filter_map(|pair| {
        let window = Window { from: pair[0].at, to: pair[1].at };
        let seconds = window.seconds();
        let is_known = seconds > 0.0 && seconds <= longest_gap;
        let joules = joules(pair[0], pair[1], seconds).filter(|_| is_known)?;
        Some(Span { window, joules })
    });
    spans.collect()
}

fn sum(spans: &[Span], window: Window) -> Option<Energy> {
    let (mut joules, mut covered) = (0.0, 0.0);
    for (index, span) in spans.iter().enumerate() {
        let Some(part) = span.window.overlap(window) else { continue };
        covered += part.seconds();
        joules += if part == span.window {
            span.joules
        } else {
            let before = index.checked_sub(1).and_then(|index| spans.get(index));
            span.joules * share(*span, part, before, spans.get(index + 1))
        };
    }
    let coverage = covered / window.seconds();
    (covered > 0.0).then_some(Energy { joules, covered, coverage, peak: None })
}

/// The share of a span's energy that belongs to its part at one end of a window. Power changes where
/// a phase begins or ends, so each side of that moment gets as much as the power beside it says.
fn share(span: Span, part: Window, before: Option<&Span>, after: Option<&Span>) -> f64 {
    let by_time = part.seconds() / span.window.seconds();
    let watts = |beside: Option<&Span>| beside.map(|beside| beside.watts());
    let (Some(early), Some(late)) = (
        watts(before.filter(|before| before.window.to == span.window.from)),
        watts(after.filter(|after| after.window.from == span.window.to)),
    ) else {
        return by_time;
    };
    let rest = span.window.seconds() - part.seconds();
    let (inside, outside) = match (part.from > span.window.from, part.to < span.window.to) {
        (true, false) => (late * part.seconds(), early * rest),
        (false, true) => (early * part.seconds(), late * rest),
        _ => return by_time,
    };
    if inside + outside > 0.0 { inside / (inside + outside) } else { by_time }
}
