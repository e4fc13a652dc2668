//! Each way in which llama-bench is known to fail, and the rest goes on.

use super::{User, code};
use crate::record::text;

#[test]
fn each_failure_is_recorded_with_its_reason_and_the_rest_goes_on() {
    let failures = [
        ("rowless", "llama-bench printed no result"),
        ("lost", "SIGABRT; llama-bench printed no result; the GPU was lost"),
        ("assert", "SIGABRT; llama-bench printed no result; llama.cpp found a fault of its own"),
        ("rocm", "exit code 1; llama-bench printed no result; the ROCm driver failed"),
        ("memory", "exit code 1; llama-bench printed no result; memory did not suffice"),
        ("killed", "killed by SIGKILL, as the kernel does when memory is used up"),
        ("killed137", "killed by SIGKILL, as the kernel does when memory is used up"),
    ];
    let mut names: Vec<String> = failures.iter().map(|(name, _)| format!("{name}.gguf")).collect();
    names.push("ok.gguf".to_owned());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let user = User::with_models(&names);
    let output = user.run(&names, &["--skip-longctx"]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    assert!(summary.contains("8 cells, 1 done, 7 failed, 0 not run"), "{summary}");
    let cells = user.matrix();
    for (index, (name, reason)) in failures.iter().enumerate() {
        let told = cells[index]["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{name}: {told}");
    }
    assert_eq!(cells[7]["state"], "done");
    assert!(text(&output.stderr).contains("--retry-failed` runs them again"));
}

#[test]
fn failed_cells_are_run_again_where_the_user_says_so_and_only_then() {
    let names = ["once-lost.gguf", "once-rowless.gguf", "ok.gguf"];
    let user = User::with_models(&names);
    assert_eq!(code(&user.run(&names, &["--skip-longctx"])), 1);
    assert_eq!(user.states(), ["failed", "failed", "done"]);

    assert_eq!(code(&user.resume(&[])), 1);
    assert_eq!(user.commands().len(), 3, "nothing was left to run");

    assert_eq!(code(&user.resume(&["--retry-failed"])), 0);
    assert_eq!(user.commands().len(), 5);
    assert_eq!(user.states(), ["done"; 3]);
    assert_eq!(code(&user.resume(&["--retry-failed"])), 0);
    assert_eq!(user.commands().len(), 5);
}
