//! Results that others made: files of llama-bench in every format, logs and folders of the toolkit
//! (written from the facts, since the toolkit is not here).

use std::fs;
use std::path::{Path, PathBuf};

use halo::import::toolkit::LogName;
use halo::run::manifest::{Origin, Results, State};
use proptest::prelude::*;
use serde_json::Value;

use crate::machine::fixtures;
use crate::record::{Archive, manifest, raw, text};

/// A file that a real llama-bench wrote.
fn captured(case: &str) -> PathBuf {
    fixtures().join("tools/llama-bench").join(case).join("stdout")
}

fn import(archive: &Archive, paths: &[&Path], more: &[&str]) -> std::process::Output {
    let mut program = archive.program(&["import"]);
    program.args(paths).args(more).output().unwrap()
}

#[test]
fn every_format_of_one_run_is_told_by_its_content_and_says_the_same() {
    for case in ["jsonl", "json", "csv", "sql", "md"] {
        let archive = Archive::new();
        let file = captured(case);
        let output = import(&archive, &[&file], &["--tag", "theirs"]);
        assert!(output.status.success(), "{case}: {}", text(&output.stderr));
        let run = archive.only_run();
        let manifest = manifest(&run);
        assert_eq!(
            (manifest.origin, manifest.state),
            (Origin::Imported, State::Complete),
            "{case}"
        );
        assert_eq!(manifest.results, Results::Parsed);
        assert!(manifest.tags.contains_key("theirs"));
        assert!(
            manifest.sampling.is_none() && manifest.ended.is_none() && manifest.verdict.is_none()
        );
        assert!(manifest.command.asked.is_empty() && manifest.command.exit_code.is_none());
        assert_eq!(fs::read(&file).unwrap(), fs::read(run.join("raw/stdout")).unwrap());
        let speeds: Vec<(String, f64)> = manifest
            .summary
            .iter()
            .filter(|figure| figure.metric == "tokens_per_second")
            .map(|figure| (figure.case.clone(), figure.mean))
            .collect();
        assert_eq!(speeds[0].0, "pp64", "{case}");
        assert_eq!(speeds[1].0, "tg32", "{case}");
        // The figures are those of the golden results of the same output.
        let golden = fs::read_to_string(file.with_file_name("parsed.json")).unwrap();
        let golden: Value = serde_json::from_str(&golden).unwrap();
        let mean = |case: &str| {
            let rows = golden["rows"].as_array().unwrap();
            let is_mean = |row: &&Value| row[0] == case && row[2] == "tokens_per_second_mean";
            rows.iter().find(is_mean).unwrap()[3].as_f64().unwrap()
        };
        for (case, speed) in &speeds {
            assert!((speed - mean(case)).abs() < 0.01 * speed, "{case}: {speed} {}", mean(case));
        }
        let facts = &manifest.environment_at_start.facts;
        assert_eq!(facts["imported.file"], "stdout");
        let from = if case == "md" { "the file's time of modification" } else { "test_time" };
        assert_eq!(facts["imported.time_from"], from);
    }
}

#[test]
fn an_imported_run_is_a_run_for_everything_else() {
    let archive = Archive::new();
    assert!(import(&archive, &[&captured("jsonl")], &[]).status.success());
    let run = archive.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(run.starts_with("20261123T070725.000Z-llama-bench-tiny"), "{run}");
    assert!(archive.print(&["verify"]).contains("files as archived"));
    assert!(archive.print(&["list"]).contains("pp64"));
    assert!(archive.print(&["show", "latest"]).contains("imported"));
    assert_eq!(archive.json(&["list", "--json"])[0]["state"], "complete");
    let results = archive.print(&["export", &run, "--format", "csv", "--table", "results"]);
    assert!(results.contains("tokens_per_second"));
    let before = manifest(&archive.only_run());
    assert!(archive.print(&["reparse", &run]).contains("results parsed"));
    let after = manifest(&archive.only_run());
    assert_eq!((before.summary, before.cases), (after.summary, after.cases));
    let series = archive.print(&["export", &run, "--format", "openmetrics"]);
    assert!(series.contains("halo_run_result") && series.ends_with("# EOF\n"), "{series}");
}

#[test]
fn a_file_is_imported_once_and_all_are_read_before_one_is_written() {
    let archive = Archive::new();
    let first = import(&archive, &[&captured("csv")], &[]);
    assert!(first.status.success());
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("foreign.json");
    fs::write(&foreign, "{\"a\": 1}").unwrap();
    let missing = directory.path().join("missing.jsonl");
    let output = import(
        &archive,
        &[&captured("csv"), &captured("json"), &foreign, &missing, directory.path()],
        &[],
    );
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    let expected = [
        "stdout: is imported already, as 20261123T",
        "foreign.json: holds no results of llama-bench: expected its jsonl, json, csv, md or sql",
        "missing.jsonl: No such file or directory",
        "holds neither logs nor a summary.json of the toolkit",
    ];
    for expected in expected {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(told.lines().count(), expected.len(), "{told}");
    assert_eq!(archive.runs().len(), 1);
}

/// The table of a log, with its header as newer and older versions print it.
const TABLE: &str = "\
ggml_vulkan: 0 = Radeon 8060S Graphics (RADV GFX1151)
| model | size | params | backend | ngl | n_ubatch | fa | mmap | test | t/s |
| --- | ---: | ---: | --- | --: | --: | -: | ---: | ---: | ---: |
| qwen3 9B Q4_K | 5.10 GiB | 9.00 B | Vulkan | 99 | 512 | 1 | 0 | pp2048 @ d32768 | 812.50 ± 3.25 |
| qwen3 9B Q4_K | 5.10 GiB | 9.00 B | Vulkan | 99 | 512 | 1 | 0 | tg32 @ d32768 | 21.50 ± 0.00 |

build: 0a1b2c3 (8672)
";

#[test]
fn a_folder_of_the_toolkit_is_a_campaign_with_every_log() {
    let archive = Archive::new();
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("kv-sweep-20260401-120000");
    fs::create_dir(&folder).unwrap();
    let backend = "llama-vulkan-radv__fa1";
    let logs = [
        (format!("Qwen3.5-9B-Q4_K_S__{backend}__longctx32768__kv_q4_0-q8_0__b256.log"), TABLE),
        (format!("Qwen3.5-9B-Q4_K_S__{backend}.log"), "FAILED\n"),
        (
            format!("gpt-oss-20b-MXFP4__{backend}.log"),
            "terminate called: vk::DeviceLostError\n  what(): ErrorDeviceLost\nFAILED\n",
        ),
        (format!("gpt-oss-20b-MXFP4__{backend}__b512.log"), ""),
    ];
    for (name, contents) in &logs {
        fs::write(folder.join(name), contents).unwrap();
    }
    fs::write(folder.join("summary.json"), "{\"results\": []}").unwrap();
    fs::write(folder.join("system-state.json"), "{}").unwrap();
    fs::write(folder.join("metrics.csv"), "time,watts\n").unwrap();
    let output = import(&archive, &[&folder], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let runs = archive.runs();
    assert_eq!(runs.len(), 4);
    let of = |file: &str| {
        let is_it =
            |run: &&PathBuf| manifest(run).environment_at_start.facts["imported.file"] == file;
        manifest(runs.iter().find(is_it).unwrap())
    };
    for run in &runs {
        assert_eq!(manifest(run).campaign.as_deref(), Some("kv-sweep-20260401-120000"));
    }
    let whole = of(&logs[0].0);
    assert_eq!(whole.state, State::Complete);
    assert_eq!(whole.models[0].name, "Qwen3.5-9B-Q4_K_S");
    assert_eq!(whole.tags["kv"].as_deref(), Some("q4_0:q8_0"), "not q8_0__b256");
    assert_eq!(whole.tags["batch"].as_deref(), Some("256"));
    assert_eq!(whole.tags["backend"].as_deref(), Some("llama-vulkan-radv"));
    assert_eq!(whole.tool.version.as_deref(), Some("b8672 (0a1b2c3)"));
    assert_eq!(whole.backend.as_deref(), Some("Vulkan"));
    let prompt = &whole.summary[0];
    assert_eq!((&*prompt.case, prompt.mean), ("pp2048 @ d32768", 812.5));
    assert_eq!(prompt.standard_deviation, Some(3.25));
    assert_eq!(whole.summary[1].standard_deviation, None, "0.00 of who knows how many");
    let reasons = [
        "llama-bench printed no result",
        "llama-bench printed no result; the GPU was lost",
        "llama-bench printed no result",
    ];
    for ((name, _), reason) in logs[1..].iter().zip(reasons) {
        let failed = of(name);
        assert_eq!((failed.state, failed.results), (State::Failed, Results::None), "{name}");
        assert!(
            failed.failure.as_deref().unwrap().starts_with(reason),
            "{name}: {:?}",
            failed.failure
        );
    }
    let kept = runs.iter().filter(|run| run.join("raw/system-state.json").exists());
    assert_eq!(kept.count(), 1);
    let listed = archive.json(&["list", "--json", "--campaign", "kv-sweep-20260401-120000"]);
    assert_eq!(listed.as_array().unwrap().len(), 4);

    // The folder again, under another name, has nothing new but its empty log's twin.
    let again = import(&archive, &[&folder], &[]);
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(text(&again.stderr).matches("is imported already").count(), 4);
}

#[test]
fn a_summary_without_its_logs_tells_the_means() {
    let archive = Archive::new();
    let folder = tempfile::tempdir().unwrap();
    let summary = r#"{"results": [
        {"file": "a.log", "model": "qwen3 9B Q4_K", "size": "5.10 GiB", "backend": "Vulkan", "test": "pp512", "tokens_per_sec": 812.5, "kv_cache": "q4_0/q8_0__b256", "raw": "812.50 ± 3.25"},
        {"file": "a.log", "model": "qwen3 9B Q4_K", "size": "5.10 GiB", "backend": "Vulkan", "test": "tg128", "tokens_per_sec": 21.5, "kv_cache": "q4_0/q8_0__b256", "raw": "21.50 ± 0.10"}
    ]}"#;
    fs::write(folder.path().join("summary.json"), summary).unwrap();
    let output = import(&archive, &[folder.path()], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = archive.only_run();
    let manifest = manifest(&run);
    let means: Vec<f64> = manifest.summary.iter().map(|figure| figure.mean).collect();
    assert_eq!(means, [812.5, 21.5]);
    assert_eq!(manifest.cases[0].parameters["type_v"], "q8_0");
    assert_eq!(raw(&run, "stdout"), summary);
}

#[test]
fn damaged_files_are_refused_with_their_place() {
    let archive = Archive::new();
    let directory = tempfile::tempdir().unwrap();
    let csv = fs::read_to_string(captured("csv")).unwrap();
    let csv: String = csv.split_inclusive('\n').take(2).collect();
    let cases = [
        ("cut.csv", csv.replacen("\",\"", "\"", 3), "raw/stdout line 2"),
        ("no.jsonl", "{\"build_commit\": \"a\", \"n_prompt\": 1}\n".to_owned(), "n_gen is missing"),
        ("empty.md", String::new(), "holds no results"),
        ("summary.json", "{\"results\": [{\"test\": \"x\"}]}".to_owned(), "holds no results"),
    ];
    for (name, contents, expected) in cases {
        let path = directory.path().join(name);
        fs::write(&path, contents).unwrap();
        let output = import(&archive, &[&path], &[]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let told = text(&output.stderr);
        assert!(told.contains(name) && told.contains(expected), "{name}: {told}");
    }
    assert!(archive.runs().is_empty());
}

#[test]
fn what_a_file_holds_beside_its_results_is_told() {
    let archive = Archive::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("two.csv");
    let csv = fs::read_to_string(captured("csv")).unwrap();
    fs::write(&path, csv.replacen("\",\"", "\"", 3)).unwrap();
    let output = import(&archive, &[&path], &[]);
    assert!(output.status.success());
    let told = text(&output.stderr);
    assert!(told.contains("raw/stdout line 2: ") && told.contains("values for"), "{told}");
    let manifest = manifest(&archive.only_run());
    assert_eq!((manifest.state, manifest.results), (State::Complete, Results::Parsed));
    assert_eq!((manifest.cases.len(), manifest.problems.len()), (1, 1));
    assert!(archive.print(&["reparse", "latest"]).contains("results parsed"));
}

#[test]
fn tables_of_several_models_and_sequences_are_imported_as_what_they_are() {
    let archive = Archive::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("both.jsonl");
    let first = fs::read_to_string(captured("jsonl")).unwrap();
    fs::write(&path, first.replace("models/tiny.gguf", "models/other.gguf") + &first).unwrap();
    assert!(import(&archive, &[&path], &[]).status.success());
    let about = manifest(&archive.only_run());
    let models: Vec<&str> = about.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(models, ["other", "tiny"]);
    assert!(about.cases.iter().all(|case| case.case.contains(" model=")), "{:?}", about.cases);

    let archive = Archive::new();
    let file = fixtures().join("tools/llama-batched-bench/md/stdout");
    assert!(import(&archive, &[&file], &[]).status.success());
    let run = archive.only_run();
    let about = manifest(&run);
    assert_eq!((about.tool.name.as_str(), about.state), ("llama-batched-bench", State::Complete));
    let speeds: Vec<(&str, f64)> = about
        .summary
        .iter()
        .filter(|figure| figure.metric == "tokens_per_second")
        .map(|figure| (figure.case.as_str(), figure.mean))
        .collect();
    assert_eq!((speeds.len(), speeds[3]), (4, ("tg128 @ d512 B=8", 85.86)));
    assert!(archive.print(&["reparse", "latest"]).contains("results parsed"));
    assert_eq!(manifest(&run).cases, about.cases);
}

proptest! {
    #[test]
    fn any_name_is_read_or_is_none(name in "\\PC{0,80}") {
        let _ = LogName::of(&format!("{name}.log"));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = halo::tool::import(&bytes);
    }
}

#[test]
fn every_model_of_a_file_is_named_by_what_there_is() {
    let row = |model: &str| {
        format!(
            r#"{{"build_commit": "abc", "build_number": 1, "backends": "CPU", {model}, "n_prompt": 512, "n_gen": 0, "avg_ts": 5.0, "samples_ts": [5.0]}}"#
        ) + "\n"
    };
    let table = |names: &[&str]| {
        let row = |name: &&str| format!("| {name} | CPU | pp512 | 5.00 ± 0.10 |\n");
        let rows = names.iter().map(row).collect::<Vec<_>>().concat();
        format!("| model | backend | test | t/s |\n| --- | --- | ---: | ---: |\n{rows}")
    };
    for (name, content, titles) in [
        ("one.jsonl", row(r#""model_filename": "/m/Qwen3-8B-Q8_0.gguf""#), &["Qwen3-8B-Q8_0"][..]),
        (
            "parts.jsonl",
            row(r#""model_filename": "/m/Qwen3-00001-of-00003.gguf", "model_type": "qwen3""#),
            &["Qwen3"],
        ),
        (
            "two.jsonl",
            row(r#""model_filename": "a/model.gguf", "model_type": "Qwen3 8B""#)
                + &row(r#""model_filename": "b/model.gguf", "model_type": "Qwen3 8B""#),
            &["model", "model"],
        ),
        ("kind.jsonl", row(r#""model_type": "qwen3 8B Q8_0""#), &["qwen3 8B Q8_0"]),
        (
            "table.md",
            table(&["qwen3 8B Q4_0", "qwen3 8B Q8_0"]),
            &["qwen3 8B Q4_0", "qwen3 8B Q8_0"],
        ),
    ] {
        let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        let output = import(&archive, &[&path], &[]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let models = manifest(&archive.only_run()).models;
        let found: Vec<String> = models.iter().map(halo::run::manifest::Model::title).collect();
        assert_eq!(found, titles, "{name}: {models:?}");
        let list = archive.json(&["list", "--json", "--model", titles[titles.len() - 1]]);
        assert_eq!(list.as_array().unwrap().len(), 1, "{name}");
        let again = archive.run(&["reparse", "latest"]);
        assert!(again.status.success(), "{}", text(&again.stderr));
        assert_eq!(manifest(&archive.only_run()).models, models, "{name}: it stays");
    }
}
