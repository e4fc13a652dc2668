//! What campaigns are planned from: models and their files, backends and their flags.

mod backends;
mod catalog;
mod files;
mod fits;
mod flags;
mod own;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use halo::plan::Refusal;
use serde_json::Value;

use crate::program::host_flags;
use crate::record::{text, write_program};

/// A machine without models, containers and files of its user.
struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        for directory in ["home", "bin", "containers", "images"] {
            fs::create_dir(room.path(directory)).unwrap();
        }
        // The stand-ins and what they run need no other program.
        std::os::unix::fs::symlink("/usr/bin/env", room.path("bin/env")).unwrap();
        std::os::unix::fs::symlink("/bin/cat", room.path("bin/cat")).unwrap();
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and the directories above it.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A file that begins as a model and has this many bytes, almost none of them on the disk.
    fn model(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.file(name, "GGUF");
        File::options().write(true).open(&path).unwrap().set_len(bytes).unwrap();
        path
    }

    fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path("bin").join(name);
        write_program(&path, script);
        path
    }

    /// `halo-record` in this room, on a fixture machine.
    fn command(&self, host: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halo-record"));
        command.env_clear().env("PATH", self.path("bin")).env("HOME", self.path("home"));
        command.env("ROOM", self.0.path()).current_dir(self.0.path());
        command.args(arguments);
        if arguments[0] != "backends" {
            command.args(host_flags(host));
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command("strix-halo-desktop-128g", arguments).output().unwrap()
    }

    /// What a subcommand prints that must succeed.
    fn print(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The list that it prints, by name.
    fn listed(&self, arguments: &[&str], name: &str) -> Value {
        let list: Value = serde_json::from_str(&self.print(arguments)).unwrap();
        let found = list.as_array().unwrap().iter().find(|listed| listed["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {list}")).clone()
    }
}

/// What a refusal must say, in every line of which the file or flag stands.
fn assert_says(refusals: &[Refusal], parts: &[&str]) {
    let all: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    for part in parts {
        assert!(all.iter().any(|line| line.contains(part)), "{all:#?} lack {part}");
    }
    assert!(all.iter().all(|line| !line.contains('\n')), "{all:#?}");
}

fn strings<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
