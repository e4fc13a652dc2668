//! The program that a command line runs behind `env`, `taskset`, `podman exec` and their like.
//!
//! A wrapper, or an option of one, that is not known here ends the search: then the tool is not
//! recognized, and the command is recorded as any other.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A program that starts the program named in its arguments.
struct Wrapper {
    names: &'static [&'static str],
    /// The first argument that is no option, where the wrapper has others than this.
    subcommands: &'static [&'static str],
    /// Options whose value is the next argument.
    valued: &'static [&'static str],
    /// How many arguments stand between the options and the program: a mask, a container.
    operands: usize,
    /// Whether `NAME=value` stands before the program.
    has_assignments: bool,
}

/// A wrapper that needs nothing but the program.
const PLAIN: Wrapper =
    Wrapper { names: &[], subcommands: &[], valued: &[], operands: 0, has_assignments: false };

const WRAPPERS: &[Wrapper] = &[
    Wrapper {
        names: &["env"],
        valued: &["-u", "--unset", "-C", "--chdir"],
        has_assignments: true,
        ..PLAIN
    },
    Wrapper {
        names: &["sudo", "doas"],
        valued: &["-u", "--user", "-g", "--group", "-D", "--chdir"],
        has_assignments: true,
        ..PLAIN
    },
    Wrapper { names: &["nohup", "setsid", "gamemoderun", "unbuffer"], ..PLAIN },
    Wrapper { names: &["nice"], valued: &["-n", "--adjustment"], ..PLAIN },
    Wrapper { names: &["ionice"], valued: &["-c", "--class", "-n", "--classdata"], ..PLAIN },
    Wrapper { names: &["chrt", "taskset"], operands: 1, ..PLAIN },
    Wrapper {
        names: &["timeout"],
        valued: &["-k", "--kill-after", "-s", "--signal"],
        operands: 1,
        ..PLAIN
    },
    Wrapper { names: &["time"], valued: &["-f", "--format", "-o", "--output"], ..PLAIN },
    Wrapper {
        names: &["stdbuf"],
        valued: &["-i", "--input", "-o", "--output", "-e", "--error"],
        ..PLAIN
    },
    Wrapper {
        names: &["numactl"],
        valued: &[
            "-C",
            "--physcpubind",
            "-N",
            "--cpunodebind",
            "-m",
            "--membind",
            "-i",
            "--interleave",
            "-p",
            "--preferred",
        ],
        ..PLAIN
    },
    Wrapper {
        names: &["toolbox", "toolbx"],
        subcommands: &["run"],
        valued: &["-c", "--container", "-d", "--distro", "-r", "--release"],
        ..PLAIN
    },
    Wrapper {
        names: &["podman", "docker"],
        subcommands: &["exec", "run"],
        valued: &[
            "--annotation",
            "--cap-add",
            "--cap-drop",
            "--cpus",
            "--cpuset-cpus",
            "--device",
            "-e",
            "--env",
            "--env-file",
            "--gpus",
            "--group-add",
            "-h",
            "--hostname",
            "--ipc",
            "-l",
            "--label",
            "-m",
            "--memory",
            "--mount",
            "--name",
            "--net",
            "--network",
            "-p",
            "--pid",
            "--platform",
            "--publish",
            "--runtime",
            "--security-opt",
            "--shm-size",
            "--tmpfs",
            "-u",
            "--ulimit",
            "--user",
            "--userns",
            "-v",
            "--volume",
            "-w",
            "--workdir",
        ],
        operands: 1,
        ..PLAIN
    },
];

/// Where in a command line the program stands for which `is_program` holds, if it is what runs.
/// It is given the program's file name and what follows it.
pub fn find(argv: &[OsString], is_program: &dyn Fn(&str, &[OsString]) -> bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let name = Path::new(argv.get(at)?).file_name().and_then(OsStr::to_str)?;
        if is_program(name, &argv[at + 1..]) {
            return Some(at);
        }
        let arguments = &argv[at + 1..];
        at += 1 + match WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) {
            Some(wrapper) => wrapper.skip(arguments)?,
            None => skip_distrobox(name, arguments)?,
        };
    }
}

impl Wrapper {
    /// How many arguments stand before the program.
    fn skip(&self, arguments: &[OsString]) -> Option<usize> {
        let mut at = 0;
        if !self.subcommands.is_empty() {
            let is_known = |word: &&OsString| self.subcommands.iter().any(|known| *word == known);
            arguments.first().filter(is_known)?;
            at = 1;
        }
        let mut has_options = true;
        let mut operands = self.operands;
        loop {
            let argument = arguments.get(at)?.to_str()?;
            if has_options && argument == "--" {
                has_options = false;
            } else if has_options && argument.starts_with('-') {
                at += usize::from(self.valued.contains(&argument));
            } else if self.has_assignments && argument.contains('=') {
                has_options = false;
            } else if operands > 0 {
                operands -= 1;
                // Behind a container's name, what begins with a dash is the command's.
                has_options = operands > 0;
            } else {
                return Some(at);
            }
            at += 1;
        }
    }
}

/// distrobox marks where the command begins.
fn skip_distrobox(name: &str, arguments: &[OsString]) -> Option<usize> {
    let is_distrobox = match name {
        "distrobox" => arguments.first().is_some_and(|word| word == "enter"),
        "distrobox-enter" => true,
        _ => false,
    };
    let mark =
        arguments.iter().position(|word| word == "--" || word == "-e" || word == "--exec")?;
    is_distrobox.then_some(mark + 1)
}
