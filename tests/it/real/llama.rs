//! A real llama-bench measures a model that the project writes; needs `.ci/build-llama`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use halo::record::model::describe;
use halo::tool::{self, Outputs, Parsed, Plan};

use crate::machine::fixtures;
use crate::record::{Archive, manifest, raw, results, text};

pub(super) fn llama_bench() -> OsString {
    let directory = env::var_os("HALO_TEST_LLAMA_BIN")
        .expect("HALO_TEST_LLAMA_BIN names the directory that .ci/build-llama filled");
    Path::new(&directory).join("llama-bench").into()
}

pub(super) fn tiny_model(directory: &Path) -> PathBuf {
    let model = directory.join("tiny.gguf");
    let script = fixtures().join("tiny_gguf.py");
    assert!(Command::new("python3").arg(script).arg(&model).status().unwrap().success());
    model
}

fn run(argv: &[OsString]) -> Output {
    Command::new(&argv[0]).args(&argv[1..]).output().unwrap()
}

fn parse(argv: &[OsString], output: &Output) -> Parsed {
    let (tool, program) = tool::recognize(argv).unwrap();
    let Output { stdout, stderr, .. } = output;
    tool.parse(&Outputs { argv, program, stdout, stderr, files: &[] }).unwrap()
}

fn command(model: &Path, more: &str) -> Vec<OsString> {
    let mut argv = vec![llama_bench(), "-m".into(), model.into()];
    // The machine of the tests is busy: one thread, and no figure is judged.
    argv.extend("-p 16 -n 4 -t 1".split(' ').map(OsString::from));
    argv.extend(more.split_whitespace().map(OsString::from));
    argv
}

#[test]
fn what_is_added_gives_every_repetition_beside_the_table_that_the_user_sees() {
    let directory = tempfile::tempdir().unwrap();
    let argv = command(&tiny_model(directory.path()), "-r 2 -fa 0,1");
    let help = run(&[llama_bench(), "--help".into()]);
    let help = String::from_utf8(help.stdout).unwrap();

    let (tool, program) = tool::recognize(&argv).unwrap();
    let mut plan = Plan { argv: argv.clone(), program, hidden: Vec::new(), notes: Vec::new() };
    tool.prepare(&mut plan, Some(&help));
    assert_eq!(plan.argv[argv.len()..], ["--progress", "-oe", "jsonl"].map(OsString::from));
    let output = run(&plan.argv);
    assert!(output.status.success());
    let hidden = String::from_utf8(output.stderr.clone()).unwrap();
    let hidden = hidden.lines().filter(|line| line.starts_with("{\"build_commit\"")).count();
    assert_eq!(hidden, 4);

    let whole = parse(&plan.argv, &output);
    assert_eq!((whole.version.as_deref(), whole.backend.as_deref()), (Some("b11434"), Some("CPU")));
    let cases: Vec<&str> = whole.cases.iter().map(|case| case.case.as_str()).collect();
    let expected =
        ["pp16 flash_attn=0", "tg4 flash_attn=0", "pp16 flash_attn=1", "tg4 flash_attn=1"];
    assert_eq!(cases, expected);
    assert_eq!(whole.rows.iter().filter(|row| row.repetition == Some(2)).count(), 8);

    // The table says the same where it is all that there is: what was added is found wherever it stands.
    let table = parse(&argv, &Output { stderr: Vec::new(), ..output });
    assert_eq!(table.rows.len(), 8);
    for row in table.rows {
        let same = |other: &&tool::Row| (&other.case, &other.metric) == (&row.case, &row.metric);
        let other = whole.rows.iter().find(same).unwrap();
        assert!((other.value - row.value).abs() <= 0.005_001, "{row:?} {other:?}");
    }
}

/// The whole way: recorded by the program, read from the archive, compared with what llama-bench
/// itself printed, taken from the raw output without halo's own reader.
#[test]
fn a_recorded_run_has_the_numbers_of_llama_bench() {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let argv = command(&tiny_model(directory.path()), "-d 0,8 -r 3");
    let argv: Vec<&str> = argv.iter().map(|argument| argument.to_str().unwrap()).collect();
    let output = archive.record(&["--hash-model"], &argv);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The user sees the table and no JSON.
    let shown = text(&output.stdout);
    assert!(shown.contains("| test ") || shown.contains("t/s"), "{shown}");
    assert!(!text(&output.stderr).contains("build_commit"));

    let run = archive.only_run();
    let rows = results(&run);
    let mut compared = 0;
    for line in raw(&run, "stderr").lines().filter(|line| line.starts_with('{')) {
        let printed: serde_json::Value = serde_json::from_str(line).unwrap();
        let kind = match (printed["n_prompt"].as_u64().unwrap(), printed["n_gen"].as_u64().unwrap())
        {
            (prompt, 0) => format!("pp{prompt}"),
            (_, generated) => format!("tg{generated}"),
        };
        let case = match printed["n_depth"].as_u64().unwrap() {
            0 => kind,
            depth => format!("{kind} @ d{depth}"),
        };
        for (index, speed) in printed["samples_ts"].as_array().unwrap().iter().enumerate() {
            let repetition = u32::try_from(index).ok().map(|index| index + 1);
            let row = rows.iter().find(|row| {
                (row.case.as_str(), row.repetition) == (case.as_str(), repetition)
                    && row.metric == "tokens_per_second"
            });
            assert_eq!(Some(row.unwrap().value), speed.as_f64());
            compared += 1;
        }
        let mean =
            rows.iter().find(|row| row.case == case && row.metric == "tokens_per_second_mean");
        assert_eq!(Some(mean.unwrap().value), printed["avg_ts"].as_f64());
    }
    assert_eq!(compared, 12);

    let about = manifest(&run);
    assert_eq!(about.tool.version.as_deref(), Some("b11434"));
    let model = &about.models[0];
    let bytes = std::fs::read(&model.file).unwrap();
    assert_eq!(model.bytes, Some(bytes.len() as u64));
    assert_eq!(model.sha256.as_ref().map(String::len), Some(64));
    assert!(archive.print(&["list", "--model", "halo tiny"]).contains("pp16"));
}

#[test]
fn every_format_of_the_real_program_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny_model(directory.path());
    for format in ["csv", "json", "jsonl", "md", "sql"] {
        let argv = command(&model, &format!("-r 2 -d 0,8 -pg 8,4 -o {format} --progress"));
        let parsed = parse(&argv, &run(&argv));
        let cases: Vec<&str> = parsed.cases.iter().map(|case| case.case.as_str()).collect();
        let expected = ["pp16", "tg4", "pp8+tg4", "pp16 @ d8", "tg4 @ d8", "pp8+tg4 @ d8"];
        assert_eq!(cases, expected, "{format}");
        assert_eq!(parsed.failure, None, "{format}");
    }
}

#[test]
fn a_run_without_a_result_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let argv = command(&directory.path().join("missing.gguf"), "");
    let output = run(&argv);
    assert_eq!(output.status.code(), Some(1));
    let failure = parse(&argv, &output).failure.unwrap();
    assert!(failure.contains("failed to load model"), "{failure}");
}

#[test]
fn the_written_model_is_described() {
    let directory = tempfile::tempdir().unwrap();
    let description = describe(&tiny_model(directory.path()), false, None);
    assert_eq!(description.problems, [""; 0]);
    assert_eq!(description.model.name, "halo tiny");
    assert_eq!(description.model.metadata["llama.context_length"], 4096);
}
