//! Commands that run in a container: where the inner command begins, and how it gets variables.

use std::ffi::OsString;

use super::flags;
use super::options::word;
use super::wrappers::{base_name, behind_wrappers};

/// A program that runs commands in containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// podman, and docker where it is podman's.
    Podman,
    /// docker.
    Docker,
    /// toolbox, which calls podman.
    Toolbox,
    /// distrobox, which calls podman or docker.
    Distrobox,
}

/// What a command line says about the container in which its command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The client.
    pub client: Client,
    /// Where in the command line the client stands.
    pub client_index: usize,
    /// Where the options of its subcommand begin, behind `exec`, `run` or `enter`.
    pub options_index: usize,
    /// The container's name, where one is given.
    pub name: Option<String>,
    /// The image, where the container is made for this command.
    pub image: Option<String>,
    /// Where the inner command begins. None where an option is unknown, where there is no
    /// command, and where the image's own entry point gets the words.
    pub program_index: Option<usize>,
}

impl Container {
    /// The options between client and subcommand: they decide whose containers are meant.
    pub fn engine_options<'a>(&self, argv: &'a [OsString]) -> Option<Vec<&'a str>> {
        let options = &argv[self.client_index + 1..self.options_index];
        let options: Option<Vec<&str>> = options.iter().map(|option| option.to_str()).collect();
        let mut options = options?;
        options.pop();
        if options.last() == Some(&"container") {
            options.pop();
        }
        Some(options)
    }
}

/// The container in which a command runs that is started from outside of it, also behind `env`,
/// `sudo`, `taskset` and the like.
pub fn recognize(argv: &[OsString]) -> Option<Container> {
    let at = behind_wrappers(argv)?;
    match base_name(word(argv, at)?) {
        "podman" | "podman-remote" => engine(argv, at, Client::Podman),
        "docker" => engine(argv, at, Client::Docker),
        "toolbox" | "toolbx" => toolbox(argv, at),
        "distrobox" if word(argv, at + 1) == Some("enter") => Some(distrobox(argv, at, at + 2)),
        "distrobox-enter" => Some(distrobox(argv, at, at + 1)),
        _ => None,
    }
}

/// The command line with variables for the command in the container, whose client would pass on
/// none or few of its own. Another command line comes back as it is.
pub fn with_environment(argv: &[OsString], variables: &[(&str, &str)]) -> Vec<OsString> {
    let mut argv = argv.to_vec();
    let Some(container) = recognize(&argv) else { return argv };
    let assignments = variables.iter().map(|(name, value)| format!("{name}={value}"));
    let (place, words): (Option<usize>, Vec<String>) = match container.client {
        Client::Podman | Client::Docker => {
            let options = assignments.flat_map(|assignment| ["--env".to_owned(), assignment]);
            (Some(container.options_index), options.collect())
        }
        Client::Toolbox | Client::Distrobox => (
            container.program_index,
            std::iter::once("env".to_owned()).chain(assignments).collect(),
        ),
    };
    if let Some(place) = place.filter(|_| !variables.is_empty()) {
        argv.splice(place..place, words.into_iter().map(OsString::from));
    }
    argv
}

fn engine(argv: &[OsString], client_index: usize, client: Client) -> Option<Container> {
    let mut at = flags::ENGINE.scan(argv, client_index + 1)?.end;
    if word(argv, at) == Some("container") {
        at += 1;
    }
    let is_run = match word(argv, at)? {
        "exec" => false,
        "run" => true,
        _ => return None,
    };
    let mut container = Container {
        client,
        client_index,
        options_index: at + 1,
        name: None,
        image: None,
        program_index: None,
    };
    let options = if is_run { &flags::RUN } else { &flags::EXEC };
    let Some(scanned) = options.scan(argv, at + 1) else { return Some(container) };
    let subject = word(argv, scanned.end).map(str::to_owned);
    let mut program = scanned.end + 1;
    if is_run {
        container.name = scanned.value(&["--name"]).map(str::to_owned);
        container.image = subject;
    } else if scanned.has(&["-l", "--latest"]) {
        program = scanned.end;
    } else {
        container.name = subject;
    }
    // What begins like an option is one of the image's own entry point.
    let is_program = word(argv, program).is_some_and(|text| !text.starts_with('-'));
    let has_entry_point = scanned.value(&["--entrypoint"]).is_some_and(|value| !value.is_empty());
    let is_command = is_program && !has_entry_point;
    container.program_index = is_command.then_some(program);
    Some(container)
}

fn toolbox(argv: &[OsString], client_index: usize) -> Option<Container> {
    let at = flags::TOOLBOX.scan(argv, client_index + 1)?.end;
    if word(argv, at)? != "run" {
        return None;
    }
    let scanned = flags::TOOLBOX.scan(argv, at + 1);
    let name = scanned.as_ref().and_then(|scanned| scanned.value(&["-c", "--container"]));
    Some(Container {
        client: Client::Toolbox,
        client_index,
        options_index: at + 1,
        name: name.map(str::to_owned),
        image: None,
        program_index: scanned.map(|scanned| scanned.end).filter(|&end| end < argv.len()),
    })
}

/// distrobox takes its options before and behind the name, and `-nw` is one option
/// (distrobox-enter(1), 1.8).
fn distrobox(argv: &[OsString], client_index: usize, options_index: usize) -> Container {
    let mut container = Container {
        client: Client::Distrobox,
        client_index,
        options_index,
        name: None,
        image: None,
        program_index: None,
    };
    let mut at = options_index;
    while let Some(text) = word(argv, at) {
        at += 1;
        match text {
            "-e" | "--exec" | "--" => {
                container.program_index = (at < argv.len()).then_some(at);
                break;
            }
            "-n" | "--name" => {
                container.name = word(argv, at).map(str::to_owned);
                at += 1;
            }
            "-a" | "--additional-flags" => at += 1,
            "-T" | "-H" | "--no-tty" | "-nw" | "--no-workdir" | "-r" | "--root" | "-v"
            | "--verbose" | "-c" | "--clean-path" | "-Y" | "--yes" => {}
            option if option.starts_with('-') => {
                container.name = None;
                break;
            }
            name => container.name = Some(name.to_owned()),
        }
    }
    container
}

#[cfg(test)]
mod tests;
