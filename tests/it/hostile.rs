//! What somebody else made: archives with runs that cannot be read, and texts that would do something
//! to a terminal.

mod text;
mod unreadable;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::machine::fixtures;
use crate::record::Archive;

/// The run that the others are made from: of llama-bench, with samples and results.
const RECORDED: &str = "archive/v1/20261124T050050.723Z-llama-bench-tiny";

/// Puts a copy of a recorded run into an archive.
fn add(archive: &Archive, name: &str) -> PathBuf {
    let run = archive.path().join(name);
    copy(&fixtures().join(RECORDED), &run);
    run
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

fn manifest_of(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap()
}

fn write_manifest(run: &Path, manifest: &Value) {
    fs::write(run.join("manifest.json"), manifest.to_string()).unwrap();
}
