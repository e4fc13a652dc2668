//! Whether a machine is fit to measure, as text for a terminal.

use std::fmt::Write;

use super::screen;
use crate::fitness::{Finding, State};

/// The width of a state, and what is between two columns.
const STATE: usize = 7;
const GAP: usize = 2;

/// What was found, a line a check, with what to do below where something is not as it should be.
pub fn findings(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let Finding { check, state, says, remedy } = finding;
        let _ = writeln!(text, "{:<STATE$}  {check:<width$}  {says}", state.as_str());
        if let Some(remedy) = remedy.as_ref().filter(|_| *state != State::Good) {
            let _ = writeln!(text, "{:<STATE$}  {:<width$}  {remedy}", "", "→");
        }
    }
    screen::wrapped(&text, STATE + GAP + width + GAP)
}
