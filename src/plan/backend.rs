//! Where a llama-bench is and how it is reached: `configs/backends.toml` and the user's own file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Refusal, own_file};
use crate::redact::keys;

pub mod capabilities;
mod command;
mod probe;

pub use capabilities::Capabilities;
pub use probe::{Absent, probe_all};

const KIND: own_file::Kind = own_file::Kind {
    key: "backend",
    file: "backends.toml",
    shipped: include_str!("../../configs/backends.toml"),
    flag: "--backends-file",
};

/// What stands for every backend that is there, so that none is called so.
pub const ALL: &str = "all";

/// How a backend is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A program of this machine.
    Native,
    /// `toolbox run`.
    Toolbox,
    /// `podman exec` in a container that runs.
    PodmanExec,
    /// `podman run` of an image.
    PodmanRun,
    /// `distrobox enter`.
    Distrobox,
}

/// A llama-bench and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// What it is called here and in results.
    pub name: String,
    /// How it is reached.
    pub kind: Kind,
    /// The container, where the kind has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The image of `podman run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The program, as it is called where it runs.
    pub llama_bench: String,
    /// Variables that it needs.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The `--ubatch-size` of its long-context tests, in tokens.
    #[serde(default)]
    pub ubatch_long_context: Option<u32>,
    /// What stands before paths outside `/home` where it runs.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

impl Backend {
    /// What is wrong with it.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = own_file::fault_of_name(&self.name).into_iter().collect();
        let mut fault = |text: &str| faults.push(text.to_owned());
        if self.name == ALL {
            fault("name: all stands for every backend; choose another");
        }
        let needs = match self.kind {
            Kind::Native => (false, false, "a native one has no container and no image"),
            Kind::PodmanRun => (false, true, "podman-run makes a container: name its image alone"),
            Kind::Toolbox | Kind::PodmanExec | Kind::Distrobox => {
                (true, false, "container: name the container, and no image")
            }
        };
        if (self.container.is_some(), self.image.is_some()) != (needs.0, needs.1) {
            fault(needs.2);
        }
        let is_option = |name: &str| name.is_empty() || name.starts_with('-');
        if [&self.container, &self.image].into_iter().flatten().any(|name| is_option(name)) {
            fault("container, image: expected a name, not beginning with -");
        }
        // Its output is only read where it is recognized by its name.
        let program = self.llama_bench.rsplit('/').next().unwrap_or_default();
        if program != "llama-bench" && !program.starts_with("llama-bench-") {
            fault("llama_bench: expected llama-bench or llama-bench-SOMETHING, or its whole path");
        }
        let is_variable = |name: &String| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !self.environment.keys().all(is_variable) {
            fault("environment: expected names of letters, digits and _");
        }
        let is_key = |(name, value): (&String, &String)| {
            !value.is_empty() && (keys::is_secret_variable(name) || keys::hide(value) != *value)
        };
        if self.environment.iter().any(is_key) {
            fault("environment: has a key, and commands are archived; export the variable instead");
        }
        if self.ubatch_long_context == Some(0) {
            fault("ubatch_long_context: expected a number above 0");
        }
        if self.path_prefix.as_ref().is_some_and(|prefix| !prefix.starts_with('/')) {
            fault("path_prefix: expected a path from the root, as /run/host");
        }
        faults
    }
}

/// The shipped backends with the user's own, from the file that is named, else from
/// `~/.config/halo/backends.toml`. One of the same name replaces a shipped one.
///
/// # Errors
///
/// Everything that is wrong in the files, with the file, the entry and the key.
pub fn load(own: Option<&Path>) -> Result<Vec<Backend>, Vec<Refusal>> {
    own_file::merge(KIND, KIND.load(own)?, |backend: &Backend| &backend.name, Backend::faults)
}

/// The backends of these names, which must match exactly; each once.
///
/// # Errors
///
/// Each name that is none.
pub fn choose(backends: &[Backend], names: &[String]) -> Result<Vec<Backend>, Vec<Refusal>> {
    let (mut chosen, mut refusals): (Vec<Backend>, Vec<Refusal>) = (Vec::new(), Vec::new());
    let known = || backends.iter().map(|backend| backend.name.as_str());
    for name in names {
        match backends.iter().find(|backend| backend.name == *name) {
            Some(backend) if chosen.contains(backend) => {}
            Some(backend) => chosen.push(backend.clone()),
            None => {
                let near = crate::near::near(name, known());
                let meant =
                    near.first().map_or(String::new(), |name| format!("did you mean {name}? "));
                refusals.push(Refusal(format!(
                    "backend {name:?}: no such backend; {meant}there are {}",
                    known().collect::<Vec<_>>().join(", ")
                )));
            }
        }
    }
    if refusals.is_empty() { Ok(chosen) } else { Err(refusals) }
}
