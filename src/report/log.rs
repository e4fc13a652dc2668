//! The optimization log for people: a list, and Markdown with what was measured.

use std::fmt::Write;

use super::compare;
use super::markdown::{cell, table};
use super::terminal::{plain_table, trimmed};
use crate::analyze::compare::Comparison;
use crate::run::Change;

/// Metrics that tell what a change did; duration and watts stand in the comparison itself.
const TOLD: [&str; 3] = ["tokens_per_second", "joules_per_token", "score"];

/// The changes as a table.
pub fn list(changes: &[Change]) -> String {
    let mut table = plain_table(&["", "date", "verdict", "change", "evidence"]);
    for change in changes {
        let evidence = change.evidence.as_ref().map(|[before, after]| format!("{before}, {after}"));
        table.add_row([
            change.number.to_string(),
            change.date.to_string(),
            change.verdict.to_string(),
            change.change.clone(),
            evidence.unwrap_or_default(),
        ]);
    }
    trimmed(&table)
}

/// The changes as Markdown, the newest last, each with what its evidence says: a comparison, or why
/// there is none.
pub fn markdown(changes: &[(Change, Option<Result<Comparison, String>>)]) -> String {
    let mut text = String::from("# Optimization log\n");
    for (change, compared) in changes {
        let Change { number, date, verdict, .. } = change;
        let _ = writeln!(text, "\n## {number}. {} ({date}, {verdict})\n", cell(&change.change));
        if let Some(note) = &change.note {
            let _ = writeln!(text, "{}\n", cell(note));
        }
        if let Some([before, after]) = &change.evidence {
            let _ = writeln!(text, "Evidence: A is {}, B is {}.\n", cell(before), cell(after));
        }
        match compared {
            None => {}
            Some(Err(why)) => _ = writeln!(text, "Not compared: {}.\n", cell(why)),
            Some(Ok(comparison)) => of_comparison(&mut text, comparison),
        }
    }
    text
}

fn of_comparison(text: &mut String, comparison: &Comparison) {
    for doubt in &comparison.doubts {
        let _ = writeln!(text, "- not comparable: {}", cell(doubt));
    }
    if !comparison.doubts.is_empty() {
        text.push('\n');
    }
    let told =
        comparison.rows.iter().filter(|row| TOLD.iter().any(|end| row.metric.ends_with(end)));
    let rows: Vec<Vec<String>> = told
        .map(|row| {
            let side = |index: usize| {
                row.figures[index].as_ref().map(compare::figures).unwrap_or_default()
            };
            let difference = row.differences[0].as_ref();
            vec![
                compare::name(row),
                format!("{} {}", row.metric, row.unit),
                side(0),
                side(1),
                difference.map(compare::relative).unwrap_or_default(),
                difference.map(compare::judgement).unwrap_or_default(),
            ]
        })
        .collect();
    if rows.is_empty() {
        let _ = writeln!(text, "No speed, energy per token or score was measured on both sides.\n");
        return;
    }
    table(text, &["cell", "metric", "A", "B", "B against A", "is"], rows);
}
