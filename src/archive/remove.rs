//! Removing runs: what exactly is meant, and what the campaigns know of it afterwards.

use super::select::{self, Kind};
use super::{Archive, ArchiveError, RunDirectory, campaign, edit};
use crate::run::Campaign;
use crate::run::campaign::RemovedRun;

/// What would be removed.
#[derive(Debug, Default)]
pub struct Removal {
    /// Runs, the oldest first.
    pub runs: Vec<RunDirectory>,
    /// Campaigns, all of whose runs are among them.
    pub campaigns: Vec<Campaign>,
}

/// The runs and campaigns of exactly these names; a part of a name removes nothing.
///
/// # Errors
///
/// If one of the words is no whole name, or names what is being recorded: then nothing is meant.
pub fn named(archive: &Archive, words: &[String]) -> Result<Removal, ArchiveError> {
    let mut removal = Removal::default();
    for word in words {
        let selection = select::select(archive, word)?;
        match selection.kind {
            Kind::Run => {}
            Kind::Campaign => {
                if let Ok(campaign) = campaign::find(archive, word) {
                    removal.campaigns.push(campaign);
                }
            }
            kind => return Err(ArchiveError(not_whole(word, kind, &selection.runs))),
        }
        removal.runs.extend(selection.runs);
    }
    removal.runs.sort_unstable_by(|one, other| one.name().cmp(other.name()));
    removal.runs.dedup_by(|one, other| one.name() == other.name());
    for run in &removal.runs {
        if run.is_active() {
            return Err(ArchiveError(format!(
                "{}: is being recorded; wait for its end",
                run.name()
            )));
        }
    }
    removal.refuse_active_campaigns(archive)?;
    Ok(removal)
}

/// The oldest runs beyond as many as are kept, without those of campaigns that run now.
///
/// # Errors
///
/// If the archive cannot be listed.
pub fn surplus(archive: &Archive, keep: usize) -> Result<Removal, ArchiveError> {
    let mut runs = edit::surplus(archive, keep)?;
    runs.retain(|run| {
        let campaign = run.manifest().ok().and_then(|manifest| manifest.campaign);
        campaign.is_none_or(|name| !campaign::is_active(archive, &name))
    });
    Ok(Removal { runs, campaigns: Vec::new() })
}

fn not_whole(word: &str, kind: Kind, runs: &[RunDirectory]) -> String {
    let what = match kind {
        Kind::Tag => "is a tag",
        Kind::Filter => "is a filter",
        _ => "is a part of a name",
    };
    let names: Vec<&str> =
        runs.iter().take(select::MAX_CANDIDATES).map(RunDirectory::name).collect();
    let more = if runs.len() > names.len() { " …" } else { "" };
    format!("{word}: {what}, and nothing was removed; give whole names: {}{more}", names.join(" "))
}

impl Removal {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.campaigns.is_empty()
    }

    fn refuse_active_campaigns(&self, archive: &Archive) -> Result<(), ArchiveError> {
        let of_runs = self.runs.iter().filter_map(|run| run.manifest().ok()?.campaign);
        let named = self.campaigns.iter().map(|campaign| campaign.name.clone());
        match of_runs.chain(named).find(|name| campaign::is_active(archive, name)) {
            Some(name) => Err(ArchiveError(format!("{name}: is running; wait for its end"))),
            None => Ok(()),
        }
    }

    /// Removes a run, and tells its campaign first, so that this never says less than is true.
    ///
    /// # Errors
    ///
    /// If the run is being recorded, or something cannot be written.
    pub fn remove_run(&self, archive: &Archive, run: RunDirectory) -> Result<(), ArchiveError> {
        // A run that cannot be read is told of nowhere, and can be removed all the same.
        let manifest = run.manifest().ok();
        let of = manifest.and_then(|manifest| Some((manifest.campaign?, manifest.cell?)));
        let goes_too = |name: &str| self.campaigns.iter().any(|campaign| campaign.name == name);
        if let Some((name, cell)) = of.filter(|(name, _)| !goes_too(name))
            && campaign::exists(archive, &name)
        {
            let mut campaign = campaign::find(archive, &name)?;
            let removed = RemovedRun { run: run.name().to_owned(), cell };
            campaign::change(archive, &mut campaign, |campaign| campaign.removed.push(removed))?;
        }
        run.remove()
    }

    /// Removes the file of a campaign whose runs are gone.
    ///
    /// # Errors
    ///
    /// If it runs, or the file cannot be removed.
    pub fn remove_campaign(archive: &Archive, campaign: &Campaign) -> Result<(), ArchiveError> {
        campaign::remove(archive, campaign)
    }
}
