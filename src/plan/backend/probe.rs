//! Whether a backend is there.

use std::fmt;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::{Backend, Capabilities, Kind};
use crate::process::{Failure, Output, Program};
use crate::record::find_program;

/// How long a question may take. A container may have to be started for it.
const DEADLINE: Duration = Duration::from_secs(20);

/// More of what a program says than this is for its own log.
const LONGEST: usize = 300;

/// A backend that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// Its name.
    pub backend: String,
    /// Why, and what to do.
    pub reason: String,
}

impl fmt::Display for Absent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "backend {}: {}", self.backend, self.reason)
    }
}

/// Finds out which backends are there. They are asked at the same time: one that hangs is waited
/// for long.
pub fn probe_all(backends: Vec<Backend>) -> Vec<(Backend, Result<Capabilities, Absent>)> {
    thread::scope(|scope| {
        let asked: Vec<_> = backends
            .into_iter()
            .map(|backend| (backend.clone(), scope.spawn(move || backend.probe())))
            .collect();
        let answers = asked.into_iter().map(|(backend, asked)| {
            let name = backend.name.clone();
            let reason = "halo has a bug: it panicked".to_owned();
            let answer = asked.join().unwrap_or(Err(Absent { backend: name, reason }));
            (backend, answer)
        });
        answers.collect()
    })
}

impl Backend {
    /// Finds out whether it is there, and which flags its llama-bench knows. No container is made
    /// and no image downloaded for it.
    ///
    /// # Errors
    ///
    /// Where its client, its container or its llama-bench is not there or does not answer.
    pub fn probe(&self) -> Result<Capabilities, Absent> {
        self.find().map_err(|reason| Absent { backend: self.name.clone(), reason })
    }

    fn find(&self) -> Result<Capabilities, String> {
        let command = self.command(None, &["--help".to_owned()]);
        let client = if self.kind == Kind::Native { &self.llama_bench } else { &command[0] };
        if find_program(client).is_none() {
            return Err(format!(
                "{client}: no such program; install it, or choose another backend"
            ));
        }
        self.find_container()?;
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let line = command.join(" ");
        let output = ask(&words).map_err(|failure| {
            format!("`{line}` {failure}; run it yourself to see what it waits for")
        })?;
        if !output.status.success() {
            return Err(format!(
                "`{line}` failed: {}; correct the backend in a file of your own, or choose another",
                says(&output)
            ));
        }
        Capabilities::of_help(&self.name, &(output.stdout + "\n" + &output.stderr)).ok_or_else(|| {
            format!("`{line}` does not answer as llama-bench does; correct llama_bench in a file of your own")
        })
    }

    /// Whether the container or image is there. `distrobox enter` would make one that is not.
    fn find_container(&self) -> Result<(), String> {
        let container = self.container.as_deref().unwrap_or_default();
        let image = self.image.as_deref().unwrap_or_default();
        match self.kind {
            Kind::Native => Ok(()),
            Kind::PodmanRun => exists(&["podman", "image", "exists", image], || {
                format!("image {image} is not there; `podman pull {image}` gets it")
            }),
            Kind::PodmanExec => {
                exists(&["podman", "container", "exists", container], || {
                    format!("container {container} is not there; `podman ps --all` shows which are")
                })?;
                let running =
                    ["podman", "container", "inspect", "--format", "{{.State.Running}}", container];
                match ask(&running) {
                    Ok(output) if output.stdout.trim() == "false" => Err(format!(
                        "container {container} does not run; `podman start {container}` starts it"
                    )),
                    // What else is wrong, its llama-bench will tell.
                    _ => Ok(()),
                }
            }
            // toolbox has containers of podman; where that is not to be seen, toolbox is asked.
            Kind::Toolbox if find_program("podman").is_none() => Ok(()),
            Kind::Toolbox => exists(&["podman", "container", "exists", container], || {
                format!(
                    "container {container} is not there; `toolbox list` shows which are, and \
                     `toolbox create` makes one"
                )
            }),
            Kind::Distrobox => {
                let is_missing = || {
                    format!(
                        "container {container} is not there; `distrobox list` shows which are, and \
                         `distrobox create` makes one"
                    )
                };
                if find_program("podman").is_some() {
                    exists(&["podman", "container", "exists", container], is_missing)
                } else if find_program("docker").is_some() {
                    exists(&["docker", "container", "inspect", container], is_missing)
                } else {
                    Err("neither podman nor docker is there, which distrobox needs; install one"
                        .to_owned())
                }
            }
        }
    }
}

/// Asks an engine whether it has something: it exits with 1 where it has not.
fn exists(command: &[&str], is_missing: impl Fn() -> String) -> Result<(), String> {
    let line = command.join(" ");
    match ask(command) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) if output.status.code() == Some(1) => Err(is_missing()),
        Ok(output) => Err(format!("`{line}` failed: {}; run it yourself", says(&output))),
        Err(failure) => {
            Err(format!("`{line}` {failure}; run it yourself to see what it waits for"))
        }
    }
}

fn ask(command: &[&str]) -> Result<Output, Failure> {
    // The program was found before; where it went meanwhile, starting it says so.
    let path = find_program(command[0]).unwrap_or_else(|| command[0].into());
    Program::new(&path, &command[1..], DEADLINE).run()
}

/// What a program said of its failure, on one line.
fn says(output: &Output) -> String {
    let lines = || {
        let lines = output.stderr.lines().chain(output.stdout.lines()).map(str::trim);
        lines.filter(|line| !line.is_empty())
    };
    let error = lines().find(|line| line.to_lowercase().contains("error"));
    match error.or_else(|| lines().next()) {
        Some(line) => line.chars().take(LONGEST).collect(),
        None => output.status.to_string(),
    }
}
