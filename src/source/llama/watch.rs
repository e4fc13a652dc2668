//! When a server that is idle may be asked again.
//!
//! A question about metrics counts as work in builds of llama.cpp before b10566, and so may one
//! about properties in forks: asked every few seconds, a model with `--sleep-idle-seconds` would
//! never be unloaded. Neither the seconds nor whether there are any is told, so an idle server is
//! left alone, first for a short time, and longer each time at whose end it had not fallen asleep.
//! Meanwhile nothing is known of its counters, and nothing is shown of them. A new connection to
//! it ends the rest, where this machine can see it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::text::Props;
use crate::root::Root;

/// How long an idle server is left alone at first. Shorter times of sleep than this are rare: a
/// model of 60 GB takes longer to load.
const FIRST_REST: Duration = Duration::from_secs(30);

/// How long it is left alone at most: who lets a model sleep does so within the hour.
const LONGEST_REST: Duration = Duration::from_hours(2);

/// How many connections in a row may have caused no work before the next is believed less: a question
/// may come between a connection and the request on it.
const BELIEVED: u32 = 3;

/// Open connections by their two ends.
pub type Connections = BTreeSet<String>;

/// What a server has done up to an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Tokens of prompts and of answers together.
    pub tokens: f64,
    /// Whether requests are worked on, or wait.
    pub is_busy: bool,
}

/// What is remembered of a server.
#[derive(Debug)]
pub struct Watch {
    /// What it is, as it said itself; that cannot change while its process lives.
    pub props: Option<Props>,
    rest: Duration,
    idle: Option<Idle>,
    tokens: Option<f64>,
    false_alarms: u32,
    /// Whether it was said that it is left alone.
    pub was_told: bool,
    /// Whether it is a vLLM.
    pub is_vllm: bool,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    connections: Connections,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            props: None,
            rest: FIRST_REST,
            idle: None,
            tokens: None,
            false_alarms: 0,
            was_told: false,
            is_vllm: false,
        }
    }
}

impl Watch {
    /// Whether a question that may count as work may be asked. `connections` gives those that are
    /// open, where they can be seen.
    pub fn may_ask(&self, now: Instant, connections: impl FnOnce() -> Option<Connections>) -> bool {
        let Some(idle) = &self.idle else { return true };
        let rested = now.saturating_duration_since(idle.since);
        if rested >= self.rest {
            return true;
        }
        // Who opens connections and asks for nothing must not keep the model awake either.
        let is_credible = rested >= self.rest_after_alarms();
        is_credible && connections().is_some_and(|open| !open.is_subset(&idle.connections))
    }

    fn rest_after_alarms(&self) -> Duration {
        match self.false_alarms.checked_sub(BELIEVED) {
            Some(more) => FIRST_REST.saturating_mul(1 << more.min(16)).min(LONGEST_REST),
            None => Duration::ZERO,
        }
    }

    /// Takes an answer to such a question. `before` has the connections that were open when it was
    /// asked: what came since is new, and the others only once they have asked for nothing a few times.
    pub fn answered(&mut self, now: Instant, work: Work, before: Option<Connections>) {
        let earlier = self.tokens.replace(work.tokens);
        let idle = self.idle.take();
        let rest = idle.as_ref().map(|idle| now.saturating_duration_since(idle.since));
        let has_ended = rest.is_some_and(|rest| rest >= self.rest);
        // Fewer than before: it was started anew. The counts are whole numbers.
        let has_moved = |earlier: f64| (work.tokens - earlier).abs() >= 0.5;
        if work.is_busy || earlier.is_some_and(has_moved) {
            self.false_alarms = 0;
            if has_ended {
                // It worked, and no connection was seen: it must be asked to know.
                self.rest = FIRST_REST;
            }
            return;
        }
        if has_ended {
            self.rest = (self.rest * 2).min(LONGEST_REST);
        } else if rest.is_some() {
            self.false_alarms += 1;
        }
        // A connection that asked for nothing yet may be about to: while it is believed it stays new,
        // also one that was open before the first idle answer.
        let is_believed = !has_ended && self.false_alarms < BELIEVED;
        let known = match idle {
            _ if !is_believed => before,
            Some(idle) => Some(idle.connections),
            None => None,
        };
        let connections = known.unwrap_or_default();
        self.idle = Some(Idle { since: now, connections });
    }

    /// Its model sleeps. What wakes it is a request, so it may be asked as soon as it is awake.
    pub fn fell_asleep(&mut self) {
        self.idle = None;
        self.false_alarms = 0;
    }
}

/// The connections of this machine to or from a port that are open now; none where they cannot be
/// seen. Halo closes its own after each question.
pub fn connections(root: &Root, port: u16) -> Option<Connections> {
    let mut open = Connections::new();
    let mut read =
        |path: &str| root.private_lines(path, |line| open.extend(open_connection(line, port)));
    read("/proc/net/tcp").ok()?;
    // IPv6 may be off.
    let _ = read("/proc/net/tcp6");
    Some(open)
}

/// Reads a line of a table of sockets, as `proc_net_tcp.rst` of the kernel describes it: its two ends
/// where it is an open connection to or from the port.
pub fn open_connection(line: &str, port: u16) -> Option<String> {
    /// `TCP_ESTABLISHED`.
    const ESTABLISHED: &str = "01";
    let ends = format!(":{port:04X}");
    let mut words = line.split_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    let has_port = [local, remote].into_iter().any(|end| end.ends_with(&ends));
    (state == ESTABLISHED && has_port).then(|| format!("{local} {remote}"))
}
