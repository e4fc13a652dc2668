//! A report as one HTML file: no scripts, no files from elsewhere, light and dark, printable.

mod chart;
mod pareto;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::record::{Recorded, Report};
use crate::run::manifest::Verdict;

/// How the page looks.
const STYLE: &str = include_str!("page/style.css");

/// The whole file.
pub fn html(report: &Report) -> String {
    let title = match &report.runs[..] {
        [run] => run.run.clone(),
        runs => format!("{} runs", runs.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing is loaded, whatever a name in it looks like.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { "halo: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    nav aria-label="Parts of the report" {
                        a href="#verdict" { "Verdict" } " "
                        a href="#results" { "Results" } " "
                        a href="#energy" { "Energy" } " "
                        a href="#series" { "Series" } " "
                        a href="#environment" { "Environment" }
                    }
                }
                main {
                    section id="verdict" aria-labelledby="verdict-heading" {
                        h2 id="verdict-heading" { "Verdict" }
                        @for (index, run) in report.runs.iter().enumerate() {
                            (verdict(report, index, run))
                        }
                    }
                    @if let Some(comparison) = &report.comparison {
                        (tables::comparison(comparison))
                    }
                    section id="results" aria-labelledby="results-heading" {
                        h2 id="results-heading" { "Results" }
                        (tables::scores(report))
                        @for (number, pareto) in report.pareto.iter().enumerate() {
                            (pareto::figure(report, pareto, number))
                        }
                        (tables::results(report))
                    }
                    section id="energy" aria-labelledby="energy-heading" {
                        h2 id="energy-heading" { "Energy" }
                        (tables::energy(report))
                    }
                    section id="series" aria-labelledby="series-heading" {
                        h2 id="series-heading" { "Series" }
                        @if report.charts.is_empty() { p { "There are no samples." } }
                        @if report.runs.len() > 1 {
                            p { "All runs begin at 0 s, when their commands were started; the first run is drawn solid, the others dashed." }
                        }
                        @for (number, chart) in report.charts.iter().enumerate() {
                            (chart::figure(report, chart, number))
                        }
                    }
                    section id="environment" aria-labelledby="environment-heading" {
                        h2 id="environment-heading" { "Environment" }
                        (tables::environment(report))
                    }
                }
                footer {
                    p {
                        "Written by halo " (env!("CARGO_PKG_VERSION"))
                        ". What the figures mean and what they do not say: docs/measuring.md of halo."
                    }
                }
            }
        }
    };
    page.into_string()
}

/// A, B and so on, where there are several runs.
fn letter(report: &Report, index: usize) -> String {
    if report.runs.len() == 1 {
        String::new()
    } else {
        format!("{} ", super::compare::letter(index))
    }
}

fn verdict(report: &Report, index: usize, run: &Recorded) -> Markup {
    let unjudged = Verdict {
        label: "unknown".to_owned(),
        reasons: vec![],
        missing: vec!["nobody judged it".to_owned()],
    };
    let verdict = run.manifest.verdict.as_ref().unwrap_or(&unjudged);
    let sign = match verdict.label.as_str() {
        "clean" => "✓",
        "flagged" => "⚠",
        _ => "?",
    };
    html! {
        article {
            @if report.runs.len() > 1 { h3 { (letter(report, index)) (run.run) } }
            p {
                strong class={ "verdict " (verdict.label) } {
                    span aria-hidden="true" { (sign) } " " (verdict.label)
                }
                " " (run.manifest.state) ", " (run.manifest.tool.name) " "
                (run.manifest.tool.version.as_deref().unwrap_or_default())
                @for model in &run.manifest.models { ", " (model.title()) }
                @if let Some(backend) = &run.manifest.backend { ", " (backend) }
                ", " (run.manifest.started.strftime("%Y-%m-%d %H:%M UTC").to_string())
            }
            @if !verdict.reasons.is_empty() || !verdict.missing.is_empty() {
                ul {
                    @for missing in &verdict.missing { li { "not known: " (missing) } }
                    @for flag in &verdict.reasons { li { strong { (flag.reason) } ": " (flag.evidence) } }
                }
            }
            p { code { (run.manifest.command.asked.join(" ")) } }
        }
    }
}
