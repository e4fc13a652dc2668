//! Whether a machine is fit to measure, as text for a terminal.

use std::fmt::Write;

use crate::fitness::{Finding, State};

/// What was found, a line a check, with what to do below where something is not as it should be.
pub fn findings(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let Finding { check, state, says, remedy } = finding;
        let _ = writeln!(text, "{:<7}  {check:<width$}  {says}", state.as_str());
        if let Some(remedy) = remedy.as_ref().filter(|_| *state != State::Good) {
            let _ = writeln!(text, "{:<7}  {:<width$}  {remedy}", "", "→");
        }
    }
    text
}
