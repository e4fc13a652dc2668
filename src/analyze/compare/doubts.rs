//! Why runs may not be compared: what nobody may blame on the change that is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::Run;
use super::cells::MODEL;
use super::models::{self, Names};
use crate::analyze::verdict::{CLEAN, POWER_CAPPED, UNKNOWN};
use crate::run::manifest::{Flag, Manifest};

/// Facts that say which machine it was.
const MACHINE: [&str; 3] = ["host.cpu", "host.board", "memory.size"];

/// Limits that differ by less are alike, in watts.
const WATT: f64 = 1.0;

/// Doubts about all sides together, one sentence each. `by` are the dimensions that are compared.
pub(super) fn of(sides: &[Vec<&Run>], by: &[String], names: &Names) -> Vec<String> {
    let mut doubts = verdicts(sides);
    doubts.extend(twice(sides));
    doubts.extend(machines(sides));
    if !by.iter().any(|dimension| dimension == MODEL) {
        doubts.extend(models::differing(sides, names));
    }
    doubts
}

fn verdicts(sides: &[Vec<&Run>]) -> Vec<String> {
    let runs = || sides.iter().flatten();
    let is_capped_alone = |run: &&&Run| capping(&run.manifest).is_some();
    // A machine that is always capped at the same limit is comparable with itself.
    let mut cappings = runs().map(|run| capping(&run.manifest));
    let first = cappings.next().flatten();
    let is_alike = first.is_some_and(|first| {
        cappings.all(|other| other.is_some_and(|other| is_capped_alike(first, other)))
    });
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for run in runs().filter(|run| !(is_alike && is_capped_alone(run))) {
        for reason in reasons(&run.manifest) {
            by_reason.entry(reason).or_default().push(&run.name);
        }
    }
    let sentence = |(reason, runs): (String, Vec<&str>)| {
        let more = runs.len() - 1;
        let others = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{reason}: {}{others}", runs[0])
    };
    by_reason.into_iter().map(sentence).collect()
}

/// What is wrong with a run, in the words of its verdict.
fn reasons(manifest: &Manifest) -> Vec<String> {
    let Some(verdict) = &manifest.verdict else { return vec!["nobody judged it".to_owned()] };
    if verdict.label == CLEAN {
        return Vec::new();
    }
    let mut reasons: Vec<String> = verdict.reasons.iter().map(|flag| flag.reason.clone()).collect();
    if verdict.label == UNKNOWN {
        let missing = verdict.missing.first().map_or("no reason given", String::as_str);
        reasons.push(format!("verdict unknown ({missing})"));
    }
    reasons
}

/// The flag of a run that is capped and nothing else.
fn capping(manifest: &Manifest) -> Option<&Flag> {
    let verdict = manifest.verdict.as_ref().filter(|verdict| verdict.missing.is_empty())?;
    match &verdict.reasons[..] {
        [flag] if flag.reason == POWER_CAPPED => Some(flag),
        _ => None,
    }
}

/// Whether the same limiters were engaged at the same limits.
fn is_capped_alike(one: &Flag, other: &Flag) -> bool {
    let names = |flag: &Flag| flag.figures.keys().cloned().collect::<Vec<_>>();
    names(one) == names(other)
        && one
            .figures
            .iter()
            .filter(|(name, _)| name.starts_with("limit_watts."))
            .all(|(name, watts)| other.figures.get(name).is_some_and(|o| (o - watts).abs() <= WATT))
}

fn twice(sides: &[Vec<&Run>]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = sides.iter().flatten();
    all.filter(|run| !seen.insert(&run.manifest.id))
        .map(|run| format!("{} stands on several sides", run.name))
        .collect()
}

fn machines(sides: &[Vec<&Run>]) -> Option<String> {
    let fact = |run: &Run, name: &str| run.manifest.environment_at_start.facts.get(name).cloned();
    MACHINE.iter().find_map(|name| {
        let known: BTreeSet<String> =
            sides.iter().flatten().filter_map(|run| fact(run, name)).collect();
        let values: Vec<String> = known.into_iter().collect();
        (values.len() > 1).then(|| format!("several machines: {name} is {}", values.join(" and ")))
    })
}
