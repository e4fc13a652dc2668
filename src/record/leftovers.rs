//! Ends what is left of a command that was ended: inside its container it goes on where its client
//! is ended, and what it started goes on where it was killed.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::ID_VARIABLE;
use crate::root::Root;

/// How long it may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Asks what is left of a run to end, and ends what does not. Says what it had to do, and where.
pub(super) fn end(id: &str, place: &str) -> Option<String> {
    let root = Root::live();
    let left = processes_of(&root, id);
    if left.is_empty() {
        return None;
    }
    send(&left, Signal::TERM);
    let began = Instant::now();
    while began.elapsed() < GRACE {
        if processes_of(&root, id).is_empty() {
            return Some(format!("{} processes {place} were ended", left.len()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let stubborn = processes_of(&root, id);
    send(&stubborn, Signal::KILL);
    Some(format!("{} processes {place} had to be killed", stubborn.len()))
}

fn send(processes: &[i32], signal: Signal) {
    for process in processes.iter().filter_map(|process| Pid::from_raw(*process)) {
        // It may have ended in this moment, which is as good.
        let _ = kill_process(process, signal);
    }
}

/// The processes that run with the variable [`ID_VARIABLE`] of a run, except this one: those in the
/// container too, which live on where only its client was ended. Those that this user may not
/// look at are left out.
pub(super) fn processes_of(root: &Root, id: &str) -> Vec<i32> {
    let wanted = format!("{ID_VARIABLE}={id}");
    let own = i32::try_from(std::process::id()).ok();
    let names = root.list("/proc/").unwrap_or_default();
    let processes = names.iter().filter_map(|name| name.parse::<i32>().ok());
    processes
        .filter(|&process| process > 0 && Some(process) != own)
        .filter(|process| {
            let environment = root.content_of(&format!("/proc/{process}/environ"));
            environment.is_ok_and(|bytes| {
                bytes.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
            })
        })
        .collect()
}
