//! A campaign of evals: the tasks of a suite for one model, each a run.

use std::path::{Path, PathBuf};

use super::Refusal;
use crate::run::campaign::{Endpoint, PlannedCell};
use crate::run::{Cell, EvalCell};
use crate::tool::OUTPUT;
use definition::Eval;
use endpoint::Wanted;

pub mod definition;
pub mod endpoint;
mod environment;

/// What the user wants of evals.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The suite.
    pub suite: String,
    /// Which server is asked, and for which model.
    pub wanted: Wanted,
    /// The virtual environment with the tools.
    pub venv: PathBuf,
    /// A file of evals of the user's own.
    pub evals_file: Option<PathBuf>,
}

/// The server that is asked, and a cell for each task of the suite.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn build(asked: &Asked) -> Result<(Endpoint, Vec<PlannedCell>), Vec<Refusal>> {
    let evals = definition::load(asked.evals_file.as_deref())?;
    let evals = definition::of_suite(&evals, &asked.suite).map_err(|refusal| vec![refusal])?;
    let mut refusals = Vec::new();
    let venv = std::path::absolute(&asked.venv).unwrap_or_else(|_| asked.venv.clone());
    let programs = environment::programs(&venv, &evals).unwrap_or_else(|wrong| {
        refusals.extend(wrong);
        Vec::new()
    });
    let endpoint = match endpoint::find(&asked.wanted) {
        Ok(endpoint) => endpoint,
        Err(refusal) => {
            refusals.push(refusal);
            return Err(refusals);
        }
    };
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let directory = std::env::current_dir().unwrap_or_default();
    let cells = evals.iter().zip(programs).map(|(eval, program)| PlannedCell {
        cell: Cell::Eval(EvalCell { model: endpoint.model.clone(), eval: eval.name.clone() }),
        file: None,
        bytes: None,
        argv: command(eval, &program, &endpoint, &venv, &directory),
    });
    Ok((endpoint.clone(), cells.collect()))
}

/// The command of an eval.
fn command(
    eval: &Eval,
    program: &Path,
    endpoint: &Endpoint,
    venv: &Path,
    directory: &Path,
) -> Vec<String> {
    let fill = |text: &String| {
        let server = endpoint.url.trim_end_matches("/v1");
        text.replace("{model}", &endpoint.model)
            .replace("{endpoint}", &endpoint.url)
            .replace("{server}", server)
            .replace("{venv}", &venv.to_string_lossy())
            .replace("{directory}", &directory.to_string_lossy())
            .replace("{output}", OUTPUT)
    };
    let mut words = Vec::new();
    if !eval.environment.is_empty() {
        words.push("env".to_owned());
        words.extend(eval.environment.iter().map(|(key, value)| format!("{key}={}", fill(value))));
    }
    words.push(program.to_string_lossy().into_owned());
    words.extend(eval.command.iter().skip(1).map(fill));
    words
}
