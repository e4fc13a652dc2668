//! Scores against what they cost, as SVG.

use maud::{Markup, html};

use super::super::pareto::{Candidate, Pareto};
use super::super::record::Report;
use super::chart::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plain, steps};
use super::letter;
use crate::quantity::number;

/// Beyond this part of the width names stand to the left of their dots.
const NAMES_TURN: f64 = 0.7;

/// What the axes span. Scores are shares, so theirs goes from 0 to 1 where none is beyond, with room
/// for a name above.
struct Scale {
    most_cost: f64,
    most_score: f64,
}

impl Scale {
    fn of(pareto: &Pareto) -> Self {
        let most = |of: fn(&Candidate) -> f64| pareto.candidates.iter().map(of).fold(0.0, f64::max);
        Self {
            most_cost: (most(|one| one.cost) * 1.1).max(1e-9),
            most_score: most(|one| one.high.unwrap_or(one.score)).max(1.0),
        }
    }

    fn x(&self, cost: f64) -> f64 {
        LEFT + cost / self.most_cost * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, score: f64) -> f64 {
        HEIGHT - BOTTOM - score / (self.most_score * 1.15) * (HEIGHT - TOP - BOTTOM)
    }
}

/// A picture with its figures.
pub(super) fn figure(report: &Report, pareto: &Pareto, number_of: usize) -> Markup {
    let scale = Scale::of(pareto);
    let id = format!("pareto-{number_of}");
    let title = format!("{}: {} against {} for a sample", pareto.task, pareto.metric, pareto.cost);
    let at = |value: f64| format!("{value:.1}");
    let frontier: Vec<&Candidate> =
        pareto.candidates.iter().filter(|one| one.is_on_frontier).collect();
    let path: Vec<String> = frontier
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let (x, y) = (at(scale.x(one.cost)), at(scale.y(one.score)));
            if index == 0 { format!("M{x} {y}") } else { format!("H{x}V{y}") }
        })
        .collect();
    html! {
        figure {
            figcaption { (title) " [" (pareto.unit) "]" }
            svg role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { (title) }
                desc id={ (id) "-desc" } { "What lies further up and to the left is better; the table below has the figures" }
                @for value in steps(0.0, scale.most_score, 4.0) {
                    line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(scale.y(value))) y2=(at(scale.y(value))) {}
                    text x=(LEFT - 6.0) y=(at(scale.y(value) + 4.0)) text-anchor="end" { (plain(value)) }
                }
                @for cost in steps(0.0, scale.most_cost, 8.0) {
                    text x=(at(scale.x(cost))) y=(HEIGHT - 6.0) text-anchor=(if scale.x(cost) > WIDTH - 2.0 * RIGHT { "end" } else { "middle" }) { (plain(cost)) " " (pareto.unit) }
                }
                path class="series l0" stroke-dasharray="none" d=(path.concat()) {}
                @for one in &pareto.candidates {
                    @if let (Some(low), Some(high)) = (one.low, one.high) {
                        line class="interval" x1=(at(scale.x(one.cost))) x2=(at(scale.x(one.cost)))
                            y1=(at(scale.y(low))) y2=(at(scale.y(high))) {}
                    }
                    circle class=(if one.is_on_frontier { "dot on" } else { "dot" })
                        cx=(at(scale.x(one.cost))) cy=(at(scale.y(one.score))) r="5" {}
                    // Names on the line stand above it, others below: models of one family lie close.
                    @let offset = if one.is_on_frontier { -6.0 } else { 16.0 };
                    @let is_left = scale.x(one.cost) < WIDTH * NAMES_TURN;
                    text class="name" x=(at(scale.x(one.cost) + if is_left { 9.0 } else { -9.0 }))
                        y=(at(scale.y(one.score) + offset)) text-anchor=(if is_left { "start" } else { "end" }) {
                        (letter(report, one.run)) (one.model)
                    }
                }
            }
            div class="scroll" {
                table {
                    caption {
                        "Filled dots and the line: nothing scores as much for less. Bars: 95 % intervals of the score"
                    }
                    thead { tr {
                        th scope="col" { "run" }
                        th scope="col" { "model" }
                        th scope="col" class="number" { (pareto.metric) }
                        th scope="col" { "95 % interval" }
                        th scope="col" class="number" { (pareto.unit) " for a sample" }
                        th scope="col" { "on the frontier" }
                    } }
                    tbody { @for one in &pareto.candidates { tr {
                        th scope="row" { (letter(report, one.run)) }
                        td { (one.model) }
                        td class="number" { (format!("{:.3}", one.score)) }
                        td { @if let (Some(low), Some(high)) = (one.low, one.high) { (format!("{low:.3} to {high:.3}")) } }
                        td class="number" { (number(one.cost)) }
                        td { (if one.is_on_frontier { "yes" } else { "" }) }
                    } } }
                }
            }
        }
    }
}
