//! Whether something may be removed.

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ConsentFlags {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove without asking, as scripts must
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
}

/// Whether what is shown may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// The user is asked.
    Asked,
    /// The user said so.
    Given,
    /// Nothing is removed.
    DryRun,
}

impl From<ConsentFlags> for Consent {
    fn from(flags: ConsentFlags) -> Self {
        match flags {
            ConsentFlags { dry_run: true, .. } => Self::DryRun,
            ConsentFlags { yes: true, .. } => Self::Given,
            ConsentFlags { .. } => Self::Asked,
        }
    }
}
