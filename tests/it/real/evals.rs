//! Real inspect-ai, evalplus and lm-eval against a real llama-server, offline: the model always says
//! the same, so the scores are known.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use halo::archive::RunDirectory;
use halo::archive::eval_samples;
use halo::run::manifest::State;

use super::llama::tiny_model;
use super::llama_server::Server;
use crate::machine::{files_below, fixtures};
use crate::program::host_flags;
use crate::record::{Archive, manifest, results, text, wait_at_most};

/// A key that must be nowhere.
const KEY: &str = "sk-real-secret-4711";

/// How long inspect-ai may take to import its packages from a disk that nobody has read, and to ask.
const STARTS: Duration = Duration::from_mins(1);

/// The virtual environment that `.ci/run` made.
fn venv() -> PathBuf {
    let path =
        std::env::var_os("HALO_TEST_EVALS").expect("HALO_TEST_EVALS names the virtual environment");
    PathBuf::from(path)
}

/// An archive and a model that is served under a key.
struct Bench {
    archive: Archive,
    model: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { archive: Archive::new(), model: tempfile::tempdir().unwrap() }
    }

    fn serve(&self) -> Server {
        let model = tiny_model(self.model.path());
        let model = model.to_str().unwrap();
        let flags = ["-m", model, "-a", "tiny", "-np", "2", "-c", "16384", "--metrics"];
        Server::built(&[&flags[..], &["--api-key", KEY]].concat())
    }

    fn eval(&self, arguments: &[&str]) -> Command {
        let mut command = self.archive.program(&["eval", "--lead", "1s"]);
        command.args(host_flags("strix-halo-desktop-128g")).args(arguments);
        // Caches of the tools are those of the test; nothing is asked of the internet.
        command.env("HOME", self.model.path()).env("HF_HOME", self.model.path().join("hf"));
        command.env("OPENAI_API_KEY", KEY).current_dir(fixtures().join("evals"));
        command
    }

    /// inspect-ai with a task that takes long.
    fn slow(&self, url: &str) -> Command {
        let inspect = venv().join("bin/inspect");
        let logs = self.model.path().join("logs");
        let mut command = self.eval(&["--server-timeout", "2s", "--", inspect.to_str().unwrap()]);
        command.args([
            "eval",
            "slow_task.py",
            "-T",
            "n=20000",
            "--log-dir",
            logs.to_str().unwrap(),
        ]);
        command.args(["--model", "openai-api/llama/tiny", "--model-base-url", url]);
        command.args(["--display", "plain", "--max-connections", "1"]).env("LLAMA_API_KEY", KEY);
        command
    }

    fn runs(&self) -> Vec<PathBuf> {
        let all = self.archive.runs().into_iter();
        all.filter(|run| run.join("manifest.json").exists()).collect()
    }

    fn has_no_key(&self) {
        for file in files_below(self.archive.path()) {
            let bytes = fs::read(&file).unwrap();
            let has_key = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
            assert!(!has_key, "{}", file.display());
        }
    }
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// Task, metric, value, and how many of how many samples were solved.
type Known = (String, String, f64, Option<u64>, Option<u64>);

#[test]
fn the_known_scores_of_three_tools_come_out() {
    let bench = Bench::new();
    let server = bench.serve();
    let url = format!("http://{}", server.address);
    let venv = venv();
    let mut command = bench.eval(&["--suite", "real", "--evals-file", "evals.toml"]);
    let output = command.args(["--endpoint", &url, "--venv"]).arg(&venv).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let scores: Vec<Known> = bench
        .runs()
        .iter()
        .flat_map(|run| manifest(run).scores)
        .map(|s| (s.task, s.metric, s.value, s.solved, s.samples))
        .collect();
    let score = |task: &str, metric: &str, value, solved, samples| {
        (task.to_owned(), metric.to_owned(), value, Some(solved), Some(samples))
    };
    assert_eq!(
        scores,
        [
            score("humaneval", "pass@1", 0.6, 3, 5),
            score("humaneval+", "pass@1", 0.4, 2, 5),
            score("tiny", "accuracy", 0.6, 3, 5),
            score("tiny_gen", "exact_match", 0.5, 2, 4),
        ]
    );
    for run in bench.runs() {
        let manifest = manifest(&run);
        assert_eq!(manifest.state, State::Complete);
        assert!(manifest.tool.name == "evalplus" || manifest.tool.version.is_some());
        // The model's file is known because its server says it.
        assert_eq!(Path::new(&manifest.models[0].file), bench.model.path().join("tiny.gguf"));
        assert!(manifest.models[0].bytes.is_some_and(|bytes| bytes > 1_000_000));
        let rows = results(&run);
        let figure =
            |metric: &str| rows.iter().find(|row| row.metric == metric).map(|row| row.value);
        // Each answer of the model has six tokens, and the server counts them when they are there.
        let samples = eval_samples::read(&RunDirectory::at(run.clone())).unwrap();
        let mut asked: Vec<&str> = samples.iter().map(|sample| sample.sample.as_str()).collect();
        asked.sort_unstable();
        asked.dedup();
        let generated = figure("server_generated_tokens");
        assert_eq!(generated, Some(6.0 * asked.len() as f64), "{}", manifest.tool.name);
    }
    let inspect = &bench.runs()[1];
    let samples = eval_samples::read(&RunDirectory::at(inspect.clone())).unwrap();
    assert!(samples.iter().all(|sample| sample.generated_tokens == Some(6)));
    assert!(samples.iter().all(|sample| sample.started < sample.ended));
    let told = manifest(inspect).command;
    let (started, ended) = (told.started.unwrap(), told.ended.unwrap());
    assert!(samples.iter().all(|s| s.started.unwrap() > started && s.ended.unwrap() < ended));
    bench.has_no_key();
    let one = bench.runs()[1].file_name().unwrap().to_str().unwrap().to_owned();
    let report = bench.archive.print(&["report", &one, "--format", "md"]);
    assert!(report.contains("| tiny | accuracy | 0.600 | 0.231 to 0.882 | 3 | 5 |"), "{report}");
}

#[test]
fn a_run_that_is_cancelled_killed_or_loses_its_server_says_so() {
    let bench = Bench::new();
    let server = bench.serve();
    let url = format!("http://{}/v1", server.address);
    let logs = bench.model.path().join("logs");
    let has_log = || {
        fs::read_dir(&logs).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.metadata().is_ok_and(|about| about.len() > 0))
        })
    };
    let asked = || server.decodes(KEY);

    let mut child = bench.slow(&url).spawn().unwrap();
    wait_at_most(STARTS, "some samples are done", || has_log() && asked() > 60);
    interrupt(child.id());
    let status = child.wait().unwrap();
    let cancelled = manifest(&bench.runs()[0]);
    assert_eq!(cancelled.state, State::Cancelled, "{status:?} {:?}", cancelled.problems);
    let completion = cancelled.completion.unwrap();
    assert!(completion.is_cancelled && completion.done > 0 && completion.of == Some(20_000));
    let says = cancelled.failure.unwrap();
    assert!(says.starts_with("slow was cancelled after ") && says.ends_with(" of 20000 samples"));
    fs::remove_dir_all(&logs).unwrap();

    let before = asked();
    let mut child = bench.slow(&url).spawn().unwrap();
    wait_at_most(STARTS, "some samples are done", || has_log() && asked() > before + 60);
    kill_children(child.id());
    child.wait().unwrap();
    let killed = manifest(&bench.runs()[1]);
    assert_eq!((killed.state, killed.command.signal), (State::Failed, Some(9)));
    assert!(killed.failure.unwrap().starts_with("slow has no end after "));
    fs::remove_dir_all(&logs).unwrap();

    let before = asked();
    let mut child = bench.slow(&url).spawn().unwrap();
    wait_at_most(STARTS, "some samples are done", || has_log() && asked() > before + 60);
    drop(server);
    child.wait().unwrap();
    let run = bench.runs()[2].clone();
    let lost = manifest(&run);
    assert_eq!(lost.state, State::Failed, "{:?}", lost.failure);
    // The tool may have found it out itself, before halo did.
    let why = lost.failure.clone().unwrap();
    let is_told = why.contains("nothing listened at") || why.contains("ended with an error");
    assert!(is_told, "{why}");
    let completion = lost.completion.unwrap();
    assert!(completion.done > 0 && completion.of == Some(20_000), "{completion:?}");
    bench.has_no_key();
}

#[test]
fn an_error_in_a_task_is_a_failure_whatever_the_exit_code() {
    let bench = Bench::new();
    let inspect = venv().join("bin/inspect");
    let nothing = super::free_address();
    let mut command = bench.eval(&["--", inspect.to_str().unwrap(), "eval", "tiny_task.py"]);
    command.args(["--model", "openai-api/llama/tiny", "--model-base-url"]);
    command.arg(format!("http://{nothing}/v1")).env("LLAMA_API_KEY", KEY);
    command.args(["--display", "plain", "--max-retries", "0", "--log-dir"]);
    let output = command.arg(bench.model.path().join("logs")).output().unwrap();
    let run = manifest(&bench.runs()[0]);
    assert_eq!((run.state, run.command.exit_code), (State::Failed, Some(0)), "{}", said(&output));
    assert_eq!(output.status.code(), Some(1));
    let why = run.failure.unwrap();
    assert!(why.starts_with("tiny ended with an error after 0 of 5 samples: "), "{why}");
}

#[test]
fn results_that_evalplus_reuses_are_not_taken_for_new_ones() {
    let bench = Bench::new();
    let server = bench.serve();
    let work = tempfile::tempdir().unwrap();
    let run = |root: &Path| {
        let program = venv().join("bin/evalplus.evaluate");
        let mut command = bench.eval(&["--lead", "0", "--", program.to_str().unwrap()]);
        command.args([
            "--model",
            "tiny",
            "--dataset",
            "humaneval",
            "--backend",
            "openai",
            "--greedy",
        ]);
        command.args(["--base-url", &format!("http://{}/v1", server.address), "--root"]).arg(root);
        command.env("HUMANEVAL_OVERRIDE_PATH", fixtures().join("evals/humaneval.jsonl"));
        command.output().unwrap()
    };
    let first = run(work.path());
    assert!(first.status.success(), "{}", said(&first));
    std::thread::sleep(Duration::from_millis(50));
    let second = run(work.path());
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    let again = manifest(&bench.runs()[1]);
    assert_eq!((again.state, again.scores.len()), (State::Failed, 0));
    assert!(again.problems.iter().any(|line| line.contains("of an earlier run, so left out")));
}

/// What Ctrl-C does to a program that has no terminal.
fn interrupt(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// Kills what a recorder runs, as the kernel does when memory is used up.
fn kill_children(pid: u32) {
    let output = Command::new("pkill").args(["-KILL", "-P", &pid.to_string()]).status().unwrap();
    assert!(output.success());
}
