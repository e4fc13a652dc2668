//! A chart as SVG: drawn here, because what crates draw has fixed colours and no words for those who
//! do not see it.

use std::fmt::Write;

use maud::{Markup, html};

use super::super::charts::{Chart, Line};
use super::super::record::Report;
use super::letter;
use crate::quantity::number;

/// The picture in its own units; it is scaled to the page.
pub(super) const WIDTH: f64 = 800.0;
pub(super) const HEIGHT: f64 = 220.0;
pub(super) const LEFT: f64 = 52.0;
pub(super) const RIGHT: f64 = 8.0;
pub(super) const TOP: f64 = 8.0;
pub(super) const BOTTOM: f64 = 22.0;

/// So many colours there are.
const COLOURS: usize = 7;

/// How lines of one picture are dashed, by their run; limits are dotted.
const DASHES: [&str; 4] = ["none", "7 4", "2 3 7 3", "12 4"];
const DOTS: &str = "1.5 3";

/// What the axes span.
struct Scale {
    from: f64,
    to: f64,
    top: f64,
    bottom: f64,
}

impl Scale {
    /// All charts of a report have the same time below each other.
    fn of(report: &Report, chart: &Chart) -> Self {
        let all = report.charts.iter().flat_map(|chart| &chart.lines);
        let times = all.flat_map(|line| line.stretches.iter().flatten()).map(|point| point.0);
        let from = times.clone().fold(f64::MAX, f64::min);
        let to = times.fold(f64::MIN, f64::max);
        let points = || chart.lines.iter().flat_map(|line| line.stretches.iter().flatten());
        let least = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MAX, f64::min);
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MIN, f64::max);
        // Temperatures and clocks are far from zero; all else begins there.
        let bottom = if chart.unit == "°C" { (least(|p| p.1) - 5.0).max(0.0) } else { 0.0 };
        let top = most(|point| point.1).max(bottom + 1e-9);
        Self { from, to: to.max(from + 1e-9), bottom, top: bottom + (top - bottom) * 1.05 }
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds - self.from) / (self.to - self.from) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.bottom) / (self.top - self.bottom);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}

/// Round steps for an axis: about so many.
pub(super) fn steps(from: f64, to: f64, about: f64) -> Vec<f64> {
    let rough = (to - from) / about;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    #[expect(clippy::cast_possible_truncation, reason = "a dozen")]
    let (first, last) = ((from / step).ceil() as i32, (to / step).floor() as i32);
    (first..=last).map(|n| f64::from(n) * step).collect()
}

fn path(scale: &Scale, stretch: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (seconds, value)) in stretch.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{:.1} {:.1}", scale.x(*seconds), scale.y(*value));
    }
    // A value that stands alone is a dot.
    if stretch.len() == 1 {
        path.push_str("h.1");
    }
    path
}

/// How the lines of one run are dashed that have no colour left.
const REPEATED: &str = "9 2";

/// The same thing has the same colour in all runs, and looks otherwise where colours are used up.
fn look(chart: &Chart, line: &Line) -> (usize, &'static str) {
    let mut names: Vec<&str> = Vec::new();
    for line in &chart.lines {
        if !names.contains(&line.name.as_str()) {
            names.push(&line.name);
        }
    }
    let position = names.iter().position(|name| *name == line.name).unwrap_or_default();
    let dashes = match (line.is_limit, line.run, position >= COLOURS) {
        (true, ..) => DOTS,
        (false, 0, true) => REPEATED,
        _ => DASHES[line.run % DASHES.len()],
    };
    (position % COLOURS, dashes)
}

/// A chart with its legend and its figures.
pub(super) fn figure(report: &Report, chart: &Chart, number_of: usize) -> Markup {
    let scale = Scale::of(report, chart);
    let id = format!("chart-{number_of}");
    let words = format!(
        "{} in {} over {} to {} seconds since the command was started; the table below has the figures",
        chart.title,
        chart.unit,
        number(scale.from),
        number(scale.to)
    );
    html! {
        figure {
            figcaption { (chart.title) " [" (chart.unit) "]" }
            svg role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { (chart.title) }
                desc id={ (id) "-desc" } { (words) }
                @if let [run] = &report.runs[..] {
                    @for phase in &run.phases {
                        rect class={ "phase-" (phase.work) } x=(format!("{:.1}", scale.x(phase.from))) y=(TOP)
                            width=(format!("{:.1}", (scale.x(phase.to) - scale.x(phase.from)).max(0.5)))
                            height=(HEIGHT - TOP - BOTTOM) {
                            title { (phase.work) " of " (phase.case) }
                        }
                    }
                }
                @for value in steps(scale.bottom, scale.top, 4.0) {
                    line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(format!("{:.1}", scale.y(value))) y2=(format!("{:.1}", scale.y(value))) {}
                    text x=(LEFT - 6.0) y=(format!("{:.1}", scale.y(value) + 4.0)) text-anchor="end" { (plain(value)) }
                }
                @for seconds in steps(scale.from, scale.to, 8.0) {
                    text x=(format!("{:.1}", scale.x(seconds))) y=(HEIGHT - 6.0) text-anchor="middle" { (plain(seconds)) " s" }
                }
                @if scale.from < 0.0 && scale.to > 0.0 {
                    line class="start" x1=(format!("{:.1}", scale.x(0.0))) x2=(format!("{:.1}", scale.x(0.0))) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                }
                @for line in &chart.lines {
                    @let (colour, dashes) = look(chart, line);
                    @for stretch in &line.stretches {
                        path class={ "series l" (colour) @if line.is_limit { " limit" } }
                            stroke-dasharray=(dashes) d=(path(&scale, stretch)) {}
                    }
                }
            }
            ul class="legend" {
                @for line in &chart.lines {
                    @let (colour, dashes) = look(chart, line);
                    li {
                        svg viewBox="0 0 36 10" aria-hidden="true" {
                            path class={ "series l" (colour) } stroke-dasharray=(dashes) d="M1 5L35 5" {}
                        }
                        " " (letter(report, line.run)) (line.name)
                    }
                }
                @if report.runs.len() == 1 && !report.runs[0].phases.is_empty() {
                    @for work in ["prompt", "generation"] {
                        li { svg viewBox="0 0 36 10" aria-hidden="true" { rect class={ "phase-" (work) } width="36" height="10" {} } " " (work) }
                    }
                }
            }
            details {
                summary { "Figures of " (chart.title) }
                div class="scroll" {
                    table {
                        caption { (chart.title) " [" (chart.unit) "], over the whole recording" }
                        thead { tr {
                            th scope="col" { "series" }
                            th scope="col" class="number" { "least" }
                            th scope="col" class="number" { "mean" }
                            th scope="col" class="number" { "greatest" }
                        } }
                        tbody { @for line in &chart.lines { tr {
                            th scope="row" { (letter(report, line.run)) (line.name) }
                            @for value in line.range { td class="number" { (number(value)) } }
                        } } }
                    }
                }
            }
        }
    }
}

/// A round number without zeros that say nothing.
pub(super) fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
