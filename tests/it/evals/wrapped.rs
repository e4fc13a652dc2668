//! `eval -- COMMAND`: any eval command, its files, and how it ended.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use halo::run::manifest::{Results, State};
use rustix::process::{Pid, Signal, kill_process};

use super::Bench;
use crate::program::host_flags;
use crate::record::{manifest, text, wait_until};

const INSPECT: &[&str] = &["--lead", "0", "--", ".venv/bin/inspect", "eval", "task.py"];

#[test]
fn files_of_an_earlier_run_are_not_mistaken_for_those_of_this_one() {
    let bench = Bench::new();
    bench.tool("evalplus.evaluate", "evalplus/plus", "");
    let command = ["--lead", "0", "--", ".venv/bin/evalplus.evaluate", "--dataset", "humaneval"];
    let first = bench.eval(&command).output().unwrap();
    assert!(first.status.success(), "{}", text(&first.stderr));
    // evalplus writes nothing where results are there already, and says its score all the same.
    std::thread::sleep(Duration::from_millis(100));
    crate::record::write_program(&bench.bin("evalplus.evaluate"), "echo 'pass@1: 0.600'");
    let second = bench.eval(&command).output().unwrap();
    assert_eq!(second.status.code(), Some(1), "{}", text(&second.stderr));
    let run = manifest(&bench.runs()[1]);
    assert_eq!((run.state, run.scores.len()), (State::Failed, 0));
    let problem = run.problems.iter().find(|line| line.contains("of an earlier run")).unwrap();
    assert!(problem.ends_with("so left out; this run wrote no such file"), "{problem}");
    assert_eq!(manifest(&bench.runs()[0]).scores.len(), 2);
}

#[test]
fn how_a_task_ended_is_told_by_its_log_and_not_by_the_exit_code() {
    for (fixture, state, code, done, says) in [
        ("eval", State::Complete, 0, 5, None),
        ("error", State::Failed, 1, 0, Some("tiny ended with an error after 0 of 5 samples")),
        (
            "cancelled",
            State::Cancelled,
            1,
            109,
            Some("slow was cancelled after 109 of 400 samples"),
        ),
        ("killed", State::Failed, 1, 0, Some("slow has no end after 0 of 4000 samples")),
    ] {
        let bench = Bench::new();
        bench.tool("inspect", &format!("inspect-ai/{fixture}"), "exit 0");
        let output = bench.eval(INSPECT).output().unwrap();
        let run = manifest(&bench.archive.only_run());
        assert_eq!((run.state, run.completion.unwrap().done), (state, done), "{fixture}");
        assert_eq!(output.status.code(), Some(code), "{fixture}: {}", text(&output.stderr));
        assert_eq!(run.failure.is_some(), says.is_some(), "{fixture}");
        if let Some(says) = says {
            assert!(run.failure.as_ref().unwrap().starts_with(says), "{:?}", run.failure);
            assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn a_log_that_cannot_be_read_costs_no_samples_of_the_machine() {
    let bench = Bench::new();
    bench.tool("inspect", "inspect-ai/no-zip", "sleep 0.5");
    let output = bench.eval(INSPECT).output().unwrap();
    let run = manifest(&bench.archive.only_run());
    assert_eq!((run.state, run.results), (State::Complete, Results::Unparsed));
    let why = "raw/files/logs/tiny.eval: it is no ZIP file that can be read: ";
    assert!(run.unparsed.as_ref().unwrap().starts_with(why), "{:?}", run.unparsed);
    assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    assert!(run.sampling.unwrap().ticks > 1);
    let again = bench.archive.print(&["reparse", "latest"]);
    assert!(again.contains("results unparsed"), "{again}");
}

#[test]
fn an_eval_whose_server_is_gone_is_ended_and_has_failed() {
    let bench = Bench::new();
    // As evalplus does: it asks for ever.
    bench.tool("evalplus.evaluate", "evalplus/unscored", "while :; do sleep 0.05; done");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{gone}/v1");
    let mut command = bench.eval(&["--lead", "0", "--server-timeout", "1s", "--"]);
    command.args([".venv/bin/evalplus.evaluate", "--base-url", &url]);
    let output = command.output().unwrap();
    let run = manifest(&bench.archive.only_run());
    assert_eq!(run.state, State::Failed, "{}", text(&output.stderr));
    assert!(run.command.lost_server);
    let why = run.command.aborted.unwrap();
    assert!(why.starts_with(&format!("halo ended it: nothing listened at {url} for ")), "{why}");
    assert_eq!(run.failure.as_deref(), Some(&*why));
    assert!(
        run.files.iter().any(|file| file.path.ends_with(".raw.jsonl")),
        "what was done is kept"
    );
    assert_eq!(output.status.signal(), Some(2));
}

#[test]
fn a_killed_recorder_loses_no_files_of_the_tool() {
    let bench = Bench::new();
    let script = "mv logs elsewhere; touch written; while :; do sleep 0.05; done";
    bench.tool("inspect", "inspect-ai/eval", script);
    // Whoever recovers it has not this variable.
    let mut child = bench.eval(INSPECT).env("INSPECT_LOG_DIR", "elsewhere").spawn().unwrap();
    wait_until("the tool has written its log", || bench.path().join("written").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let run = bench.archive.only_run();
    assert!(!run.join("raw/files").exists());
    let told = bench.archive.print(&["recover"]);
    assert!(told.contains("interrupted, results parsed"), "{told}");
    assert_eq!(manifest(&run).scores[0].value, 0.6);
    let _ = fs::remove_dir_all(bench.path());
    // The stand-in was left behind by the killed recorder.
    let left = Command::new("pgrep").args(["-f", "inspect eval task.py"]).output().unwrap();
    for pid in text(&left.stdout).lines().filter_map(|line| line.parse().ok()) {
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }
}

#[test]
fn samples_are_marks_and_stay_so_when_the_log_is_read_again() {
    let bench = Bench::new();
    bench.tool("inspect", "inspect-ai/eval", "");
    assert!(bench.eval(INSPECT).status().unwrap().success());
    let marks = || {
        let csv = bench.archive.print(&["export", "latest", "--format", "csv", "--table", "marks"]);
        let of_samples = csv.lines().filter(|line| line.contains(",file,sample "));
        (of_samples.count(), csv)
    };
    let (count, before) = marks();
    assert_eq!(count, 10, "{before}");
    bench.archive.print(&["reparse", "latest"]);
    assert_eq!(marks().1, before);
}

#[test]
fn llama_benchy_is_asked_for_its_events() {
    let bench = Bench::new();
    let script = "if [ \"$1\" = --help ]; then echo '--emit-progress PATH'; exit 0; fi\n\
                  while [ \"$1\" != --emit-progress ]; do shift; done; mv progress.jsonl \"$2\"; cat result.json";
    bench.tool("llama-benchy", "llama-benchy/json", script);
    let mut command = bench.eval(&["--lead", "0", "--", ".venv/bin/llama-benchy"]);
    command.args(["--base-url", "http://127.0.0.1:9/v1", "--model", "tiny", "--format", "json"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = manifest(&bench.archive.only_run());
    assert_eq!(run.tool.version.as_deref(), Some("0.4.0"));
    assert!(run.summary.iter().any(|figure| figure.case == "tg32 @ d512"));
    let csv = bench.archive.print(&["export", "latest", "--format", "csv", "--table", "marks"]);
    assert!(csv.contains(",file,request started,"), "{csv}");
}

/// Where a user may have told inspect-ai to write its logs.
#[test]
fn logs_are_found_where_the_user_has_them() {
    let scores = |bench: &Bench| {
        let run = manifest(bench.runs().last().unwrap());
        run.scores.iter().map(|score| score.value).collect::<Vec<_>>()
    };
    let record = |bench: &Bench, words: &[&str]| {
        let output = bench.eval(&["--lead", "0", "--"]).args(words).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    // In a directory that a file .env above names.
    let bench = Bench::new();
    fs::write(bench.path().join(".env"), "A=b\nexport INSPECT_LOG_DIR='elsewhere'\n").unwrap();
    bench.tool("inspect", "inspect-ai/eval", "mv logs elsewhere");
    record(&bench, &[".venv/bin/inspect", "eval", "task.py"]);
    assert_eq!(scores(&bench), [0.6]);
    // Behind a link, as to a larger disk.
    let (bench, disk) = (Bench::new(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(disk.path(), bench.path().join("linked")).unwrap();
    bench.tool("inspect", "inspect-ai/eval", "mv logs/* linked");
    record(&bench, &[".venv/bin/inspect", "eval", "task.py", "--log-dir", "linked"]);
    assert_eq!(scores(&bench), [0.6]);
}

/// As in a home directory, where the archive lies by default.
#[test]
fn an_archive_below_the_directory_of_the_logs_is_passed_over() {
    let bench = Bench::new();
    bench.tool("inspect", "inspect-ai/eval", "mv logs/* .");
    let archive = bench.path().join("work/state");
    let mut command = Command::new(env!("CARGO_BIN_EXE_halo-record"));
    command.args(["eval", "--lead", "0"]).args(host_flags("strix-halo-desktop-128g"));
    command.arg("--archive").arg(&archive).current_dir(bench.path()).arg("--");
    let program = bench.bin("inspect").display().to_string();
    command.args(["env", "--chdir=work", &program, "eval", "task.py", "--log-dir", "."]);
    for count in [1, 2] {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let runs = halo::archive::Archive::at(&archive).runs().unwrap();
        assert_eq!(runs.len(), count);
        let newest = runs.iter().max_by_key(|run| run.name().to_owned()).unwrap();
        let run = newest.manifest().unwrap();
        assert_eq!(run.scores[0].value, 0.6);
        let files = run.files.iter().filter(|file| file.path.starts_with("raw/files/"));
        assert_eq!(files.count(), 1);
    }
}

#[test]
fn other_files_of_a_directory_stay_where_they_are() {
    let bench = Bench::new();
    let script = "mv out/tiny/results_2026-11-23T07-13-27.805878.json mine_2026.json; \
                  mv out/tiny/samples_* .; echo '{}' >other.json";
    bench.tool("lm_eval", "lm-eval/samples", script);
    let command = ["--lead", "0", "--", ".venv/bin/lm_eval", "--tasks", "tiny_gen"];
    let output = bench.eval(&command).args(["--output_path", "mine.json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = manifest(&bench.archive.only_run());
    assert_eq!(run.scores[0].value, 0.5);
    let files = run.files.iter().filter(|file| file.path.starts_with("raw/files/"));
    assert_eq!(files.count(), 2);
}

#[test]
fn a_log_that_cannot_be_looked_through_is_in_no_bundle() {
    let bench = Bench::new();
    bench.tool("inspect", "inspect-ai/eval", "");
    assert!(bench.eval(INSPECT).status().unwrap().success());
    let file = bench.path().join("run.tar.zst");
    let output =
        bench.archive.program(&["bundle", "latest", "--raw", "-o"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("1 packed file"), "{}", text(&output.stderr));
    let verified = bench.archive.program(&["verify"]).arg(&file).output().unwrap();
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}

#[test]
fn colours_of_a_tool_hide_no_sample() {
    let bench = Bench::new();
    let says = "printf 'Codegen: HumanEval/\\033[1;36m0\\033[0m @ tiny\\n'; sleep 0.1";
    bench.tool("evalplus.evaluate", "evalplus/plus", says);
    let command = ["--lead", "0", "--", ".venv/bin/evalplus.evaluate", "--dataset", "humaneval"];
    assert!(bench.eval(&command).status().unwrap().success());
    let csv = bench.archive.print(&["export", "latest", "--format", "csv", "--table", "marks"]);
    let mark = r#",tool,sample,"{""sample"":""HumanEval/0""}""#;
    assert!(csv.contains(mark), "{csv}");
}
