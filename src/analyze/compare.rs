//! What differs between runs, and whether it is more than chance.

mod cells;
mod changes;
mod configuration;
mod difference;
mod doubts;
pub mod gate;
mod metrics;
mod models;
mod pairing;
mod scores;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use cells::Measured;
pub use cells::Run;
pub use configuration::{SIDE, by_configuration};
pub use difference::needed_rounds;
use models::Names;
pub use pairing::ROUND;
pub use scores::{Paired, ScoreDifference, ScoreRow, SideScore};

use super::stats::{geometric_mean, median, median_interval};
use crate::quantity;
use crate::run::manifest::State;

/// How sure an interval is.
pub const CONFIDENCE: f64 = 0.95;

/// From this many runs on both sides together, runs are compared, each with its mean: repetitions of
/// a run are more alike than runs are. With fewer the spread of runs would be known by one degree of
/// freedom, which tells nothing.
const LEAST_RUNS: usize = 4;

/// Two or more sides beside each other. The first is what the others are compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What is compared.
    pub sides: Vec<Side>,
    /// What defines the sides, as `kv`: the dimensions in which they differ as a whole.
    pub by: Vec<String>,
    /// Scores of evals, by task.
    pub scores: Vec<ScoreRow>,
    /// One row a cell and metric.
    pub rows: Vec<Row>,
    /// Every metric that some side measured.
    pub metrics: BTreeSet<String>,
    /// Over all cells of a metric.
    pub means: Vec<Mean>,
    /// What differs between the machines and the commands; what is alike is left out.
    pub changes: Vec<Change>,
    /// Why nobody may call a difference an effect of what was changed, one sentence each.
    pub doubts: Vec<String>,
    /// What is to be known when reading the figures, one sentence each.
    pub remarks: Vec<String>,
    /// Cells that only some sides have, in words.
    pub unpaired: Vec<String>,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// What the user called it: a run, a campaign, a filter, or a value of `by`.
    pub name: String,
    /// Its runs, the oldest first.
    pub runs: Vec<SideRun>,
}

/// A run of a side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideRun {
    /// The name of its directory.
    pub run: String,
    /// `clean`, `flagged` or `unknown`.
    pub verdict: String,
    /// Why, as `power-capped`.
    pub reasons: Vec<String>,
}

/// A cell and a metric on all sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What defines the cell beside task and case, as `("model", "Qwen3")`, where cells differ in it.
    pub cell: Vec<(String, String)>,
    /// The benchmark or eval.
    pub task: String,
    /// What was measured in it, as `pp512`.
    pub case: String,
    /// As `tokens_per_second`.
    pub metric: String,
    /// Its unit, as `1/s`.
    pub unit: String,
    /// The figures of each side; none where it has no such cell.
    pub figures: Vec<Option<Figures>>,
    /// For each side but the first, how it differs from the first.
    pub differences: Vec<Option<Difference>>,
}

/// What a side measured in a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// What is counted: repetitions of one run, or runs with one mean each.
    pub of: Unit,
    /// The values, in the order of time.
    pub values: Vec<f64>,
    /// The median of them.
    pub median: f64,
    /// The 95 % interval of the median; none where there are too few values.
    pub interval: Option<(f64, f64)>,
}

/// What the values of a cell are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Repetitions of one run.
    Repetitions,
    /// Runs, each with its mean.
    Runs,
}

/// How two sides differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The relative difference: -0.05 is 5 % less.
    pub relative: f64,
    /// Its 95 % interval; none where there are too few values.
    pub interval: Option<(f64, f64)>,
    /// How likely so great a difference is where there is none; none where there are too few values.
    pub p: Option<f64>,
    /// The same, held against the number of cells that the question is about (Holm): those of this
    /// metric, or those that the conditions of `--fail-on` name.
    pub adjusted_p: Option<f64>,
    /// Whether values were paired, because the sides ran in turn.
    pub is_paired: bool,
    /// The standard deviation of the logarithms of values, or of the ratios of pairs.
    pub deviation: Option<f64>,
    /// How many values stand apart from the others of their side and count less.
    pub outliers: usize,
    /// How many values the side with fewer has, or how many pairs there are.
    pub count: u32,
    /// How many differences the question is about, this one included.
    pub compared_with: usize,
    /// How many values a side must have to call a difference of 3 % in four of five cases at this
    /// noise; none where a thousand are not enough.
    pub needed: Option<u32>,
    /// What may be said.
    pub judgement: Judgement,
}

/// What may be said of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// More than chance, and for the better.
    Better,
    /// More than chance, and for the worse.
    Worse,
    /// More than chance, and nobody can say which is better.
    Different,
    /// No more than chance.
    Same,
    /// Too few values to tell.
    TooFew,
    /// The values are there, and the runs cannot be compared.
    NotComparable,
}

/// The geometric mean of the ratios of all cells of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mean {
    /// The metric.
    pub metric: String,
    /// How many cells.
    pub cells: usize,
    /// For each side but the first, the relative difference.
    pub relative: Vec<Option<f64>>,
}

/// Something that differs between the sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// As `host.kernel`, `tuning.transparent_hugepage.enabled`, `model.sha256`.
    pub name: String,
    /// The values of each side, several where its runs differ; none where it is unknown.
    pub values: Vec<Vec<String>>,
}

/// A side that the user named, with its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// What the user called it.
    pub name: String,
    /// The runs.
    pub runs: Vec<Run>,
}

/// Compares sides, each of which has runs. With `by`, the runs of all of them are put together and
/// apart again by their value of that dimension or tag.
///
/// # Errors
///
/// Where there are not two sides, in a sentence.
pub fn compare(named: Vec<Named>, by: Option<&str>) -> Result<Comparison, String> {
    let mut remarks = Vec::new();
    let named = without_incomplete(named, &mut remarks);
    let named = match by {
        Some(dimension) => {
            let all = named.iter().flat_map(|side| &side.runs).collect();
            let called = Names::find(&[all]);
            regroup(named, dimension, &called)?
        }
        None => named,
    };
    if let Some(empty) = named.iter().find(|side| side.runs.is_empty()) {
        return Err(format!("{}: has no run that was completed", empty.name));
    }
    if named.len() < 2 {
        return Err("one side alone: name two runs, campaigns, tags or filters".to_owned());
    }
    let sides: Vec<Vec<&Run>> = named.iter().map(|side| side.runs.iter().collect()).collect();
    let called =
        if by == Some(cells::MODEL) { Names::find(&[sides.concat()]) } else { Names::find(&sides) };
    let measured: Vec<Vec<(&Run, Measured)>> = sides
        .iter()
        .map(|runs| {
            runs.iter()
                .flat_map(|run| cells::of(run, &called).into_iter().map(|m| (*run, m)))
                .collect()
        })
        .collect();
    let mut by: Vec<String> = by.map(str::to_owned).into_iter().collect();
    by.extend(
        defining(&measured).into_iter().filter(|name| !by.contains(name)).collect::<Vec<_>>(),
    );
    let doubts = doubts::of(&sides, &by, &called);
    let metrics = measured.iter().flatten().map(|(_, one)| one.metric.clone());
    let of_scores = sides.iter().flatten().flat_map(|run| &run.manifest.scores);
    let metrics = metrics.chain(of_scores.map(|score| score.metric.clone())).collect();
    let (mut rows, unpaired) = rows(&measured, &by);
    difference::judge(&mut rows, !doubts.is_empty());
    remarks.extend(remark_on_units(&rows));
    remarks.extend(remark_on_outliers(&rows));
    remarks.extend(remark_on_size(&rows));
    let scores = scores::of(&sides, &by, &called, &mut remarks);
    Ok(Comparison {
        means: means(&rows, named.len()),
        scores,
        rows,
        metrics,
        changes: changes::between(&sides, &by, &called),
        doubts,
        remarks,
        unpaired,
        by,
        sides: named.iter().map(side).collect(),
    })
}

/// What was not completed has no figures that count.
fn without_incomplete(named: Vec<Named>, remarks: &mut Vec<String>) -> Vec<Named> {
    let keep =
        |side: Named| {
            let (complete, left): (Vec<Run>, Vec<Run>) =
                side.runs.into_iter().partition(|run| run.manifest.state == State::Complete);
            remarks.extend(left.iter().map(|run| {
                format!("{} is left out: its state is {}", run.name, run.manifest.state)
            }));
            Named { name: side.name, runs: complete }
        };
    named.into_iter().map(keep).collect()
}

fn regroup(named: Vec<Named>, dimension: &str, called: &Names) -> Result<Vec<Named>, String> {
    let mut groups: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    let mut without = None;
    for run in named.into_iter().flat_map(|side| side.runs) {
        match cells::value(&run, dimension, called) {
            Some(value) => groups.entry(format!("{dimension}={value}")).or_default().push(run),
            None => without = Some(run.name),
        }
    }
    match without {
        Some(run) if groups.is_empty() => {
            Err(format!("--by {dimension}: {run} and all others have no such dimension or tag"))
        }
        Some(run) => {
            Err(format!("--by {dimension}: {run} has no such dimension or tag, or several"))
        }
        None => Ok(groups.into_iter().map(|(name, runs)| Named { name, runs }).collect()),
    }
}

fn side(named: &Named) -> Side {
    let runs = named.runs.iter().map(|run| {
        let verdict = run.manifest.verdict.as_ref();
        let reasons = verdict.into_iter().flat_map(|verdict| &verdict.reasons);
        SideRun {
            run: run.name.clone(),
            verdict: verdict.map_or("unknown", |verdict| &verdict.label).to_owned(),
            reasons: reasons.map(|flag| flag.reason.clone()).collect(),
        }
    });
    Side { name: named.name.clone(), runs: runs.collect() }
}

/// The dimensions in which the sides differ as a whole: each side has one value, and not all the
/// same. They are what is compared, and must not keep cells apart.
fn defining(measured: &[Vec<(&Run, Measured)>]) -> Vec<String> {
    let values = |side: &[(&Run, Measured)], name: &str| -> BTreeSet<Option<String>> {
        side.iter().map(|(_, one)| one.dimensions.get(name).cloned()).collect()
    };
    let all = measured.iter().flatten().flat_map(|(_, one)| one.dimensions.keys());
    let names: BTreeSet<&String> = all.collect();
    let defines = |name: &&&String| {
        let sides: Vec<_> = measured.iter().map(|side| values(side, name)).collect();
        sides.iter().all(|values| values.len() == 1) && sides.iter().any(|v| *v != sides[0])
    };
    names.iter().filter(defines).map(|name| (*name).clone()).collect()
}

/// What is the same cell on all sides: dimensions, task, case, metric.
type Key = (Vec<(String, String)>, String, String, String);

/// What each side measured of a cell.
type Sides<'a> = Vec<Vec<(&'a Run, &'a Measured)>>;

fn rows(measured: &[Vec<(&Run, Measured)>], by: &[String]) -> (Vec<Row>, Vec<String>) {
    let mut order: Vec<Key> = Vec::new();
    let mut cells: BTreeMap<Key, (String, Sides<'_>)> = BTreeMap::new();
    for (side, all) in measured.iter().enumerate() {
        for (run, one) in all {
            let dimensions = one.dimensions.iter().filter(|(name, _)| !by.contains(name));
            let dimensions = dimensions.map(|(name, value)| (name.clone(), value.clone()));
            let key =
                (dimensions.collect(), one.task.clone(), one.case.clone(), one.metric.clone());
            let (_, sides) = cells.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                (one.unit.clone(), vec![Vec::new(); measured.len()])
            });
            sides[side].push((run, one));
        }
    }
    let (mut rows, mut unpaired) = (Vec::new(), BTreeSet::new());
    let mut told_apart = BTreeSet::new();
    for (dimensions, ..) in &order {
        told_apart.extend(dimensions.iter().cloned());
    }
    // What is the same in all cells need not be said of each.
    let is_telling = |name: &str| {
        order.iter().any(|(dimensions, ..)| !dimensions.iter().any(|(other, _)| other == name))
            || told_apart.iter().filter(|(other, _)| other == name).count() > 1
    };
    for key in &order {
        let (unit, sides) = &cells[key];
        let (dimensions, task, case, metric) = key;
        let cell: Vec<(String, String)> =
            dimensions.iter().filter(|(name, _)| is_telling(name)).cloned().collect();
        if sides.iter().filter(|side| !side.is_empty()).count() < 2 {
            let words: Vec<&str> = cell.iter().map(|(_, value)| value.as_str()).collect();
            let what = if case.is_empty() { task } else { case };
            let words = [&words[..], &[what]].concat().join(", ");
            let number = sides.iter().position(|side| !side.is_empty()).unwrap_or_default();
            unpaired.insert((number, words));
            continue;
        }
        rows.push(row(cell, (task, case, metric), unit, sides));
    }
    let unpaired =
        unpaired.into_iter().map(|(side, cell)| format!("{cell}: only side {} has it", side + 1));
    (rows, unpaired.collect())
}

fn row(
    cell: Vec<(String, String)>,
    (task, case, metric): (&str, &str, &str),
    unit: &str,
    sides: &[Vec<(&Run, &Measured)>],
) -> Row {
    let pairs: Vec<Option<pairing::Pairs>> =
        sides[1..].iter().map(|other| pairing::of(&sides[0], other)).collect();
    let is_of_runs = pairs.iter().any(Option::is_some)
        || sides[1..]
            .iter()
            .all(|side| side.is_empty() || sides[0].len() + side.len() >= LEAST_RUNS);
    let figures = sides.iter().map(|side| figures(side, is_of_runs)).collect::<Vec<_>>();
    let differences = figures[1..]
        .iter()
        .zip(pairs)
        .map(|(other, pairs)| {
            let (first, other) = (figures[0].as_ref()?, other.as_ref()?);
            difference::between(&first.values, &other.values, pairs.as_ref())
        })
        .collect();
    Row {
        cell,
        task: task.to_owned(),
        case: case.to_owned(),
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        figures,
        differences,
    }
}

fn figures(side: &[(&Run, &Measured)], is_of_runs: bool) -> Option<Figures> {
    let values: Vec<f64> = if is_of_runs {
        side.iter().map(|(_, one)| one.mean()).collect()
    } else {
        side.iter().flat_map(|(_, one)| one.values.iter().copied()).collect()
    };
    let interval = median_interval(&values, CONFIDENCE);
    Some(Figures {
        of: if is_of_runs { Unit::Runs } else { Unit::Repetitions },
        median: median(&values)?,
        interval: interval.map(|interval| (interval.low, interval.high)),
        values,
    })
}

fn means(rows: &[Row], sides: usize) -> Vec<Mean> {
    let mut metrics: Vec<&str> = Vec::new();
    for row in rows {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(&row.metric);
        }
    }
    let mean = |metric: &str| {
        let of_metric: Vec<&Row> = rows.iter().filter(|row| row.metric == metric).collect();
        let relative = (0..sides - 1).map(|side| {
            let ratios: Option<Vec<f64>> = of_metric
                .iter()
                .map(|row| row.differences[side].as_ref().map(|one| 1.0 + one.relative))
                .collect();
            geometric_mean(&ratios?).map(|ratio| ratio - 1.0)
        });
        Mean { metric: metric.to_owned(), cells: of_metric.len(), relative: relative.collect() }
    };
    metrics.into_iter().map(mean).filter(|mean| mean.cells > 1).collect()
}

fn remark_on_units(rows: &[Row]) -> Option<String> {
    let is_of_one_run = rows
        .iter()
        .flat_map(|row| row.figures.iter().flatten())
        .any(|figures| figures.of == Unit::Repetitions && figures.values.len() > 1);
    is_of_one_run.then(|| {
        format!(
            "repetitions are compared, since both sides together have fewer than {LEAST_RUNS} runs of a cell: what differs from run to run is not seen; `halo-record ab` runs both in turn"
        )
    })
}

/// Names the first cell in which nothing was found, and in which so few values would not have found a
/// difference worth finding.
fn remark_on_size(rows: &[Row]) -> Option<String> {
    let is_too_small = |difference: &&Difference| {
        difference.judgement == Judgement::Same
            && difference.needed.is_none_or(|needed| needed > difference.count)
    };
    let mut found = rows
        .iter()
        .filter_map(|row| Some((row, row.differences.iter().flatten().find(is_too_small)?)));
    let (row, difference) = found.next()?;
    let what = if row.case.is_empty() { &row.task } else { &row.case };
    let needed = difference.needed.map_or("more than 1000".to_owned(), |n| n.to_string());
    let more = match found.count() {
        0 => String::new(),
        more => format!("; so it is in {more} more"),
    };
    Some(format!(
        "{what}, {}: n too small to call {}: {needed} needed at this noise{more}",
        row.metric,
        quantity::percent(difference::WORTH_FINDING)
    ))
}

/// Names the first cell with values that stand apart, since someone should look at those runs.
fn remark_on_outliers(rows: &[Row]) -> Option<String> {
    let count = |row: &Row| row.differences.iter().flatten().map(|one| one.outliers).max();
    let mut found = rows.iter().filter_map(|row| Some((row, count(row).filter(|n| *n > 0)?)));
    let (row, outliers) = found.next()?;
    let what = if row.case.is_empty() { &row.task } else { &row.case };
    let values = if outliers == 1 { "value stands" } else { "values stand" };
    let counts = if outliers == 1 { "counts" } else { "count" };
    let more = match found.count() {
        0 => String::new(),
        more => format!("; so it is in {more} more"),
    };
    Some(format!(
        "{what}, {}: {outliers} {values} apart from the others of the same side and {counts} less{more}",
        row.metric
    ))
}
