//! At a terminal a command has a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use halo::run::manifest::{Manifest, Results, State};
use pty_process::Size;
use pty_process::blocking::{Command, open};

use super::{Archive, manifest, path_with, raw, wait_until, write_program};

/// halo at a terminal of the test.
pub(crate) struct Session {
    child: Child,
    keyboard: File,
    screen: JoinHandle<String>,
}

impl Session {
    fn start(archive: &Archive, script: &str) -> Self {
        Self::of(&archive.recording(&[], &["sh", "-c", script]))
    }

    fn of(halo: &std::process::Command) -> Self {
        Self::as_wide_as(77, halo)
    }

    pub(crate) fn as_wide_as(columns: u16, halo: &std::process::Command) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(33, columns)).unwrap();
        // What the recording sets goes beside the terminal that this command brings.
        let mut command = Command::new(halo.get_program()).args(halo.get_args());
        for (name, value) in halo.get_envs() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn(pts).unwrap();
        let keyboard = File::from(pty.as_fd().try_clone_to_owned().unwrap());
        let mut screen = File::from(OwnedFd::from(pty));
        let screen = thread::spawn(move || {
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            // The end of a terminal is an error.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..length]);
            }
            String::from_utf8(seen).unwrap()
        });
        Self { child, keyboard, screen }
    }

    fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.screen.join().unwrap())
    }
}

/// What a terminal shows of a command at which these keys are typed.
pub(super) fn at_terminal(halo: &std::process::Command, keys: &str) -> String {
    let mut session = Session::of(halo);
    session.type_keys(keys.as_bytes());
    session.end().1
}

#[test]
fn the_command_has_a_terminal_of_the_same_size() {
    let archive = Archive::new();
    let script =
        "test -t 0 && test -t 1 && test -t 2 && stty size && printf 'a\\nb\\r\\n' && echo e >&2";
    let (status, screen) = Session::start(&archive, script).end();
    assert!(status.success(), "{screen}");
    assert!(screen.contains("33 77\r\na\r\nb\r\r\n"), "{screen:?}");
    // The archive has what the command wrote, without what the terminal added.
    assert_eq!(raw(&archive.only_run(), "stdout"), "33 77\na\nb\r\n");
    assert_eq!(raw(&archive.only_run(), "stderr"), "e\n");
}

#[test]
fn typed_lines_and_ctrl_c_reach_the_command() {
    let archive = Archive::new();
    let go = archive.path().with_extension("go");
    let script = format!("read line; echo \"got $line\"; touch {}; exec sleep 20", go.display());
    let mut session = Session::start(&archive, &script);
    session.type_keys(b"hello\r");
    wait_until("the command has read", || go.exists());
    session.type_keys(b"\x03");
    let (status, screen) = session.end();
    assert_eq!(status.signal(), Some(2), "{screen}");
    assert!(screen.contains("got hello"), "{screen}");
    assert_eq!(manifest(&archive.only_run()).state, State::Cancelled);
    std::fs::remove_file(go).unwrap();
}

#[test]
fn a_file_as_standard_output_gets_no_terminal() {
    let archive = Archive::new();
    let output = archive
        .recording(&[], &["sh", "-c", "test -t 1 && echo terminal || echo none"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"none\n");
}

/// Containers that give a command a terminal of its own where they have one, so that both of its
/// outputs come as one.
const CONTAINERS: [&[&str]; 3] = [
    &["toolbox", "run", "-c", "x"],
    &["distrobox", "enter", "x", "--"],
    &["podman", "exec", "-it", "x"],
];

/// A llama-bench in such a container.
fn in_container(
    container: &str,
    archive: &Archive,
    directory: &std::path::Path,
) -> std::process::Command {
    let line = |test: &str, speed: f64| {
        format!(
            r#"{{"build_commit": "abc", "build_number": 11434, "backends": "Vulkan", {test}, "avg_ts": {speed}, "samples_ts": [{speed}, {speed}]}}"#
        )
    };
    let [prompt, generation] = [
        line(r#""n_prompt": 512, "n_gen": 0"#, 331.5),
        line(r#""n_prompt": 0, "n_gen": 128"#, 28.25),
    ];
    let script = format!(
        "case \"$*\" in\n  *--help) echo '  -oe, --output-err <csv|json|jsonl|md|sql>'; echo '  --progress'; exit 0;;\n\
         \x20 *'-oe jsonl');;\n  *) exit 3;;\nesac\n\
         echo 'ggml_vulkan: Found 1 Vulkan devices:' >&2\n\
         echo 'llama-bench: benchmark 1/2: starting' >&2\n\
         echo '| test | t/s |'\necho '| ---: | ---: |'\n\
         echo '| pp512 | 331.50 ± 0.00 |'\necho '{prompt}' >&2\n\
         echo '| tg128 | 28.25 ± 0.00 |'\nprintf '\\033[0m' >&2\necho '{generation}' >&2"
    );
    write_program(&directory.join("llama-bench"), &script);
    let script = "while [ \"$1\" != llama-bench ]; do shift; done\n\
                  if [ -t 0 ] && [ -t 1 ]; then exec \"$@\" 2>&1; fi\nexec \"$@\"";
    write_program(&directory.join(container), script);
    let words = CONTAINERS.iter().find(|words| words[0] == container).unwrap();
    let mut halo =
        archive.recording(&[], &[words, &["llama-bench", "-m", "none.gguf"][..]].concat());
    halo.env("PATH", path_with(directory));
    halo
}

fn speeds(about: &Manifest) -> Vec<(&str, f64, Option<u32>)> {
    let speeds = about.summary.iter().filter(|figure| figure.metric == "tokens_per_second");
    speeds.map(|figure| (figure.case.as_str(), figure.mean, figure.repetitions)).collect()
}

#[test]
fn what_a_container_brings_on_one_output_is_read_and_hidden_there() {
    for words in CONTAINERS {
        let container = words[0];
        let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
        let (status, screen) =
            Session::of(&in_container(container, &archive, directory.path())).end();
        assert!(status.success(), "{container}: {screen}");
        assert!(screen.contains("| tg128 | 28.25"), "{container}: {screen}");
        assert!(!screen.contains("build_commit"), "{container}: {screen}");
        assert!(!screen.contains("benchmark 1/2"), "{container}: {screen}");
        let run = archive.only_run();
        let about = manifest(&run);
        assert_eq!((about.state, about.results), (State::Complete, Results::Parsed));
        let expected = [("pp512", 331.5, Some(2)), ("tg128", 28.25, Some(2))];
        assert_eq!(speeds(&about), expected, "{container}");
        assert!(raw(&run, "stdout").contains("\"build_commit\"") && raw(&run, "stderr").is_empty());

        // As an earlier halo closed it.
        let path = run.join("manifest.json");
        let mut old: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        old["state"] = "failed".into();
        old["results"] = "none".into();
        old["failure"] = "llama-bench printed no result".into();
        old.as_object_mut().unwrap().retain(|key, _| !matches!(key.as_str(), "summary" | "cases"));
        std::fs::write(&path, old.to_string()).unwrap();
        assert!(archive.print(&["reparse", "latest"]).contains("results parsed"), "{container}");
        let mended = manifest(&run);
        assert_eq!((mended.state, mended.failure), (State::Complete, None), "{container}");
        assert_eq!((mended.summary, mended.cases), (about.summary, about.cases), "{container}");
    }
}
