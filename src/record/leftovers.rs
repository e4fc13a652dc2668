//! Ends what is left of a command that was ended: inside its container it goes on where its client
//! is ended, and what it started goes on where it was killed.

use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::ID_VARIABLE;

/// How long it may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Asks what is left of a run to end, and ends what does not. Says what it had to do, and where.
pub(super) fn end(id: &str, place: &str) -> Option<String> {
    let left = processes_of(id);
    if left.is_empty() {
        return None;
    }
    send(&left, Signal::TERM);
    let began = Instant::now();
    while began.elapsed() < GRACE {
        if processes_of(id).is_empty() {
            return Some(format!("{} processes {place} were ended", left.len()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let stubborn = processes_of(id);
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
pub(super) fn processes_of(id: &str) -> Vec<i32> {
    let wanted = OsString::from(format!("{ID_VARIABLE}={id}"));
    let own = std::process::id();
    // Who cannot list processes cannot end any.
    let Ok(mut system) = System::new() else { return Vec::new() };
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always).without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let others = system.processes().iter().filter(|(pid, _)| pid.as_u32() != own);
    others
        .filter(|(_, process)| process.environ().contains(&wanted))
        .filter_map(|(pid, _)| i32::try_from(pid.as_u32()).ok())
        .collect()
}
