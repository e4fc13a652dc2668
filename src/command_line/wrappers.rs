//! Programs that people put before a command: `env`, `taskset`, `sudo` and their like.

use std::ffi::OsString;

use super::options::{Options, word};

/// A program that runs the command behind its own options.
struct Wrapper {
    name: &'static str,
    options: Options,
    /// Words between its options and the command.
    words: usize,
    /// Whether `NAME=VALUE` may stand before the command.
    has_assignments: bool,
}

const fn wrapper(
    name: &'static str,
    switches: &'static [&'static str],
    values: &'static [&'static str],
) -> Wrapper {
    Wrapper { name, options: Options { switches, values }, words: 0, has_assignments: false }
}

impl Wrapper {
    const fn words(mut self, words: usize) -> Self {
        self.words = words;
        self
    }

    const fn assignments(mut self) -> Self {
        self.has_assignments = true;
        self
    }
}

/// Programs that people put before a command, from their manual pages.
static WRAPPERS: [Wrapper; 17] = [
    wrapper("chrt", &["-a", "-b", "-d", "-f", "-i", "-o", "-r", "-R", "-v"], &["-T", "-P", "-D"])
        .words(1),
    wrapper("doas", &["-n"], &["-u", "-C"]).assignments(),
    wrapper(
        "env",
        &["-i", "--ignore-environment", "-v", "--debug"],
        &["-u", "--unset", "-C", "--chdir"],
    )
    .assignments(),
    wrapper(
        "flatpak-spawn",
        &["--host", "--watch-bus", "--clear-env", "--sandbox", "--no-network", "-v"],
        &["--env", "--unset-env", "--directory", "--forward-fd"],
    ),
    wrapper("gamemoderun", &[], &[]),
    wrapper("ionice", &["-t", "--ignore"], &["-c", "--class", "-n", "--classdata"]),
    wrapper(
        "nice",
        &["-0", "-1", "-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9"],
        &["-n", "--adjustment"],
    ),
    wrapper("nohup", &[], &[]),
    wrapper(
        "numactl",
        &["-l", "--localalloc", "-a", "--all"],
        &[
            "-i",
            "--interleave",
            "-p",
            "--preferred",
            "-C",
            "--physcpubind",
            "-N",
            "--cpunodebind",
            "-m",
            "--membind",
        ],
    ),
    wrapper("setsid", &["-c", "--ctty", "-f", "--fork", "-w", "--wait"], &[]),
    wrapper("stdbuf", &[], &["-i", "--input", "-o", "--output", "-e", "--error"]),
    wrapper(
        "sudo",
        &["-A", "-b", "-E", "--preserve-env", "-H", "-k", "-n", "--non-interactive", "-P", "-S"],
        &["-u", "--user", "-g", "--group", "-p", "-C", "-D", "--chdir", "-R", "-T"],
    )
    .assignments(),
    wrapper("systemd-inhibit", &["--no-ask-password"], &["--what", "--who", "--why", "--mode"]),
    wrapper("taskset", &["-a", "--all-tasks", "-c", "--cpu-list"], &[]).words(1),
    wrapper("time", &["-a", "-p", "-v", "--verbose", "-q"], &["-f", "--format", "-o", "--output"]),
    wrapper(
        "timeout",
        &["--foreground", "--preserve-status", "-f", "-p", "-v", "--verbose"],
        &["-k", "--kill-after", "-s", "--signal"],
    )
    .words(1),
    wrapper("unbuffer", &["-p"], &[]),
];

/// The name of a program without its directory.
pub(super) fn base_name(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// Where the program stands that the wrappers in front of it run.
pub(super) fn behind_wrappers(argv: &[OsString]) -> Option<usize> {
    let mut at = 0;
    while let Some(wrapper) =
        word(argv, at).and_then(|text| WRAPPERS.iter().find(|w| w.name == base_name(text)))
    {
        let end = wrapper.options.scan(argv, at + 1)?.end;
        at = end + wrapper.words;
        while wrapper.has_assignments && word(argv, at).is_some_and(|text| text.contains('=')) {
            at += 1;
        }
    }
    (at < argv.len()).then_some(at)
}
