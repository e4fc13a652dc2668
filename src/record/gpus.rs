//! On which GPUs the command works, by what the kernel counts for its processes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Request, leftovers};
use crate::command_line::container;
use crate::config::Paths;
use crate::process::foreground::Running;
use crate::root::Root;
use crate::source::process_gpu;

/// How often the processes are looked at: their open files cost a call of the system each.
const INTERVAL: Duration = Duration::from_secs(2);

/// More processes than this no benchmark starts; what is beyond is not looked at.
const MOST_PROCESSES: usize = 256;

/// Looks at the command while it runs.
pub(super) struct Gpus {
    root: Root,
    running: Running,
    /// The run's identifier, by which processes in a container are known; none where the command's
    /// are its descendants.
    id: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    looked: Option<Instant>,
    seen: BTreeSet<String>,
}

impl Gpus {
    /// None for a machine that is made of files, where the command does not run.
    pub(super) fn of(
        request: &Request,
        argv: &[OsString],
        id: &str,
        running: &Running,
    ) -> Option<Self> {
        let is_here = request.config.path == Paths::default();
        let id = container::recognize(argv).map(|_| id.to_owned());
        let running = running.clone();
        is_here.then(|| Self { root: Root::live(), running, id, state: Mutex::default() })
    }

    /// Looks, where it is time to.
    pub(super) fn look(&self) {
        let Some(process) = self.running.id() else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.is_some_and(|looked| looked.elapsed() < INTERVAL) {
            return;
        }
        state.looked = Some(Instant::now());
        let processes = match &self.id {
            Some(id) => leftovers::processes_of(id),
            None => family(&self.root, process),
        };
        let worked = processes
            .iter()
            .flat_map(|process| process_gpu::worked_on(&self.root, &process.to_string()));
        state.seen.extend(worked);
    }

    /// What was seen, by PCI address.
    pub(super) fn seen(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen.iter().cloned().collect()
    }
}

/// A process and its descendants.
fn family(root: &Root, process: i32) -> Vec<i32> {
    let mut all = vec![process];
    let mut next = 0;
    while let Some(&parent) = all.get(next).filter(|_| all.len() < MOST_PROCESSES) {
        next += 1;
        let tasks = format!("/proc/{parent}/task");
        for task in root.list(&tasks).unwrap_or_default() {
            let children = root.read(&format!("{tasks}/{task}/children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse().ok());
            all.extend(children.filter(|child: &i32| *child > 0));
        }
    }
    all
}
