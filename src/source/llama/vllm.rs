//! vLLM's own metrics, as far as they mean what those of a llama-server do.
//!
//! From its source of 2026 (`vllm/v1/metrics/loggers.py`) and its documentation; no vLLM was tried
//! here. What has no counterpart there has no series: time spent on prompts (vLLM sums it over
//! requests that it computes together), decode calls, and the context that a request holds.

use std::collections::BTreeMap;

/// How its families begin.
const PREFIX: &str = "vllm:";

/// What one model of a vLLM has done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Prompt tokens that were computed.
    pub prompt: Option<f64>,
    /// Prompt tokens that were taken from the cache.
    pub cached: Option<f64>,
    /// Tokens that were generated, also by requests that run.
    pub generated: Option<f64>,
    /// Time that was spent on generation, summed over requests that have ended.
    pub generation_seconds: Option<f64>,
    /// Tokens that were guessed by speculative decoding.
    pub draft: Option<f64>,
    /// Those that the model agreed to.
    pub accepted: Option<f64>,
    /// Requests that are worked on.
    pub running: Option<f64>,
    /// Requests that wait.
    pub waiting: Option<f64>,
    /// Whether its weights were put aside.
    pub is_sleeping: bool,
}

/// Reads `/metrics` by the names of models; none where it is not vLLM's. Several engines that have
/// the same model are added up.
pub fn figures(body: &str) -> Option<BTreeMap<String, Figures>> {
    let mut models: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for line in body.lines() {
        let Some((name, labels, value)) = line.strip_prefix(PREFIX).and_then(sample) else {
            continue;
        };
        let model = labels.get("model_name").cloned().unwrap_or_default();
        // Of the labels of these families, those that split what is wanted.
        let part = labels.get("source").or_else(|| labels.get("sleep_state"));
        let name = part.map_or_else(|| name.to_owned(), |part| format!("{name} {part}"));
        *models.entry(model).or_default().entry(name).or_default() += value;
    }
    let models: BTreeMap<String, Figures> = models
        .into_iter()
        .filter(|(_, values)| values.contains_key("generation_tokens_total"))
        .map(|(model, values)| (model, Figures::of(&values)))
        .collect();
    (!models.is_empty()).then_some(models)
}

impl Figures {
    fn of(values: &BTreeMap<String, f64>) -> Self {
        let value = |name: &str| values.get(name).copied();
        let cached = value("prompt_tokens_cached_total")
            .or_else(|| value("prompt_tokens_by_source_total local_cache_hit"));
        let all = value("prompt_tokens_total");
        // The total has those from the cache too, in versions that tell both.
        let computed = value("prompt_tokens_by_source_total local_compute")
            .or_else(|| Some((all? - cached?).max(0.0)))
            .or(all);
        Self {
            prompt: computed,
            cached,
            generated: value("generation_tokens_total"),
            generation_seconds: value("request_decode_time_seconds_sum"),
            draft: value("spec_decode_num_draft_tokens_total"),
            accepted: value("spec_decode_num_accepted_tokens_total"),
            running: value("num_requests_running"),
            waiting: value("num_requests_waiting"),
            is_sleeping: value("engine_sleep_state awake") == Some(0.0),
        }
    }
}

/// A line of the text format: name, labels, value.
fn sample(line: &str) -> Option<(&str, BTreeMap<String, String>, f64)> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse::<f64>().ok()?;
    (value.is_finite() && value >= 0.0).then_some((name, labels, value))
}

/// The labels up to the closing brace, and what stands behind it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (at, '"') => break at + 1,
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.trim().to_owned(), value);
        rest = &after[end..];
    }
}

/// The version of vLLM (`/version`), as a build.
pub fn build(body: &str) -> Option<String> {
    let value: serde_json::Value = crate::json::from_str(body).ok()?;
    Some(format!("vllm-{}", value.get("version")?.as_str()?))
}

/// Tokens of context of each model (`/v1/models`).
pub fn contexts(body: &str) -> BTreeMap<String, String> {
    let value: serde_json::Value = crate::json::from_str(body).unwrap_or_default();
    let models = value["data"].as_array().into_iter().flatten();
    let context = |model: &serde_json::Value| {
        let tokens = model.get("max_model_len")?.as_u64()?;
        Some((model.get("id")?.as_str()?.to_owned(), tokens.to_string()))
    };
    models.filter_map(context).collect()
}
