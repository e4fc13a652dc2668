//! Whether the machine was alone before the command.

use super::{Request, say};
use crate::fitness::processes::{self, BUSY_CORES, Processes};
use crate::run::Manifest;

/// Says which processes were busy while the machine was to be alone, to the user or where somebody
/// else watches in the manifest, and begins to watch them anew: what is measured is the command's
/// time.
pub(super) fn look(
    processes: &mut Option<Processes>,
    request: &Request,
    is_watched: bool,
    manifest: &mut Manifest,
) {
    let Some(processes) = processes else { return };
    if !request.lead.is_zero() {
        for process in processes.busiest().iter().filter(|process| process.cores > BUSY_CORES) {
            let who = processes::in_words(process);
            let text = format!("{who} is busy, which may slow what is measured");
            if is_watched { manifest.add_problem(text) } else { say(&text) }
        }
    }
    processes.restart();
}
