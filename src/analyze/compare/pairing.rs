//! Values that belong together because the sides ran in turn.

use std::collections::BTreeMap;

use super::Run;
use super::cells::Measured;
use crate::analyze::stats;
use crate::run::Cell;

/// The tag that says in which round a run was made.
pub const ROUND: &str = "round";

/// The means of the rounds that both sides have, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pairs {
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
}

/// The pairs of two sides; none where they did not run in turn: rounds of one campaign.
pub(super) fn of(first: &[(&Run, &Measured)], second: &[(&Run, &Measured)]) -> Option<Pairs> {
    let (first, second) = (rounds(first)?, rounds(second)?);
    let both: Vec<(f64, f64)> = first
        .iter()
        .filter_map(|(round, one)| Some((stats::mean(one)?, stats::mean(second.get(round)?)?)))
        .collect();
    let (first, second): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
    (first.len() > 1).then_some(Pairs { first, second })
}

/// The means of a side's runs by campaign and round; none where a run has no round.
fn rounds<'a>(side: &[(&'a Run, &Measured)]) -> Option<BTreeMap<(&'a str, u32), Vec<f64>>> {
    let mut rounds: BTreeMap<(&str, u32), Vec<f64>> = BTreeMap::new();
    for (run, one) in side {
        let of_cell = run.manifest.cell.as_ref().and_then(Cell::round);
        let of_tag = || run.manifest.tags.get(ROUND)?.as_ref()?.parse().ok();
        let key = (run.manifest.campaign.as_deref()?, of_cell.or_else(of_tag)?);
        rounds.entry(key).or_default().push(one.mean());
    }
    Some(rounds)
}
