//! What a run is worth, on recordings that are made up here so that the truth is known.

pub(crate) mod compare;
mod devices;
mod energy;
mod evals;
mod models;
mod stats;
mod verdict;

use std::collections::BTreeMap;

use halo::analyze::Telemetry;
use halo::analyze::telemetry::{Event, Point, Series, Tick, Unreadable};
use halo::metric::Def;

/// Samples a second.
const RATE: f64 = 4.0;

/// Nanoseconds of so many seconds.
#[expect(clippy::cast_possible_truncation, reason = "a few minutes")]
pub(crate) fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

/// A machine whose sensors show what a test says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    pub(crate) series: BTreeMap<(&'static str, Vec<String>), Vec<Point>>,
    pub(crate) events: Vec<Event>,
    pub(crate) ticks: Vec<Tick>,
}

impl Telemetry for Recording {
    fn series(&self, family: &Def) -> Result<Vec<Series>, Unreadable> {
        let of_family = self.series.iter().filter(|((name, _), _)| *name == family.name);
        Ok(of_family
            .map(|((_, labels), points)| Series { labels: labels.clone(), points: points.clone() })
            .collect())
    }

    fn events(&self) -> Result<Vec<Event>, Unreadable> {
        Ok(self.events.clone())
    }

    fn ticks(&self) -> Result<Vec<Tick>, Unreadable> {
        Ok(self.ticks.clone())
    }
}

impl Recording {
    /// A recording of so many seconds, without series, whose command runs from `from` to `to`.
    pub(crate) fn new(seconds: f64, from: f64, to: f64) -> Self {
        let ticks = times(seconds).map(|time| Tick {
            at: nanoseconds(time),
            late: 0,
            cost: 0,
            skipped: 0,
            failing: None,
        });
        let mut recording = Self { ticks: ticks.collect(), ..Self::default() };
        recording.event("halo", "command started", from, &[]);
        recording.event("halo", "command ended", to, &[]);
        recording
    }

    pub(crate) fn event(&mut self, by: &str, name: &str, at: f64, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        self.events.push(Event {
            at: nanoseconds(at),
            by: by.to_owned(),
            name: name.to_owned(),
            attributes: attributes.collect(),
        });
        self.events.sort_by_key(|event| event.at);
    }

    /// A series whose value at each sample is that of a function of seconds.
    pub(crate) fn shows(
        &mut self,
        family: &'static str,
        labels: &[&str],
        value: impl Fn(f64) -> f64,
    ) -> &mut Self {
        let points =
            self.ticks.iter().map(|tick| Point { at: tick.at, value: value(tick.at as f64 / 1e9) });
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.series.insert((family, labels), points.collect());
        self
    }

    /// The socket's power, as firmware shows what is truly drawn: through a filter of a second.
    pub(crate) fn draws(&mut self, watts: impl Fn(f64) -> f64) -> &mut Self {
        let seconds = self.ticks.last().map_or(0.0, |tick| tick.at as f64 / 1e9);
        let points = filtered(seconds, watts);
        self.series.insert(
            ("halo_power_watts", vec!["0000:c5:00.0".to_owned(), "socket".to_owned()]),
            points,
        );
        self
    }

    /// Takes the samples of a time away.
    pub(crate) fn lose(&mut self, from: f64, to: f64) {
        let is_lost = |at: i64| (nanoseconds(from)..nanoseconds(to)).contains(&at);
        self.ticks.retain(|tick| !is_lost(tick.at));
        for points in self.series.values_mut() {
            points.retain(|point| !is_lost(point.at));
        }
    }
}

/// When samples are taken: with the lateness of a busy machine, always the same.
pub(crate) fn times(seconds: f64) -> impl Iterator<Item = f64> {
    let mut late = 1_u32;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    let count = (seconds * RATE) as u32;
    (0..=count).map(move |number| {
        late = late.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        f64::from(number) / RATE + f64::from(late >> 16 & 0xff) / 255.0 * 0.01
    })
}

/// What a sensor that filters over a second shows of a power, computed in steps of 0.1 ms.
pub(crate) fn filtered(seconds: f64, watts: impl Fn(f64) -> f64) -> Vec<Point> {
    const STEP: f64 = 1e-4;
    let (mut time, mut shown) = (0.0, watts(0.0));
    let mut points = Vec::new();
    for at in times(seconds) {
        while time < at {
            shown += STEP * (watts(time + STEP / 2.0) - shown);
            time += STEP;
        }
        points.push(Point { at: nanoseconds(at), value: shown });
    }
    points
}
