//! Looks at single series: how much a counter grew, for how long a value was high.

use super::phase::Window;
use super::telemetry::Point;

/// By how much a counter grew in a window and over how many seconds, from its first to its last
/// reading in it. None with fewer than two readings, and where it fell.
pub fn growth(points: &[Point], window: Window) -> Option<(f64, f64)> {
    let inside: Vec<&Point> = points.iter().filter(|point| window.holds(point.at)).collect();
    let (first, last) = (inside.first()?, inside.last()?);
    let seconds = Window { from: first.at, to: last.at }.seconds();
    let fell = inside.windows(2).any(|pair| pair[1].value < pair[0].value);
    (seconds > 0.0 && !fell).then_some((last.value - first.value, seconds))
}

/// The growth of a counter a second, over several windows together.
pub fn rate(points: &[Point], windows: &[Window]) -> Option<f64> {
    let grown: Vec<_> = windows.iter().filter_map(|window| growth(points, *window)).collect();
    let more: f64 = grown.iter().map(|(more, _)| more).sum();
    let seconds: f64 = grown.iter().map(|(_, seconds)| seconds).sum();
    (seconds > 0.0).then(|| more / seconds)
}

/// The share of the readings in some windows for which something holds, from 0 to 1; none without
/// readings.
pub fn share(points: &[Point], windows: &[Window], holds: impl Fn(&Point) -> bool) -> Option<f64> {
    let is_inside = |point: &&Point| windows.iter().any(|window| window.holds(point.at));
    let (mut all, mut counted) = (0_u32, 0_u32);
    for point in points.iter().filter(is_inside) {
        all += 1;
        counted += u32::from(holds(point));
    }
    (all > 0).then(|| f64::from(counted) / f64::from(all))
}

/// The least and the greatest value in a window.
pub fn range(points: &[Point], window: Window) -> Option<(f64, f64)> {
    let values = points.iter().filter(|point| window.holds(point.at)).map(|point| point.value);
    values.fold(None, |range, value| {
        let (least, most) = range.unwrap_or((value, value));
        Some((least.min(value), most.max(value)))
    })
}

/// When a counter fell, which it only does where it was reset.
pub fn reset(points: &[Point], window: Window) -> Option<i64> {
    let fell = points.windows(2).find(|pair| {
        pair[1].value < pair[0].value && window.holds(pair[0].at) && window.holds(pair[1].at)
    });
    fell.map(|pair| pair[1].at)
}
