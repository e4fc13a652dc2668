//! Evals as a user asks for them: suites, servers, files of tools, and what goes wrong.
//!
//! The tools are stand-ins that write what real ones wrote (`fixtures/tools`); `real/evals.rs` has the
//! real ones.

mod compared;
mod refusals;
mod suites;
mod wrapped;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::llama::stand_in::{Reply, StandIn};
use crate::machine::fixtures;
use crate::program::host_flags;
use crate::record::{Archive, write_program};

/// An archive, a directory to work in, and a virtual environment with stand-ins.
struct Bench {
    archive: Archive,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { archive: Archive::new(), directory: tempfile::tempdir().unwrap() };
        write_program(&bench.bin("python"), "exit 0");
        bench
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn bin(&self, name: &str) -> PathBuf {
        let directory = self.path().join(".venv/bin");
        fs::create_dir_all(&directory).unwrap();
        directory.join(name)
    }

    /// A tool that writes the files of a fixture and then runs a script.
    fn tool(&self, name: &str, fixture: &str, script: &str) {
        let files = fixtures().join("tools").join(fixture).join("files");
        let copy = format!("cp -r {}/. .", files.display());
        write_program(&self.bin(name), &format!("{copy}\n{script}"));
    }

    /// evalplus of two datasets, for the evals of the suite mini.
    fn with_evals(&self) {
        fs::write(
            self.path().join("evals.toml"),
            "[[eval]]\nname = \"one\"\nsuites = [\"mini\"]\npackages = [\"evalplus\"]\n\
             command = [\"evalplus.evaluate\", \"--model\", \"{model}\", \"--dataset\", \"humaneval\", \
             \"--base-url\", \"{endpoint}\"]\nenvironment = { WHERE = \"{server} {directory}\" }\n\
             [[eval]]\nname = \"two\"\nsuites = [\"mini\", \"other\"]\npackages = [\"lm-eval[api]\"]\n\
             command = [\"lm_eval\", \"--tasks\", \"tiny_gen\"]\n",
        )
        .unwrap();
    }

    /// The directories of its runs, the oldest first; campaigns lie beside them.
    fn runs(&self) -> Vec<PathBuf> {
        let all = self.archive.runs().into_iter();
        all.filter(|run| run.join("manifest.json").exists()).collect()
    }

    fn eval(&self, arguments: &[&str]) -> Command {
        let mut command = self.archive.program(&["eval"]);
        command.args(host_flags("strix-halo-desktop-128g"));
        command.env_remove("OPENAI_API_KEY").env("XDG_CONFIG_HOME", self.path());
        command.args(arguments).current_dir(self.path());
        command
    }

    fn suite(&self, server: &StandIn, more: &[&str]) -> Output {
        let url = server.url();
        let flags = ["--suite", "mini", "--evals-file", "evals.toml", "--lead", "0"];
        self.eval(&[&flags[..], &["--endpoint", &url], more].concat()).output().unwrap()
    }
}

/// A llama-server that has one model and wants no key.
fn server() -> StandIn {
    let models = r#"{"data": [{"id": "tiny"}]}"#;
    StandIn::new(&[
        ("/health", Reply::captured("health_ok_200.txt")),
        ("/props", Reply::captured("props.txt")),
        ("/metrics", Reply::captured("metrics_1_after_chat.txt")),
        ("/v1/models", Reply::ok(models)),
    ])
}
