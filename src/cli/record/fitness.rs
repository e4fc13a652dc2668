//! The flags of what a run requires of the machine, and of `halo-record check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::UsageError;
use super::recording::Machine;
use super::values;
use crate::fitness::Requirements;
use crate::source::tuning::checks::Group;

/// The slowest sampling that can end a command before the machine overheats.
const SLOWEST_GUARD: Duration = Duration::from_secs(1);

const HEADING: &str = "Fit to measure";

/// What a run requires.
#[derive(Debug, Args)]
pub(super) struct Fitness {
    /// Wait before each command until the hottest part of the processor is at or below this, in
    /// degrees Celsius
    #[arg(long, value_name = "C", value_parser = values::celsius, help_heading = HEADING)]
    cool_to: Option<f64>,
    /// How long that may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    #[arg(help_heading = HEADING)]
    cool_timeout: Duration,
    /// Refuse to begin where the graphics processor is in use
    #[arg(long, help_heading = HEADING)]
    require_idle: bool,
    /// Refuse to begin where a tuning check of this group fails: core, power or runtime; may be
    /// given several times
    #[arg(long, value_name = "GROUP", value_parser = values::group, help_heading = HEADING)]
    require_check: Vec<Group>,
    /// End a command while which a part of the processor is above this twice in a row, in degrees
    /// Celsius
    #[arg(long, value_name = "C", value_parser = values::celsius, help_heading = HEADING)]
    abort_above: Option<f64>,
    /// End a command that takes longer; the time is looked at with every sample, see --interval
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = HEADING)]
    timeout: Option<Duration>,
}

impl Fitness {
    /// What is required of a machine that is sampled so often.
    pub(super) fn requirements(&self, interval: Duration) -> Result<Requirements, UsageError> {
        if let Some((cool, abort)) = self.cool_to.zip(self.abort_above)
            && cool >= abort
        {
            return Err(UsageError(format!(
                "--cool-to {cool}: expected less than --abort-above {abort}, else the command is ended at once"
            )));
        }
        if self.abort_above.is_some() && interval > SLOWEST_GUARD {
            return Err(UsageError(format!(
                "--interval {interval:?}: --abort-above needs {SLOWEST_GUARD:?} or less to see heat in time"
            )));
        }
        Ok(Requirements {
            cool_to: self.cool_to,
            cool_timeout: self.cool_timeout,
            require_idle: self.require_idle,
            require_check: self.require_check.clone(),
            abort_above: self.abort_above,
            timeout: self.timeout,
        })
    }
}

/// What `halo-record check` looks at.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// A model that shall fit into memory
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// The temperature that the hottest part of the processor shall not exceed, in degrees Celsius
    /// [default: 60]
    #[arg(long, value_name = "C", value_parser = values::celsius)]
    pub(super) cool_to: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) machine: Machine,
}
