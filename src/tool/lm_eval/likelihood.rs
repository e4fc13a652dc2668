//! Log-likelihoods of what a sample offers as answers: whether they say anything.
//!
//! lm-eval adds up what a server tells of the tokens of a prompt. A server that tells of none gives a
//! sum of 0 for every choice, and the first one counts as the answer
//! (`parse_logprobs` in `lm_eval/models/openai_completions.py`).

use serde_json::Value;

/// From this many samples on it is no accident that all have the same log-likelihoods.
const ENOUGH: usize = 5;

/// The log-likelihoods of a sample, as `[["-1.5", "False"], ["-2.5", "False"]]` holds them; none where
/// it is about answers that were generated. What is no number is nan.
pub(super) fn of(sample: &Value) -> Option<Vec<f64>> {
    let answers = sample.get("filtered_resps")?.as_array().filter(|all| !all.is_empty())?;
    answers.iter().map(of_answer).collect()
}

/// A log-likelihood, and whether it is what the model would have said.
fn of_answer(answer: &Value) -> Option<f64> {
    let [likelihood, is_greedy] = &answer.as_array()?[..] else { return None };
    let is_truth = is_greedy.is_boolean() || matches!(is_greedy.as_str(), Some("True" | "False"));
    if !is_truth {
        return None;
    }
    let number = |text: &str| text.trim().parse::<f64>().ok();
    match likelihood {
        Value::Null => Some(f64::NAN),
        Value::String(text) => number(text),
        other => other.as_f64(),
    }
}

/// Why nothing follows from the log-likelihoods of all samples, where that is so.
pub(super) fn chance(all: &[Vec<f64>]) -> Option<String> {
    let first = all.first()?;
    if all.iter().flatten().all(|value| *value == 0.0) {
        return Some("every log-likelihood of every sample is 0.0".to_owned());
    }
    if all.iter().all(|sample| sample.len() > 1 && is_undecided(sample)) {
        return Some("every choice of every sample has the same log-likelihood".to_owned());
    }
    let is_constant = all.len() >= ENOUGH && all.iter().all(|sample| is_same(sample, first));
    is_constant.then(|| "every sample has the same log-likelihoods".to_owned())
}

/// How many samples have several choices of one log-likelihood.
pub(super) fn undecided(all: &[Vec<f64>]) -> usize {
    all.iter().filter(|sample| sample.len() > 1 && is_undecided(sample)).count()
}

/// Whether no choice is more likely than another.
fn is_undecided(sample: &[f64]) -> bool {
    sample.windows(2).all(|pair| is_same(&pair[..1], &pair[1..]))
}

fn is_same(one: &[f64], other: &[f64]) -> bool {
    let alike =
        |(one, other): (&f64, &f64)| one.total_cmp(other).is_eq() || one.is_nan() && other.is_nan();
    one.len() == other.len() && one.iter().zip(other).all(alike)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{chance, of, undecided};

    #[test]
    fn likelihoods_are_told_from_answers() {
        let sample = |answers| of(&json!({"filtered_resps": answers}));
        assert_eq!(sample(json!([["0.0", "False"], ["-1.5", "True"]])), Some(vec![0.0, -1.5]));
        assert_eq!(sample(json!([[-3.25, false]])), Some(vec![-3.25]));
        assert!(sample(json!([["nan", "False"]])).unwrap()[0].is_nan());
        assert!(sample(json!([[null, false]])).unwrap()[0].is_nan());
        for answers in [json!(["4"]), json!([["a", "b"]]), json!([]), json!(["-12.5"])] {
            assert_eq!(sample(answers.clone()), None, "{answers}");
        }
    }

    #[test]
    fn chance_is_what_says_nothing_of_any_sample() {
        let all = |sample: &[f64], count| vec![sample.to_vec(); count];
        let told = |all: &[Vec<f64>]| chance(all).is_some();
        assert!(told(&all(&[0.0, 0.0, 0.0, 0.0], 1)) && told(&all(&[-0.0], 3)));
        assert!(told(&all(&[-2.5, -2.5], 2)) && told(&all(&[f64::NAN, f64::NAN], 2)));
        assert!(told(&all(&[f64::NEG_INFINITY; 4], 3)));
        assert!(told(&all(&[-1.0, -2.0], 5)) && !told(&all(&[-1.0, -2.0], 4)));
        let mut some = all(&[0.0, 0.0], 9);
        some.push(vec![-1.0, -2.0]);
        assert!(!told(&some) && undecided(&some) == 9);
        assert!(!told(&[]));
    }
}
