//! One sample of a log, from its summary or from the sample itself: both have the same keys.

use serde_json::Value;

use crate::run::EvalSample;
use crate::tool::document::Node;

/// The keys of scores that are objects, the one that says whether a sample is solved first: `IFEval`
/// of inspect-evals tells several.
const SOLVED: [&str; 1] = ["prompt_level_strict"];

/// Reads a sample. What it does not say is unknown; `scorer` names the score that counts.
pub(super) fn read(node: &Node<'_>, task: &str, scorer: Option<&str>) -> EvalSample {
    let text = |key: &str| node.optional(key)?.text().ok().map(str::to_owned);
    let time = |key: &str| node.optional(key)?.time().ok();
    let id = node.optional("id").map(|id| match id.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let error = node.optional("error").map(|error| match error.value {
        Value::String(text) => text.clone(),
        other => other.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
    });
    EvalSample {
        task: task.to_owned(),
        answer_of: None,
        sample: id.or_else(|| text("uuid")).unwrap_or_default(),
        epoch: node
            .optional("epoch")
            .and_then(|epoch| epoch.count().ok())
            .and_then(|epoch| u32::try_from(epoch).ok())
            .unwrap_or(1),
        started: time("started_at"),
        ended: time("completed_at"),
        score: score(node, scorer),
        prompt_tokens: tokens(
            node,
            &["input_tokens", "input_tokens_cache_read", "input_tokens_cache_write"],
        ),
        generated_tokens: tokens(node, &["output_tokens"]),
        joules: None,
        error,
    }
}

/// The samples of a log that has none of them, by what became of each in the end; only a log that
/// asked each once tells so.
pub(super) fn reduced(reductions: &Value, task: &str, scorer: Option<&str>) -> Vec<EvalSample> {
    let all = reductions.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_wanted =
        |one: &&Value| scorer.is_none_or(|scorer| one.get("scorer") == Some(&scorer.into()));
    let samples = all.iter().find(is_wanted).and_then(|one| one.get("samples")?.as_array());
    let read = |sample: &Value| {
        let id = match sample.get("sample_id")? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(EvalSample {
            task: task.to_owned(),
            sample: id,
            epoch: 1,
            score: number(sample.get("value")?),
            ..EvalSample::default()
        })
    };
    samples.into_iter().flatten().filter_map(read).collect()
}

/// Tokens over all models that a sample asked. What comes from the cache is told beside
/// `input_tokens` and not in it.
pub(super) fn tokens(node: &Node<'_>, keys: &[&str]) -> Option<u64> {
    let usage = node.optional("model_usage")?.object().ok()?;
    let of =
        |model: &Value| -> u64 { keys.iter().filter_map(|key| model.get(key)?.as_u64()).sum() };
    (!usage.is_empty()).then(|| usage.values().map(of).sum())
}

fn score(node: &Node<'_>, scorer: Option<&str>) -> Option<f64> {
    // Logs of early versions have one score alone.
    if let Some(score) = node.optional("score") {
        return number(score.value.get("value")?);
    }
    let all = node.optional("scores")?.object().ok()?;
    let score = match scorer {
        Some(scorer) => all.get(scorer),
        None => all.values().next(),
    };
    number(score?.get("value")?)
}

/// What inspect-ai's `value_to_float` makes of a value.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(is_solved) => Some(f64::from(u8::from(*is_solved))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "C" => Some(1.0),
            "P" => Some(0.5),
            "I" | "N" => Some(0.0),
            text => match text.to_lowercase().as_str() {
                "yes" | "true" => Some(1.0),
                "no" | "false" => Some(0.0),
                text => text.parse().ok().filter(|number: &f64| number.is_finite()),
            },
        },
        Value::Object(parts) => SOLVED.iter().find_map(|key| number(parts.get(*key)?)),
        _ => None,
    }
}
