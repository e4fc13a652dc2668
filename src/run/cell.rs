//! A cell of a campaign: what one of its runs measures.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::share::{Share, share};
use crate::redact::Redactor;

/// What defines a run of a campaign, so that the same cell of two campaigns can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// Of llama-bench.
    Benchmark(BenchmarkCell),
    /// Of an eval.
    Eval(EvalCell),
}

impl Share for Cell {
    fn share(self, redactor: &mut Redactor) -> Self {
        match self {
            Self::Benchmark(cell) => Self::Benchmark(cell.share(redactor)),
            Self::Eval(cell) => Self::Eval(cell.share(redactor)),
        }
    }
}

impl Cell {
    /// The same cell whatever the round: what is compared.
    #[must_use]
    pub fn without_round(&self) -> Self {
        match self {
            Self::Benchmark(cell) => Self::Benchmark(cell.without_round()),
            Self::Eval(_) => self.clone(),
        }
    }

    /// The model, as the catalog or its server calls it.
    pub fn model(&self) -> &str {
        match self {
            Self::Benchmark(cell) => &cell.model,
            Self::Eval(cell) => &cell.model,
        }
    }

    /// Which round of the campaign, from 1, where it goes through its cells several times.
    pub fn round(&self) -> Option<u32> {
        match self {
            Self::Benchmark(cell) => cell.round,
            Self::Eval(_) => None,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Benchmark(cell) => cell.fmt(formatter),
            Self::Eval(cell) => cell.fmt(formatter),
        }
    }
}

/// A task of a suite for a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EvalCell {
    /// The model, as its server calls it.
    pub model: String,
    /// The task's name in `configs/evals.toml`.
    pub eval: String,
}

share!(EvalCell { clean model, eval; });

impl fmt::Display for EvalCell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.model, self.eval)
    }
}

/// A cell of the matrix of a campaign of llama-bench.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BenchmarkCell {
    /// The model's name in the catalog, or the file's.
    pub model: String,
    /// The backend's name in `configs/backends.toml`.
    pub backend: String,
    /// The types of the KV cache, as `f16`, or `q8_0:q4_0` where keys and values differ.
    pub kv: String,
    /// `--batch-size` in tokens, where the user set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// `--ubatch-size` in tokens, where the user or the backend set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ubatch: Option<u32>,
    /// Tokens of context that are there before the test.
    pub depth: u32,
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens that are generated.
    pub generation: u32,
    /// How often each test is repeated in the run.
    pub repetitions: u32,
    /// Which round of the campaign, from 1, where it goes through its cells several times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
}

share!(BenchmarkCell {
    keep batch, ubatch, depth, prompt, generation, repetitions, round;
    clean model, backend, kv;
});

impl BenchmarkCell {
    /// The same cell whatever the round: what is compared.
    #[must_use]
    pub fn without_round(&self) -> Self {
        Self { round: None, ..self.clone() }
    }

    /// What is measured, as `pp512 tg128 @ d32768`.
    pub fn test(&self) -> String {
        let mut parts = Vec::new();
        if self.prompt > 0 {
            parts.push(format!("pp{}", self.prompt));
        }
        if self.generation > 0 {
            parts.push(format!("tg{}", self.generation));
        }
        if self.depth > 0 {
            parts.push(format!("@ d{}", self.depth));
        }
        parts.join(" ")
    }
}

impl fmt::Display for BenchmarkCell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}, KV {}", self.model, self.backend, self.kv)?;
        if let Some(batch) = self.batch {
            write!(formatter, ", batch {batch}")?;
        }
        if let Some(ubatch) = self.ubatch {
            write!(formatter, ", ubatch {ubatch}")?;
        }
        write!(formatter, ", {}", self.test())?;
        self.round.map_or(Ok(()), |round| write!(formatter, ", round {round}"))
    }
}
