//! Small charts for a terminal: a line of blocks for each series.

use std::fmt::Write;

use super::charts::{Chart, Line};
use super::screen;
use crate::quantity::number;

/// The heights of a character.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Characters of a chart, where a terminal has room for them.
const WIDTH: usize = 48;

/// The pictures that are shown on a terminal; all are in the report.
const SHOWN: [&str; 3] = ["Power", "Temperature", "Tokens per second of llama-server"];

/// The charts of one run, a line for each series; the greatest value of each character's time is
/// drawn, so that a spike is seen.
pub fn text(charts: &[Chart]) -> String {
    let mut text = String::new();
    for chart in charts.iter().filter(|chart| SHOWN.contains(&chart.title)) {
        let lines = chart.lines.iter().filter(|line| !line.is_limit);
        let most = chart.lines.iter().map(|line| line.range[2]).fold(0.0, f64::max);
        let _ = writeln!(text, "{} [{}]", chart.title, chart.unit);
        for line in lines {
            let [least, mean, greatest] = line.range.map(number);
            let (name, range) =
                (format!("  {:<12} ", line.name), format!("  {least} to {greatest}, mean {mean}"));
            let width = screen::beside(name.chars().count() + range.chars().count(), WIDTH);
            let _ = writeln!(text, "{name}{}{range}", blocks(line, most, width));
        }
    }
    text
}

fn blocks(line: &Line, most: f64, width: usize) -> String {
    let points = || line.stretches.iter().flatten();
    let from = points().map(|point| point.0).fold(f64::MAX, f64::min);
    let to = points().map(|point| point.0).fold(f64::MIN, f64::max);
    let mut columns = vec![None::<f64>; width];
    for (seconds, value) in points() {
        let share = (seconds - from) / (to - from).max(f64::MIN_POSITIVE);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a column")]
        let column = ((share * width as f64) as usize).min(width - 1);
        columns[column] = Some(columns[column].map_or(*value, |known| known.max(*value)));
    }
    let block = |value: Option<f64>| {
        let Some(value) = value else { return ' ' };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a height")]
        let height = (value / most.max(f64::MIN_POSITIVE) * BLOCKS.len() as f64) as usize;
        BLOCKS[height.min(BLOCKS.len() - 1)]
    };
    columns.into_iter().map(block).collect()
}
