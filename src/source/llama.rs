//! llama-server of llama.cpp, directly or behind its router, llama-swap, Lemonade or Ollama; and
//! vLLM, as far as its figures mean the same.
//!
//! `docs/llama-servers.md` says what is asked, what is shown and how a model is let sleep.
//! Facts about the endpoints across builds: `tools/server/README.md` of llama.cpp, and what builds
//! b8672 to b11549 answered (`tests/fixtures/llama/`).

use std::time::Duration;

use crate::config::{Llama, Paths};
use crate::metric::{Def, Kind, Metric, Table, Unit};
use crate::source::{Cadence, Reader, Source};

pub mod ollama;
mod server;
pub mod speed;
mod target;
pub mod text;
pub mod vllm;
pub mod watch;

macro_rules! families {
    ($($name:ident: $labels:literal, $family:literal, $kind:ident, $unit:ident, $table:ident, [$($label:literal),*], $help:literal, $from:literal;)*) => {
        $(#[doc = concat!("`", $family, "`.")]
        pub static $name: Metric<$labels> = Metric::new(Def {
            name: $family,
            help: $help,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            table: Table::$table,
            from: $from,
        });)*

        static METRICS: &[&Def] = &[$($name.def()),*];
    };
}

families! {
    UP: 1, "halo_llama_up", Gauge, None, None, ["server"],
        "Whether a server answers and its model is loaded: 1 yes, 0 no.",
        "GET /health";
    STATE: 2, "halo_llama_state", Gauge, None, None, ["server", "state"],
        "Constant 1 for the state of a server: ready, loading, sleeping, unauthorized, metrics_disabled, unreachable (a model behind it cannot be asked) or down.",
        "GET /health, /props and /metrics";
    MODEL_FAILURE: 3, "halo_llama_model_failure", Gauge, None, None, ["server", "model", "reason"],
        "Constant 1 for a model behind a router, llama-swap, Lemonade or Ollama that cannot be asked, with the reason.",
        "what stands before it: GET /models, /running, /v1/health or /api/ps";
    MODEL_INFO: 4, "halo_llama_model_info", Gauge, Info, None, ["server", "model", "build", "context"],
        "A loaded model, the build of llama.cpp or the version of vLLM, and the tokens of context of one slot.",
        "GET /props: model_alias or model_path, build_info, default_generation_settings.n_ctx; of vLLM /version and /v1/models";
    PROMPT_TOKENS: 2, "halo_llama_prompt_tokens_total", Counter, None, Llama, ["server", "model"],
        "Prompt tokens that were computed; since b10566 at the latest without those from the cache; six digits are told.",
        "GET /metrics: llamacpp:prompt_tokens_total; of vLLM vllm:prompt_tokens_by_source_total (local_compute), else vllm:prompt_tokens_total less the cached ones";
    CACHED_TOKENS: 2, "halo_llama_prompt_cached_tokens_total", Counter, None, Llama, ["server", "model"],
        "Prompt tokens that were taken from the cache; builds before August 2026 do not tell them.",
        "GET /metrics: llamacpp:prompt_tokens_cached_total, vllm:prompt_tokens_cached_total";
    PROMPT_SECONDS: 2, "halo_llama_prompt_seconds_total", Counter, Seconds, Llama, ["server", "model"],
        "Time that was spent on prompts.",
        "GET /metrics: llamacpp:prompt_seconds_total";
    GENERATED_TOKENS: 2, "halo_llama_generated_tokens_total", Counter, None, Llama, ["server", "model"],
        "Tokens that were generated, counted when a request ends (vLLM: as they come); llama-server tells six digits.",
        "GET /metrics: llamacpp:tokens_predicted_total, vllm:generation_tokens_total";
    GENERATION_SECONDS: 2, "halo_llama_generation_seconds_total", Counter, Seconds, Llama, ["server", "model"],
        "Time that was spent on generation, summed over slots and counted when a request ends.",
        "GET /metrics: llamacpp:tokens_predicted_seconds_total, vllm:request_decode_time_seconds_sum";
    DECODES: 2, "halo_llama_decodes_total", Counter, None, Llama, ["server", "model"],
        "Calls that computed a batch: not tokens, since a batch has tokens of several slots.",
        "GET /metrics: llamacpp:n_decode_total";
    DRAFT_TOKENS: 2, "halo_llama_draft_tokens_total", Counter, None, Llama, ["server", "model"],
        "Tokens that were guessed by speculative decoding.",
        "GET /metrics: llamacpp: or vllm:spec_decode_num_draft_tokens_total";
    DRAFT_ACCEPTED: 2, "halo_llama_draft_accepted_tokens_total", Counter, None, Llama, ["server", "model"],
        "Guessed tokens that the model agreed to.",
        "GET /metrics: llamacpp: or vllm:spec_decode_num_accepted_tokens_total";
    PROMPT_SPEED: 2, "halo_llama_prompt_tokens_per_second", Gauge, None, Llama, ["server", "model"],
        "Prompt tokens per second since the reading before, over all slots.",
        "derived from halo_llama_prompt_tokens_total of two readings";
    GENERATED_SPEED: 2, "halo_llama_generated_tokens_per_second", Gauge, None, Llama, ["server", "model"],
        "Generated tokens per second since the reading before, over all slots, also while requests run.",
        "derived from llamacpp:tokens_predicted_total and n_decoded of GET /slots of two readings, or from vllm:generation_tokens_total";
    REQUESTS: 3, "halo_llama_requests", Gauge, None, LlamaRequest, ["server", "model", "state"],
        "Requests that are worked on (processing) or wait (deferred).",
        "GET /metrics: llamacpp:requests_processing, llamacpp:requests_deferred; vllm:num_requests_running, vllm:num_requests_waiting";
    CONTEXT_USED: 3, "halo_llama_context_used_ratio", Gauge, Ratio, LlamaSlot, ["server", "model", "slot"],
        "Tokens that a working slot holds over those that it can hold; builds before b9713 at the latest do not tell it.",
        "GET /slots: n_prompt_tokens / n_ctx";
}

/// The source `llama`.
pub static SOURCE: Source = Source {
    name: "llama",
    about: "llama-server: models, tokens, speed, requests, context",
    metrics: METRICS,
    default: true,
    // A server may answer a second later than it was asked, and more often tells nothing more.
    cadence: Cadence::Apart(Duration::from_secs(2)),
    floor: Duration::ZERO,
    remedy: "Nothing listens at 127.0.0.1:8080: start llama-server with --metrics, or name its address in [[llama]] of the configuration.",
    open: |config| {
        let named = config.llama.iter().map(|llama| server::Server::new(llama.clone(), false));
        let mut readers: Vec<Box<dyn Reader>> =
            named.map(|server| Box::new(server) as Box<dyn Reader>).collect();
        // A machine that is shown as files has no address of its own.
        if readers.is_empty() && config.path == Paths::default() {
            readers.push(Box::new(server::Server::new(Llama::default(), true)));
        }
        readers
    },
};
