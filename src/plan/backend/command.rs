//! The command line of a backend.

use std::path::{Path, PathBuf};

use super::{Backend, Kind};

/// Where paths are the same inside a container that shares the user's home.
const HOME: &str = "/home";

impl Backend {
    /// The command line of its llama-bench with these flags. `model` is the model's file on this
    /// machine, which `podman run` must be shown.
    pub fn command(&self, model: Option<&Path>, flags: &[String]) -> Vec<String> {
        let mut command: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| command.extend(words.iter().map(|&word| word.to_owned()));
        let container = self.container.as_deref().unwrap_or_default();
        let variables: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match self.kind {
            Kind::Native => {}
            Kind::Toolbox => add(&["toolbox", "run", "-c", container, "--"]),
            Kind::Distrobox => add(&["distrobox", "enter", container, "--"]),
            Kind::PodmanExec => {
                add(&["podman", "exec"]);
                for variable in &variables {
                    add(&["--env", variable]);
                }
                add(&[container]);
            }
            Kind::PodmanRun => {
                // A download is no part of a measurement.
                add(&["podman", "run", "--rm", "--pull", "never"]);
                add(&["--device", "/dev/kfd", "--device", "/dev/dri"]);
                // SELinux lets no container read a home; relabelling models would change them.
                add(&["--security-opt", "label=disable"]);
                for directory in model.map(mounts).unwrap_or_default() {
                    let directory = directory.display();
                    add(&["-v", &format!("{directory}:{directory}:ro")]);
                }
                for variable in &variables {
                    add(&["--env", variable]);
                }
                add(&[self.image.as_deref().unwrap_or_default()]);
            }
        }
        let is_passed_on = matches!(self.kind, Kind::PodmanExec | Kind::PodmanRun);
        if !variables.is_empty() && !is_passed_on {
            add(&["env"]);
            for variable in &variables {
                add(&[variable]);
            }
        }
        add(&[&self.llama_bench]);
        command.extend(flags.iter().cloned());
        command
    }

    /// A file's path where the backend runs.
    pub fn path_inside(&self, path: &Path) -> PathBuf {
        match &self.path_prefix {
            Some(prefix) if path.is_absolute() && !path.starts_with(HOME) => {
                Path::new(prefix).join(path.strip_prefix("/").unwrap_or(path))
            }
            _ => path.to_owned(),
        }
    }
}

/// The directories that have a model's file in them: the one where it is found, and the one that
/// has it where that is a link, as in Hugging Face's cache.
fn mounts(model: &Path) -> Vec<PathBuf> {
    let real = model.canonicalize().ok();
    let files = std::iter::once(model).chain(real.as_deref());
    let mut directories: Vec<PathBuf> =
        files.filter_map(|file| Some(file.parent()?.to_owned())).collect();
    directories.dedup();
    directories
}
