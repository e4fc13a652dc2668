//! Whether this machine is fit to measure.

use std::process::ExitCode;
use std::thread;

use halo::cli::record::{Checked, Output};
use halo::fitness::checks::{self, Wanted};
use halo::fitness::{State, Unfit, machine::Look};
use halo::record::model;
use halo::report::fitness;

use super::{USAGE, print, print_json, refuse};

/// Looks at the machine and says what is so. Exit code 1 where something is bad.
pub(super) fn check(asked: &Checked, output: Output) -> anyhow::Result<ExitCode> {
    let mut bytes = None;
    if let Some(file) = &asked.model {
        let described = model::describe(file, false, None);
        bytes = described.model.bytes;
        if bytes.is_none() {
            let problem = described.problems.into_iter().next().unwrap_or_default();
            return Ok(refuse(&format!("--model {problem}"), USAGE));
        }
    }
    let mut pause = |time| {
        thread::sleep(time);
        None
    };
    let looked = Look::open(&asked.config).and_then(|look| {
        let mut machine = look.gather(&mut pause)?;
        machine.is_clock_synchronized = look.is_clock_synchronized();
        machine.room = asked.archive.room();
        Ok(machine)
    });
    let machine = match looked {
        Ok(machine) => machine,
        Err(Unfit::Refused(text)) => anyhow::bail!(text),
        Err(Unfit::Signal(signal)) => anyhow::bail!("ended by signal {signal}"),
    };
    let wanted = Wanted { cool_to: asked.cool_to.unwrap_or(checks::COOL), model: bytes };
    let findings = checks::examine(&machine, &wanted);
    match output {
        Output::Text => print(&fitness::findings(&findings))?,
        Output::Json => print_json(&findings)?,
    };
    let is_bad = findings.iter().any(|finding| finding.state == State::Bad);
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
