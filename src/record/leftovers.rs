//! Ends a command inside its container: where its client is ended, it goes on there.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::container;
use crate::root::Root;

/// How long it may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Asks what is left of a run to end, and ends what does not. Says what it had to do.
pub(super) fn end(id: &str) -> Option<String> {
    let root = Root::live();
    let left = container::processes_of(&root, id);
    if left.is_empty() {
        return None;
    }
    send(&left, Signal::TERM);
    let began = Instant::now();
    while began.elapsed() < GRACE {
        if container::processes_of(&root, id).is_empty() {
            return Some(format!("{} processes in the container were ended", left.len()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let stubborn = container::processes_of(&root, id);
    send(&stubborn, Signal::KILL);
    Some(format!("{} processes in the container had to be killed", stubborn.len()))
}

fn send(processes: &[i32], signal: Signal) {
    for process in processes.iter().filter_map(|process| Pid::from_raw(*process)) {
        // It may have ended in this moment, which is as good.
        let _ = kill_process(process, signal);
    }
}
