//! The flags of `halo-record compare`.

use std::collections::BTreeSet;

use clap::Args;

use super::super::UsageError;
use crate::analyze::compare::gate::{Condition, KNOWN};
use crate::near::near;

pub(super) const HELP: &str = "\
Each side is a run, a campaign, a tag, or filters by tag, model, tool and campaign:
  halo-record compare 20261124T0355 latest
  halo-record compare tag=before tag=after
  halo-record compare tag=kv=f16,model=qwen tag=kv=q8_0,model=qwen
  halo-record compare kv-sweep --by kv
  halo-record compare main branch --fail-on 'tokens_per_second < -3%'

A difference is called better or worse where it is more than chance (p below 0.05 over all cells of \
its metric, or over all that --fail-on names) and the runs can be compared; ~ where it is no more \
than chance. The intervals are of 95 %. docs/measuring.md says how, and how many runs find what.

Exit codes: 0 fine; 1 a condition of --fail-on holds; 3 nobody can tell: too few values, or runs \
that cannot be compared; 2 for what is refused; 125 where halo itself failed.";

/// The flags of `halo-record compare`.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The sides; the first is what the others are compared with
    #[arg(required = true, value_name = "SIDE")]
    pub(super) sides: Vec<String>,
    /// Put all runs together, and apart by this: model, backend, kv, batch, or a tag
    #[arg(long, value_name = "NAME")]
    pub(super) by: Option<String>,
    #[command(flatten)]
    pub(super) gate: Gate,
}

/// What becomes of a comparison.
#[derive(Debug, Args)]
pub(super) struct Gate {
    /// Fail where this holds, as `tokens_per_second < -3%`; may be given several times
    #[arg(long, value_name = "CONDITION")]
    pub(super) fail_on: Vec<Condition>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What is compared, and for whom.
#[derive(Debug)]
pub struct Compared {
    /// The sides, in the user's words.
    pub sides: Vec<String>,
    /// What puts runs apart.
    pub by: Option<String>,
    /// On what it fails.
    pub conditions: Vec<Condition>,
}

/// Refuses a condition on a metric that nobody knows.
///
/// # Errors
///
/// Where a metric is neither one that halo or a tool is known to have nor among the `measured` ones.
pub fn refuse_unknown(
    conditions: &[Condition],
    measured: &BTreeSet<String>,
) -> Result<(), UsageError> {
    let known = || measured.iter().map(String::as_str).chain(KNOWN);
    let Some(unknown) =
        conditions.iter().find(|condition| !known().any(|metric| condition.is_about(metric)))
    else {
        return Ok(());
    };
    let metric = &unknown.metric;
    // Of names that are as near, the shortest has the least besides.
    let mut by_length: Vec<&str> = known().collect();
    by_length.sort_by_key(|name| name.len());
    let near = near(metric, by_length.into_iter());
    let meant = near.first().map_or(String::new(), |name| format!("did you mean {name}? "));
    let (whose, names): (_, Vec<&str>) = if measured.is_empty() {
        ("known", KNOWN.to_vec())
    } else {
        ("measured", measured.iter().map(String::as_str).collect())
    };
    Err(UsageError(format!(
        "--fail-on {metric}: no such metric; {meant}{whose} are {}",
        names.join(", ")
    )))
}
