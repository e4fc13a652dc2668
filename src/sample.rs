//! Reads the sources, each in a thread of its own, so that one that hangs costs only itself.
//!
//! A thread that waits in the kernel cannot be ended. It is therefore neither waited for longer
//! than [`DEADLINE`] nor started a second time: there are never more threads than readers.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::metric::{Def, Kind, Metric, Sample, Samples, Table, Unit};
use crate::root::{Cause, ReadError, Root};
use crate::source::{Cadence, Presence, Reader, Reason, SOURCES, Source};

static BUILD: Metric<2> = Metric::new(Def {
    name: "halo_build_info",
    help: "The version of halo and the revision of its source, where it was built from a checkout.",
    kind: Kind::Gauge,
    unit: Unit::Info,
    labels: &["version", "revision"],
    table: Table::None,
    from: "the build",
});
static UP: Metric<1> = Metric::new(Def {
    name: "halo_source_up",
    help: "Whether the last reading of a source succeeded: 1 yes, 0 no; absent where the hardware is.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &["source"],
    table: Table::None,
    from: "halo",
});
static FAILURE: Metric<2> = Metric::new(Def {
    name: "halo_source_failure",
    help: "Constant 1 while a source, or a single file of it, cannot be read for this reason.",
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &["source", "reason"],
    table: Table::None,
    from: "halo",
});
static DURATION: Metric<1> = Metric::new(Def {
    name: "halo_source_read_duration_seconds",
    help: "How long the last reading of a source took.",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &["source"],
    table: Table::None,
    from: "halo",
});
static AGE: Metric<1> = Metric::new(Def {
    name: "halo_source_age_seconds",
    help: "Time since the last reading of a source that ended; it grows while the source hangs.",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &["source"],
    table: Table::None,
    from: "halo",
});

/// The families about halo and its sources.
pub static METRICS: &[&Def] = &[BUILD.def(), UP.def(), FAILURE.def(), DURATION.def(), AGE.def()];

/// How long a reading may take. Reading a file of a driver takes microseconds, and a few
/// milliseconds where firmware answers late, so a source beyond this is stuck.
pub const DEADLINE: Duration = Duration::from_millis(500);

/// How many deadlines are waited for readings that have not begun: on a machine whose cores all
/// belong to a model, a thread may have to wait for its turn.
const PATIENCE: u32 = 8;

/// The readers of the sources that are switched on.
#[derive(Debug)]
pub struct Sampler {
    workers: Vec<Worker>,
}

impl Sampler {
    /// Starts a thread for each reader of each source that the configuration switches on.
    pub fn start(config: &Config, root: &Arc<Root>) -> std::io::Result<Self> {
        let enabled = SOURCES.iter().filter(|source| is_enabled(config, source));
        let mut workers = Vec::new();
        for source in enabled {
            for reader in (source.open)(config) {
                workers.push(Worker::start(source, reader, Arc::clone(root))?);
            }
        }
        Ok(Self { workers })
    }

    /// The sources that are read.
    pub fn sources(&self) -> impl Iterator<Item = &'static Source> + '_ {
        self.workers.iter().map(|worker| worker.source)
    }

    /// Reads the wanted sources at the same time and waits for them, but not beyond the
    /// deadline and not for one that is stuck already.
    ///
    /// Who asks while a reading is under way gets that one.
    pub async fn snapshot(&self, wanted: impl Fn(&Source) -> bool) -> Snapshot {
        let workers: Vec<&Worker> =
            self.workers.iter().filter(|worker| wanted(worker.source)).collect();
        let round = Arc::new(Round::open());
        for worker in &workers {
            worker.ask(&round);
        }
        round.arrive();
        for _ in 0..PATIENCE {
            let complete = tokio::time::timeout(DEADLINE, round.complete.notified());
            if round.is_complete() || complete.await.is_ok() {
                break;
            }
            for worker in &workers {
                worker.give_up_where_late();
            }
        }
        Snapshot { states: workers.into_iter().map(Worker::state).collect() }
    }
}

/// Whether a source is switched on.
pub fn is_enabled(config: &Config, source: &Source) -> bool {
    config.collector.get(source.name).copied().unwrap_or(source.default)
}

/// What the sources say at one moment.
#[derive(Debug)]
pub struct Snapshot {
    states: Vec<SourceState>,
}

/// What one source says at one moment.
#[derive(Debug)]
pub struct SourceState {
    /// The source.
    pub source: &'static Source,
    /// Its last reading, where one has ended.
    pub reading: Option<Arc<Reading>>,
    /// Whether it did not answer before its deadline and still has not, or has never answered.
    pub is_stuck: bool,
    age: Option<Duration>,
}

/// One reading of one source.
#[derive(Debug)]
pub struct Reading {
    samples: Samples,
    outcome: Result<Presence, ReadError>,
    duration: Duration,
    ended: Instant,
}

impl Snapshot {
    /// Each source.
    pub fn states(&self) -> &[SourceState] {
        &self.states
    }

    /// The values that are true now. Those of a source that hangs or failed are not.
    pub fn values(&self) -> impl Iterator<Item = &Sample> {
        self.states.iter().flat_map(SourceState::values)
    }

    /// Which halo this is, and the health of its sources, as values.
    pub fn health(&self) -> Samples {
        let mut health = Samples::default();
        health.record(&BUILD, [env!("CARGO_PKG_VERSION"), env!("HALO_REVISION")], 1.0);
        for state in &self.states {
            let name = [state.source.name];
            if state.is_absent() {
                continue;
            }
            health.record(&UP, name, f64::from(u8::from(state.is_up())));
            for reason in state.reasons() {
                health.record(&FAILURE, [name[0], reason.as_str()], 1.0);
            }
            let duration = state.reading.as_ref().map(|reading| reading.duration.as_secs_f64());
            health.record(&DURATION, name, duration);
            health.record(&AGE, name, state.age.map(|age| age.as_secs_f64()));
        }
        health
    }
}

impl SourceState {
    /// Whether its hardware is not there.
    pub fn is_absent(&self) -> bool {
        !self.is_stuck
            && self.reading.as_ref().is_some_and(|reading| reading.outcome == Ok(Presence::Absent))
    }

    /// Whether its last reading succeeded.
    pub fn is_up(&self) -> bool {
        !self.is_stuck
            && self.reading.as_ref().is_some_and(|reading| reading.outcome == Ok(Presence::Present))
    }

    /// The values of its last reading, where that succeeded.
    pub fn values(&self) -> &[Sample] {
        match &self.reading {
            Some(reading) if self.is_up() => reading.samples.values(),
            _ => &[],
        }
    }

    /// What could not be read, unless the source hangs.
    pub fn failures(&self) -> Vec<&ReadError> {
        match &self.reading {
            Some(reading) if !self.is_stuck => reading.failures().collect(),
            _ => Vec::new(),
        }
    }

    /// Why it fails, or why a part of it does; each reason once.
    pub fn reasons(&self) -> Vec<Reason> {
        if self.is_stuck {
            return vec![Reason::Timeout];
        }
        let mut reasons: Vec<Reason> = self.failures().into_iter().map(ReadError::reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    }
}

impl Reading {
    fn take(source: &Source, reader: &mut dyn Reader, root: &Root) -> Self {
        let began = Instant::now();
        let mut samples = Samples::default();
        let outcome = catch_unwind(AssertUnwindSafe(|| reader.read(root, &mut samples)))
            .unwrap_or_else(|_| {
                Err(ReadError::garbage(source.name, "halo has a bug: it panicked"))
            });
        let ended = Instant::now();
        Self { samples, outcome, duration: ended - began, ended }
    }

    fn failures(&self) -> impl Iterator<Item = &ReadError> {
        self.samples.problems().iter().chain(self.outcome.as_ref().err())
    }
}

/// One who waits for several readings.
#[derive(Debug)]
struct Round {
    missing: AtomicUsize,
    complete: Notify,
}

impl Round {
    /// A round that is missing the one who asks, so that it cannot be complete while the orders
    /// are still given.
    fn open() -> Self {
        Self { missing: AtomicUsize::new(1), complete: Notify::new() }
    }

    fn is_complete(&self) -> bool {
        self.missing.load(Ordering::Acquire) == 0
    }

    /// Called by each who was missing. A stored permit wakes one who comes to wait later.
    fn arrive(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.complete.notify_one();
        }
    }
}

/// One reader in its thread.
#[derive(Debug)]
struct Worker {
    source: &'static Source,
    desk: Arc<Desk>,
}

/// Where those who ask and the thread that reads meet.
#[derive(Debug, Default)]
struct Desk {
    order: Mutex<Order>,
    ordered: Condvar,
}

#[derive(Debug, Default)]
struct Order {
    /// Somebody asked, and reading has not begun.
    is_wanted: bool,
    /// When the reading that is under way began.
    began: Option<Instant>,
    /// The reading that is under way was given up.
    is_stuck: bool,
    /// Nobody will ask any more.
    is_closed: bool,
    waiting: Vec<Arc<Round>>,
    latest: Option<Arc<Reading>>,
}

impl Desk {
    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn start(
        source: &'static Source,
        reader: Box<dyn Reader>,
        root: Arc<Root>,
    ) -> std::io::Result<Self> {
        let desk = Arc::<Desk>::default();
        let at_desk = Arc::clone(&desk);
        // Readers are shallow; the default of 2 MiB would only inflate the address space.
        thread::Builder::new()
            .name(source.name.to_owned())
            .stack_size(256 * 1024)
            .spawn(move || work(source, reader, &root, &at_desk))?;
        Ok(Self { source, desk })
    }

    /// Orders a reading for a round, unless the last one still serves or the reader is stuck.
    fn ask(&self, round: &Arc<Round>) {
        let mut order = self.desk.order();
        let still_serves = match (self.source.cadence, &order.latest) {
            (Cadence::Hold(duration), Some(latest)) => latest.ended.elapsed() < duration,
            _ => false,
        };
        if still_serves || order.is_stuck {
            return;
        }
        round.missing.fetch_add(1, Ordering::AcqRel);
        order.waiting.push(Arc::clone(round));
        if order.began.is_none() && !order.is_wanted {
            order.is_wanted = true;
            drop(order);
            self.desk.ordered.notify_one();
        }
    }

    /// Releases those who wait for a reading that is beyond its deadline.
    fn give_up_where_late(&self) {
        let mut order = self.desk.order();
        let is_late = order.began.is_some_and(|began| began.elapsed() >= DEADLINE);
        if is_late && !order.is_stuck {
            order.is_stuck = true;
            for round in order.waiting.drain(..) {
                round.arrive();
            }
            error!(
                source = self.source.name,
                "no answer for {DEADLINE:?}; its series are left out until it answers"
            );
        }
    }

    fn state(&self) -> SourceState {
        let order = self.desk.order();
        let age = order.latest.as_ref().map(|latest| latest.ended.elapsed());
        let reading = order.latest.clone();
        let is_stuck = order.is_stuck || reading.is_none();
        SourceState { source: self.source, reading, is_stuck, age }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.desk.order().is_closed = true;
        self.desk.ordered.notify_one();
    }
}

fn work(source: &'static Source, mut reader: Box<dyn Reader>, root: &Root, desk: &Desk) {
    let mut known = Failures::new();
    loop {
        let mut order = desk.order();
        while !order.is_wanted && !order.is_closed {
            order = desk.ordered.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
        if order.is_closed {
            return;
        }
        order.is_wanted = false;
        order.began = Some(Instant::now());
        drop(order);

        let reading = Reading::take(source, reader.as_mut(), root);
        known = log_changes(source, &known, &reading);

        let mut order = desk.order();
        let began = order.began.take();
        let was_stuck = std::mem::take(&mut order.is_stuck);
        let waiting = std::mem::take(&mut order.waiting);
        order.latest = Some(Arc::new(reading));
        drop(order);
        if let (true, Some(began)) = (was_stuck, began) {
            info!(source = source.name, "answers again after {:.1?}", began.elapsed());
        }
        for round in waiting {
            round.arrive();
        }
    }
}

type Failures = BTreeMap<PathBuf, Cause>;

/// Logs what fails now and did not before, and what works again: one line a change of state.
fn log_changes(source: &Source, known: &Failures, reading: &Reading) -> Failures {
    let mut now = Failures::new();
    for failure in reading.failures() {
        let is_new = known.get(failure.path()) != Some(&failure.cause());
        let is_first = now.insert(failure.path().to_owned(), failure.cause()).is_none();
        if is_new && is_first {
            let reason = failure.reason().as_str();
            warn!(source = source.name, reason, "{failure}");
        }
    }
    for path in known.keys().filter(|path| !now.contains_key(*path)) {
        info!(source = source.name, "{}: can be read again", path.display());
    }
    now
}
