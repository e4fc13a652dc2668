//! Evals as text for a terminal.

use super::screen;
use super::terminal::{align_right, plain_table, trimmed};
use crate::analyze::compare::CONFIDENCE;
use crate::analyze::consumption::TASK;
use crate::analyze::stats;
use crate::analyze::verdict::UNKNOWN;
use crate::campaign::status::{CellStatus, Outcome};
use crate::quantity::number;
use crate::run::manifest::Energy;
use crate::run::{Campaign, Cell, Completion, Manifest, Score};

/// The columns of a table of scores.
pub(super) const SCORES: [&str; 9] =
    ["task", "metric", "score", "95 % interval", "solved", "of", "s", "J", "J/solved"];

/// Columns of a suite of which a narrow terminal has no room, the first to go first.
const OPTIONAL: [&str; 8] = ["of", "solved", "s", "J/solved", "run", "W", "95 % interval", "J"];

/// A score with the time and the energy of its task, in these columns.
pub(super) fn score_row(manifest: &Manifest, score: &Score) -> Vec<String> {
    let part = energy_of(manifest, &score.task);
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    let seconds = part.map(|part| part.seconds).or_else(|| seconds_of(manifest, &score.task));
    vec![
        score.task.clone(),
        score.metric.clone(),
        format!("{:.3}", score.value),
        interval(score),
        score.solved.map(|solved| solved.to_string()).unwrap_or_default(),
        score.samples.map(|samples| samples.to_string()).unwrap_or_default(),
        optional(seconds),
        optional(part.and_then(|part| part.joules)),
        optional(score.joules_per_solved),
    ]
}

/// The 95 % interval of a score, in words. What is chance has none: it is about no model.
pub(super) fn interval(score: &Score) -> String {
    if score.chance.is_some() {
        return "chance".to_owned();
    }
    bounds(score).map_or_else(String::new, |(low, high)| format!("{low:.3} to {high:.3}"))
}

/// The 95 % interval of a score: that of its samples, else the one that follows from the tool's
/// standard error.
pub(super) fn bounds(score: &Score) -> Option<(f64, f64)> {
    score.low.zip(score.high).or_else(|| {
        let interval = stats::interval_of_error(
            score.value,
            score.standard_error?,
            score.samples,
            CONFIDENCE,
        )?;
        Some((interval.low, interval.high))
    })
}

/// The energy of a task.
pub(super) fn energy_of<'a>(manifest: &'a Manifest, task: &str) -> Option<&'a Energy> {
    manifest.energy.iter().find(|part| part.work == TASK && part.task == task)
}

/// How long a task took, where no sensor tells energy.
pub(super) fn seconds_of(manifest: &Manifest, task: &str) -> Option<f64> {
    let is_of_task = |figure: &&crate::run::manifest::Summary| {
        figure.task == task && figure.metric == "duration"
    };
    manifest.summary.iter().find(is_of_task).map(|figure| figure.mean)
}

/// What an eval scored, as a table.
pub(super) fn scores(manifest: &Manifest) -> String {
    let mut table = plain_table(&SCORES);
    for score in &manifest.scores {
        table.add_row(score_row(manifest, score));
    }
    align_right(&mut table, &[2, 4, 5, 6, 7, 8]);
    trimmed(&table)
}

/// How much was done, in words.
pub(super) fn completion(completion: Completion) -> String {
    let of = completion.of.map_or_else(String::new, |of| format!(" of {of}"));
    let cancelled = if completion.is_cancelled { ", cancelled" } else { "" };
    format!("{}{of} samples{cancelled}", completion.done)
}

/// The tasks of a suite that has not begun.
pub(super) fn plan(campaign: &Campaign) -> String {
    let mut table = plain_table(&["", "eval"]);
    for (index, planned) in campaign.cells.iter().enumerate() {
        let Cell::Eval(cell) = &planned.cell else { continue };
        table.add_row([(index + 1).to_string(), cell.eval.clone()]);
    }
    format!("{}{}", of_whom(campaign), trimmed(&table))
}

/// The model of a suite, and where it is asked.
fn of_whom(campaign: &Campaign) -> String {
    let endpoint = campaign.endpoint.as_ref();
    endpoint.map_or_else(String::new, |endpoint| {
        format!("model   {}\nserver  {}\n\n", endpoint.model, endpoint.url)
    })
}

/// What came out of a suite: a line for each score, with its time and energy.
pub(super) fn summary(campaign: &Campaign, cells: &[CellStatus<'_>]) -> String {
    let columns: Vec<&str> =
        ["eval"].into_iter().chain(SCORES).chain(["W", "verdict", "run"]).collect();
    let mut table = plain_table(&columns);
    for status in cells {
        let Cell::Eval(cell) = &status.planned.cell else { continue };
        let run = status.run.map_or("", |(run, _)| run);
        let verdict = status.run.filter(|_| status.outcome == Outcome::Done);
        let verdict = verdict.map_or("", |(_, manifest)| {
            manifest.verdict.as_ref().map_or(UNKNOWN, |verdict| &verdict.label)
        });
        let mut row = |middle: Vec<String>| {
            let mut row = vec![cell.eval.clone()];
            row.extend(middle);
            row.resize(columns.len() - 2, String::new());
            row.extend([verdict.to_owned(), run.to_owned()]);
            table.add_row(row);
        };
        match &status.outcome {
            Outcome::Open => row(vec!["not run".to_owned()]),
            Outcome::Removed => row(vec!["removed".to_owned()]),
            Outcome::Failed(why) => row(vec![format!("failed: {why}")]),
            Outcome::Done => {
                let Some((_, manifest)) = status.run else { continue };
                for score in &manifest.scores {
                    let mut cells = score_row(manifest, score);
                    let watts = energy_of(manifest, &score.task).and_then(|part| part.mean_watts);
                    cells.push(watts.map(number).unwrap_or_default());
                    row(cells);
                }
            }
        }
    }
    align_right(&mut table, &[3, 5, 6, 7, 8, 9, 10]);
    of_whom(campaign) + &screen::table(&table, &OPTIONAL)
}
