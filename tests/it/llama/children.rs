//! Models behind a router, llama-swap, Lemonade or Ollama: those that cannot be asked are failures
//! with a name and a reason.

use std::fs;

use halo::source::llama::text;

use super::answers::{config, has, once, ready, shown, swap_with};
use super::stand_in::{Reply, StandIn};
use crate::program::{command, machine_flags};
use crate::record::text as string;

/// A port at which nobody listens, since nobody may.
const NOBODY: &str = "http://127.0.0.1:1";

/// What is shown of a model that cannot be asked: the state, the metric, the health of the source,
/// and the name in the log.
fn has_failure(shown: &str, model: &str, reason: &str) {
    has(
        shown,
        &[
            "halo_llama_up{server=\"s\"} 1",
            "state=\"unreachable\"} 1",
            &format!(
                "halo_llama_model_failure{{server=\"s\",model=\"{model}\",reason=\"{reason}\"}} 1"
            ),
            &format!("halo_source_failure{{source=\"llama\",reason=\"{reason}\"}} 1"),
            &format!("model {model}: "),
        ],
    );
    assert!(!shown.contains("state=\"ready\""), "{shown}");
}

fn swap(running: &str) -> StandIn {
    StandIn::new(&[("/health", Reply::ok("OK")), ("/running", Reply::ok(running))])
}

fn lemonade(models: &str) -> StandIn {
    let body = format!("{{\"status\":\"ok\",\"all_models_loaded\":[{models}]}}");
    StandIn::new(&[("/v1/health", Reply::ok(body))])
}

#[test]
fn a_child_whose_address_is_not_told_is_named() {
    let old = swap(r#"{"running":[{"model":"gptoss-120B-med","state":"ready"}]}"#);
    has_failure(&shown(&old.url(), ""), "gptoss-120B-med", "unsupported");
    let empty = swap(r#"{"running":[{"model":"a","state":"ready","proxy":""}]}"#);
    has_failure(&shown(&empty.url(), ""), "a", "unsupported");
    let backend = lemonade(r#"{"model_name":"Qwen3-4B-GGUF","recipe":"llamacpp"}"#);
    has_failure(&shown(&backend.url(), ""), "Qwen3-4B-GGUF", "unsupported");
}

#[test]
fn a_child_that_does_not_answer_is_named() {
    // As seen from outside the container that it runs in.
    let swap = swap_with(NOBODY);
    let seen = shown(&swap.url(), "");
    has_failure(&seen, "a", "refused");
    has(&seen, &["nothing listens there from here", "container"]);
    let entry = format!(r#"{{"model_name":"m","recipe":"llamacpp","backend_url":"{NOBODY}/v1"}}"#);
    has_failure(&shown(&lemonade(&entry).url(), ""), "m", "refused");
    let slow = StandIn::new(&[(
        "/health",
        Reply { after: std::time::Duration::from_secs(2), ..Reply::ok("") },
    )]);
    has_failure(&shown(&swap_with(&slow.url()).url(), "deadline = 0.2"), "a", "timeout");
}

#[test]
fn a_child_that_is_no_llama_server_is_named() {
    let page = StandIn::new(&[("/health", Reply::ok("<html>hello</html>"))]);
    has_failure(&shown(&swap_with(&page.url()).url(), ""), "a", "unsupported");
    let child = ready();
    let both = lemonade(&format!(
        r#"{{"model_name":"gemma3-4b-FLM","recipe":"flm","backend_url":"{NOBODY}/v1"}},
           {{"model_name":"Qwen3","recipe":"llamacpp","backend_url":"{}/v1"}}"#,
        child.url()
    ));
    let seen = shown(&both.url(), "");
    has_failure(&seen, "gemma3-4b-FLM", "unsupported");
    // The other one is read all the same.
    has(&seen, &["halo_llama_prompt_tokens_total{server=\"s\",", "its recipe is flm"]);
    child.set("/props", Reply::with("500 Internal Server Error", "{}"));
    has_failure(&shown(&swap_with(&child.url()).url(), ""), "a", "unsupported");
}

#[test]
fn each_of_several_children_has_its_failure() {
    let running = format!(
        r#"{{"running":[{{"model":"a","state":"ready","proxy":"{NOBODY}"}},{{"model":"b","state":"ready"}},
            {{"model":"c","state":"ready","proxy":"{NOBODY}"}},{{"model":"d","state":"starting"}}]}}"#
    );
    let seen = shown(&swap(&running).url(), "");
    has_failure(&seen, "a", "refused");
    has_failure(&seen, "b", "unsupported");
    has_failure(&seen, "c", "refused");
    assert!(!seen.contains("model=\"d\""), "{seen}");
}

#[test]
fn a_model_of_a_router_that_does_not_answer_is_named() {
    let of = |path: &str, reply: Reply| {
        StandIn::new(&[
            ("/health", Reply::captured("health_ok_200.txt")),
            ("/props", Reply::captured("router_props.txt")),
            ("/models", Reply::captured("router_models_loaded.json")),
            ("/props?model=tiny-a&autoload=false", Reply::captured("router_props_model.json")),
            (path, reply),
        ])
    };
    let broken = Reply::with("500 Internal Server Error", "{}");
    let router = of("/props?model=tiny-a&autoload=false", broken);
    has_failure(&shown(&router.url(), ""), "tiny-a", "unsupported");
    let off = Reply::with("501 Not Implemented", "{}");
    let seen = shown(&of("/metrics?model=tiny-a&autoload=false", off).url(), "");
    has(
        &seen,
        &[
            "state=\"metrics_disabled\"} 1",
            "model=\"tiny-a\",reason=\"disabled\"} 1",
            "model tiny-a: ",
        ],
    );
}

/// An Ollama with these models, on a machine that has none of its processes.
fn ollama(models: &str) -> String {
    let server = StandIn::new(&[
        ("/api/version", Reply::ok("{\"version\":\"0.12.0\"}")),
        ("/api/ps", Reply::ok(format!("{{\"models\":[{models}]}}"))),
    ]);
    let machine = tempfile::tempdir().unwrap();
    for part in ["proc", "sys", "root"] {
        fs::create_dir_all(machine.path().join(part)).unwrap();
    }
    let config = config(&[format!("url = {:?}\nname = \"s\"", server.url())]);
    let mut flags = vec![format!("--config.file={}", config.path().display())];
    flags.extend(machine_flags(machine.path()));
    let printed = once(&flags);
    let doctor = command().args(&flags).arg("--doctor").output().unwrap();
    string(&printed.stdout) + &string(&printed.stderr) + &string(&doctor.stdout)
}

#[test]
fn models_of_an_ollama_whose_processes_are_not_seen_are_named() {
    let seen = ollama(r#"{"name":"qwen3:4b"},{"name":"gemma3:27b"}"#);
    has_failure(&seen, "qwen3:4b", "unsupported");
    has_failure(&seen, "gemma3:27b", "unsupported");
    // Once in the log, and once in what --doctor prints.
    assert_eq!(
        seen.matches("#qwen3:4b: model qwen3:4b: Ollama does not tell its port").count(),
        2,
        "{seen}"
    );
    let idle = ollama("");
    has(&idle, &["state=\"ready\"} 1"]);
    assert!(!idle.contains("model_failure"), "{idle}");
}

#[test]
fn children_of_llama_swap_and_lemonade_are_found() {
    // Written from the sources of both, as the facts have them.
    let swap = r#"{"running":[{"model":"a","state":"ready","proxy":"http://127.0.0.1:5800"},
        {"model":"b","state":"starting","proxy":"http://127.0.0.1:5801"}]}"#;
    let [child] = &text::running(swap).unwrap()[..] else { panic!() };
    assert_eq!((&*child.model, &child.address), ("a", &Ok("http://127.0.0.1:5800".to_owned())));
    let lemonade = r#"{"status":"ok","all_models_loaded":[
        {"model_name":"a","recipe":"llamacpp","backend_url":"http://127.0.0.1:8001/v1"},
        {"model_name":"b","recipe":"flm","backend_url":"http://127.0.0.1:8002/v1"}]}"#;
    let [child, other] = &text::backends(lemonade).unwrap()[..] else { panic!() };
    assert_eq!(child.address, Ok("http://127.0.0.1:8001".to_owned()));
    assert!(other.model == "b" && other.address.as_ref().is_err_and(|why| why.contains("flm")));
}
