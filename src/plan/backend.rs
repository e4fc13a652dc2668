//! Where a llama-bench is and how it is reached: `configs/backends.toml` and the user's own file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Refusal, own_file};
use crate::process::Program;
use crate::record::find_program;

/// The backends that halo ships.
const SHIPPED: &str = include_str!("../../configs/backends.toml");

/// How long a llama-bench may take to print its help. A container may have to be started for it.
const HELP_DEADLINE: Duration = Duration::from_secs(20);

/// Where paths are the same inside a container that shares the user's home.
const HOME: &str = "/home";

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
    /// The container, or the image of `podman run`.
    #[serde(default)]
    pub container: Option<String>,
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

/// Which flags a llama-bench knows, as its help says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    backend: Vec<Backend>,
}

/// The shipped backends with the user's own, from the file that is named, else from
/// `~/.config/halo/backends.toml`.
///
/// # Errors
///
/// Where a file cannot be read, with the file, the line and the key.
pub fn load(own: Option<&Path>) -> Result<Vec<Backend>, Refusal> {
    let mut backends: Vec<Backend> = Vec::new();
    let mut add = |name: &str, file: File| {
        let mut seen: Vec<String> = Vec::new();
        for backend in file.backend {
            let refuse =
                |what: &str| Err(Refusal(format!("{name}: backend {:?}: {what}", backend.name)));
            if backend.name.is_empty() || backend.llama_bench.is_empty() {
                return refuse("name and llama_bench must not be empty");
            }
            if (backend.kind == Kind::Native) != backend.container.is_none() {
                return refuse("native has no container, and every other kind has one");
            }
            if seen.contains(&backend.name) {
                return refuse("stands there twice; rename one");
            }
            seen.push(backend.name.clone());
            match backends.iter_mut().find(|known| known.name == backend.name) {
                Some(known) => *known = backend,
                None => backends.push(backend),
            }
        }
        Ok(())
    };
    add("configs/backends.toml", own_file::parse("configs/backends.toml", SHIPPED)?)?;
    if let Some(path) = own_file::own_file(own, "backends.toml")? {
        add(&path.display().to_string(), own_file::read(&path)?)?;
    }
    Ok(backends)
}

/// The backends of these names, which must match exactly.
///
/// # Errors
///
/// Each name that is none.
pub fn choose(backends: &[Backend], names: &[String]) -> Result<Vec<Backend>, Vec<Refusal>> {
    let (mut chosen, mut refusals): (Vec<Backend>, Vec<Refusal>) = (Vec::new(), Vec::new());
    for name in names {
        match backends.iter().find(|backend| backend.name == *name) {
            Some(backend) if chosen.contains(backend) => {}
            Some(backend) => chosen.push(backend.clone()),
            None => {
                let names: Vec<&str> = backends.iter().map(|b| b.name.as_str()).collect();
                refusals.push(Refusal(format!(
                    "--backends {name}: no such backend; there are {}",
                    names.join(", ")
                )));
            }
        }
    }
    if refusals.is_empty() { Ok(chosen) } else { Err(refusals) }
}

impl Backend {
    /// The command line of its llama-bench with these flags. `model` is the model's file, which
    /// `podman run` must be shown.
    pub fn command(&self, model: Option<&Path>, flags: &[String]) -> Vec<String> {
        let container = self.container.clone().unwrap_or_default();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let variables = || self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let options = || variables().flat_map(|variable| ["--env".to_owned(), variable]);
        let mut command = match self.kind {
            Kind::Native => Vec::new(),
            Kind::Toolbox => {
                [words(&["toolbox", "run", "-c"]), vec![container, "--".to_owned()]].concat()
            }
            Kind::Distrobox => {
                [words(&["distrobox", "enter"]), vec![container, "--".to_owned()]].concat()
            }
            Kind::PodmanExec => {
                [words(&["podman", "exec"]), options().collect(), vec![container]].concat()
            }
            Kind::PodmanRun => {
                let mut command = words(&[
                    "podman", "run", "--rm", "--device", "/dev/kfd", "--device", "/dev/dri",
                ]);
                if let Some(directory) = model.and_then(Path::parent) {
                    let directory = directory.display();
                    command.extend(["-v".to_owned(), format!("{directory}:{directory}:ro")]);
                }
                command.extend(options());
                command.push(container);
                command
            }
        };
        let is_passed_on = matches!(self.kind, Kind::PodmanExec | Kind::PodmanRun);
        if !self.environment.is_empty() && !is_passed_on {
            command.push("env".to_owned());
            command.extend(variables());
        }
        command.push(self.llama_bench.clone());
        command.extend(flags.iter().cloned());
        command
    }

    /// A file's path where the backend runs.
    pub fn path_inside(&self, path: &Path) -> PathBuf {
        match &self.path_prefix {
            Some(prefix) if !path.starts_with(HOME) => {
                let below = path.strip_prefix("/").unwrap_or(path);
                Path::new(prefix).join(below)
            }
            _ => path.to_owned(),
        }
    }

    /// Asks its llama-bench which flags it knows.
    ///
    /// # Errors
    ///
    /// Where it is not there or does not answer; why, and what to do.
    pub fn probe(&self) -> Result<Flags, Refusal> {
        let command = self.command(None, &["--help".to_owned()]);
        let refuse = |why: String| Err(Refusal(format!("backend {}: {why}", self.name)));
        let Some(program) = find_program(&command[0]) else {
            return refuse(format!(
                "{}: no such program; install it, or name another backend",
                command[0]
            ));
        };
        let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
        match Program::new(&program, &arguments, HELP_DEADLINE).run() {
            Err(failure) => refuse(format!("`{}`: {failure}", command.join(" "))),
            Ok(output) if output.status.success() => Ok(Flags(output.stdout + &output.stderr)),
            Ok(output) => {
                let said = output.stderr.lines().chain(output.stdout.lines());
                let said = said.map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
                refuse(format!("`{}` failed: {said}", command.join(" ")))
            }
        }
    }
}

/// Flags that are called otherwise in other versions: the old one, the new one, and the values.
/// `-mmp` went and `-lm` came in 2026; none of them maps the model's file into memory.
const RENAMED: [Renamed; 1] =
    [Renamed { old: "-mmp", new: "-lm", values: [("0", "none"), ("1", "mmap")] }];

struct Renamed {
    old: &'static str,
    new: &'static str,
    values: [(&'static str, &'static str); 2],
}

impl Flags {
    /// Those that a help text names.
    pub fn of_help(help: &str) -> Self {
        Self(help.to_owned())
    }

    /// Whether it knows a flag.
    pub fn knows(&self, flag: &str) -> bool {
        let is_word = |c: char| c.is_whitespace() || c == ',';
        // Behind the first word of a line that is no flag stands prose.
        let flags = |line: &str| -> bool {
            line.split(is_word)
                .filter(|word| !word.is_empty())
                .take_while(|word| word.starts_with('-'))
                .any(|word| word == flag)
        };
        self.0.lines().any(flags)
    }

    /// Flags, each with its value, as this version calls them.
    ///
    /// # Errors
    ///
    /// Each flag that it does not know by any name.
    pub fn translate(&self, backend: &str, flags: &[String]) -> Result<Vec<String>, Vec<Refusal>> {
        let (mut translated, mut refusals) = (Vec::new(), Vec::new());
        for pair in flags.chunks(2) {
            let (name, value) = (pair[0].as_str(), pair.get(1).map_or("", String::as_str));
            if self.knows(name) {
                translated.extend(pair.iter().cloned());
                continue;
            }
            let renamed = RENAMED.iter().find_map(|Renamed { old, new, values }| {
                let value = values.iter().find(|(old, _)| *old == value)?.1;
                (*old == name && self.knows(new)).then_some([(*new).to_owned(), value.to_owned()])
            });
            match renamed {
                Some(pair) => translated.extend(pair),
                None => refusals.push(Refusal(format!(
                    "backend {backend}: its llama-bench does not know {name} {value}; update it, or name another backend"
                ))),
            }
        }
        if refusals.is_empty() { Ok(translated) } else { Err(refusals) }
    }
}
