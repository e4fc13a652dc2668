//! Which processes of this machine take processor time and memory, through sysinfo. The machine that
//! halo runs on alone: below another root there is nothing to ask.

use std::collections::HashMap;
use std::time::Instant;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::config::{Config, Paths};
use crate::quantity;
use crate::run::manifest::ProcessUse;

/// From this much of a processor core on a process is busy: a desktop at rest takes less, and what
/// takes more takes memory bandwidth from a model, which is what generating tokens waits for.
pub const BUSY_CORES: f64 = 0.5;

/// How many processes are kept, and the least of a core that they take.
const MAX_KEPT: usize = 5;
const LEAST_CORES: f64 = 0.05;

/// The processes of this machine between two moments.
pub struct Processes {
    system: System,
    began: Instant,
    /// The processor time of each process when that began, in milliseconds, and when it was started.
    before: HashMap<Pid, (u64, u64)>,
}

impl std::fmt::Debug for Processes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Processes").finish_non_exhaustive()
    }
}

impl Processes {
    /// Begins to watch. `None` if the machine of the configuration is not the one that halo runs on.
    pub fn watch(config: &Config) -> Option<Self> {
        if config.path != Paths::default() {
            return None;
        }
        let system = System::new().ok()?;
        let mut processes = Self { system, began: Instant::now(), before: HashMap::new() };
        processes.restart();
        Some(processes)
    }

    /// Begins anew.
    pub fn restart(&mut self) {
        self.refresh();
        self.began = Instant::now();
        let all = self.system.processes().iter();
        let times =
            |process: &sysinfo::Process| (process.accumulated_cpu_time(), process.start_time());
        self.before = all.map(|(pid, process)| (*pid, times(process))).collect();
    }

    fn refresh(&mut self) {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    }

    /// What other processes than halo and those that it started took since it began, the busiest
    /// first. A process that came and went meanwhile is not seen.
    pub fn busiest(&mut self) -> Vec<ProcessUse> {
        self.refresh();
        let seconds = self.began.elapsed().as_secs_f64();
        let mut found = self.others(|pid, process| {
            let now = process.accumulated_cpu_time();
            // A number may have been given to another process meanwhile.
            let before = self.before.get(&pid).filter(|(_, start)| *start == process.start_time());
            let milliseconds = now.saturating_sub(before.map_or(0, |(time, _)| *time));
            (milliseconds as f64 / 1e3 / seconds.max(f64::EPSILON)).min(self.cores())
        });
        found.retain(|process| process.cores >= LEAST_CORES);
        found.sort_by(|one, other| other.cores.total_cmp(&one.cores));
        found.truncate(MAX_KEPT);
        found
    }

    /// Who holds most memory, the greatest first. Of a model in GTT this tells nothing.
    pub fn largest(&self) -> Vec<ProcessUse> {
        let mut found = self.others(|_, _| 0.0);
        found.sort_by_key(|process| std::cmp::Reverse(process.bytes));
        found.truncate(MAX_KEPT);
        found
    }

    fn others(&self, cores: impl Fn(Pid, &sysinfo::Process) -> f64) -> Vec<ProcessUse> {
        let all = self.system.processes().iter();
        let others = all.filter(|(pid, _)| !self.is_own(**pid));
        let others = others.map(|(pid, process)| ProcessUse {
            pid: pid.as_u32(),
            name: process.name().to_string_lossy().into_owned(),
            cores: cores(*pid, process),
            bytes: process.memory(),
        });
        others.collect()
    }

    #[expect(clippy::unused_self, reason = "reads as a property of the machine")]
    fn cores(&self) -> f64 {
        std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
    }

    /// Whether a process is halo itself or one that it started.
    pub fn is_own(&self, pid: Pid) -> bool {
        let own = std::process::id();
        let mut process = Some(pid);
        // Processes come and go meanwhile, so that a chain of parents might have no end.
        for _ in 0..100 {
            match process {
                Some(pid) if pid.as_u32() == own => return true,
                Some(pid) => process = self.system.process(pid).and_then(sysinfo::Process::parent),
                None => return false,
            }
        }
        false
    }
}

/// A process and what it takes, e.g. `firefox (pid 4711, 0.9 of a core, 1.20 GiB)`.
pub fn in_words(process: &ProcessUse) -> String {
    let ProcessUse { pid, name, cores, bytes } = process;
    let bytes = quantity::bytes(*bytes as f64);
    if *cores > 0.0 {
        format!("{name} (pid {pid}, {cores:.1} of a core, {bytes})")
    } else {
        format!("{name} (pid {pid}, {bytes})")
    }
}
