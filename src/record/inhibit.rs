//! Keeps the machine from going to sleep while a run lasts.

use crate::process::Companion;

/// Held while the machine must not sleep.
#[derive(Debug)]
pub(super) struct Inhibition(Companion);

impl Inhibition {
    /// Asks systemd's login manager not to suspend. systemd-inhibit holds its lock until the
    /// program that it runs ends, and `cat` ends when halo does, however that comes about.
    /// Nothing is given where there is no systemd-inhibit.
    pub(super) fn begin(run: &str) -> Option<Self> {
        let program = super::find_program("systemd-inhibit")?;
        let why = format!("--why=recording {run}");
        let arguments = ["--what=sleep:idle", "--who=halo-record", &why, "--mode=block", "cat"];
        Companion::start(&program, &arguments).ok().map(Self)
    }

    /// Whether the machine was kept awake until now: systemd-inhibit ends at once where no login
    /// manager answers.
    pub(super) fn has_held(&mut self) -> bool {
        !self.0.has_ended()
    }
}
