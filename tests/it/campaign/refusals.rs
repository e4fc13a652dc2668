//! What is refused before the first cell: all at once, each with what to do.

use std::fs::File;

use super::{User, code, config, write};
use crate::record::text;

fn refused(user: &User, models: &[&str], more: &[&str]) -> String {
    let output = user.run(models, more);
    assert_eq!(code(&output), 2, "{}", text(&output.stderr));
    assert!(user.commands().is_empty());
    assert!(!user.archive.path().join("campaigns").exists());
    text(&output.stderr)
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let user = User::with_models(&["ok.gguf"]);
    let flags = [
        "--models",
        "nothing,neither",
        "--backends",
        "native,llama-vulkan",
        "--kv-types",
        "q9,f16",
        "--skip-longctx",
        "--context",
        "1024",
        "--tag",
        "kv=mine",
        "--pp",
        "0",
        "--tg",
        "0",
        "--batch",
        "256",
        "--ubatch",
        "512",
    ];
    let told = refused(&user, &["ok.gguf"], &flags);
    let lines: Vec<&str> = told.lines().collect();
    let expected = [
        "--tag kv: each cell of a campaign gets this tag itself",
        "--kv-types: \"q9\" is no type of the KV cache; there are f32, f16",
        "--skip-longctx beside --context",
        "--pp 0 and --tg 0: nothing is measured",
        "--ubatch 512 beside --batch 256",
        "--models nothing, neither: no such model and no such file; there are qwen3.5-0.8b-q8",
        "--backends llama-vulkan: no such backend; there are native, llama-vulkan-radv",
    ];
    for expected in expected {
        assert_eq!(lines.iter().filter(|line| line.contains(expected)).count(), 1, "{told}");
    }
    assert_eq!(lines.len(), expected.len(), "{told}");
}

#[test]
fn a_model_that_is_not_there_is_refused_with_the_command_that_downloads_it() {
    let user = User::with_models(&[]);
    let told = refused(&user, &[], &["--models", "GPT-OSS"]);
    assert!(
        told.contains("hf download lmstudio-community/gpt-oss-20b-GGUF gpt-oss-20b-MXFP4.gguf"),
        "{told}"
    );
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let user = User::with_models(&["ok.gguf"]);
    // A file without blocks: only its size is looked at.
    File::create(user.model("large.gguf")).unwrap().set_len(200 << 30).unwrap();
    let told = refused(&user, &["ok.gguf", "large.gguf"], &[]);
    assert!(told.contains("large: its weights take 214.7 GB, and the GPU can use"), "{told}");
    // With --max-size it is left out, and that is said.
    let output = user.run(&["ok.gguf", "large.gguf"], &["--max-size", "20", "--dry-run"]);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stderr).contains("left out: large: has 214.7 GB, above --max-size"));
    assert_eq!(text(&output.stdout).matches("-m ").count(), 2);
}

#[test]
fn a_backend_that_is_not_there_is_refused_and_left_out_of_all() {
    let user = User::with_models(&["ok.gguf"]);
    let told = refused(&user, &["ok.gguf"], &["--backends", "llama-rocm-7.2.1"]);
    assert!(told.contains("backend llama-rocm-7.2.1: toolbox: no such program"), "{told}");
    assert!(told.contains("`halo-record backends` shows which are there"), "{told}");
    let output = user.run(&["ok.gguf"], &["--backends", "all", "--skip-longctx"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("left out: backend llama-vulkan-radv: toolbox"));
    assert_eq!(user.states(), ["done"]);
}

#[test]
fn a_llama_bench_without_a_flag_is_refused_by_its_name() {
    let user = User::with_models(&["ok.gguf"]);
    let own = "[[backend]]\nname = \"bare\"\nkind = \"native\"\nllama_bench = \"PROGRAM\"\n";
    let program = user.home.path().join("llama-bench");
    crate::record::write_program(&program, "echo ' -m <file>'; echo ' -p -n -r -ngl -mmp <0|1>'");
    write(&config(&user).join("backends.toml"), &own.replace("PROGRAM", program.to_str().unwrap()));
    let told = refused(&user, &["ok.gguf"], &["--backends", "bare"]);
    assert!(
        told.contains("backend bare: its llama-bench does not know -fa 1; update it"),
        "{told}"
    );
    assert!(told.contains("does not know -d 32768"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn a_campaign_and_a_command_are_not_both_meant() {
    let user = User::with_models(&["ok.gguf"]);
    let told = refused(&user, &["ok.gguf"], &["--", "llama-bench"]);
    assert!(told.contains("flags of a campaign and a command behind --"), "{told}");
    for flags in [&["--resume", "latest"][..], &["--retry-failed"]] {
        let output = user.run(&["ok.gguf"], flags);
        assert_eq!(code(&output), 2, "{flags:?}");
    }
    let output = user.program(&["benchmark", "--resume", "none"]).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("none: no such campaign in"));
}
