//! Ends the command where the machine gets too hot, since this hardware reboots when it overheats
//! and the run would be lost with it, and where it takes longer than the user wants to wait.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::journal::Journal;
use crate::fitness::temperature::Temperature;
use crate::process::foreground::{self, Running};
use crate::sample::Snapshot;

/// How often a part has to be above the limit one after the other: one reading alone may be wrong.
const READINGS: u32 = 2;

/// How long the command may take to end when it is asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// The mark that an abort leaves in the journal, and its attribute with the reason.
pub(super) const ABORTED: &str = "aborted";
pub(super) const REASON: &str = "reason";

/// Its attribute where that is the server of an eval.
pub(super) const SERVER: &str = "server";

/// What ends a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Degrees Celsius.
    pub(super) above: Option<f64>,
    /// From when it was started.
    pub(super) after: Option<Duration>,
}

/// Watches the machine while a command runs.
pub(super) struct Guard {
    limits: Limits,
    /// The signal that asks the command to end.
    signal: i32,
    journal: Arc<Journal>,
    /// The command, once it runs.
    running: Running,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// For how many readings each part has been above the limit, by device and sensor.
    above: HashMap<(String, String), u32>,
    /// When the command was started.
    begun: Option<Instant>,
    abort: Option<Abort>,
    /// The command was ended because its server was gone.
    has_lost_server: bool,
    /// The command has ended, or never will be started.
    is_over: bool,
}

#[derive(Debug)]
struct Abort {
    reason: String,
    at: Instant,
    is_killed: bool,
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Guard {
    pub(super) fn new(
        limits: Limits,
        signal: i32,
        journal: Arc<Journal>,
        running: Running,
    ) -> Self {
        Self { limits, signal, journal, running, state: Mutex::default() }
    }

    /// The command begins.
    pub(super) fn begin(&self) {
        self.state().begun = Some(Instant::now());
    }

    /// Looks at a sample of the machine, and does what is to be done.
    pub(super) fn look(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        if let Some(abort) = &mut state.abort {
            if abort.at.elapsed() >= GRACE && !abort.is_killed {
                abort.is_killed = true;
                self.running.kill();
            }
            return;
        }
        let taken = state.begun.map(|begun| begun.elapsed());
        if let Some(limit) = self.limits.after.filter(|limit| taken.is_some_and(|t| t > *limit)) {
            let reason = format!("halo ended it: it took longer than --timeout {limit:?}");
            self.abort(state, reason, []);
            return;
        }
        let Some(limit) = self.limits.above else { return };
        let watching = &mut *state;
        let too_hot = snapshot
            .values()
            .filter_map(Temperature::of)
            .filter(|temperature| watching.is_too_hot(temperature, limit))
            .max_by(|a, b| a.celsius.total_cmp(&b.celsius));
        if let Some(hottest) = too_hot {
            let reason = format!("halo ended it: {hottest} is above --abort-above {limit}");
            let attributes = [
                ("device", hottest.device),
                ("sensor", hottest.sensor),
                ("celsius", hottest.celsius.to_string()),
            ];
            self.abort(state, reason, attributes);
        }
    }

    /// Ends the command because the server that it asks is gone.
    pub(super) fn lose_server(&self, reason: String) {
        let mut state = self.state();
        if !state.is_over && state.abort.is_none() {
            state.has_lost_server = true;
            self.abort(state, reason, [(SERVER, "gone".to_owned())]);
        }
    }

    /// Whether the command has ended, or never will be started.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over
    }

    fn abort<const N: usize>(
        &self,
        mut state: MutexGuard<'_, State>,
        reason: String,
        attributes: [(&str, String); N],
    ) {
        state.abort = Some(Abort { reason: reason.clone(), at: Instant::now(), is_killed: false });
        drop(state);
        self.journal.mark(ABORTED, attributes.into_iter().chain([(REASON, reason)]));
        foreground::ask_to_end(self.signal);
    }

    /// The command has ended: nothing is to be done any more. Says why it was ended, where it was,
    /// and whether that was for its server.
    pub(super) fn end(&self) -> Option<(String, bool)> {
        let mut state = self.state();
        state.is_over = true;
        let abort = state.abort.as_ref();
        abort.map(|abort| (abort.reason.clone(), state.has_lost_server))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a part has been above the limit often enough. Not every sample has every part: a
    /// source keeps its own least time between readings.
    fn is_too_hot(&mut self, now: &Temperature, limit: f64) -> bool {
        let above = self.above.entry((now.device.clone(), now.sensor.clone())).or_default();
        *above = if now.celsius > limit { *above + 1 } else { 0 };
        *above >= READINGS
    }
}
