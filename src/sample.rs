//! Reads the sources in threads apart from who asks, so that one that hangs costs only itself.
//!
//! One thread reads all sources one after the other, because waking a thread costs as much as
//! reading several files. Where it stays with one source, another thread goes on with the rest.
//! A thread that waits in the kernel cannot be ended; it is neither waited for longer than
//! [`DEADLINE`] nor is its source started a second time, so there are never more threads than
//! readers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
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
use crate::root::{ReadError, Reason, Root};
use crate::source::{Cadence, Presence, Reader, SOURCES, Source};

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

/// A reading of a source apart ([`Cadence::Apart`]) that took longer is not waited for again.
const SLOW: Duration = Duration::from_millis(20);

/// One that took no longer than this is waited for all the same where the last one is from so long
/// ago that who asks would be shown what was true when he asked before.
const WORTH_WAITING: Duration = Duration::from_millis(100);

/// How long a thread may stay with one source before another one goes on with the rest.
const HELP_AFTER: Duration = Duration::from_millis(5);

/// How long readings are waited for that have not begun: on a machine whose cores all belong to
/// a model, a thread may have to wait for its turn.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The readers of the sources that are switched on.
#[derive(Debug)]
pub struct Sampler {
    crew: Arc<Crew>,
    desks: Vec<Arc<Desk>>,
}

impl Sampler {
    /// Opens the readers of each source that the configuration switches on, and starts the first
    /// thread that reads.
    pub fn start(config: &Config, root: &Arc<Root>) -> std::io::Result<Self> {
        let enabled = SOURCES.iter().filter(|source| is_enabled(config, source));
        let desks: Vec<Arc<Desk>> = enabled
            .flat_map(|source| (source.open)(config).into_iter().map(|r| Desk::new(source, r)))
            .collect();
        let crew = Crew::new(Arc::clone(root), desks.len());
        crew.hire(&mut crew.queue())?;
        Ok(Self { crew, desks })
    }

    /// The sources that are read.
    pub fn sources(&self) -> impl Iterator<Item = &'static Source> + '_ {
        self.desks.iter().map(|desk| desk.source)
    }

    /// Reads the wanted sources and waits for them, but not beyond the deadline and not for one
    /// that is stuck already.
    ///
    /// Who asks while a reading is under way gets that one.
    pub async fn snapshot(&self, wanted: impl Fn(&Source) -> bool) -> Snapshot {
        let desks: Vec<&Arc<Desk>> = self.desks.iter().filter(|desk| wanted(desk.source)).collect();
        let round = Arc::new(Round::open());
        let orders = desks.iter().filter(|desk| desk.ask(&round)).map(|desk| Arc::clone(desk));
        self.crew.take(orders.collect());
        round.arrive();
        let began = Instant::now();
        while !round.is_complete() && began.elapsed() < PATIENCE {
            if tokio::time::timeout(HELP_AFTER, round.complete.notified()).await.is_ok() {
                break;
            }
            self.crew.help();
            for desk in &desks {
                desk.give_up_where_late();
            }
        }
        Snapshot { states: desks.into_iter().map(|desk| desk.state()).collect() }
    }
}

impl Sampler {
    /// As [`Sampler::snapshot`], for who is no part of a runtime.
    ///
    /// # Errors
    ///
    /// Where the system gives no timer.
    pub fn read_now(&self, wanted: impl Fn(&Source) -> bool) -> std::io::Result<Snapshot> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(runtime.block_on(self.snapshot(wanted)))
    }
}

impl Sampler {
    /// Waits until what was read is logged too, for who ends at once. A source that is stuck is not
    /// waited for.
    pub fn wait_for_log(&self) {
        for desk in self.desks.iter().filter(|desk| !desk.order().is_stuck) {
            drop(desk.work.lock());
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.crew.queue().is_closed = true;
        self.crew.called.notify_all();
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
        let mut sources: Vec<Vec<&SourceState>> = Vec::new();
        for state in self.states.iter().filter(|state| !state.is_absent()) {
            match sources.last_mut().filter(|known| std::ptr::eq(known[0].source, state.source)) {
                Some(instances) => instances.push(state),
                None => sources.push(vec![state]),
            }
        }
        for instances in sources {
            let name = [instances[0].source.name];
            // Of several instances the worst counts.
            let is_up = instances.iter().all(|state| state.is_up());
            health.record(&UP, name, f64::from(u8::from(is_up)));
            for reason in instances.iter().flat_map(|state| state.reasons()) {
                health.record(&FAILURE, [name[0], reason.as_str()], 1.0);
            }
            let readings = instances.iter().filter_map(|state| state.reading.as_ref());
            let longest = readings.map(|reading| reading.duration).max();
            health.record(&DURATION, name, longest.map(|duration| duration.as_secs_f64()));
            let oldest = instances.iter().filter_map(|state| state.age).max();
            health.record(&AGE, name, oldest.map(|age| age.as_secs_f64()));
        }
        health
    }
}

impl SourceState {
    /// Whether its hardware is not there. Where a file could not be read, that cannot be told.
    pub fn is_absent(&self) -> bool {
        !self.is_stuck
            && self.reading.as_ref().is_some_and(|reading| {
                reading.outcome == Ok(Presence::Absent) && reading.samples.problems().is_empty()
            })
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

/// One reader, and the orders for it.
#[derive(Debug)]
struct Desk {
    source: &'static Source,
    /// Locked for as long as a reading takes. There is only one at a time, see [`Order::state`].
    work: Mutex<Work>,
    order: Mutex<Order>,
}

struct Work {
    reader: Box<dyn Reader>,
    known: Failures,
}

#[derive(Debug, Default)]
struct Order {
    state: OrderState,
    /// A reading was given up, and none has been on time since.
    is_stuck: bool,
    waiting: Vec<Arc<Round>>,
    latest: Option<Arc<Reading>>,
}

#[derive(Debug, Default, Clone, Copy)]
enum OrderState {
    /// Nobody asked.
    #[default]
    None,
    /// Somebody asked, and reading has not begun.
    Given,
    /// A reading is under way since then.
    Taken(Instant),
}

impl fmt::Debug for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Work").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Desk {
    fn new(source: &'static Source, reader: Box<dyn Reader>) -> Arc<Self> {
        let work = Mutex::new(Work { reader, known: Failures::new() });
        Arc::new(Self { source, work, order: Mutex::default() })
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a round that wants a reading, unless the last one still serves or the reader is
    /// late. Says whether a thread has to be called: nobody else has ordered it yet.
    fn ask(&self, round: &Arc<Round>) -> bool {
        let mut order = self.order();
        let (still_serves, is_waited_for) = match (self.source.cadence, &order.latest) {
            (Cadence::Hold(duration), Some(latest)) => (latest.ended.elapsed() < duration, true),
            (Cadence::Apart(duration), Some(latest)) => {
                let age = latest.ended.elapsed();
                let patience = if age < duration * 2 { SLOW } else { WORTH_WAITING };
                (age < duration, latest.duration < patience)
            }
            _ => (false, true),
        };
        if still_serves && !order.is_stuck {
            return false;
        }
        // Nobody waits for one that was late, but it is asked, so that it can be on time again.
        if is_waited_for && !order.is_stuck {
            round.missing.fetch_add(1, Ordering::AcqRel);
            order.waiting.push(Arc::clone(round));
        }
        let is_new = matches!(order.state, OrderState::None);
        if is_new {
            order.state = OrderState::Given;
        }
        is_new
    }

    /// Releases those who wait for a reading that is beyond its deadline.
    fn give_up_where_late(&self) {
        let mut order = self.order();
        let OrderState::Taken(began) = order.state else { return };
        if began.elapsed() >= DEADLINE && !order.is_stuck {
            order.is_stuck = true;
            for round in order.waiting.drain(..) {
                round.arrive();
            }
            drop(order);
            error!(
                source = self.source.name,
                "no answer for {DEADLINE:?}; its series are left out until it answers"
            );
        }
    }

    /// Carries an order out.
    fn read(&self, root: &Root) {
        let began = Instant::now();
        self.order().state = OrderState::Taken(began);
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = Arc::new(Reading::take(self.source, work.reader.as_mut(), root));

        let mut order = self.order();
        order.state = OrderState::None;
        order.latest = Some(Arc::clone(&reading));
        let was_stuck = order.is_stuck;
        // A source that is slow again and again is no better than one that hangs, unless
        // nobody waits for it.
        let is_apart = matches!(self.source.cadence, Cadence::Apart(_));
        order.is_stuck &= reading.duration >= DEADLINE && !is_apart;
        let is_stuck = order.is_stuck;
        let waiting = std::mem::take(&mut order.waiting);
        drop(order);
        for round in waiting {
            round.arrive();
        }
        if was_stuck && !is_stuck {
            info!(source = self.source.name, "answers again");
        }
        work.known = log_changes(self.source, &work.known, &reading);
    }

    fn state(&self) -> SourceState {
        let order = self.order();
        let age = order.latest.as_ref().map(|latest| latest.ended.elapsed());
        let reading = order.latest.clone();
        let is_stuck = order.is_stuck || reading.is_none();
        SourceState { source: self.source, reading, is_stuck, age }
    }
}

/// The threads that read.
#[derive(Debug)]
struct Crew {
    root: Arc<Root>,
    /// As many threads as there are readers: each could be stuck with one.
    most: usize,
    queue: Mutex<Queue>,
    called: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    orders: VecDeque<Arc<Desk>>,
    threads: usize,
    idle: usize,
    /// The system refused a further thread, which was said.
    is_short_of_threads: bool,
    /// Nobody will ask any more.
    is_closed: bool,
}

impl Crew {
    fn new(root: Arc<Root>, most: usize) -> Arc<Self> {
        Arc::new(Self { root, most, queue: Mutex::default(), called: Condvar::new() })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes orders, which one thread will carry out.
    fn take(&self, orders: Vec<Arc<Desk>>) {
        if !orders.is_empty() {
            self.queue().orders.extend(orders);
            self.called.notify_one();
        }
    }

    /// Sees to it that one more thread works where orders wait.
    fn help(self: &Arc<Self>) {
        let mut queue = self.queue();
        if queue.orders.is_empty() {
            return;
        }
        if queue.idle > 0 {
            self.called.notify_one();
        } else if queue.threads < self.most {
            let was_short = queue.is_short_of_threads;
            let result = self.hire(&mut queue);
            queue.is_short_of_threads = result.is_err();
            drop(queue);
            match result {
                Err(error) if !was_short => error!("no further thread can be started: {error}"),
                _ => {}
            }
        }
    }

    fn hire(self: &Arc<Self>, queue: &mut Queue) -> std::io::Result<()> {
        let crew = Arc::clone(self);
        // Readers are shallow; the default of 2 MiB would only inflate the address space.
        let builder = thread::Builder::new().name("reader".to_owned()).stack_size(256 * 1024);
        builder.spawn(move || crew.work())?;
        queue.threads += 1;
        Ok(())
    }

    fn work(&self) {
        let mut queue = self.queue();
        while !queue.is_closed {
            if let Some(desk) = queue.orders.pop_front() {
                drop(queue);
                // A panic here is a bug of halo's; the thread lives on for the other sources.
                let _ = catch_unwind(AssertUnwindSafe(|| desk.read(&self.root)));
                queue = self.queue();
            } else {
                queue.idle += 1;
                queue = self.called.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

type Failures = BTreeMap<PathBuf, Reason>;

/// Logs what fails now and did not before, and what works again: one line a change of state.
fn log_changes(source: &Source, known: &Failures, reading: &Reading) -> Failures {
    let mut now = Failures::new();
    for failure in reading.failures() {
        let is_new = known.get(failure.path()) != Some(&failure.reason());
        let is_first = now.insert(failure.path().to_owned(), failure.reason()).is_none();
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
