//! What models score and what it costs: which of them nothing beats in both.

use serde::Serialize;

use super::evals;
use super::record::Recorded;
use crate::analyze::compare::{Comparison, ScoreRow, SideScore};
use crate::run::Score;
use crate::run::manifest::{Model, State};

/// What a sample costs, and its unit.
const COSTS: [(&str, &str); 2] = [(ENERGY, "J"), ("time", "s")];

const ENERGY: &str = "energy";

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
    /// Which run of the report, or which side of the comparison.
    pub run: usize,
    /// Its model, or what the side is called.
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
/// known. Scores over a part of the samples, and those that are chance, are left out.
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
        for (cost, unit) in COSTS {
            let candidates = runs
                .iter()
                .enumerate()
                .filter_map(|(index, run)| of_run(index, run, task, metric, cost));
            pictures.extend(picture(task, metric, (cost, unit), candidates.collect()));
        }
    }
    pictures
}

/// The same of the sides of a comparison.
pub(super) fn of_sides(comparison: &Comparison) -> Vec<Pareto> {
    // The first score of a task is the one that counts.
    let is_first = |row: &&ScoreRow| {
        let first = comparison.scores.iter().find(|other| other.task == row.task);
        first.is_some_and(|first| first.metric == row.metric)
    };
    let mut pictures = Vec::new();
    for row in comparison.scores.iter().filter(is_first) {
        for (cost, unit) in COSTS {
            let of_side = |(index, side): (usize, &Option<SideScore>)| {
                let side = side.as_ref()?;
                let paid = if cost == ENERGY { side.joules? } else { side.seconds? };
                candidate(index, comparison.sides[index].name.clone(), &side.score, paid)
            };
            let candidates = row.scores.iter().enumerate().filter_map(of_side).collect();
            pictures.extend(picture(&row.task, &row.metric, (cost, unit), candidates));
        }
    }
    pictures
}

/// None with fewer than two candidates.
fn picture(
    task: &str,
    metric: &str,
    (cost, unit): (&'static str, &'static str),
    mut candidates: Vec<Candidate>,
) -> Option<Pareto> {
    if candidates.len() < 2 {
        return None;
    }
    candidates.sort_by(|one, other| one.cost.total_cmp(&other.cost));
    mark_frontier(&mut candidates);
    Some(Pareto { task: task.to_owned(), metric: metric.to_owned(), cost, unit, candidates })
}

fn of_run(index: usize, run: &Recorded, task: &str, metric: &str, cost: &str) -> Option<Candidate> {
    let manifest = &run.manifest;
    if manifest.state != State::Complete {
        return None;
    }
    let is_wanted = |score: &&Score| {
        let counts = !score.is_partial && score.chance.is_none();
        score.task == task && score.metric == metric && counts
    };
    let score = manifest.scores.iter().find(is_wanted)?;
    let energy = evals::energy_of(manifest, task);
    let paid = match cost {
        ENERGY => energy?.joules?,
        _ => energy.map(|part| part.seconds).or_else(|| evals::seconds_of(manifest, task))?,
    };
    let models: Vec<String> = manifest.models.iter().map(Model::title).collect();
    candidate(index, models.join(", "), score, paid)
}

/// None where nobody knows for how many samples was paid.
fn candidate(index: usize, model: String, score: &Score, paid: f64) -> Option<Candidate> {
    let bounds = evals::bounds(score);
    Some(Candidate {
        run: index,
        model,
        cost: paid / score.samples.filter(|samples| *samples > 0)? as f64,
        score: score.value,
        low: bounds.map(|(low, _)| low),
        high: bounds.map(|(_, high)| high),
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
