//! Scores of the same tasks on all sides.
//!
//! Whether a score differs has nothing to do with how fast the machine was, so doubts about speed do
//! not count here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::cells::MODEL;
use super::difference::SIGNIFICANCE;
use super::models::Names;
use super::{CONFIDENCE, Judgement, Run};
use crate::analyze::stats::{difference_of_pairs, difference_of_shares, holm, mcnemar};
use crate::run::{EvalSample, Score};

/// A score of a task on all sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreRow {
    /// The eval.
    pub task: String,
    /// The model, where sides have several that are not what is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// As `pass@1`.
    pub metric: String,
    /// What each side scored, in its newest run of the task; none where it has none.
    pub scores: Vec<Option<SideScore>>,
    /// For each side but the first, how it differs from the first.
    pub differences: Vec<Option<ScoreDifference>>,
}

/// What a side scored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideScore {
    /// The run.
    pub run: String,
    /// The score.
    #[serde(flatten)]
    pub score: Score,
    /// Seconds that the task took.
    pub seconds: Option<f64>,
    /// Joules that it took.
    pub joules: Option<f64>,
}

/// How two scores differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreDifference {
    /// The second less the first; 0.01 is a percentage point of a share.
    pub points: f64,
    /// Its 95 % interval: of pairs by Bonett and Price, else by Newcombe; none where samples are not
    /// simply solved or not.
    pub interval: Option<(f64, f64)>,
    /// Samples that both sides tried; none where they did not try the same ones.
    pub paired: Option<Paired>,
    /// `McNemar`'s exact probability; none without pairs.
    pub p: Option<f64>,
    /// The same, held against the number of scores that are compared (Holm).
    pub adjusted_p: Option<f64>,
    /// What may be said.
    pub judgement: Judgement,
}

/// What became of samples that both sides tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Paired {
    /// Both solved them.
    pub both: u64,
    /// The first side alone did.
    pub only_first: u64,
    /// The second side alone did.
    pub only_second: u64,
    /// Neither did.
    pub neither: u64,
}

impl Paired {
    /// All of them.
    pub fn count(self) -> u64 {
        self.both + self.only_first + self.only_second + self.neither
    }
}

/// Whether a figure of the results is a score or about one: those are compared here.
pub(super) fn is_of_score(scores: &[Score], task: &str, metric: &str) -> bool {
    scores.iter().filter(|score| score.task == task).any(|score| {
        let rest = metric.strip_prefix(score.metric.as_str());
        rest.is_some_and(|rest| matches!(rest, "" | "_standard_error" | "_solved"))
    })
}

/// Every score that two sides have at least, in the order of the first. Scores of several models are
/// told apart, but where the sides are models (`by`).
pub(super) fn of<'a>(
    sides: &[Vec<&'a Run>],
    by: &[String],
    names: &Names,
    remarks: &mut Vec<String>,
) -> Vec<ScoreRow> {
    let models: BTreeSet<Option<String>> =
        sides.iter().flatten().map(|run| names.of_run(&run.manifest)).collect();
    let has_several = models.len() > 1 && !by.iter().any(|dimension| dimension == MODEL);
    let model_of = |run: &Run| names.of_run(&run.manifest).filter(|_| has_several);
    let mut order: Vec<(String, Option<String>, String)> = Vec::new();
    for run in sides.iter().flatten() {
        for score in &run.manifest.scores {
            let key = (score.task.clone(), model_of(run), score.metric.clone());
            if !order.contains(&key) {
                order.push(key);
            }
        }
    }
    let mut rows: Vec<ScoreRow> = Vec::new();
    for (task, model, metric) in order {
        let of_model = |runs: &Vec<&'a Run>| -> Vec<&'a Run> {
            runs.iter().copied().filter(|run| model_of(run) == model).collect()
        };
        let found: Vec<Option<(&Run, &Score)>> =
            sides.iter().map(|runs| newest(&of_model(runs), &task, &metric, remarks)).collect();
        if found.iter().flatten().count() < 2 {
            continue;
        }
        let differences = found[1..]
            .iter()
            .map(|other| Some(between(found[0].as_ref()?, other.as_ref()?)))
            .collect();
        rows.push(ScoreRow {
            scores: found.iter().map(|found| found.as_ref().map(side_score)).collect(),
            task,
            model,
            metric,
            differences,
        });
    }
    judge(&mut rows);
    rows
}

/// The newest run of a side that has a score: runs of one task are not pooled, since their samples
/// are the same.
fn newest<'a>(
    runs: &[&'a Run],
    task: &str,
    metric: &str,
    remarks: &mut Vec<String>,
) -> Option<(&'a Run, &'a Score)> {
    let of_run = |run: &&'a Run| {
        let mut scores = run.manifest.scores.iter();
        let score = scores.find(|score| score.task == task && score.metric == metric)?;
        Some((*run, score))
    };
    let (left_out, all): (Vec<_>, Vec<_>) = runs
        .iter()
        .filter_map(of_run)
        .partition(|(_, score)| score.is_partial || score.chance.is_some());
    let mut say = |remark: String| {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    };
    for (run, score) in left_out {
        let why = score.chance.as_deref().unwrap_or("it is over a part of the samples");
        say(format!("{task}: the score of {} is left out, {why}", run.name));
    }
    let newest = all.iter().max_by_key(|(run, _)| run.manifest.started).copied();
    if let Some((run, _)) = newest.filter(|_| all.len() > 1) {
        say(format!(
            "{task}: of {} runs of one side the newest is compared, {}",
            all.len(),
            run.name
        ));
    }
    newest
}

fn side_score((run, score): &(&Run, &Score)) -> SideScore {
    let part =
        run.manifest.energy.iter().find(|part| part.task == score.task && part.case.is_empty());
    let figure = |metric: &str| {
        let of_task = |row: &&crate::run::Row| row.task == score.task && row.metric == metric;
        run.rows.iter().find(of_task).map(|row| row.value)
    };
    SideScore {
        run: run.name.clone(),
        score: (*score).clone(),
        seconds: figure("duration"),
        joules: part.and_then(|part| part.joules),
    }
}

fn between(first: &(&Run, &Score), second: &(&Run, &Score)) -> ScoreDifference {
    let points = second.1.value - first.1.value;
    let paired = pairs(first, second);
    let unpaired = || {
        let (one, two) = (first.1, second.1);
        let interval = difference_of_shares(
            (one.solved?, one.samples?),
            (two.solved?, two.samples?),
            CONFIDENCE,
        )?;
        // Epochs of one sample are no trials of their own.
        (one.low.is_some() && two.low.is_some()).then_some((interval.low, interval.high))
    };
    let of_pairs = |pairs: Paired| {
        let interval =
            difference_of_pairs(pairs.only_first, pairs.only_second, pairs.count(), CONFIDENCE)?;
        Some((interval.low, interval.high))
    };
    ScoreDifference {
        points,
        interval: paired.map_or_else(unpaired, of_pairs),
        p: paired.map(|pairs| mcnemar(pairs.only_first, pairs.only_second)),
        paired,
        adjusted_p: None,
        judgement: Judgement::TooFew,
    }
}

/// The samples that both tried, where both tried the same ones, each once, and the score is the share
/// of those that were solved.
fn pairs((first, one): &(&Run, &Score), (second, two): &(&Run, &Score)) -> Option<Paired> {
    let (first, second) = (solved(&first.samples, one)?, solved(&second.samples, two)?);
    if first.len() != second.len() || first.keys().ne(second.keys()) {
        return None;
    }
    let mut paired = Paired { both: 0, only_first: 0, only_second: 0, neither: 0 };
    for (sample, one) in &first {
        match (one, second.get(sample)?) {
            (true, true) => paired.both += 1,
            (true, false) => paired.only_first += 1,
            (false, true) => paired.only_second += 1,
            (false, false) => paired.neither += 1,
        }
    }
    Some(paired)
}

fn solved<'a>(samples: &'a [EvalSample], score: &Score) -> Option<BTreeMap<&'a str, bool>> {
    // Only such a score is about its samples.
    score.low?;
    let mut solved = BTreeMap::new();
    let of_task = samples.iter().filter(|sample| sample.task == score.task);
    for sample in of_task.filter(|sample| sample.score.is_some()) {
        if solved.insert(sample.sample.as_str(), sample.is_solved()?).is_some() {
            return None;
        }
    }
    (!solved.is_empty()).then_some(solved)
}

fn judge(rows: &mut [ScoreRow]) {
    let all = rows.iter().flat_map(|row| row.differences.iter().flatten());
    let probabilities: Vec<f64> = all.filter_map(|difference| difference.p).collect();
    let mut adjusted = holm(&probabilities).into_iter();
    for difference in rows.iter_mut().flat_map(|row| row.differences.iter_mut().flatten()) {
        difference.adjusted_p = difference.p.and_then(|_| adjusted.next());
        let is_shown = match (difference.adjusted_p, difference.interval) {
            (Some(p), _) => p < SIGNIFICANCE,
            (None, Some((low, high))) => low > 0.0 || high < 0.0,
            (None, None) => continue,
        };
        difference.judgement = match (is_shown, difference.points > 0.0) {
            (false, _) => Judgement::Same,
            (true, true) => Judgement::Better,
            (true, false) => Judgement::Worse,
        };
    }
}
