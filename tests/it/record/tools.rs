//! Commands whose output halo understands. The program here is a stand-in that prints what a test
//! wants; the real one is in tests/it/real/llama.rs.

use std::fs;
use std::path::{Path, PathBuf};

use halo::run::manifest::{Results, State};

use super::{Archive, manifest, raw, results, text, write_program};

/// One test as llama-bench prints it, with the speeds of its repetitions.
fn line(prompt: u32, generated: u32, speeds: &[f64]) -> String {
    let mean = speeds.iter().sum::<f64>() / speeds.len() as f64;
    format!(
        r#"{{"build_commit": "abc", "build_number": 11434, "backends": "CPU", "n_prompt": {prompt}, "n_gen": {generated}, "avg_ts": {mean}, "samples_ts": {speeds:?}}}"#
    )
}

/// A llama-bench that prints the given lines to standard error where it is asked for them.
fn stand_in(directory: &Path, lines: &str, code: u8) -> PathBuf {
    let program = directory.join("llama-bench");
    fs::write(directory.join("lines"), lines).unwrap();
    let script = format!(
        "[ \"$1\" = --help ] && {{ echo '  -oe, --output-err <csv|json|jsonl|md|sql>'; exit 0; }}\n\
         echo '| test | t/s |'\necho progress >&2\n\
         case \"$*\" in *'-oe jsonl') cat {} >&2;; esac\nexit {code}",
        directory.join("lines").display()
    );
    write_program(&program, &script);
    program
}

/// Records the stand-in.
fn bench(lines: &str, code: u8) -> (Archive, tempfile::TempDir, std::process::Output) {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let program = stand_in(directory.path(), lines, code);
    let output = archive.record(&[], &[program.to_str().unwrap(), "-m", "none.gguf"]);
    (archive, directory, output)
}

#[test]
fn what_is_asked_for_beside_the_users_output_is_archived_and_not_shown() {
    let lines = line(512, 0, &[10.0, 20.0]) + "\n" + &line(0, 128, &[5.5]) + "\n";
    let (archive, _directory, output) = bench(&lines, 0);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "| test | t/s |\n");
    let told = text(&output.stderr);
    assert!(told.contains("progress\n") && told.contains("-oe jsonl"), "{told}");
    assert!(!told.contains("build_commit"), "{told}");

    let run = archive.only_run();
    assert_eq!(raw(&run, "stderr"), format!("progress\n{lines}"));
    let about = manifest(&run);
    assert_eq!((about.state, about.results), (State::Complete, Results::Parsed));
    assert!(about.command.executed.ends_with(&["-oe".to_owned(), "jsonl".to_owned()]));
    assert!(!about.command.asked.contains(&"-oe".to_owned()));
    let speed = |case: &str, repetition| {
        let rows = results(&run).into_iter();
        let mut rows = rows.filter(|row| row.metric == "tokens_per_second" && row.case == case);
        rows.find(|row| row.repetition == Some(repetition)).unwrap().value
    };
    assert_eq!([speed("pp512", 1), speed("pp512", 2), speed("tg128", 1)], [10.0, 20.0, 5.5]);
    let figure = about.summary.iter().find(|figure| figure.case == "pp512").unwrap();
    assert_eq!((figure.mean, figure.repetitions), (15.0, Some(2)));
    assert!((figure.standard_deviation.unwrap() - 50_f64.sqrt()).abs() < 1e-12);
    // The model is not there, which is no reason not to measure.
    assert_eq!(about.models[0].file, "none.gguf");
    assert!(run.file_name().unwrap().to_str().unwrap().ends_with("-llama-bench-none"));
}

#[test]
fn a_tool_that_says_0_and_gave_nothing_has_failed() {
    let (archive, _directory, output) = bench("", 0);
    assert_eq!(output.status.code(), Some(1));
    let about = manifest(&archive.only_run());
    assert_eq!((about.state, about.command.exit_code), (State::Failed, Some(0)));
    assert!(about.failure.is_some());

    // What was measured before a failure is kept.
    let (archive, _directory, output) = bench(&(line(512, 0, &[10.0]) + "\n"), 3);
    assert_eq!(output.status.code(), Some(3));
    let about = manifest(&archive.only_run());
    assert_eq!((about.state, about.results), (State::Failed, Results::Parsed));
}

#[test]
fn output_that_cannot_be_understood_loses_nothing_and_is_read_again() {
    let broken = line(512, 0, &[10.0]).replace("avg_ts", "average") + "\n";
    let (archive, _directory, output) = bench(&broken, 0);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("halo-record reparse"), "{}", text(&output.stderr));
    let run = archive.only_run();
    let about = manifest(&run);
    assert_eq!((about.state, about.results), (State::Complete, Results::Unparsed));
    assert!(about.unparsed.unwrap().contains("avg_ts"));
    assert!(about.sampling.unwrap().ticks > 0);

    assert!(archive.print(&["reparse", "latest"]).contains("results unparsed"));
    // As if a newer halo knew the key.
    fs::write(run.join("raw/stderr"), broken.replace("average", "avg_ts")).unwrap();
    assert!(archive.print(&["reparse", "latest"]).contains("results parsed"));
    let about = manifest(&run);
    assert_eq!((about.results, about.unparsed), (Results::Parsed, None));
    assert!(results(&run).iter().any(|row| row.value == 10.0));
    archive.print(&["verify"]);
}
