//! What models score and what it costs: which of them nothing beats in both.

use serde::Serialize;

use super::evals;
use super::record::Recorded;

/// Scores of one task against what they cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pareto {
    /// The eval.
    pub task: String,
    /// As `pass@1`.
    pub metric: String,
    /// What is paid: `energy` or `time`, for a sample.
    pub cost: &'static str,
    /// The unit of the cost.
    pub unit: &'static str,
    /// The runs, those that cost least first.
    pub candidates: Vec<Candidate>,
}

/// A run with its score and its cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Which run of the report.
    pub run: usize,
    /// Its model.
    pub model: String,
    /// What a sample costs.
    pub cost: f64,
    /// The score.
    pub score: f64,
    /// The lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Whether no other run scores as much for less, or more for as much.
    pub is_on_frontier: bool,
}

/// The pictures of all tasks that two runs have at least, by energy and by time as far as they are
/// known.
pub(super) fn of(runs: &[Recorded]) -> Vec<Pareto> {
    let mut tasks: Vec<(&str, &str)> = Vec::new();
    for score in runs.iter().flat_map(|run| &run.manifest.scores) {
        // The first score of a task is the one that counts.
        if !tasks.iter().any(|(task, _)| *task == score.task) {
            tasks.push((&score.task, &score.metric));
        }
    }
    let mut pictures = Vec::new();
    for (task, metric) in tasks {
        for (cost, unit) in [("energy", "J"), ("time", "s")] {
            let candidates = runs
                .iter()
                .enumerate()
                .filter_map(|(index, run)| candidate(index, run, task, metric, cost));
            let mut candidates: Vec<Candidate> = candidates.collect();
            if candidates.len() < 2 {
                continue;
            }
            candidates.sort_by(|one, other| one.cost.total_cmp(&other.cost));
            mark_frontier(&mut candidates);
            pictures.push(Pareto {
                task: task.to_owned(),
                metric: metric.to_owned(),
                cost,
                unit,
                candidates,
            });
        }
    }
    pictures
}

fn candidate(
    index: usize,
    run: &Recorded,
    task: &str,
    metric: &str,
    cost: &str,
) -> Option<Candidate> {
    let manifest = &run.manifest;
    let score = manifest.scores.iter().find(|s| s.task == task && s.metric == metric)?;
    let energy = evals::energy_of(manifest, task);
    let paid = match cost {
        "energy" => energy?.joules?,
        _ => energy.map(|part| part.seconds).or_else(|| evals::seconds_of(manifest, task))?,
    };
    let models: Vec<&str> = manifest.models.iter().map(|model| model.name.as_str()).collect();
    Some(Candidate {
        run: index,
        model: models.join(", "),
        cost: paid / (score.samples > 0).then_some(score.samples as f64)?,
        score: score.value,
        low: score.low,
        high: score.high,
        is_on_frontier: false,
    })
}

fn mark_frontier(candidates: &mut [Candidate]) {
    let all = candidates.to_vec();
    for one in candidates {
        one.is_on_frontier = !all.iter().any(|other| {
            let is_as_good = other.cost <= one.cost && other.score >= one.score;
            is_as_good && (other.cost < one.cost || other.score > one.score)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, mark_frontier};

    #[test]
    fn the_frontier_is_what_nothing_beats_in_both() {
        let candidate = |(cost, score)| Candidate {
            run: 0,
            model: String::new(),
            cost,
            score,
            low: None,
            high: None,
            is_on_frontier: false,
        };
        let mut all = [(1.0, 0.5), (2.0, 0.4), (3.0, 0.9), (3.0, 0.9), (4.0, 0.8), (9.0, 0.95)]
            .map(candidate);
        mark_frontier(&mut all);
        let on: Vec<bool> = all.iter().map(|one| one.is_on_frontier).collect();
        assert_eq!(on, [true, false, true, true, false, true]);
    }
}
