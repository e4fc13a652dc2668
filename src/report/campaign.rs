//! Campaigns, models and backends as text for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::terminal::{align_right, number, plain_table, size, trimmed};
use crate::campaign::status::{CellStatus, Outcome};
use crate::plan::backend::Backend;
use crate::plan::catalog::Entry;
use crate::plan::files::Place;
use crate::plan::memory::Fit;
use crate::run::manifest::Summary;
use crate::run::{Campaign, Cell};

/// How a speed is called in the archive.
const SPEED: &str = "tokens_per_second";

/// The cells of a campaign that has not begun.
pub fn plan(campaign: &Campaign, has_commands: bool) -> String {
    let mut table =
        plain_table(&["", "model", "backend", "KV", "batch", "ubatch", "test", "reps", "round"]);
    let number = |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
    for (index, planned) in campaign.cells.iter().enumerate() {
        let cell = &planned.cell;
        table.add_row([
            (index + 1).to_string(),
            cell.model.clone(),
            cell.backend.clone(),
            cell.kv.clone(),
            number(cell.batch),
            number(cell.ubatch),
            cell.test(),
            cell.repetitions.to_string(),
            number(cell.round),
        ]);
    }
    let mut text = trimmed(&table);
    if has_commands {
        for (index, planned) in campaign.cells.iter().enumerate() {
            let _ = writeln!(text, "{} {}", index + 1, planned.argv.join(" "));
        }
    }
    text
}

/// What came out of a campaign: a line for each test of each cell, the rounds of one together.
pub fn summary(campaign: &Campaign, cells: &[CellStatus<'_>]) -> String {
    let mut text = String::new();
    let count = |is: fn(&Outcome) -> bool| cells.iter().filter(|cell| is(&cell.outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let open = count(|outcome| *outcome == Outcome::Open);
    let _ = writeln!(
        text,
        "{}: {} cells, {} done, {failed} failed, {open} not run, order {}\n",
        campaign.name,
        cells.len(),
        cells.len() - failed - open,
        campaign.order
    );
    let mut table =
        plain_table(&["model", "backend", "KV", "batch", "ubatch", "test", "t/s", "±", "n", "run"]);
    for (cell, statuses) in without_rounds(cells) {
        let number_of =
            |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
        let mut row = |test: String, figures: [String; 3], run: String| {
            let [speed, deviation, count] = figures;
            table.add_row([
                cell.model.clone(),
                cell.backend.clone(),
                cell.kv.clone(),
                number_of(cell.batch),
                number_of(cell.ubatch),
                test,
                speed,
                deviation,
                count,
                run,
            ]);
        };
        for (case, figures) in cases(&statuses) {
            let runs: Vec<&str> = figures.iter().map(|(run, _)| *run).collect();
            let run = match runs[..] {
                [run] => run.to_owned(),
                _ => format!("{} runs", runs.len()),
            };
            row(case, pooled(&figures), run);
        }
        for status in statuses {
            let run = status.run.map_or(String::new(), |(run, _)| run.to_owned());
            let round = status.planned.cell.round.map_or(String::new(), |r| format!(", round {r}"));
            let none = || [String::new(), String::new(), String::new()];
            match &status.outcome {
                Outcome::Done => {}
                Outcome::Failed(why) => {
                    row(format!("{}{round}: failed: {why}", cell.test()), none(), run);
                }
                Outcome::Open => row(format!("{}{round}: not run", cell.test()), none(), run),
            }
        }
    }
    align_right(&mut table, &[6, 7, 8]);
    text + &trimmed(&table)
}

/// The cells with their rounds, in their order.
fn without_rounds<'a, 'b>(cells: &'b [CellStatus<'a>]) -> Vec<(Cell, Vec<&'b CellStatus<'a>>)> {
    let mut groups: Vec<(Cell, Vec<&CellStatus<'_>>)> = Vec::new();
    for status in cells {
        let cell = status.planned.cell.without_round();
        match groups.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, group)) => group.push(status),
            None => groups.push((cell, vec![status])),
        }
    }
    groups
}

/// The speeds of the tests of one cell, by test, with the runs that they are from.
fn cases<'a>(statuses: &[&CellStatus<'a>]) -> Vec<(String, Vec<(&'a str, &'a Summary)>)> {
    let mut cases: Vec<(String, Vec<(&str, &Summary)>)> = Vec::new();
    let done = statuses.iter().filter(|status| status.outcome == Outcome::Done);
    for (run, manifest) in done.filter_map(|status| status.run) {
        for figure in manifest.summary.iter().filter(|figure| figure.metric == SPEED) {
            match cases.iter_mut().find(|(case, _)| *case == figure.case) {
                Some((_, figures)) => figures.push((run, figure)),
                None => cases.push((figure.case.clone(), vec![(run, figure)])),
            }
        }
    }
    cases
}

/// Mean, deviation and count of the repetitions of one test over its runs. The deviation is that
/// of one run, or between runs that have one repetition each.
fn pooled(figures: &[(&str, &Summary)]) -> [String; 3] {
    let text = |mean: f64, deviation: Option<f64>, count: Option<u32>| {
        [
            number(mean),
            deviation.map_or_else(String::new, number),
            count.map_or_else(String::new, |count| count.to_string()),
        ]
    };
    if let [(_, figure)] = figures {
        return text(figure.mean, figure.standard_deviation, figure.repetitions);
    }
    let count = figures.len() as f64;
    let mean = figures.iter().map(|(_, figure)| figure.mean).sum::<f64>() / count;
    let squares: f64 = figures.iter().map(|(_, figure)| (figure.mean - mean).powi(2)).sum();
    text(mean, Some((squares / (count - 1.0)).sqrt()), u32::try_from(figures.len()).ok())
}

/// A model in a list.
#[derive(Debug, Serialize)]
pub struct ListedModel {
    /// What is known of it.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its file, where it is there.
    pub path: Option<std::path::PathBuf>,
    /// Its size in bytes, where it is there.
    pub bytes: Option<u64>,
    /// How many parts it has, where it is there.
    pub parts: Option<usize>,
    /// What is wrong with what is there.
    pub problem: Option<String>,
    /// Whether it fits, where that is known.
    pub fits: String,
    /// The command that downloads it, where it is not there.
    pub download: Option<String>,
}

impl ListedModel {
    /// A model with what was found of it.
    pub fn new(entry: Entry, place: Place, fit: Fit) -> Self {
        let download = entry.download().filter(|_| place == Place::Missing);
        let mut listed = Self {
            entry,
            path: None,
            bytes: None,
            parts: None,
            problem: None,
            fits: fit.to_string(),
            download,
        };
        match place {
            Place::Here { path, bytes, parts } => {
                listed.path = Some(path);
                listed.bytes = Some(bytes);
                listed.parts = Some(parts);
            }
            Place::Broken(problem) => listed.problem = Some(problem),
            Place::Missing => {}
        }
        listed
    }
}

/// A list of models.
pub fn models(models: &[ListedModel]) -> String {
    let mut table = plain_table(&["model", "category", "size", "fits", "file or how to get it"]);
    for model in models {
        let entry = &model.entry;
        let listed = entry.size_gb.map_or_else(String::new, |size| format!("listed {size} GB"));
        let category = entry.category.map(|category| serde_json::json!(category));
        let category = category.as_ref().and_then(|category| category.as_str()).unwrap_or_default();
        let parts = model.parts.filter(|parts| *parts > 1);
        let parts = parts.map_or_else(String::new, |parts| format!(" ({parts} parts)"));
        let here = model.path.as_ref().map(|path| format!("{}{parts}", path.display()));
        table.add_row([
            entry.name.clone(),
            category.to_owned(),
            model.bytes.map_or(listed, size),
            model.fits.clone(),
            here.or_else(|| model.problem.clone())
                .or_else(|| model.download.clone())
                .unwrap_or_default(),
        ]);
    }
    align_right(&mut table, &[2]);
    trimmed(&table)
}

/// A backend in a list.
#[derive(Debug, Serialize)]
pub struct ListedBackend {
    /// What is known of it.
    #[serde(flatten)]
    pub backend: Backend,
    /// Whether its llama-bench answers.
    pub available: bool,
    /// Why it does not.
    pub reason: Option<String>,
}

/// A list of backends.
pub fn backends(backends: &[ListedBackend]) -> String {
    let mut table = plain_table(&["backend", "there", "description", "why not"]);
    for listed in backends {
        let reason = listed.reason.as_deref().unwrap_or_default();
        let prefix = format!("backend {}: ", listed.backend.name);
        table.add_row([
            listed.backend.name.as_str(),
            if listed.available { "yes" } else { "no" },
            &listed.backend.description,
            reason.strip_prefix(&prefix).unwrap_or(reason),
        ]);
    }
    trimmed(&table)
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
            }
            serde_json::json!(value)
        })
        .collect();
    let mut value = serde_json::json!(campaign);
    value["cells"] = cells.into();
    value
}
