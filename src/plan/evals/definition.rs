//! Which evals there are and how each is run: `configs/evals.toml` and the user's own file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;

use crate::near::near;
use crate::plan::{Refusal, own_file};
use crate::redact::keys;
use crate::tool::{self, TOOLS};

const KIND: own_file::Kind = own_file::Kind {
    key: "eval",
    file: "evals.toml",
    shipped: include_str!("../../../configs/evals.toml"),
    flag: "--evals-file",
};

/// What halo puts into commands, in braces.
const PLACEHOLDERS: [&str; 6] = ["model", "endpoint", "server", "venv", "directory", "output"];

/// An eval.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// What it is called here and in results.
    pub name: String,
    /// The suites that it is a part of.
    pub suites: Vec<String>,
    /// The command, its program first: one of the virtual environment, else one that the system
    /// finds.
    pub command: Vec<String>,
    /// Variables that it needs.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What `pip install` has to install for it.
    #[serde(default)]
    pub packages: Vec<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

impl Eval {
    /// What is wrong with it.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = own_file::fault_of_name(&self.name).into_iter().collect();
        let mut fault = |text: String| faults.push(text);
        if self.command.first().is_none_or(String::is_empty) {
            fault("command: expected a program and its arguments".to_owned());
        }
        if self.suites.iter().any(|suite| own_file::fault_of_name(suite).is_some()) {
            fault("suites: expected words without commas, not beginning with -".to_owned());
        }
        let words: Vec<OsString> = self.command.iter().map(OsString::from).collect();
        if tool::recognize(&words).is_none() && !words.is_empty() {
            let tools: Vec<&str> = TOOLS.iter().map(|tool| tool.name()).collect();
            fault(format!(
                "command: halo reads nothing of this program, but of {}; record others with \
                 `halo-record eval -- COMMAND`",
                tools.join(", ")
            ));
        }
        let is_secret =
            |(name, value): (&String, &String)| !value.is_empty() && keys::is_secret_variable(name);
        let has_secret = keys::hide_in_command(&words) != self.command;
        if has_secret || self.environment.iter().any(is_secret) {
            fault(
                "it has a key, and commands are archived; export the variable instead, which the \
                 program sees as well"
                    .to_owned(),
            );
        }
        for text in self.command.iter().chain(self.environment.values()) {
            for name in placeholders(text).filter(|name| !PLACEHOLDERS.contains(name)) {
                fault(format!("{{{name}}}: there are {{{}}}", PLACEHOLDERS.join("}, {")));
            }
        }
        faults
    }
}

/// Words in braces; braces around anything else mean nothing here.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let inside = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    inside.filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()))
}

/// The shipped evals with the user's own, from the file that is named, else from
/// `~/.config/halo/evals.toml`. One of the same name replaces a shipped one.
///
/// # Errors
///
/// Everything that is wrong in the files, with the file, the entry and the key.
pub fn load(own: Option<&Path>) -> Result<Vec<Eval>, Vec<Refusal>> {
    own_file::merge(KIND, KIND.load(own)?, |eval: &Eval| &eval.name, Eval::faults)
}

/// The evals of a suite, in their order.
///
/// # Errors
///
/// Where there is no such suite, with those that there are.
pub fn of_suite(evals: &[Eval], suite: &str) -> Result<Vec<Eval>, Refusal> {
    let chosen = evals.iter().filter(|eval| eval.suites.iter().any(|name| name == suite));
    let chosen: Vec<Eval> = chosen.cloned().collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let mut known: Vec<&str> = Vec::new();
    for name in evals.iter().flat_map(|eval| &eval.suites) {
        if !known.contains(&name.as_str()) {
            known.push(name);
        }
    }
    let near = near(suite, known.iter().copied());
    let meant = near.first().map_or(String::new(), |name| format!("did you mean {name}? "));
    Err(Refusal(format!("suite {suite:?}: no such suite; {meant}there are {}", known.join(", "))))
}
