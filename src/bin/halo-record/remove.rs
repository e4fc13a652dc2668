//! Removes runs, after it was shown what goes.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use halo::archive::Archive;
use halo::archive::remove::{self, Removal};
use halo::cli::record::Consent;
use halo::say;

use super::{USAGE, print, refuse};

/// Removes the runs and campaigns of these names.
pub(super) fn named(
    archive: &Archive,
    words: &[String],
    consent: Consent,
) -> anyhow::Result<ExitCode> {
    act(archive, remove::named(archive, words)?, consent)
}

/// Removes all runs but the newest.
pub(super) fn surplus(
    archive: &Archive,
    keep: usize,
    consent: Consent,
) -> anyhow::Result<ExitCode> {
    act(archive, remove::surplus(archive, keep)?, consent)
}

fn act(archive: &Archive, mut removal: Removal, consent: Consent) -> anyhow::Result<ExitCode> {
    if removal.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if consent != Consent::Given {
        for name in names(&removal) {
            print(&format!("would remove {name}\n"))?;
        }
    }
    if consent == Consent::DryRun {
        return Ok(ExitCode::SUCCESS);
    }
    if consent == Consent::Asked {
        if !io::stdin().is_terminal() {
            let text = "nothing was removed: standard input is not a terminal, so nobody can be \
                        asked; --yes removes without asking";
            return Ok(refuse(&text, USAGE));
        }
        if !is_agreed(&removal)? {
            return Ok(refuse(&"nothing was removed", 1));
        }
    }
    for run in std::mem::take(&mut removal.runs) {
        let name = run.name().to_owned();
        removal.remove_run(archive, run)?;
        print(&format!("removed {name}\n"))?;
    }
    for campaign in &removal.campaigns {
        Removal::remove_campaign(archive, campaign)?;
        print(&format!("removed campaign {}\n", campaign.name))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn names(removal: &Removal) -> Vec<String> {
    let runs = removal.runs.iter().map(|run| run.name().to_owned());
    let campaigns = removal.campaigns.iter().map(|campaign| format!("campaign {}", campaign.name));
    runs.chain(campaigns).collect()
}

fn is_agreed(removal: &Removal) -> io::Result<bool> {
    let count = names(removal).len();
    let what = if count == 1 { "this".to_owned() } else { format!("these {count}") };
    say::ask(&format!("Remove {what}? [y/N]"))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
