//! The flags of `halo-record list`.

use clap::Args;
use jiff::Timestamp;

use super::values;
use crate::archive::filter::Filter;
use crate::run::manifest::State;

/// Which runs are meant.
#[derive(Debug, Args)]
pub(super) struct FilterFlags {
    /// Runs with this tag; may be given several times
    #[arg(long = "tag", value_name = "NAME|KEY=VALUE", value_parser = values::tag)]
    tags: Vec<(String, Option<String>)>,
    /// Runs of models with this in their name
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,
    /// Runs of this tool
    #[arg(long)]
    tool: Option<String>,
    /// Runs of this campaign
    #[arg(long)]
    campaign: Option<String>,
    /// Runs in this state
    #[arg(long, value_parser = values::state)]
    state: Option<State>,
    /// Runs since a date, a time, or as long ago as 2d or 3h
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    since: Option<Timestamp>,
    /// Runs until then
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    until: Option<Timestamp>,
}

impl From<FilterFlags> for Filter {
    fn from(flags: FilterFlags) -> Self {
        Self {
            tags: flags.tags,
            model: flags.model,
            tool: flags.tool,
            campaign: flags.campaign,
            state: flags.state,
            since: flags.since,
            until: flags.until,
        }
    }
}
