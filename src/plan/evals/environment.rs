//! The virtual environment with the tools of evals.

use std::path::{Path, PathBuf};

use super::definition::Eval;
use crate::plan::Refusal;
use crate::record::find_program;

/// The program of each eval: of the virtual environment, else one that the system finds.
///
/// # Errors
///
/// What is missing, and how to install it.
pub(super) fn programs(venv: &Path, evals: &[Eval]) -> Result<Vec<PathBuf>, Vec<Refusal>> {
    let install = |evals: &[&Eval]| {
        let mut packages: Vec<String> = Vec::new();
        for package in evals.iter().flat_map(|eval| &eval.packages) {
            let quoted = shlex::try_quote(package).map_or(package.clone(), Into::into);
            if !packages.contains(&quoted) {
                packages.push(quoted);
            }
        }
        format!("{} install {}", venv.join("bin/pip").display(), packages.join(" "))
    };
    let all: Vec<&Eval> = evals.iter().collect();
    let own: Vec<&Eval> = all.iter().copied().filter(|eval| !eval.packages.is_empty()).collect();
    if !own.is_empty() && find_program(venv.join("bin/python")).is_none() {
        return Err(vec![Refusal(format!(
            "{}: no virtual environment; make it with `python3 -m venv {} && {}`, or name another \
             with --venv",
            venv.display(),
            venv.display(),
            install(&own)
        ))]);
    }
    let (mut programs, mut refusals) = (Vec::new(), Vec::new());
    for eval in all {
        let name = &eval.command[0];
        let inside = venv.join("bin").join(name);
        let found = find_program(&inside).or_else(|| find_program(name));
        match found {
            Some(program) => programs.push(program),
            None if eval.packages.is_empty() => refusals.push(Refusal(format!(
                "eval {}: {name}: no such program; install it, or give its whole path",
                eval.name
            ))),
            None => refusals.push(Refusal(format!(
                "eval {}: {}: no such program; install it with `{}`",
                eval.name,
                inside.display(),
                install(&[eval])
            ))),
        }
    }
    if refusals.is_empty() { Ok(programs) } else { Err(refusals) }
}
