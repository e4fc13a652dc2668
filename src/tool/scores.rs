//! Scores that follow from what is said of each sample.

use std::collections::BTreeMap;

use crate::analyze::stats;
use crate::run::{EvalSample, Score};

/// How sure an interval is.
const CONFIDENCE: f64 = 0.95;

/// The share of samples that were solved, each asked once or more: pass@1. None where no sample has
/// a score of 0 or 1.
pub(super) fn pass_at_1(task: &str, samples: &[EvalSample]) -> Option<Score> {
    let score = counted(Score::of(task, "pass@1", 0.0, None), samples);
    score.solved?;
    // A task that was asked more often counts no more than the others.
    let mut tasks: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for sample in samples {
        let (solved, asked) = tasks.entry(&sample.sample).or_default();
        *solved += sample.score.unwrap_or_default();
        *asked += 1.0;
    }
    let shares = tasks.values().map(|(solved, asked)| solved / asked);
    Some(Score { value: shares.sum::<f64>() / tasks.len() as f64, ..score })
}

/// A score with the interval that its samples give, where it is the share of those that were solved:
/// other metrics may be about something else.
pub(super) fn with_interval(score: Score, samples: &[EvalSample]) -> Score {
    let counted = counted(score.clone(), samples);
    let share = counted.solved.zip(counted.samples);
    let share = share.map(|(solved, samples)| solved as f64 / samples as f64);
    let is_share = share.is_some_and(|share| (share - score.value).abs() < 1e-9);
    if is_share { counted } else { score }
}

/// A score with the number of solved samples and their interval, where each is solved or not.
fn counted(score: Score, samples: &[EvalSample]) -> Score {
    let of_task = samples.iter().filter(|sample| sample.task == score.task);
    let solved: Option<Vec<bool>> =
        of_task.filter(|sample| sample.score.is_some()).map(EvalSample::is_solved).collect();
    let Some(solved) = solved.filter(|solved| !solved.is_empty()) else { return score };
    let count = solved.len() as u64;
    let successes = solved.iter().filter(|solved| **solved).count() as u64;
    // Epochs of one sample are more alike than samples are, so an interval over all would be too
    // narrow.
    let are_independent = {
        let of_task = samples.iter().filter(|sample| sample.task == score.task);
        of_task.clone().all(|sample| sample.epoch <= 1)
    };
    let interval = stats::wilson(successes, count, CONFIDENCE).filter(|_| are_independent);
    Score {
        samples: Some(count),
        solved: Some(successes),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        ..score
    }
}
