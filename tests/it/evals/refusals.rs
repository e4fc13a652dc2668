//! What is refused before anything runs: one line that names the thing and the next step.

use super::{Bench, Reply, StandIn, server};
use crate::record::text;

/// The one line of a refusal, which leaves nothing behind.
#[track_caller]
fn refused(bench: &Bench, arguments: &[&str]) -> String {
    let output = bench.eval(arguments).output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(bench.runs().is_empty(), "something was run");
    let line = told.trim_end().strip_prefix("halo-record: ").unwrap().to_owned();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn what_is_missing_is_named_with_the_command_that_installs_it() {
    let (bench, server) = (Bench::new(), server());
    bench.with_evals();
    let url = server.url();
    let flags = ["--suite", "mini", "--evals-file", "evals.toml", "--endpoint", &url];
    let output = bench.eval(&flags).output().unwrap();
    let told = text(&output.stderr);
    let venv = bench.path().join(".venv");
    let venv = venv.display();
    let expected = format!(
        "halo-record: eval one: {venv}/bin/evalplus.evaluate: no such program; install it with \
         `{venv}/bin/pip install evalplus`\n\
         halo-record: eval two: {venv}/bin/lm_eval: no such program; install it with \
         `{venv}/bin/pip install 'lm-eval[api]'`\n"
    );
    assert_eq!(told, expected);
    let missing = refused(&bench, &[&flags[..], &["--venv", "none"]].concat());
    let none = bench.path().join("none");
    let none = none.display();
    assert_eq!(
        missing,
        format!(
            "{none}: no virtual environment; make it with `python3 -m venv {none} && \
             {none}/bin/pip install evalplus 'lm-eval[api]'`, or name another with --venv"
        )
    );
}

#[test]
fn servers_that_cannot_be_asked_are_told_with_the_next_step() {
    let bench = Bench::new();
    bench.with_evals();
    bench.tool("evalplus.evaluate", "evalplus/plus", "");
    bench.tool("lm_eval", "lm-eval/samples", "");
    let refused = |url: &str, more: &[&str]| {
        let flags = ["--suite", "mini", "--evals-file", "evals.toml", "--endpoint", url];
        refused(&bench, &[&flags[..], more].concat())
    };
    let line = refused("localhost:8080", &[]);
    assert_eq!(line, "--endpoint localhost:8080: expected an address as http://127.0.0.1:8080/v1");
    let line = refused("http://me:secret@127.0.0.1:8080/v1", &[]);
    assert!(
        line.starts_with("--endpoint: has a password, ") && !line.contains("secret@"),
        "{line}"
    );
    let line = refused("http://127.0.0.1:9", &[]);
    assert!(line.starts_with("http://127.0.0.1:9/v1/models: nothing listens there"), "{line}");
    assert!(line.ends_with("start the server, or name it with --endpoint"), "{line}");
    let several = r#"{"data": [{"id": "a"}, {"id": "b"}]}"#;
    for (reply, more, expected) in [
        (
            Reply::with("401 Unauthorized", "{}"),
            &[][..],
            "/v1/models: wants a key; set OPENAI_API_KEY, or name a file with --api-key-file",
        ),
        (Reply::ok("hello"), &[], "/v1/models: the answer is no list of models"),
        (Reply::ok("{\"data\": []}"), &[], "/v1/models: the server has no model; load one"),
        (
            Reply::ok(several),
            &[],
            "/v1/models: there are several models, say which with --model: a, b",
        ),
        (Reply::ok(several), &["--model", "c"], "--model c: is not there; the server has a, b"),
        (
            Reply::with("503 Service Unavailable", "{}"),
            &[],
            "/v1/models: is loading its model; wait until it is there",
        ),
    ] {
        let server = StandIn::new(&[("/v1/models", reply)]);
        let line = refused(&server.url(), more);
        assert!(line.ends_with(expected), "{line}");
    }
    let server = server();
    for (content, expected) in
        [(None, "No such file or directory (os error 2)"), (Some("\n"), "its first line is empty")]
    {
        let file = bench.path().join("key");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let line = refused(&server.url(), &["--api-key-file", "key"]);
        assert_eq!(line, format!("--api-key-file {}: {expected}", file.display()));
    }
}

#[test]
fn suites_and_files_that_cannot_be_used_are_refused() {
    let bench = Bench::new();
    let line = refused(&bench, &["--suite", "quik"]);
    let all = "did you mean quick? there are quick, code, full, tooluse";
    assert_eq!(line, format!("suite \"quik\": no such suite; {all}"));
    let file = |text: &str| std::fs::write(bench.path().join("own.toml"), text).unwrap();
    for (content, expected) in [
        (
            "[[eval]]\nname = \"a\"\nsuites = [\"x\"]\ncommand = []\n",
            "own.toml: eval \"a\": command: expected a program and its arguments",
        ),
        (
            "[[eval]]\nname = \"a\"\nsuites = [\"x\"]\ncommand = [\"lm_eval\", \"--tasks\", \"{modell}\"]\n",
            "own.toml: eval \"a\": {modell}: there are {model}, {endpoint}, {server}, {venv}, \
             {directory}, {output}",
        ),
        (
            "[[eval]]\nname = \"a\"\nsuites = [\"x\"]\ncommand = [\"p\"]\n",
            "own.toml: eval \"a\": command: halo reads nothing of this program, but of llama-bench, \
             llama-batched-bench, llama-sweep-bench, inspect-ai, evalplus, bigcodebench, lm-eval, llama-benchy, vllm-bench, aiperf, clpeak; \
             record others with `halo-record eval -- COMMAND`",
        ),
        (
            "[[eval]]\nname = \"a\"\nsuites = [\"x\"]\ncommand = [\"clpeak\"]\n\
             environment = { HF_TOKEN = \"hf_x\" }\n",
            "own.toml: eval \"a\": it has a key, and commands are archived; export the variable \
             instead, which the program sees as well",
        ),
        (
            "[[eval]]\nname = \"a\"\nsuite = [\"x\"]\ncommand = [\"p\"]\n",
            "own.toml: line 3: eval \"a\": unknown field `suite`, expected one of `name`, `suites`, \
             `command`, `environment`, `packages`, `description`; configs/evals.toml shows every key",
        ),
    ] {
        file(content);
        let line = refused(&bench, &["--suite", "x", "--evals-file", "own.toml"]);
        assert_eq!(line, expected);
    }
    let line = refused(&bench, &["--suite", "quick", "--", "true"]);
    assert!(line.starts_with("--suite and a command behind --: "), "{line}");
    let line = refused(&bench, &["--model", "x", "--", "true"]);
    assert!(line.starts_with("--model: is for suites; "), "{line}");
    let line = refused(&bench, &["--server-timeout", "10ms", "--", "true"]);
    assert!(line.contains("expected at least 1s"), "{line}");
    let line = refused(&bench, &["--", "bigcodebench.evaluate"]);
    assert!(line.contains("no such program"), "{line}");
}

#[test]
fn packages_that_a_virtual_environment_lacks_are_found_before_anything_runs() {
    let (bench, server) = (Bench::new(), server());
    bench.with_evals();
    bench.tool("evalplus.evaluate", "evalplus/plus", "");
    bench.tool("lm_eval", "lm-eval/samples", "");
    let library = bench.path().join(".venv/lib/python3.13/site-packages");
    std::fs::create_dir_all(library.join("Lm_Eval-0.4.13.dist-info")).unwrap();
    let url = server.url();
    let flags = ["--suite", "mini", "--evals-file", "evals.toml", "--endpoint", &url, "--dry-run"];
    let line = refused(&bench, &flags);
    let venv = bench.path().join(".venv");
    let venv = venv.display();
    let expected = format!(
        "eval one: {venv} lacks evalplus; install it with `{venv}/bin/pip install evalplus`"
    );
    assert_eq!(line, expected);
    std::fs::create_dir_all(library.join("evalplus-0.3.1.dist-info")).unwrap();
    assert!(bench.eval(&flags).output().unwrap().status.success());
}

#[test]
fn a_key_that_a_tool_would_write_down_is_refused() {
    let bench = Bench::new();
    bench.tool("lm_eval", "lm-eval/samples", "");
    let arguments = "model=m,base_url=http://127.0.0.1:9/v1,api_key=sk-this-is-secret-0815";
    let command = ["--", ".venv/bin/lm_eval", "--tasks", "a", "--model_args", arguments];
    let line = refused(&bench, &command);
    assert!(line.contains("writes api_key of --model_args into its results"), "{line}");
    assert!(!line.contains("0815"), "{line}");
}

#[test]
fn nothing_leaves_the_machine_without_being_asked_for() {
    let bench = Bench::new();
    bench.tool("bigcodebench.evaluate", "bigcodebench/local", "");
    let line = refused(&bench, &["--", ".venv/bin/bigcodebench.evaluate", "--model", "m"]);
    assert!(line.contains("a server in the internet by default; say --execution local"), "{line}");
}
