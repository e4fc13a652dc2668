//! A suite is a campaign: one run a task, each in a directory of its run.

use halo::archive::RunDirectory;
use halo::archive::eval_samples;
use halo::run::manifest::{Kind, State};

use super::{Bench, Reply, server};
use crate::machine::files_below;
use crate::record::{manifest, raw, results, text};

/// A key that must be nowhere.
const KEY: &str = "sk-this-is-secret-0815";

#[test]
fn each_task_is_a_run_with_score_time_and_energy() {
    let (bench, server) = (Bench::new(), server());
    bench.with_evals();
    let asks = "echo 'Codegen: HumanEval/0 @ tiny'; sleep 3.2; echo 'Codegen: HumanEval/1 @ tiny'; \
                sleep 0.3; echo 'Reading samples...'; echo \"$WHERE\" >&2";
    bench.tool("evalplus.evaluate", "evalplus/plus", asks);
    // It writes where halo tells it to.
    bench.tool(
        "lm_eval",
        "lm-eval/samples",
        "while [ \"$1\" != --output_path ]; do shift; done; mv out/tiny/* \"$2\"",
    );
    let output = bench.suite(&server, &["--tag", "q8"]);
    let (out, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{told}");
    let runs = bench.runs();
    assert_eq!(runs.len(), 2);
    let one = manifest(&runs[0]);
    assert_eq!((one.kind, one.state), (Kind::Eval, State::Complete));
    let tags: Vec<String> = one
        .tags
        .iter()
        .map(|(name, value)| format!("{name} {}", value.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(tags, ["eval one", "q8 ", "suite mini"]);
    assert_eq!(one.models[0].name, "tiny");
    let scores: Vec<(&str, f64)> = one.scores.iter().map(|s| (s.task.as_str(), s.value)).collect();
    assert_eq!(scores, [("humaneval", 0.6), ("humaneval+", 0.4)]);
    assert_eq!(raw(&runs[0], "stderr"), format!("{} {}\n", server.url(), bench.path().display()));
    // The machine is a picture: 119.8 W at any time, so joules are seconds times that.
    let task = one.energy.iter().find(|part| part.task == "humaneval+").unwrap();
    assert!(task.seconds > 3.4 && task.seconds < 8.0, "{task:?}");
    let joules = task.joules.unwrap();
    assert!((joules / task.seconds - 119.8).abs() < 0.2, "{task:?}");
    let per_solved = one.scores[1].joules_per_solved.unwrap();
    assert!((per_solved - joules / 2.0).abs() < 1e-6);
    let samples = eval_samples::read(&RunDirectory::at(runs[0].clone())).unwrap();
    assert_eq!(samples.len(), 10);
    let of = |task: &str, id: &str| {
        samples.iter().find(|sample| sample.task == task && sample.sample == id).unwrap()
    };
    // The first was worked on for long enough; the second was not, and the others nobody saw.
    let (first, same) = (of("humaneval", "HumanEval/0"), of("humaneval+", "HumanEval/0"));
    assert!(first.joules.is_some_and(|joules| joules > 350.0), "{first:?}");
    assert_eq!(first.joules, same.joules, "one answer counts for both and is paid once");
    assert_eq!(
        (of("humaneval", "HumanEval/1").joules, of("humaneval", "HumanEval/2").joules),
        (None, None)
    );
    let named = |metric: &str| {
        let rows = results(&runs[0]);
        rows.iter().any(|row| row.task == "humaneval+" && row.metric == metric)
    };
    for metric in ["pass@1", "pass@1_solved", "pass@1_joules_per_solved", "duration", "joules"] {
        assert!(named(metric), "{metric}");
    }
    let two = manifest(&runs[1]);
    assert_eq!((two.scores[0].value, two.completion.unwrap().done), (0.5, 4));
    for line in ["model   tiny\n", "one   humaneval+", "two   tiny_gen"] {
        assert!(out.contains(line), "{out}");
    }
    let list = bench.archive.print(&["list"]);
    assert!(list.contains("humaneval 0.600, humaneval+ 0.400"), "{list}");
    let verified = bench.archive.print(&["verify"]);
    assert!(!verified.contains("changed") && verified.contains("files as archived"), "{verified}");
}

#[test]
fn a_key_gets_to_the_tool_and_the_server_and_into_no_file() {
    let (bench, server) = (Bench::new(), server());
    bench.with_evals();
    bench.tool(
        "evalplus.evaluate",
        "evalplus/plus",
        "test \"$OPENAI_API_KEY\" = sk-this-is-secret-0815",
    );
    let with = "test \"$HALO_API_KEY\" = sk-this-is-secret-0815 && test \"$OPENAI_API_KEY\" = \"$HALO_API_KEY\"; code=$?; while [ \"$1\" != --output_path ]; do shift; done; mv out/tiny/* \"$2\"; exit $code";
    bench.tool("lm_eval", "lm-eval/samples", with);
    std::fs::write(bench.path().join("key"), format!("{KEY}\nmore\n")).unwrap();
    let output = bench.suite(&server, &["--api-key-file", "key"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let asked = server.asked();
    assert!(asked.iter().any(|line| line == &format!("/v1/models bearer {KEY}")), "{asked:?}");
    for file in files_below(bench.archive.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let has_key = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!has_key, "{}", file.display());
    }
    // From the environment it goes the same way.
    let variable = {
        let url = server.url();
        let mut command = bench.eval(&["--suite", "mini", "--evals-file", "evals.toml"]);
        command.args(["--endpoint", &url, "--lead", "0"]).env("OPENAI_API_KEY", KEY);
        command.output().unwrap()
    };
    assert!(variable.status.success(), "{}", text(&variable.stderr));
    for file in files_below(bench.archive.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()), "{}", file.display());
    }
}

#[test]
fn a_suite_goes_on_where_it_was_left() {
    let (bench, server) = (Bench::new(), server());
    bench.with_evals();
    bench.tool("evalplus.evaluate", "evalplus/plus", "");
    bench.tool("lm_eval", "lm-eval/no-result", "exit 0");
    let output = bench.suite(&server, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("failed: lm-eval left no result"),
        "{}",
        text(&output.stdout)
    );
    let again = text(&output.stderr);
    assert!(again.contains("1 cells failed; `halo-record eval --resume "), "{again}");
    bench.tool(
        "lm_eval",
        "lm-eval/samples",
        "while [ \"$1\" != --output_path ]; do shift; done; mv out/tiny/* \"$2\"",
    );
    let resumed = bench.eval(&["--resume", "latest", "--retry-failed"]).output().unwrap();
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    let runs = bench.runs();
    assert_eq!(runs.len(), 3, "what was done is not done again");
    let shown = bench.archive.print(&["show", &manifest(&runs[2]).campaign.unwrap()]);
    assert!(shown.contains("2 cells, 2 done, 0 failed"), "{shown}");
}

#[test]
fn the_plan_is_shown_and_nothing_is_run() {
    let (bench, server) = (Bench::new(), server());
    bench.with_evals();
    bench.tool("evalplus.evaluate", "evalplus/plus", "");
    bench.tool("lm_eval", "lm-eval/samples", "");
    let output = bench.suite(&server, &["--dry-run"]);
    let out = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(bench.runs().is_empty());
    let command = format!(
        "1 env 'WHERE={url} {directory}' {directory}/.venv/bin/evalplus.evaluate \
         --model tiny --dataset humaneval --base-url {url}/v1",
        url = server.url(),
        directory = bench.path().display()
    );
    assert!(out.contains(&command), "{out}");
}

#[test]
fn the_shipped_suites_are_those_of_the_documents() {
    let evals = halo::plan::evals::definition::load(Some("/dev/null".as_ref())).unwrap();
    let of = |suite: &str| -> Vec<String> {
        let chosen = halo::plan::evals::definition::of_suite(&evals, suite).unwrap();
        chosen.into_iter().map(|eval| eval.name).collect()
    };
    assert_eq!(of("quick"), ["humaneval+", "ifeval"]);
    assert_eq!(of("code"), ["humaneval+", "mbpp+", "bigcodebench"]);
    assert_eq!(of("tooluse"), ["bfcl"]);
    assert_eq!(of("full"), ["humaneval+", "mbpp+", "ifeval", "bfcl", "bigcodebench"]);
    for eval in &evals {
        let argv: Vec<_> = eval.command.iter().map(std::ffi::OsString::from).collect();
        let (tool, _) = halo::tool::recognize(&argv).expect(&eval.name);
        assert_eq!(tool.contradiction(&argv), None);
    }
}

#[test]
fn a_server_that_is_found_by_itself_is_that_of_the_usual_address() {
    // Nothing may listen at the usual addresses of the machine that runs the tests; then both are
    // named.
    let bench = Bench::new();
    bench.with_evals();
    bench.tool("evalplus.evaluate", "evalplus/plus", "");
    bench.tool("lm_eval", "lm-eval/samples", "");
    let listens = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(!listens(8080) && !listens(11434), "a server of this machine is in the way");
    let flags = ["--suite", "mini", "--evals-file", "evals.toml", "--dry-run"];
    let output = bench.eval(&flags).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "halo-record: no server of models: neither a llama-server at http://127.0.0.1:8080 nor Ollama \
         at http://127.0.0.1:11434 answers; start one, as `llama-server -m model.gguf --metrics`, or \
         name it with --endpoint\n"
    );
}

#[test]
fn ollama_is_recognized_and_its_model_named() {
    let bench = Bench::new();
    bench.with_evals();
    bench.tool("evalplus.evaluate", "evalplus/plus", "");
    bench.tool("lm_eval", "lm-eval/no-result", "exit 1");
    let ollama = crate::llama::stand_in::StandIn::new(&[
        ("/api/version", Reply::ok("{\"version\":\"0.12.3\"}")),
        ("/v1/models", Reply::ok("{\"data\":[{\"id\":\"qwen3:8b\"},{\"id\":\"llama3\"}]}")),
    ]);
    let output = bench.suite(&ollama, &["--model", "qwen3:8b"]);
    assert!(text(&output.stdout).contains("model   qwen3:8b\n"), "{}", text(&output.stderr));
    let run = manifest(&bench.runs()[0]);
    assert_eq!((run.models[0].name.as_str(), run.models[0].file.as_str()), ("qwen3:8b", ""));
}
