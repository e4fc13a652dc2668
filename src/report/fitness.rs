//! Whether a machine is fit to measure, as text for a terminal.

use super::terminal::{plain_table, trimmed};
use crate::fitness::Finding;

/// What was found, one line a check.
pub fn findings(findings: &[Finding]) -> String {
    let mut table = plain_table(&["check", "state", "what is so", "what to do"]);
    for finding in findings {
        let remedy = finding.remedy.as_deref().unwrap_or_default();
        table.add_row([finding.check, finding.state.as_str(), &finding.says, remedy]);
    }
    trimmed(&table)
}
