//! What an eval says: how many of its samples a model solved, and what each of them took.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::finite::{self, Whole};
use super::share::share;

/// A score of a task: a figure of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The eval, as `humaneval+`.
    pub task: String,
    /// What the tool calls it, as `pass@1` or `accuracy`.
    pub metric: String,
    /// The value that the tool gave, or that follows from what it says of each sample.
    #[serde(deserialize_with = "finite::number")]
    pub value: f64,
    /// The samples that it is over; absent where the tool does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// How many of them were solved, where a sample is either solved or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solved: Option<u64>,
    /// The standard error that the tool gave.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub standard_error: Option<f64>,
    /// The lower end of the 95 % interval: Wilson's, where samples are solved or not.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub low: Option<f64>,
    /// Its upper end.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub high: Option<f64>,
    /// Joules for a solved sample, those that failed included; absent where none was solved, or
    /// energy is unknown.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub joules_per_solved: Option<f64>,
    /// Whether samples are missing that should have been answered: the others say nothing of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
    /// Why it says nothing of the model, in a clause: its answers were no more than chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<String>,
}

share!(Score {
    keep value, samples, solved, standard_error, low, high, joules_per_solved, is_partial;
    clean task, metric, chance;
});

impl Score {
    /// A value of which nothing more is known.
    pub fn of(task: &str, metric: impl Into<String>, value: f64, samples: Option<u64>) -> Self {
        Self {
            task: task.to_owned(),
            metric: metric.into(),
            value,
            samples,
            solved: None,
            standard_error: None,
            low: None,
            high: None,
            joules_per_solved: None,
            is_partial: false,
            chance: None,
        }
    }
}

impl Whole for Score {
    fn is_whole(&self) -> bool {
        self.value.is_finite()
    }
}

/// How much of an eval was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Samples that were answered, and scored where they are.
    pub done: u64,
    /// Samples that were to be done; absent where the tool does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// Whether the tool says that somebody cancelled it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cancelled: bool,
    /// Whether an earlier run did a part of it, so that nobody knows what all of it takes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_resumed: bool,
}

/// A sample of an eval: one question to a model, and what became of it. A line of
/// `eval_samples.parquet`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvalSample {
    /// The eval.
    pub task: String,
    /// The task whose answer is judged here once more, where it is not its own: `humaneval+` judges
    /// those of `humaneval`. It is not archived.
    pub answer_of: Option<String>,
    /// What the tool calls the sample, as `HumanEval/0`.
    pub sample: String,
    /// Which time it was asked, from 1.
    pub epoch: u32,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it had ended.
    pub ended: Option<Timestamp>,
    /// What it scored; 1 is solved and 0 is not.
    pub score: Option<f64>,
    /// Tokens of the prompt, those from the cache included.
    pub prompt_tokens: Option<u64>,
    /// Tokens that were generated.
    pub generated_tokens: Option<u64>,
    /// Joules while it was worked on, shared equally with samples that were worked on beside it.
    pub joules: Option<f64>,
    /// Why it has no score, in the tool's words.
    pub error: Option<String>,
}

impl EvalSample {
    /// What was asked of the model: samples of two tasks may be about one answer.
    pub fn question(&self) -> (&str, &str, u32) {
        (self.answer_of.as_deref().unwrap_or(&self.task), &self.sample, self.epoch)
    }

    /// Whether it was solved, where that can be said.
    #[expect(clippy::float_cmp, reason = "what is neither exactly 0 nor 1 is a part of a score")]
    pub fn is_solved(&self) -> Option<bool> {
        self.score.filter(|score| *score == 0.0 || *score == 1.0).map(|score| score == 1.0)
    }

    /// Generated tokens per second, from its beginning to its end.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let seconds = self.ended?.duration_since(self.started?).as_secs_f64();
        (seconds > 0.0).then_some(self.generated_tokens? as f64 / seconds)
    }
}
