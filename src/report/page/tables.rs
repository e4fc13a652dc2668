//! The tables of the page.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::super::compare;
use super::super::evals::{SCORES, score_row};
use super::super::record::Report;
use super::super::terminal::{mean_and_deviation, part_name};
use super::letter;
use crate::analyze::compare::{Comparison, Judgement};
use crate::quantity::number;

/// What evals scored, with time and energy; nothing where no run is an eval.
pub(super) fn scores(report: &Report) -> Markup {
    let scored =
        || report.runs.iter().enumerate().filter(|(_, run)| !run.manifest.scores.is_empty());
    html! {
        @if scored().next().is_some() {
            div class="scroll" {
                table {
                    caption { "Scores with the time and the energy of their tasks" }
                    thead { tr {
                        @if report.runs.len() > 1 { th scope="col" { "run" } }
                        @for (index, column) in SCORES.iter().enumerate() {
                            th scope="col" class=(number_class(&NUMBERS, index)) { (column) }
                        }
                    } }
                    tbody {
                        @for (index, run) in scored() { @for score in &run.manifest.scores { tr {
                            @if report.runs.len() > 1 { td { (letter(report, index)) } }
                            @for (index, text) in score_row(&run.manifest, score).iter().enumerate() {
                                td class=(number_class(&NUMBERS, index)) { (text) }
                            }
                        } } }
                    }
                }
            }
        }
    }
}

/// The columns of scores that are numbers.
const NUMBERS: [usize; 6] = [2, 4, 5, 6, 7, 8];

fn number_class(numbers: &[usize], column: usize) -> &'static str {
    if numbers.contains(&column) { "number" } else { "" }
}

/// The figures that the tools gave, and the joules per token beside them.
pub(super) fn results(report: &Report) -> Markup {
    let is_empty = report.runs.iter().all(|run| run.manifest.summary.is_empty());
    html! {
        @if is_empty { p { "The command gave no results that halo reads." } }
        @else {
            div class="scroll" {
                table {
                    caption { "Mean over the repetitions, with their standard deviation" }
                    thead { tr {
                        @if report.runs.len() > 1 { th scope="col" { "run" } }
                        th scope="col" { "task" }
                        th scope="col" { "case" }
                        th scope="col" { "metric" }
                        th scope="col" class="number" { "mean" }
                        th scope="col" class="number" { "±" }
                        th scope="col" class="number" { "n" }
                        th scope="col" { "unit" }
                    } }
                    tbody {
                        @for (index, run) in report.runs.iter().enumerate() {
                            @for figure in &run.manifest.summary {
                              @let [mean, deviation] = mean_and_deviation(figure.mean, figure.standard_deviation);
                              tr {
                                @if report.runs.len() > 1 { td { (letter(report, index)) } }
                                td { (figure.task) }
                                th scope="row" { (figure.case) }
                                td { (figure.metric) }
                                td class="number" { (mean) }
                                td class="number" { (deviation) }
                                td class="number" { @if let Some(count) = figure.repetitions { (count) } }
                                td { (figure.unit) }
                              }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What each part took; why there is no figure, where there is none.
pub(super) fn energy(report: &Report) -> Markup {
    let sources: BTreeSet<&str> = report
        .runs
        .iter()
        .flat_map(|run| &run.manifest.energy)
        .map(|energy| energy.source.as_str())
        .collect();
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    html! {
        @if sources.is_empty() { p { "No sensor told power or energy." } }
        @else {
            p { "Source: " @for source in &sources { (source) " " } }
            div class="scroll" {
                table {
                    caption { "Energy of the command and of its phases" }
                    thead { tr {
                        @if report.runs.len() > 1 { th scope="col" { "run" } }
                        th scope="col" { "part" }
                        th scope="col" class="number" { "s" }
                        th scope="col" class="number" { "covered" }
                        th scope="col" class="number" { "J" }
                        th scope="col" class="number" { "mean W" }
                        th scope="col" class="number" { "peak W" }
                        th scope="col" class="number" { "J/token" }
                        th scope="col" class="number" { "above idle" }
                        th scope="col" class="number" { "tokens/s/W" }
                    } }
                    tbody {
                        @for (index, run) in report.runs.iter().enumerate() {
                            @for part in &run.manifest.energy { tr {
                                @if report.runs.len() > 1 { td { (letter(report, index)) } }
                                th scope="row" { (part_name(part)) }
                                td class="number" { (number(part.seconds)) }
                                td class="number" { (format!("{:.0} %", 100.0 * part.coverage)) }
                                @if let Some(absent) = &part.absent {
                                    td colspan="6" { (absent) }
                                } @else {
                                    td class="number" { (optional(part.joules)) }
                                    td class="number" { (optional(part.mean_watts)) }
                                    td class="number" { (optional(part.peak_watts)) }
                                    td class="number" { (optional(part.joules_per_token)) }
                                    td class="number" { (optional(part.joules_per_token_above_idle)) }
                                    td class="number" { (optional(part.tokens_per_second_per_watt)) }
                                }
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// What differs between the sides.
pub(super) fn comparison(comparison: &Comparison) -> Markup {
    let labels = compare::labels(comparison);
    html! {
        section id="difference" aria-labelledby="difference-heading" {
            h2 id="difference-heading" { "Difference" }
            @if !comparison.doubts.is_empty() {
                p { strong class="flagged" { span aria-hidden="true" { "⚠ " } "not comparable" } }
                ul { @for doubt in &comparison.doubts { li { (doubt) } } }
            }
            @for remark in comparison.remarks.iter().chain(&comparison.unpaired) { p { (remark) } }
            @if !comparison.scores.is_empty() {
                div class="scroll" {
                    table class="scores" {
                        caption {
                            "Scores with their 95 % intervals, and the difference from " (labels[0])
                            "; + and - count the samples that only the other side, or only " (labels[0]) ", solved"
                        }
                        thead { tr {
                            @for (index, column) in compare::score_columns(&labels[0]).iter().enumerate() {
                                th scope="col" class=(number_class(&compare::SCORE_NUMBERS, index)) { (column) }
                            }
                        } }
                        tbody { @for row in &comparison.scores {
                            @for cells in compare::score_rows(row, &labels) { tr {
                                @for (index, cell) in cells.iter().enumerate() {
                                    td class=(number_class(&compare::SCORE_NUMBERS, index)) { (cell) }
                                }
                            } }
                        } }
                    }
                }
            }
            div class="scroll" {
                table {
                    caption { "Median with its interval of 95 %, and the difference from " (labels[0]) }
                    thead { tr {
                        th scope="col" { "cell" }
                        th scope="col" { "metric" }
                        @for (index, label) in labels.iter().enumerate() {
                            th scope="col" class="number" { (label) }
                            @if index > 0 {
                                th scope="col" class="number" { "against " (labels[0]) }
                                th scope="col" { "is" }
                            }
                        }
                    } }
                    tbody { @for row in &comparison.rows { tr {
                        th scope="row" { (compare::name(row)) }
                        td { (row.metric) @if !row.unit.is_empty() { " [" (row.unit) "]" } }
                        @for (index, figures) in row.figures.iter().enumerate() {
                            td class="number" { @if let Some(figures) = figures { (compare::figures(figures)) } }
                            @if index > 0 {
                                @let difference = row.differences[index - 1].as_ref();
                                td class="number" { @if let Some(difference) = difference { (compare::relative(difference)) } }
                                td class=(difference.map_or("", |difference| class(difference.judgement))) {
                                    @if let Some(difference) = difference { (compare::judgement(difference)) }
                                }
                            }
                        }
                    } } }
                }
            }
            @if !comparison.changes.is_empty() {
                div class="scroll" {
                    table {
                        caption { "What differs beside the figures" }
                        thead { tr {
                            th scope="col" { "name" }
                            @for label in &labels { th scope="col" { (label) } }
                        } }
                        tbody { @for change in &comparison.changes { tr {
                            th scope="row" { (change.name) }
                            @for values in &change.values {
                                td class="long" { @if values.is_empty() { "unknown" } @else { (values.join("; ")) } }
                            }
                        } } }
                    }
                }
            }
        }
    }
}

fn class(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Better => "better",
        Judgement::Worse => "worse",
        _ => "",
    }
}

/// Everything that is known of the machines, for the search of the browser.
pub(super) fn environment(report: &Report) -> Markup {
    html! {
        @for (index, run) in report.runs.iter().enumerate() {
            @let environment = &run.manifest.environment_at_start;
            details open[report.runs.len() == 1] {
                summary { (letter(report, index)) (environment.facts.len()) " facts and " (environment.values.len()) " values at the start" }
                div class="scroll" {
                    table {
                        caption { "The machine before the command" }
                        thead { tr { th scope="col" { "name" } th scope="col" { "value" } } }
                        tbody {
                            @for (name, value) in &environment.facts { tr { th scope="row" { (name) } td class="long" { (value) } } }
                            @for (name, value) in &environment.values { tr { th scope="row" { (name) } td class="number" { (value) } } }
                        }
                    }
                }
            }
        }
    }
}
