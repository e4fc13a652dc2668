//! The virtual environment with the tools of evals.

use std::fs;
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
        let lacking = found.as_ref().and_then(|_| lacking(venv, &eval.packages));
        match found {
            Some(_) if lacking.is_some() => refusals.push(Refusal(format!(
                "eval {}: {} lacks {}; install it with `{}`",
                eval.name,
                venv.display(),
                lacking.unwrap_or_default(),
                install(&[eval])
            ))),
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

/// The first package that a virtual environment lacks; none too where it cannot be looked into.
/// Versions are left to pip.
fn lacking(venv: &Path, packages: &[String]) -> Option<String> {
    let libraries = fs::read_dir(venv.join("lib")).ok()?.flatten();
    let libraries = libraries.map(|entry| entry.path().join("site-packages"));
    let mut installed: Vec<String> = Vec::new();
    for entry in libraries.filter_map(|library| fs::read_dir(library).ok()).flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((name, _)) = name.strip_suffix(".dist-info").and_then(|it| it.split_once('-')) {
            installed.push(normalized(name));
        }
    }
    if installed.is_empty() {
        return None;
    }
    let name = |package: &String| normalized(named(package));
    packages.iter().find(|package| !installed.contains(&name(package))).map(|p| named(p).to_owned())
}

/// The name of the package in a requirement, as `inspect-evals[bfcl]>=0.6.0`.
fn named(requirement: &str) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = requirement.find(|c| !is_name(c)).unwrap_or(requirement.len());
    &requirement[..end]
}

/// Names of packages in which only `-`, `_` and `.` differ are the same.
fn normalized(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '.'], "_")
}
