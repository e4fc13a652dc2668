//! Samples the machine while a command runs: on an absolute schedule, so that lateness does not
//! add up, and with its own lateness and cost beside the values.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::journal::Journal;
use crate::clock;
use crate::metric::{Sample, Table};
use crate::run::journal::{Line, Moment, NewSeries, Tick};
use crate::sample::{Reading, Sampler, Snapshot};
use crate::source::Source;

/// A thread that samples until it is stopped.
#[derive(Debug)]
pub(super) struct Sampling {
    /// Asks for a sample at once; closed to end.
    ask: Sender<Asked>,
    thread: JoinHandle<()>,
}

/// Who asked for a sample, and waits until this is closed.
type Asked = Sender<()>;

/// Longer than a sample takes that is still waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl Sampling {
    /// Begins to sample.
    pub(super) fn start(
        sampler: Arc<Sampler>,
        journal: Arc<Journal>,
        interval: Duration,
        see: impl Fn(&Snapshot) + Send + 'static,
    ) -> io::Result<Self> {
        let (ask, asked) = mpsc::channel::<Asked>();
        let thread = thread::Builder::new().name("sampling".to_owned()).spawn(move || {
            let mut series = Series::new(Box::new(see));
            let mut schedule = Schedule::begin(interval, clock::now());
            loop {
                let asked = asked.recv_timeout(schedule.wait(clock::now()));
                // The one reading of the clock that decides what is written about the tick.
                let at = clock::now();
                let waiting = match asked {
                    Err(RecvTimeoutError::Timeout) => None,
                    Ok(waiting) => {
                        schedule = Schedule::begin(interval, at);
                        Some(waiting)
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        // One sample more, so that the last moment is known too.
                        series.sample(&sampler, &journal, at, Timing::default());
                        return;
                    }
                };
                // Where the journal takes nothing any more, who sees the samples may still have to
                // end the command.
                series.sample(&sampler, &journal, at, schedule.begin_tick(at));
                drop(waiting);
            }
        })?;
        Ok(Self { ask, thread })
    }

    /// Takes a sample now, from which on the schedule begins anew: a command that is shorter than
    /// the interval has one before it and one after it.
    pub(super) fn now(&self) {
        let (waiting, taken) = mpsc::channel();
        if self.ask.send(waiting).is_ok() {
            // Closed is taken; what hangs is not waited for.
            let _ = taken.recv_timeout(LONGEST_WAIT);
        }
    }

    /// Takes a last sample and ends.
    pub(super) fn finish(self) {
        drop(self.ask);
        // A panic there is a bug of halo's, and the run is archived all the same.
        let _ = self.thread.join();
    }
}

/// When samples are due, in nanoseconds of the clock that no one sets.
#[derive(Debug)]
struct Schedule {
    due: i64,
    interval: i64,
}

/// How a tick came to its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Timing {
    /// Nanoseconds after it was due.
    late: u64,
    skipped: u64,
}

impl Schedule {
    fn begin(interval: Duration, now: Moment) -> Self {
        let interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
        Self { due: now.monotonic, interval: interval.max(1) }
    }

    /// How long it is until the next tick is due.
    fn wait(&self, now: Moment) -> Duration {
        let left = self.due.saturating_sub(now.monotonic);
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }

    /// Says how late the tick is that begins now, and when the next one is due.
    fn begin_tick(&mut self, now: Moment) -> Timing {
        let late = now.monotonic.saturating_sub(self.due).max(0);
        let skipped = late / self.interval;
        let ahead = self.interval.saturating_mul(skipped.saturating_add(1));
        self.due = self.due.saturating_add(ahead);
        Timing { late: (late % self.interval).unsigned_abs(), skipped: skipped.unsigned_abs() }
    }
}

type Labels = Box<[Box<str>]>;

/// The series that the journal knows, and what was read last.
struct Series {
    /// Who is shown every sample.
    see: Box<dyn Fn(&Snapshot) + Send>,
    numbers: HashMap<&'static str, Vec<(Labels, u32)>>,
    count: u32,
    /// When a source was asked, in nanoseconds of the clock that no one sets.
    asked: HashMap<&'static str, i64>,
    /// The last reading of each instance of a source.
    read: HashMap<(&'static str, usize), Arc<Reading>>,
}

impl Series {
    fn new(see: Box<dyn Fn(&Snapshot) + Send>) -> Self {
        Self { see, numbers: HashMap::new(), count: 0, asked: HashMap::new(), read: HashMap::new() }
    }

    /// Takes a sample.
    fn sample(&mut self, sampler: &Sampler, journal: &Journal, at: Moment, timing: Timing) {
        let began = Instant::now();
        let mut tick = Tick { at, late: timing.late, skipped: timing.skipped, ..Tick::default() };
        let mut new = NewSeries { first: self.count, series: Vec::new() };
        match sampler.read_now(|source| self.is_due(source, at)) {
            Ok(snapshot) => {
                (self.see)(&snapshot);
                self.collect(&snapshot, &mut tick, &mut new);
                for state in snapshot.states() {
                    self.asked.insert(state.source.name, at.monotonic);
                }
            }
            Err(_) => tick.failing.push("sampler:io".to_owned()),
        }
        tick.cost = nanoseconds(began.elapsed());
        // The journal remembers itself that it takes nothing any more.
        if new.series.is_empty() || journal.append(&Line::Series(new)) {
            journal.append(&Line::Tick(tick));
        }
    }

    /// Whether the hardware behind a source may be asked again. A tick that is a little early
    /// after one that was late still counts.
    fn is_due(&self, source: &Source, now: Moment) -> bool {
        let rest = i64::try_from((source.floor * 9 / 10).as_nanos()).unwrap_or(i64::MAX);
        let rested = |asked: &i64| now.monotonic.saturating_sub(*asked) >= rest;
        is_recorded(source) && self.asked.get(source.name).is_none_or(rested)
    }

    /// Puts what was read anew into a tick, and says which series that brought.
    fn collect(&mut self, snapshot: &Snapshot, tick: &mut Tick, new: &mut NewSeries) {
        let mut instances: HashMap<&str, usize> = HashMap::new();
        for state in snapshot.states() {
            let name = state.source.name;
            let instance = instances.entry(name).or_default();
            let key = (name, *instance);
            *instance += 1;
            let failing = state.reasons().into_iter().map(|r| format!("{name}:{}", r.as_str()));
            tick.failing.extend(failing);
            let Some(reading) = &state.reading else { continue };
            if self.read.get(&key).is_some_and(|known| Arc::ptr_eq(known, reading)) {
                continue;
            }
            self.read.insert(key, Arc::clone(reading));
            for sample in state.values().iter().filter(|s| s.def.table != Table::None) {
                tick.series.push(self.number(sample, new));
                tick.values.push(sample.value);
            }
        }
    }

    fn number(&mut self, sample: &Sample, new: &mut NewSeries) -> u32 {
        let known = self.numbers.entry(sample.def.name).or_default();
        if let Some((_, number)) = known.iter().find(|(labels, _)| *labels == sample.labels) {
            return *number;
        }
        let number = self.count;
        self.count += 1;
        known.push((sample.labels.clone(), number));
        let labels = sample.labels.iter().map(ToString::to_string).collect();
        new.series.push((sample.def.name.to_owned(), labels));
        number
    }
}

/// Whether a source has anything that is sampled: not facts alone, and nothing about halo itself.
pub(super) fn is_recorded(source: &Source) -> bool {
    source.metrics.iter().any(|def| def.table != Table::None)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times of the test's own clock, in nanoseconds: an odd beginning, and an interval of 50 ms.
    const BEGIN: i64 = 1_234_567_891;
    const INTERVAL: i64 = 50_000_000;

    fn at(monotonic: i64) -> Moment {
        Moment { monotonic, ..Moment::default() }
    }

    fn schedule() -> Schedule {
        Schedule::begin(Duration::from_millis(50), at(BEGIN))
    }

    #[test]
    fn lateness_does_not_add_up_and_an_overrun_skips_to_the_grid() {
        let mut schedule = schedule();
        // After the slot that each tick was for: how late it came; what was left out before it.
        let mut slot = 0;
        for (after, late, skipped) in [
            (0, 0, 0),
            (1, 1_999_999, 0),
            (1, 49_999_999, 0),
            (1, 3, 0),
            (4, 20_000_000, 3),
            (1, 0, 0),
            (2, 0, 1),
            (1, 40_000_000, 0),
        ] {
            slot += after;
            let due = BEGIN + slot * INTERVAL;
            let timing = schedule.begin_tick(at(due + late));
            assert_eq!(timing, Timing { late: late.unsigned_abs(), skipped }, "slot {slot}");
            assert_eq!(schedule.due, due + INTERVAL, "slot {slot}");
        }
        assert_eq!(schedule.due, BEGIN + 12 * INTERVAL);
    }

    #[test]
    fn the_wait_ends_when_the_tick_is_due_however_long_the_one_before_took() {
        let mut schedule = schedule();
        schedule.begin_tick(at(BEGIN));
        assert_eq!(schedule.wait(at(BEGIN + 10_000_000)), Duration::from_millis(40));
        assert_eq!(schedule.wait(at(BEGIN + INTERVAL)), Duration::ZERO);
        assert_eq!(schedule.wait(at(BEGIN + 3 * INTERVAL)), Duration::ZERO);
    }

    #[test]
    fn the_longest_and_the_shortest_interval_have_their_bounds() {
        let mut never = Schedule::begin(Duration::MAX, at(BEGIN));
        assert_eq!(never.begin_tick(at(BEGIN)), Timing::default());
        assert_eq!(never.due, i64::MAX);
        let mut always = Schedule::begin(Duration::ZERO, at(BEGIN));
        assert_eq!(always.begin_tick(at(BEGIN + 7)), Timing { late: 0, skipped: 7 });
    }
}
