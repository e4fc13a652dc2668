//! vLLM: what of its metrics means the same, from a stand-in, since none can run here.

use halo::source::llama::vllm::{build, contexts, figures};

use super::answers::{has, ready, shown, swap_with};
use super::stand_in::{Reply, StandIn};

/// Written after `vllm/v1/metrics/loggers.py` and vLLM's documentation of 2026.
pub(super) const METRICS: &str = r#"# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3.5-9B"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen3.5-9B"} 1.0
# TYPE vllm:engine_sleep_state gauge
vllm:engine_sleep_state{engine="0",model_name="Qwen/Qwen3.5-9B",sleep_state="awake"} 1.0
vllm:engine_sleep_state{engine="0",model_name="Qwen/Qwen3.5-9B",sleep_state="weights_offloaded"} 0.0
vllm:engine_sleep_state{engine="0",model_name="Qwen/Qwen3.5-9B",sleep_state="discard_all"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen3.5-9B"} 0.25
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="Qwen/Qwen3.5-9B"} 1500.0
vllm:prompt_tokens_created{engine="0",model_name="Qwen/Qwen3.5-9B"} 1.7643e+09
vllm:prompt_tokens_cached_total{engine="0",model_name="Qwen/Qwen3.5-9B"} 500.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="Qwen/Qwen3.5-9B"} 4242.0
# TYPE vllm:request_decode_time_seconds histogram
vllm:request_decode_time_seconds_bucket{engine="0",le="0.3",model_name="Qwen/Qwen3.5-9B"} 0.0
vllm:request_decode_time_seconds_sum{engine="0",model_name="Qwen/Qwen3.5-9B"} 61.5
vllm:request_decode_time_seconds_count{engine="0",model_name="Qwen/Qwen3.5-9B"} 7.0
process_start_time_seconds 1.7643e+09
"#;

fn server(metrics: &str) -> StandIn {
    StandIn::new(&[
        ("/health", Reply::ok("")),
        ("/version", Reply::ok("{\"version\":\"0.20.0\"}")),
        (
            "/v1/models",
            Reply::ok("{\"data\":[{\"id\":\"Qwen/Qwen3.5-9B\",\"max_model_len\":40960}]}"),
        ),
        ("/metrics", Reply::ok(metrics)),
    ])
}

#[test]
fn a_vllm_is_shown_with_what_means_the_same() {
    let shown = shown(&server(METRICS).url(), "");
    let of = |name: &str, value: &str| {
        format!("halo_llama_{name}{{server=\"s\",model=\"Qwen/Qwen3.5-9B\"}} {value}\n")
    };
    has(
        &shown,
        &[
            "halo_llama_up{server=\"s\"} 1",
            "state=\"ready\"} 1",
            "build=\"vllm-0.20.0\",context=\"40960\"} 1",
            &of("generated_tokens_total", "4242"),
            &of("prompt_tokens_total", "1000"),
            &of("prompt_cached_tokens_total", "500"),
            &of("generation_seconds_total", "61.5"),
            "model=\"Qwen/Qwen3.5-9B\",state=\"processing\"} 2",
            "model=\"Qwen/Qwen3.5-9B\",state=\"deferred\"} 1",
            "halo_source_up{source=\"llama\"} 1",
        ],
    );
    // What it does not tell is absent.
    for family in
        ["prompt_seconds_total", "decodes_total", "context_used_ratio", "draft_tokens_total"]
    {
        assert!(!shown.contains(&format!("halo_llama_{family}")), "{family}: {shown}");
    }
    assert!(!shown.contains("source_failure"), "{shown}");
}

#[test]
fn engines_are_added_up_and_sources_of_prompt_tokens_told_apart() {
    let text = r#"vllm:generation_tokens_total{engine="0",model_name="a \"b\" \\ {c}"} 10
vllm:generation_tokens_total{engine="1",model_name="a \"b\" \\ {c}"} 5
vllm:prompt_tokens_total{engine="0",model_name="a \"b\" \\ {c}"} 100
vllm:prompt_tokens_by_source_total{engine="0",model_name="a \"b\" \\ {c}",source="local_compute"} 60
vllm:prompt_tokens_by_source_total{engine="1",model_name="a \"b\" \\ {c}",source="local_compute"} 7
vllm:prompt_tokens_by_source_total{engine="0",model_name="a \"b\" \\ {c}",source="local_cache_hit"} 33
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="a \"b\" \\ {c}"} 9
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="a \"b\" \\ {c}"} 4
vllm:num_requests_running{model_name="other"} 3
"#;
    let models = figures(text).unwrap();
    let (name, found) = models.iter().next().unwrap();
    assert_eq!((models.len(), &**name), (1, "a \"b\" \\ {c}"));
    assert_eq!((found.generated, found.prompt, found.cached), (Some(15.0), Some(67.0), Some(33.0)));
    assert_eq!((found.draft, found.accepted, found.running), (Some(9.0), Some(4.0), None));
    // The oldest tell neither; the total is all there is.
    let old = "vllm:generation_tokens_total{model_name=\"m\"} 1\nvllm:prompt_tokens_total{model_name=\"m\"} 99.0\n";
    assert_eq!(figures(old).unwrap()["m"].prompt, Some(99.0));
    let cut = "vllm:generation_tokens_total{model_name=\"m";
    for other in ["", "llamacpp:x 1", "vllm:x 1", "vllm:generation_tokens_total NaN", cut] {
        assert_eq!(figures(other), None, "{other}");
    }
    assert_eq!(build("{\"version\":\"0.20.0\"}").as_deref(), Some("vllm-0.20.0"));
    assert!(contexts("[]").is_empty() && build("{}").is_none());
}

#[test]
fn a_vllm_that_sleeps_or_stands_behind_another_is_known() {
    let asleep = METRICS.replace("sleep_state=\"awake\"} 1.0", "sleep_state=\"awake\"} 0.0");
    has(
        &shown(&server(&asleep).url(), ""),
        &["state=\"sleeping\"} 1", "halo_llama_up{server=\"s\"} 1"],
    );
    let child = server(METRICS);
    let shown = shown(&swap_with(&child.url()).url(), "");
    has(&shown, &["state=\"ready\"} 1", "halo_llama_generated_tokens_total{server=\"s\""]);
    assert!(!shown.contains("failure"), "{shown}");
}

/// Whatever else serves models is there, and is not said to be down.
#[test]
fn a_server_of_another_kind_whose_health_is_good_is_up() {
    for (health, metrics) in [
        ("", "sglang:generation_tokens_total{model_name=\"m\"} 5\n"),
        ("true", ""),
        ("{\"status\":\"healthy\"}", "tgi_request_count 1\n"),
    ] {
        let server =
            StandIn::new(&[("/health", Reply::ok(health)), ("/metrics", Reply::ok(metrics))]);
        let shown = shown(&server.url(), "");
        has(
            &shown,
            &[
                "halo_llama_up{server=\"s\"} 1",
                "halo_source_failure{source=\"llama\",reason=\"unsupported\"} 1",
                "no server whose metrics halo knows",
            ],
        );
        assert!(!shown.contains("state=\"down\"") && !shown.contains("_total"), "{shown}");
    }
    let llama = ready();
    has(&shown(&llama.url(), ""), &["build=\"b11434-b11434\""]);
}
