//! Campaigns as text for a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::terminal::{align_right, mean_and_deviation, plain_table, trimmed};
use super::{evals, screen};
use crate::analyze::stats;
use crate::analyze::verdict::UNKNOWN;
use crate::campaign::status::{CellStatus, Outcome};
use crate::quantity::number;
use crate::run::campaign::PlannedCell;
use crate::run::manifest::{Energy, Summary};
use crate::run::{BenchmarkCell, Campaign, Cell, Manifest};

/// The columns of what came out: what was measured, how fast, with what energy, what it is worth.
const COLUMNS: [&str; 14] = [
    "model", "backend", "KV", "batch", "ubatch", "test", "t/s", "±", "n", "W", "J", "J/token",
    "verdict", "run",
];

/// Those of which a narrow terminal has no room, the first to go first.
const OPTIONAL: [&str; 6] = ["n", "J/token", "run", "J", "±", "W"];

/// How a speed is called in the archive.
const SPEED: &str = "tokens_per_second";

/// The cells of a campaign that has not begun.
pub fn plan(campaign: &Campaign, has_commands: bool) -> String {
    let mut text = if campaign.endpoint.is_some() {
        evals::plan(campaign)
    } else {
        plan_of_benchmarks(campaign)
    };
    if has_commands {
        for (index, planned) in campaign.cells.iter().enumerate() {
            // A word with a zero byte cannot be quoted, and none can be executed.
            let words = planned.argv.iter().map(String::as_str);
            let command = shlex::try_join(words).unwrap_or_else(|_| planned.argv.join(" "));
            let _ = writeln!(text, "{} {command}", index + 1);
        }
    }
    text
}

fn plan_of_benchmarks(campaign: &Campaign) -> String {
    let mut table =
        plain_table(&["", "model", "backend", "KV", "batch", "ubatch", "test", "reps", "round"]);
    let number = |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
    let names = Names::of(campaign.cells.iter());
    for (index, planned) in campaign.cells.iter().enumerate() {
        let Cell::Benchmark(cell) = &planned.cell else { continue };
        table.add_row([
            (index + 1).to_string(),
            names.name(planned),
            cell.backend.clone(),
            cell.kv.clone(),
            number(cell.batch),
            number(cell.ubatch),
            cell.test(),
            cell.repetitions.to_string(),
            number(cell.round),
        ]);
    }
    trimmed(&table)
}

/// What came out of a campaign: a line for each test of each cell, the rounds of one together.
pub fn summary(campaign: &Campaign, cells: &[CellStatus<'_>]) -> String {
    let mut text = String::new();
    let count = |is: fn(&Outcome) -> bool| cells.iter().filter(|cell| is(&cell.outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let open = count(|outcome| *outcome == Outcome::Open);
    let removed = match count(|outcome| *outcome == Outcome::Removed) {
        0 => String::new(),
        removed => format!(", {removed} removed"),
    };
    let done = count(|outcome| *outcome == Outcome::Done);
    let _ = writeln!(
        text,
        "{}: {} cells, {done} done, {failed} failed, {open} not run{removed}, order {}\n",
        campaign.name,
        cells.len(),
        campaign.order
    );
    if campaign.endpoint.is_some() {
        return text + &evals::summary(campaign, cells);
    }
    let mut table = plain_table(&COLUMNS);
    let names = Names::of(cells.iter().map(|status| status.planned));
    for (cell, statuses) in without_rounds(cells) {
        let model = statuses.first().map(|status| names.name(status.planned)).unwrap_or_default();
        let number_of =
            |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
        let mut row = |test: String, figures: [String; 6], verdict: String, run: String| {
            let conditions = [model.clone(), cell.backend.clone(), cell.kv.clone()];
            let batches = [number_of(cell.batch), number_of(cell.ubatch), test];
            let row = conditions.into_iter().chain(batches).chain(figures);
            table.add_row(row.chain([verdict, run]));
        };
        for (case, figures) in cases(&statuses) {
            let run = match figures[..] {
                [Measured { run, .. }] => run.to_owned(),
                _ => format!("{} runs", figures.len()),
            };
            let [speed, deviation, count] = pooled(&figures);
            let [watts, joules, per_token] = consumed(&case, &figures);
            let numbers = [speed, deviation, count, watts, joules, per_token];
            row(case, numbers, verdicts(&figures), run);
        }
        for status in statuses {
            let run = status.run.map_or(String::new(), |(run, _)| run.to_owned());
            let round =
                status.planned.cell.round().map_or(String::new(), |r| format!(", round {r}"));
            let what = match &status.outcome {
                Outcome::Done => continue,
                Outcome::Failed(why) => format!("failed: {why}"),
                Outcome::Open => "not run".to_owned(),
                Outcome::Removed => "removed".to_owned(),
            };
            let what = format!("{}{round}: {what}", cell.test());
            row(what, Default::default(), String::new(), run);
        }
    }
    align_right(&mut table, &[6, 7, 8, 9, 10, 11]);
    text + &screen::table(&table, &OPTIONAL)
}

/// What the models of a campaign are called: as everywhere, and with their names in the catalog where
/// files of several are called alike.
struct Names<'a>(BTreeMap<String, BTreeSet<&'a str>>);

impl<'a> Names<'a> {
    fn of(cells: impl Iterator<Item = &'a PlannedCell>) -> Self {
        let mut names: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for planned in cells {
            names.entry(planned.model_title()).or_default().insert(planned.cell.model());
        }
        Self(names)
    }

    fn name(&self, planned: &PlannedCell) -> String {
        let title = planned.model_title();
        let is_alone = self.0.get(&title).is_none_or(|models| models.len() < 2);
        if is_alone { title } else { format!("{title} ({})", planned.cell.model()) }
    }
}

/// The cells with their rounds, in their order.
fn without_rounds<'a, 'b>(
    cells: &'b [CellStatus<'a>],
) -> Vec<(BenchmarkCell, Vec<&'b CellStatus<'a>>)> {
    let mut groups: Vec<(BenchmarkCell, Vec<&CellStatus<'_>>)> = Vec::new();
    for status in cells {
        let Cell::Benchmark(cell) = &status.planned.cell else { continue };
        let cell = cell.without_round();
        match groups.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, group)) => group.push(status),
            None => groups.push((cell, vec![status])),
        }
    }
    groups
}

/// The speed of a test in one run.
struct Measured<'a> {
    run: &'a str,
    manifest: &'a Manifest,
    figure: &'a Summary,
}

/// The speeds of the tests of one cell, by test, with the runs that they are from.
fn cases<'a>(statuses: &[&CellStatus<'a>]) -> Vec<(String, Vec<Measured<'a>>)> {
    let mut cases: Vec<(String, Vec<Measured<'_>>)> = Vec::new();
    let done = statuses.iter().filter(|status| status.outcome == Outcome::Done);
    for (run, manifest) in done.filter_map(|status| status.run) {
        for figure in manifest.summary.iter().filter(|figure| figure.metric == SPEED) {
            let measured = Measured { run, manifest, figure };
            match cases.iter_mut().find(|(case, _)| *case == figure.case) {
                Some((_, figures)) => figures.push(measured),
                None => cases.push((figure.case.clone(), vec![measured])),
            }
        }
    }
    cases
}

/// What the runs are worth, each label once.
fn verdicts(figures: &[Measured<'_>]) -> String {
    let label = |measured: &Measured<'_>| {
        measured.manifest.verdict.as_ref().map_or(UNKNOWN, |verdict| &verdict.label).to_owned()
    };
    let labels: BTreeSet<String> = figures.iter().map(label).collect();
    labels.into_iter().collect::<Vec<_>>().join(", ")
}

/// Mean watts, joules and joules per token of one test, means over its runs; nothing where one of
/// them does not know.
fn consumed(case: &str, figures: &[Measured<'_>]) -> [String; 3] {
    let mean = |of_run: fn(&[&Energy]) -> Option<f64>| {
        let values = figures.iter().map(|measured| {
            let parts = measured.manifest.energy.iter().filter(|part| part.case == case);
            of_run(&parts.collect::<Vec<_>>())
        });
        let values: Vec<f64> = values.collect::<Option<_>>()?;
        stats::mean(&values)
    };
    let joules = |parts: &[&Energy]| {
        let joules: Vec<f64> = parts.iter().map(|part| part.joules).collect::<Option<_>>()?;
        (!joules.is_empty()).then(|| joules.iter().sum())
    };
    // Where a test has several parts, no watts and no token are those of the whole.
    let watts = |parts: &[&Energy]| match parts {
        [part] => part.mean_watts,
        _ => None,
    };
    let per_token = |parts: &[&Energy]| match parts {
        [part] => part.joules_per_token,
        _ => None,
    };
    [mean(watts), mean(joules), mean(per_token)].map(|value| value.map(number).unwrap_or_default())
}

/// Mean, deviation and count of the repetitions of one test over its runs. The deviation is that
/// of one run, or between runs that have one repetition each.
fn pooled(figures: &[Measured<'_>]) -> [String; 3] {
    let text = |mean: f64, deviation: Option<f64>, count: Option<u32>| {
        let [mean, deviation] = mean_and_deviation(mean, deviation);
        [mean, deviation, count.map_or_else(String::new, |count| count.to_string())]
    };
    if let [Measured { figure, .. }] = figures {
        return text(figure.mean, figure.standard_deviation, figure.repetitions);
    }
    let means: Vec<f64> = figures.iter().map(|one| one.figure.mean).collect();
    let Some(mean) = stats::mean(&means) else { return Default::default() };
    text(mean, stats::standard_deviation(&means), u32::try_from(means.len()).ok())
}

/// A campaign as JSON: what was planned, and how far each cell got.
pub fn json(campaign: &Campaign, cells: &[CellStatus<'_>]) -> serde_json::Value {
    let cells: Vec<serde_json::Value> = cells
        .iter()
        .map(|status| {
            let (state, reason) = match &status.outcome {
                Outcome::Done => ("done", None),
                Outcome::Failed(why) => ("failed", Some(why)),
                Outcome::Open => ("open", None),
                Outcome::Removed => ("removed", None),
            };
            let mut value = BTreeMap::from([
                ("cell", serde_json::json!(status.planned.cell)),
                ("argv", serde_json::json!(status.planned.argv)),
                ("state", state.into()),
            ]);
            if let Some(reason) = reason {
                value.insert("reason", reason.as_str().into());
            }
            if let Some((run, manifest)) = status.run {
                value.insert("run", run.into());
                value.insert("summary", serde_json::json!(manifest.summary));
                value.insert("verdict", serde_json::json!(manifest.verdict));
                value.insert("energy", serde_json::json!(manifest.energy));
                if !manifest.scores.is_empty() {
                    value.insert("scores", serde_json::json!(manifest.scores));
                }
            }
            serde_json::json!(value)
        })
        .collect();
    let mut value = serde_json::json!(campaign);
    value["cells"] = cells.into();
    value
}
