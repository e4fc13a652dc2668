//! Runs of models that are named otherwise than by a file: they have a name, and filters find it.

use std::fs;
use std::path::Path;

use super::{Archive, manifest, write_program};
use halo::run::manifest::Model;

/// A llama-bench that says that it measured these files.
fn bench(directory: &Path, files: &[&str]) -> String {
    let program = directory.join("llama-bench");
    let lines: Vec<String> = files
        .iter()
        .map(|file| {
            format!(
                r#"{{"build_commit": "abc", "build_number": 11434, "backends": "CPU", "model_filename": "{file}", "model_type": "qwen3 8B Q8_0", "n_prompt": 512, "n_gen": 0, "avg_ts": 5.0, "samples_ts": [5.0, 5.0]}}"#
            )
        })
        .collect();
    fs::write(directory.join("lines"), lines.join("\n") + "\n").unwrap();
    let lines = directory.join("lines").display().to_string();
    write_program(
        &program,
        &format!(
            "[ \"$1\" = --help ] && {{ echo '  -oe, --output-err <csv|json|jsonl|md|sql>'; exit 0; }}\n\
             echo '| test | t/s |'\ncat {lines} >&2"
        ),
    );
    program.display().to_string()
}

/// The models of the one run of a command, and whether the filters find it by each of these.
fn models_of(command: &[&str], found_by: &[&str]) -> Vec<Model> {
    let archive = Archive::new();
    let output = archive.record(&[], command);
    assert!(output.status.success(), "{}", super::text(&output.stderr));
    let about = manifest(&archive.only_run());
    for text in found_by {
        let list = archive.json(&["list", "--json", "--model", text]);
        let count = list.as_array().map(Vec::len);
        assert_eq!(count, Some(1), "--model {text}: {list}; {:?}", about.models);
    }
    let none = archive.run(&["list", "--json", "--model", "gemma"]);
    assert_eq!((none.status.code(), super::text(&none.stdout).trim()), (Some(1), "[]"));
    about.models
}

fn titles(models: &[Model]) -> Vec<String> {
    models.iter().map(Model::title).collect()
}

#[test]
fn the_file_of_a_repository_is_known_when_the_tool_has_said_it() {
    let directory = tempfile::tempdir().unwrap();
    let cached = directory.path().join("hub/models--unsloth--Qwen3-8B-GGUF/snapshots/1");
    fs::create_dir_all(&cached).unwrap();
    let file = cached.join("Qwen3-8B-Q8_0.gguf");
    fs::write(&file, "GGUF, almost").unwrap();
    let path = file.display().to_string();
    let program = bench(directory.path(), &[&path]);
    let named = [&*program, "-hf", "unsloth/Qwen3-8B-GGUF:Q8_0", "-p", "512", "-n", "0"];
    let found_by = ["qwen3", "unsloth/qwen3", "Q8_0", "gguf:q8", "models--unsloth--Qwen3-8B-GGUF/"];
    let models = models_of(&named, &found_by);
    assert_eq!(titles(&models), ["Qwen3-8B-Q8_0"]);
    assert_eq!(models[0].reference.as_deref(), Some("unsloth/Qwen3-8B-GGUF:Q8_0"));
    assert_eq!((&*models[0].file, models[0].bytes), (&*path, Some(12)));
    assert!(models[0].fingerprint.is_some());

    // The same by its file.
    let models = models_of(&[&program, "-m", &path, "-p", "512", "-n", "0"], &["qwen3-8b-q8_0"]);
    assert_eq!(titles(&models), ["Qwen3-8B-Q8_0"]);
}

#[test]
fn each_of_several_models_of_a_command_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let cached = "/h/.cache/llama.cpp/org_Y-GGUF_y-Q4_K_M.gguf";
    let program = bench(directory.path(), &["a.gguf", "b/a.gguf", cached]);
    let command = [&*program, "-m", "a.gguf,b/a.gguf", "-hf", "org/Y-GGUF", "-n", "0"];
    let models = models_of(&command, &["a", "b/a.gguf", "y-q4", "org/y"]);
    assert_eq!(titles(&models), ["a", "a", "y-Q4_K_M"]);
    let files: Vec<&str> = models.iter().map(|model| model.file.as_str()).collect();
    assert_eq!(files, ["a.gguf", "b/a.gguf", cached]);
    assert_eq!(models[2].reference.as_deref(), Some("org/Y-GGUF"));
}

#[test]
fn programs_whose_output_halo_does_not_read_have_models_too() {
    let directory = tempfile::tempdir().unwrap();
    let server = directory.path().join("llama-server");
    write_program(&server, "exit 0");
    let server = server.display().to_string();
    for (arguments, title) in [
        (&["-hf", "org/Qwen-GGUF:Q4_K_M"][..], "org/Qwen-GGUF:Q4_K_M"),
        (&["--hf-repo", "org/Qwen-GGUF", "-hff", "qwen-q4.gguf"], "qwen-q4"),
        (&["-mu", "https://h/qwen-Q4_0.gguf?token=secret"], "qwen-Q4_0"),
        (&["-dr", "ai/qwen3:8B"], "ai/qwen3:8B"),
        (&["--fim-qwen-7b-default"], "ggml-org/Qwen2.5-Coder-7B-Q8_0-GGUF"),
        (&["--models-dir", "/qwen"], "models of /qwen"),
        (&["--models-preset", "qwen.ini"], "models of qwen.ini"),
    ] {
        let models = models_of(&[&[&*server], arguments].concat(), &["qwen"]);
        assert_eq!(titles(&models), [title], "{arguments:?}");
        assert!(!format!("{models:?}").contains("secret"));
    }
    let by_variable = ["env", "LLAMA_ARG_HF_REPO=org/Qwen-GGUF:Q8_0", &server];
    assert_eq!(titles(&models_of(&by_variable, &["qwen"])), ["org/Qwen-GGUF:Q8_0"]);
}
