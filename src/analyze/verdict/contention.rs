//! Whether something else used the graphics processor.
//!
//! Who computes what is not known while the command runs, unless processes are looked at. But who
//! used the processor right before the command was started and after it ended did so meanwhile too.

use std::collections::BTreeMap;

use super::{CONTENDED, Findings, Look, Unreadable, percent};
use crate::analyze::phase::Window;
use crate::analyze::series::growth;
use crate::analyze::telemetry::{Point, Series};
use crate::run::manifest::Kind;
use crate::source::amdgpu::BUSY;
use crate::source::process_gpu::TIME;

/// Seconds for which a reading of activity still shows the command, because firmware filters it:
/// three time constants of one second.
const AFTERGLOW: f64 = 3.0;

/// Programs that serve models, by the name that the kernel has of them.
const SERVERS: [&str; 4] = ["llama-server", "llama-swap", "ollama", "vllm"];

pub(super) fn look(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    busy_apart(look, findings)?;
    // A server that is measured is there before the command, and is no other.
    if look.manifest.kind == Kind::Benchmark {
        others(look, findings)?;
        processor(look, findings);
    }
    Ok(())
}

fn busy_apart(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let before = Window { from: 0, to: look.command.from };
    #[expect(clippy::cast_possible_truncation, reason = "a few seconds in nanoseconds")]
    let settled = look.command.to + (AFTERGLOW * 1e9) as i64;
    let after = Window { from: settled, to: look.recording().to };
    let busy = look.telemetry.series(BUSY.def())?;
    for (when, window) in [("before", before), ("after", after)] {
        let means = busy.iter().filter(|series| is_gfx(series)).filter_map(|series| {
            mean(&series.points, window).map(|mean| (&series.labels[0], mean))
        });
        if let Some((gpu, mean)) = means.max_by(|a, b| a.1.total_cmp(&b.1))
            && mean > look.thresholds.contended_share
        {
            let evidence =
                format!("{gpu} was busy {} of the time {when} the command", percent(mean));
            findings.flag_with(CONTENDED, evidence, [(format!("busy_{when}"), mean)].into());
        }
    }
    Ok(())
}

fn is_gfx(series: &Series) -> bool {
    series.labels.get(1).is_some_and(|engine| engine == "gfx")
}

fn mean(points: &[Point], window: Window) -> Option<f64> {
    let inside = points.iter().filter(|point| window.holds(point.at)).map(|point| point.value);
    let (count, sum) = inside.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// Processes that were there before the command, and computed while it ran.
fn others(look: &Look<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    let mut by_process: BTreeMap<(String, String), f64> = BTreeMap::new();
    for series in look.telemetry.series(TIME.def())? {
        let [_, pid, comm, _] = &series.labels[..] else { continue };
        let was_before = series.points.first().is_some_and(|first| first.at < look.command.from);
        let grown = growth(&series.points, look.command).filter(|_| was_before);
        if let Some((seconds, time)) = grown {
            *by_process.entry((comm.clone(), pid.clone())).or_default() += seconds / time;
        }
    }
    for ((comm, pid), share) in by_process {
        if share > look.thresholds.contended_share {
            let evidence =
                format!("{comm} (pid {pid}) computed {} of the command's time", percent(share));
            findings.flag_with(CONTENDED, evidence, [("others".to_owned(), share)].into());
        }
    }
    Ok(())
}

/// Processes that kept the processor busy beside the command. A server of models may be what is
/// measured; whether one computed for others, its use of the graphics processor tells.
fn processor(look: &Look<'_>, findings: &mut Findings) {
    let others = look.manifest.processes.iter().flatten();
    for process in others.filter(|process| !SERVERS.contains(&process.name.as_str())) {
        if process.cores > look.thresholds.contended_cores {
            let evidence = format!(
                "{} (pid {}) took {:.1} of a core while the command ran",
                process.name, process.pid, process.cores
            );
            let figures = [("cores".to_owned(), process.cores)].into();
            findings.flag_with(CONTENDED, evidence, figures);
        }
    }
}
