//! What differs between runs, and whether it is more than chance.

use serde::Serialize;

/// Two or more sides beside each other. The first is what the others are compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What is compared.
    pub sides: Vec<Side>,
    /// What defines the sides, as `kv`: the dimensions in which they differ as a whole.
    pub by: Vec<String>,
    /// One row a cell and metric.
    pub rows: Vec<Row>,
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
    /// The same, held against the number of cells that are compared (Holm).
    pub adjusted_p: Option<f64>,
    /// Whether values were paired, because the sides ran in turn.
    pub is_paired: bool,
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
