//! A comparison as text for a terminal.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::evals;
use super::pareto::{self, Pareto};
use super::screen;
use super::terminal::{align_right, plain_table, trimmed};
use crate::analyze::compare::gate::{Finding, Outcome};
use crate::analyze::compare::{
    Comparison, Difference, Figures, Judgement, Row, ScoreDifference, ScoreRow, SideRun, SideScore,
};
use crate::quantity::{self, number};

/// Changes that are longer are cut on a screen.
const LONGEST: usize = 60;

/// A comparison: what may not be said first, then the figures, then what differs otherwise.
pub fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (index, side) in comparison.sides.iter().enumerate() {
        let verdicts: BTreeSet<String> = side.runs.iter().map(verdict).collect();
        let verdicts: Vec<String> = verdicts.into_iter().collect();
        let runs = side.runs.len();
        let runs = if runs == 1 { side.runs[0].run.clone() } else { format!("{runs} runs") };
        let _ = writeln!(text, "{}  {}: {runs}; {}", letter(index), side.name, verdicts.join("; "));
    }
    if !comparison.by.is_empty() {
        let _ = writeln!(text, "compared by {}", comparison.by.join(", "));
    }
    for (what, lines) in [
        ("not comparable", &comparison.doubts),
        ("note", &comparison.remarks),
        ("left out", &comparison.unpaired),
    ] {
        for line in lines {
            let _ = writeln!(text, "{what}: {line}");
        }
    }
    let mut text = screen::wrapped(&text, 3);
    if !comparison.scores.is_empty() {
        text.push('\n');
        text.push_str(&scores(comparison));
        for pareto in pareto::of_sides(comparison) {
            text.push_str(&frontier(&pareto));
        }
    }
    let mut metrics: Vec<(&str, &str)> = Vec::new();
    for row in &comparison.rows {
        if !metrics.contains(&(&row.metric, &row.unit)) {
            metrics.push((&row.metric, &row.unit));
        }
    }
    for (metric, unit) in metrics {
        text.push('\n');
        text.push_str(&table(comparison, metric, unit));
    }
    if !comparison.changes.is_empty() {
        text.push_str("\nWhat differs beside the figures\n");
        text.push_str(&changes(comparison));
    }
    text
}

fn verdict(run: &SideRun) -> String {
    if run.reasons.is_empty() {
        run.verdict.clone()
    } else {
        let reasons: BTreeSet<&str> = run.reasons.iter().map(String::as_str).collect();
        format!("{} ({})", run.verdict, reasons.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// What became of the conditions.
pub fn findings(findings: &[Finding]) -> String {
    let mut text = String::from("\n");
    for finding in findings {
        let word = match finding.outcome {
            Outcome::Fine => "fine",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Regression => "regression",
        };
        let _ = writeln!(text, "{word}: {}", finding.why);
    }
    screen::wrapped(&text, 2)
}

/// A, B, C and so on, and numbers where letters end.
pub(super) fn letter(index: usize) -> String {
    let letter = u8::try_from(index).ok().filter(|index| *index < 26);
    letter.map_or_else(|| (index + 1).to_string(), |index| char::from(b'A' + index).to_string())
}

/// How the sides are called where the runs have letters: each by that of its run, and by their names
/// where one has several runs.
pub(super) fn labels(comparison: &Comparison) -> Vec<String> {
    let has_one = |index: usize| comparison.sides[index].runs.len() == 1;
    let all = 0..comparison.sides.len();
    if all.clone().all(has_one) {
        all.map(letter).collect()
    } else {
        comparison.sides.iter().map(|side| side.name.clone()).collect()
    }
}

/// The columns of a table of scores, where the first side has this name.
pub(super) fn score_columns(first: &str) -> [String; 9] {
    let against = format!("against {first}");
    ["score", "of", "value", "95 % interval", "s", "J", &against, "same samples", "is"]
        .map(str::to_owned)
}

/// The columns of numbers among them.
pub(super) const SCORE_NUMBERS: [usize; 3] = [2, 4, 5];

/// A score in these columns, a row for each side that has it: value with interval, time and energy,
/// and how it differs from that of the first.
pub(super) fn score_rows(row: &ScoreRow, sides: &[String]) -> Vec<[String; 9]> {
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    let of_side = |(index, side): (usize, &Option<SideScore>)| {
        let side = side.as_ref()?;
        let difference = index.checked_sub(1).and_then(|index| row.differences[index].as_ref());
        let [points, pairs, judgement] = difference.map(score_difference).unwrap_or_default();
        Some([
            match &row.model {
                Some(model) => format!("{model}, {} {}", row.task, row.metric),
                None => format!("{} {}", row.task, row.metric),
            },
            sides[index].clone(),
            format!("{:.3}", side.score.value),
            evals::interval(&side.score),
            optional(side.seconds),
            optional(side.joules),
            points,
            pairs,
            judgement,
        ])
    };
    row.scores.iter().enumerate().filter_map(of_side).collect()
}

fn score_difference(difference: &ScoreDifference) -> [String; 3] {
    let mut text = format!("{:+.3}", difference.points);
    if let Some((low, high)) = difference.interval {
        let _ = write!(text, " ({low:+.3} to {high:+.3})");
    }
    let pairs = difference.paired.map_or_else(String::new, |paired| {
        format!("+{} -{} of {}", paired.only_second, paired.only_first, paired.count())
    });
    [text, pairs, in_words(difference.judgement, difference.adjusted_p)]
}

fn scores(comparison: &Comparison) -> String {
    let letters: Vec<String> = (0..comparison.sides.len()).map(letter).collect();
    let columns = score_columns(&letters[0]);
    let mut table = plain_table(&columns.each_ref().map(String::as_str));
    for row in &comparison.scores {
        for cells in score_rows(row, &letters) {
            table.add_row(cells);
        }
    }
    align_right(&mut table, &SCORE_NUMBERS);
    trimmed(&table)
}

/// Which sides nothing beats in both score and cost.
fn frontier(pareto: &Pareto) -> String {
    let best = pareto.candidates.iter().filter(|side| side.is_on_frontier);
    let best: Vec<String> = best
        .map(|side| format!("{} ({} {})", letter(side.run), number(side.cost), pareto.unit))
        .collect();
    let Pareto { task, metric, cost, .. } = pareto;
    format!("{task}: on the frontier of {metric} and {cost} for a sample: {}\n", best.join(", "))
}

fn table(comparison: &Comparison, metric: &str, unit: &str) -> String {
    let unit = if unit.is_empty() { String::new() } else { format!(" [{unit}]") };
    let mut columns = vec![format!("{metric}{unit}")];
    for index in 0..comparison.sides.len() {
        columns.push(letter(index));
        if index > 0 {
            columns.push(format!("{} against A", letter(index)));
            columns.push(String::new());
        }
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = plain_table(&columns);
    for row in comparison.rows.iter().filter(|row| row.metric == metric) {
        let mut cells = vec![name(row)];
        for (index, figures) in row.figures.iter().enumerate() {
            cells.push(figures.as_ref().map_or_else(String::new, self::figures));
            if let Some(difference) = index.checked_sub(1).map(|index| &row.differences[index]) {
                let difference = difference.as_ref();
                cells.push(difference.map_or_else(String::new, relative));
                cells.push(difference.map_or_else(String::new, judgement));
            }
        }
        table.add_row(cells);
    }
    if let Some(mean) = comparison.means.iter().find(|mean| mean.metric == metric) {
        let mut cells = vec![format!("geometric mean of {}", mean.cells), String::new()];
        for relative in &mean.relative {
            cells.push(String::new());
            cells.push(relative.map_or_else(String::new, |by| quantity::relative(by, None)));
            cells.push(String::new());
        }
        table.add_row(cells);
    }
    let numbers: Vec<usize> = (1..columns.len()).filter(|column| column % 3 != 0).collect();
    align_right(&mut table, &numbers);
    trimmed(&table)
}

pub(super) fn name(row: &Row) -> String {
    let cell = row.cell.iter().map(|(_, value)| value.as_str());
    // What is about a task as a whole has no case.
    let what = if row.case.is_empty() { &row.task } else { &row.case };
    cell.chain([what.as_str()]).collect::<Vec<_>>().join(", ")
}

pub(super) fn figures(figures: &Figures) -> String {
    let (median, count) = (figures.median, figures.values.len());
    // As benchstat: the farther end, in percent of the median.
    let reach = figures.interval.map(|(low, high)| (high - median).max(median - low));
    let spread = reach.map(|reach| {
        let (_, percent) = quantity::uncertain(100.0, 100.0 * reach / median.abs());
        format!(" ± {percent} %")
    });
    format!("{}{} n={count}", quantity::within(median, reach), spread.unwrap_or_default())
}

pub(super) fn relative(difference: &Difference) -> String {
    quantity::relative(difference.relative, difference.interval)
}

pub(super) fn judgement(difference: &Difference) -> String {
    let paired = if difference.is_paired { ", paired" } else { "" };
    match difference.judgement {
        Judgement::TooFew => match difference.needed {
            Some(needed) => format!("n too small: {needed} needed"),
            None => "n too small".to_owned(),
        },
        judgement => format!("{}{paired}", in_words(judgement, difference.adjusted_p)),
    }
}

/// A judgement with its probability.
fn in_words(judgement: Judgement, p: Option<f64>) -> String {
    let word = match judgement {
        Judgement::Better => "better",
        Judgement::Worse => "worse",
        Judgement::Different => "different",
        Judgement::Same => "~",
        Judgement::TooFew => "nobody can tell",
        Judgement::NotComparable => "not comparable",
    };
    let p = p.map_or_else(String::new, |p| {
        if p < 0.001 { " p<0.001".to_owned() } else { format!(" p={p:.3}") }
    });
    format!("{word}{p}")
}

fn changes(comparison: &Comparison) -> String {
    let letters: Vec<String> = (0..comparison.sides.len()).map(letter).collect();
    let columns: Vec<&str> =
        std::iter::once("").chain(letters.iter().map(String::as_str)).collect();
    let mut table = plain_table(&columns);
    for change in &comparison.changes {
        let values = change.values.iter().map(|values| match &values[..] {
            [] => "unknown".to_owned(),
            [value] => cut(value),
            several => format!("{} values", several.len()),
        });
        table.add_row(std::iter::once(cut(&change.name)).chain(values).collect::<Vec<_>>());
    }
    trimmed(&table)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
