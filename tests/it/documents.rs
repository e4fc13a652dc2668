//! The commands in the README and the documents do what the text says.
//!
//! Blocks marked `console` are run here. Blocks marked `sh` need something installed; `.ci/run`
//! runs what they say.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use halo::plan::catalog::Catalog;

use crate::machine::fixtures;
use crate::program::{Served, command};
use crate::record::{Archive, path_with, text, write_program};

const EXPORTER: &str = "cargo run --release --bin halo-exporter";
const RECORDER: &str = "cargo run --release --bin halo-record -- ";
const SERVER: &str = "curl 127.0.0.1:10395";

/// Flags with which the program ends by itself.
const ENDING: [&str; 4] = ["--once", "--doctor", "--check-config", "--version"];

#[test]
fn commands_of_documents_work() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = fs::read_dir(repository.join("docs")).unwrap();
    let mut files: Vec<_> = documents.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.push(repository.join("README.md"));
    let mut count = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut served = None;
        ARCHIVE.with(|archive| *archive.borrow_mut() = Archive::new());
        for line in console_lines(&text) {
            run(line, &mut served);
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} commands were found");
}

thread_local! {
    /// The archive that the commands of one document use.
    static ARCHIVE: RefCell<Archive> = RefCell::new(Archive::new());
}

/// Runs a command of the recorder, with a stand-in for llama-bench, one for toolbox that runs it
/// here, and empty files for the models.
fn record(line: &str, arguments: &str) {
    let home = tempfile::tempdir().unwrap();
    let models = home.path().join("models");
    fs::create_dir(&models).unwrap();
    for entry in Catalog::load(None).unwrap().select(&[], &[]).unwrap() {
        fs::write(models.join(&entry.file), "GGUF").unwrap();
    }
    write_program(
        &home.path().join("toolbox"),
        "shift 4; [ \"$1\" = env ] && shift 2; shift\nexec llama-bench \"$@\"",
    );
    let programs = path_with(home.path());
    let programs = std::env::split_paths(&programs).chain([fixtures().join("bin")]);
    let programs = std::env::join_paths(programs).unwrap();
    let arguments = shlex::split(arguments).unwrap();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = ARCHIVE.with(|archive| {
        let archive = archive.borrow();
        let mut program = archive.program(&arguments);
        // What writes a file without being told where writes it here.
        if let ["report" | "bundle", ..] = arguments[..] {
            program.current_dir(home.path());
        }
        program.env("PATH", &programs).env("HOME", home.path()).output().unwrap()
    });
    // The machine of the test need not be fit to measure.
    let is_judged = arguments[0] == "check" && output.status.code() == Some(1);
    assert!(output.status.success() || is_judged, "{line}: {}", text(&output.stderr));
    if let ["list" | "show", ..] = arguments[..] {
        assert!(text(&output.stdout).contains("pp512"), "{line}: {}", text(&output.stdout));
    }
}

/// The commands in the blocks marked `console`.
fn console_lines(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ "))
}

fn run(line: &str, served: &mut Option<Served>) {
    if let Some(arguments) = line.strip_prefix(EXPORTER) {
        let arguments = arguments.trim_start().trim_start_matches("-- ").split_whitespace();
        let arguments: Vec<&str> = arguments.collect();
        if arguments.iter().any(|argument| ENDING.contains(argument)) {
            let output =
                command().current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap();
            assert!(!output.stdout.is_empty() && output.status.code() != Some(2), "{line}");
        } else {
            *served = Some(Served::start(arguments));
        }
    } else if let Some(arguments) = line.strip_prefix(RECORDER) {
        record(line, arguments);
    } else if let Some(path) = line.strip_prefix(SERVER) {
        let response = served.as_ref().expect("a document starts before it asks").get(path);
        assert_eq!(response.status, 200, "{line}");
        assert!(response.text().contains("halo_build_info"), "{line}");
    } else {
        // This test is a part of what that command runs.
        assert_eq!(line, "cargo test", "a command that this test does not know");
    }
}
