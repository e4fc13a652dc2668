//! Campaigns as a user has them: `halo-record benchmark --models …`, with a stand-in for
//! llama-bench (`fixtures/bin/llama-bench`), since most of its failures cannot be had here.

mod backends;
mod failures;
mod interrupted;
mod refusals;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::machine::fixtures;
use crate::program::host_flags;
use crate::record::{Archive, path_with, text};

/// A user with models, backends and an archive.
pub(crate) struct User {
    pub(crate) archive: Archive,
    pub(crate) home: tempfile::TempDir,
}

impl User {
    /// One whose models are files of these names.
    pub(crate) fn with_models(names: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("models")).unwrap();
        for name in names {
            fs::write(home.path().join("models").join(name), "GGUF").unwrap();
        }
        Self { archive: Archive::new(), home }
    }

    pub(crate) fn model(&self, name: &str) -> PathBuf {
        self.home.path().join("models").join(name)
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut program = self.archive.program(arguments);
        program
            .env("HOME", self.home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env("PATH", path_with(&fixtures().join("bin")))
            .env("STAND_IN_LOG", self.log());
        program
    }

    /// The campaign of these models, without time to be spent on an idle machine.
    pub(crate) fn campaign(&self, models: &[&str], more: &[&str]) -> Command {
        let models: Vec<String> =
            models.iter().map(|name| self.model(name).display().to_string()).collect();
        let mut program = self.program(&["benchmark", "--models", &models.join(",")]);
        program.args(["--lead", "0", "--interval", "50ms"]);
        if !more.contains(&"--backends") {
            program.args(["--backends", "native"]);
        }
        program.args(host_flags("strix-halo-desktop-128g")).args(more);
        program
    }

    pub(crate) fn run(&self, models: &[&str], more: &[&str]) -> Output {
        self.campaign(models, more).output().unwrap()
    }

    pub(crate) fn resume(&self, more: &[&str]) -> Output {
        self.program(&["benchmark", "--resume", "latest"]).args(more).output().unwrap()
    }

    /// Where the stand-in writes down its command lines.
    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// How often llama-bench was run.
    pub(crate) fn commands(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    pub(crate) fn name(&self) -> String {
        let names = fs::read_dir(self.archive.path().join("campaigns")).unwrap();
        let names: Vec<String> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        names[0].trim_end_matches(".json").to_owned()
    }

    pub(crate) fn show(&self) -> Value {
        self.archive.json(&["show", &self.name(), "--json"])
    }

    /// What a campaign came to, without times, names of runs and what the machine did.
    pub(crate) fn matrix(&self) -> Vec<Value> {
        let cells = self.show()["cells"].as_array().unwrap().clone();
        let plain = |mut cell: Value| {
            for key in ["run", "verdict", "energy"] {
                cell.as_object_mut().unwrap().remove(key);
            }
            cell
        };
        cells.into_iter().map(plain).collect()
    }

    pub(crate) fn states(&self) -> Vec<String> {
        let cells = self.matrix();
        cells.iter().map(|cell| cell["state"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{}", text(&output.stderr)))
}

#[test]
fn every_cell_is_run_once_and_shown_with_its_conditions() {
    let user = User::with_models(&["ok.gguf", "other.gguf"]);
    let flags = ["--kv-types", "f16,q4_0:q8_0", "--context", "4096", "--batch", "256"];
    let output =
        user.run(&["ok.gguf", "other.gguf"], &[&flags[..], &["--tag", "kv-sweep"]].concat());
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(user.name().ends_with("Z-kv-sweep"));
    assert_eq!(user.states(), ["done"; 8]);

    let commands = user.commands();
    assert_eq!(commands.len(), 8);
    assert_eq!(commands.iter().collect::<BTreeSet<_>>().len(), 8);
    let model = user.model("ok.gguf");
    let last_of_first = format!(
        "-ngl 99 -lm none -fa 1 -m {} -p 512 -n 128 -d 4096 -b 256 -r 3 -ctk q4_0 -ctv q8_0 --progress -oe jsonl",
        model.display()
    );
    assert_eq!(commands[3], last_of_first);

    // Batch and KV type both survive into the results.
    let runs = user.archive.json(&["list", "--json", "--campaign", &user.name()]);
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 8);
    let cell = &runs[3]["cell"];
    assert_eq!((cell["kv"].as_str(), cell["batch"].as_u64()), (Some("q4_0:q8_0"), Some(256)));
    assert_eq!(runs[3]["tags"]["kv"], "q4_0:q8_0");
    assert_eq!(runs[3]["tags"]["depth"], "4096");
    assert!(runs[3]["tags"].as_object().unwrap().contains_key("kv-sweep"));
    let tagged = user.archive.json(&["list", "--json", "--tag", "kv=f16", "--tag", "batch=256"]);
    assert_eq!(tagged.as_array().unwrap().len(), 4);

    let summary = text(&output.stdout);
    assert!(summary.contains("8 cells, 8 done, 0 failed, 0 not run, order fixed"), "{summary}");
    assert_eq!(summary.lines().filter(|line| line.contains("q4_0:q8_0  256")).count(), 8);
    assert_eq!(summary, user.archive.print(&["show", &user.name()]));
}

#[test]
fn a_dry_run_shows_the_commands_and_runs_nothing() {
    let user = User::with_models(&["ok.gguf"]);
    let output = user.run(&["ok.gguf"], &["--dry-run"]);
    assert_eq!(code(&output), 0);
    let shown = text(&output.stdout);
    assert!(shown.contains("llama-bench -ngl 99 -lm none -fa 1"), "{shown}");
    assert!(shown.contains("pp2048 tg128 @ d32768  3"), "{shown}");
    assert!(text(&output.stderr).contains("2 cells; time: unknown"));
    assert!(user.commands().is_empty());
    assert!(!user.archive.path().join("campaigns").exists());

    // What was run before tells how long it takes.
    assert_eq!(code(&user.run(&["ok.gguf"], &["--skip-longctx"])), 0);
    let output = user.run(&["ok.gguf"], &["--dry-run"]);
    let told = text(&output.stderr);
    let (_, rest) = told.split_once("2 cells; time: about ").unwrap();
    let (time, _) = rest.split_once(", and 1 of unknown length").unwrap();
    let (number, unit) = time.split_once(' ').unwrap();
    assert!(number.parse::<u32>().is_ok() && ["ms", "s"].contains(&unit), "{told}");
}

#[test]
fn phases_of_the_tool_become_marks_of_the_run() {
    let user = User::with_models(&["slow.gguf"]);
    assert_eq!(code(&user.run(&["slow.gguf"], &["--context", "512", "--reps", "2"])), 0);
    let run = user.show()["cells"][1]["run"].as_str().unwrap().to_owned();
    let marks = user.archive.print(&["export", &run, "--format", "csv", "--table", "marks"]);
    let names: Vec<&str> = marks
        .lines()
        .filter(|line| line.contains(",tool,"))
        .map(|line| line.split(',').nth(3).unwrap())
        .collect();
    let of_test = |kind: &'static str, warm_up: &'static str| {
        ["test started", warm_up, "depth fill", kind, "depth fill", kind, "test ended"]
    };
    let expected =
        [of_test("prompt", "warm-up prompt"), of_test("generation", "warm-up generation")].concat();
    assert_eq!(names, expected, "{marks}");
}

#[test]
fn rounds_are_run_forwards_and_backwards_and_shown_together() {
    let user = User::with_models(&["ok.gguf", "other.gguf"]);
    let flags = ["--order", "interleaved", "--skip-longctx", "--reps", "3"];
    let output = user.run(&["ok.gguf", "other.gguf"], &flags);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let order: Vec<bool> =
        user.commands().iter().map(|command| command.contains("ok.gguf")).collect();
    assert_eq!(order, [true, false, false, true, true, false]);
    assert!(user.commands().iter().all(|command| command.contains("-r 1 ")));
    let summary = text(&output.stdout);
    assert_eq!(summary.lines().filter(|line| line.ends_with("3 runs")).count(), 4, "{summary}");
}

/// The stand-in's flags are those that halo looks for; the real one's are in `real`.
#[test]
fn an_older_llama_bench_gets_the_flag_that_it_knows() {
    let user = User::with_models(&["ok.gguf"]);
    let output = user
        .campaign(&["ok.gguf"], &["--skip-longctx"])
        .env("STAND_IN_VERSION", "old")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0);
    assert!(user.commands()[0].starts_with("-ngl 99 -mmp 0 -fa 1"), "{:?}", user.commands());
}

/// A directory of the user's own files.
pub(crate) fn config(user: &User) -> PathBuf {
    let directory = user.home.path().join(".config/halo");
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Writes a file with the directories that it needs.
pub(crate) fn write(path: &Path, contents: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}
