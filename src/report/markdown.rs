//! A report as Markdown, with tables as GitHub writes them.

use std::fmt::Write;

use super::compare;
use super::evals::{SCORES, score_row};
use super::pareto::Pareto;
use super::record::{Recorded, Report};
use super::terminal::{ENERGY, FIGURES, absent_energy, energy_row, figure_row};
use crate::analyze::compare::Comparison;
use crate::quantity::number;
use crate::visible;

/// The whole text.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for (index, run) in report.runs.iter().enumerate() {
        of_run(&mut text, run, (report.runs.len() > 1).then_some(index));
    }
    for pareto in &report.pareto {
        of_pareto(&mut text, pareto);
    }
    if let Some(comparison) = &report.comparison {
        of_comparison(&mut text, comparison);
    }
    text
}

/// What scores cost.
fn of_pareto(text: &mut String, pareto: &Pareto) {
    let _ = writeln!(
        text,
        "## {}: {} against {}\n",
        cell(&pareto.task),
        cell(&pareto.metric),
        pareto.cost
    );
    let cost = format!("{} for a sample", pareto.unit);
    let rows = pareto.candidates.iter().map(|one| {
        vec![
            compare::letter(one.run),
            one.model.clone(),
            format!("{:.3}", one.score),
            number(one.cost),
            if one.is_on_frontier { "yes" } else { "" }.to_owned(),
        ]
    });
    table(text, &["run", "model", &pareto.metric, &cost, "on the frontier"], rows);
}

/// A text that stays a text: it begins no column, line, list or heading of its own, and is no link, no
/// picture, no HTML, no code and no formula. An underscore within a word is one.
pub(super) fn cell(text: &str) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    let text = visible::line(&text);
    let mut escaped = String::with_capacity(text.len());
    let mut last = None;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let is_in_word = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
        let begins = last.is_none();
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '_' if is_in_word(last) && is_in_word(rest.peek().copied()) => escaped.push('_'),
            // GitHub makes links of addresses.
            ':' if rest.peek() == Some(&'/') => escaped.push_str("\\:"),
            '.' if escaped.to_lowercase().ends_with("www") => escaped.push_str("\\."),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '#' | '+' | '-' | '=' if begins => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
        last = Some(character);
    }
    escaped
}

pub(super) fn table(text: &mut String, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let head: Vec<String> = head.iter().map(|name| cell(name)).collect();
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let row: Vec<String> = row.iter().map(|text| cell(text)).collect();
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push('\n');
}

fn of_run(text: &mut String, run: &Recorded, index: Option<usize>) {
    let manifest = &run.manifest;
    let letter = index.map_or_else(String::new, |index| format!("{} ", compare::letter(index)));
    let label = manifest.verdict.as_ref().map_or("unknown", |verdict| &verdict.label);
    let _ = writeln!(text, "## {letter}{}\n\nVerdict: **{}**\n", cell(&run.run), cell(label));
    if let Some(verdict) = &manifest.verdict {
        for missing in &verdict.missing {
            let _ = writeln!(text, "- not known: {}", cell(missing));
        }
        for flag in &verdict.reasons {
            let _ = writeln!(text, "- **{}**: {}", cell(&flag.reason), cell(&flag.evidence));
        }
        if !(verdict.missing.is_empty() && verdict.reasons.is_empty()) {
            text.push('\n');
        }
    }
    // An indented block is shown as it is, as long as it is one line.
    let command = manifest.command.asked.join(" ");
    let _ = writeln!(text, "    {}\n", visible::line(&command.replace(['\n', '\r'], " ")));
    if !manifest.scores.is_empty() {
        let rows = manifest.scores.iter().map(|score| score_row(manifest, score));
        table(text, &SCORES, rows);
    }
    if !manifest.summary.is_empty() {
        table(text, &FIGURES, manifest.summary.iter().map(figure_row));
    }
    if !manifest.energy.is_empty() {
        table(text, &ENERGY, manifest.energy.iter().map(energy_row));
        for line in absent_energy(&manifest.energy) {
            let _ = writeln!(text, "{}.\n", cell(&line));
        }
        // Cases on different devices have different sources.
        let mut sources: Vec<&str> = Vec::new();
        for part in &manifest.energy {
            if !sources.contains(&part.source.as_str()) {
                sources.push(&part.source);
            }
        }
        let _ = writeln!(text, "Energy from {}.\n", cell(&sources.join("; or from ")));
    }
}

fn of_comparison(text: &mut String, comparison: &Comparison) {
    let _ = writeln!(text, "## Difference\n");
    let doubts =
        comparison.doubts.iter().map(|doubt| format!("**not comparable**: {}", cell(doubt)));
    let others = comparison.remarks.iter().chain(&comparison.unpaired).map(|line| cell(line));
    for line in doubts.chain(others) {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
    let labels = compare::labels(comparison);
    if !comparison.scores.is_empty() {
        let head = compare::score_columns(&labels[0]);
        let rows = comparison.scores.iter().flat_map(|row| compare::score_rows(row, &labels));
        table(text, &head.each_ref().map(String::as_str), rows.map(Vec::from));
    }
    let mut head = vec!["cell".to_owned(), "metric".to_owned()];
    for (index, label) in labels.iter().enumerate() {
        head.push(label.clone());
        if index > 0 {
            head.extend([format!("against {}", labels[0]), "is".to_owned()]);
        }
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let rows = comparison.rows.iter().map(|row| {
        let mut cells = vec![compare::name(row), format!("{} {}", row.metric, row.unit)];
        for (index, figures) in row.figures.iter().enumerate() {
            cells.push(figures.as_ref().map(compare::figures).unwrap_or_default());
            if index > 0 {
                let difference = row.differences[index - 1].as_ref();
                cells.push(difference.map(compare::relative).unwrap_or_default());
                cells.push(difference.map(compare::judgement).unwrap_or_default());
            }
        }
        cells
    });
    table(text, &head, rows);
    if !comparison.changes.is_empty() {
        let head: Vec<&str> =
            std::iter::once("what differs").chain(labels.iter().map(String::as_str)).collect();
        let rows = comparison.changes.iter().map(|change| {
            let values = change.values.iter().map(|values| values.join("; "));
            std::iter::once(change.name.clone()).chain(values).collect()
        });
        table(text, &head, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn texts_stay_texts() {
        for (given, expected) in [
            ("tokens_per_second pass@1 -x a.b", "tokens_per_second pass@1 -x a.b"),
            ("![x](http://h/y) <b>&amp;", "!\\[x\\](http\\://h/y) &lt;b&gt;&amp;amp;"),
            (
                "a|b\\|c `d` *e* _f_ ~~g~~ $h$",
                "a\\|b\\\\\\|c \\`d\\` \\*e\\* \\_f\\_ \\~\\~g\\~\\~ \\$h\\$",
            ),
            ("one\r\n# two\u{1b}[0m www.h.de", "one  # two\\\\u{1b}\\[0m www\\.h.de"),
            ("# head", "\\# head"),
            ("- item", "\\- item"),
        ] {
            assert_eq!(cell(given), expected, "{given}");
        }
    }
}
