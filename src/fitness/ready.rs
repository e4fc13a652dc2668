//! What a run requires of the machine before it begins, and waiting for it.

use std::time::{Duration, Instant};

use super::machine::Look;
use super::temperature::Temperature;
use super::{Finding, Machine, Pause, State, Unfit, checks};
use crate::config::Config;
use crate::quantity;
use crate::run::campaign::Fitness;
use crate::source::tuning;
use crate::source::tuning::checks::Group;

/// How often the temperature is looked at while the machine cools.
const POLL: Duration = Duration::from_secs(1);

/// How long a graphics processor may take to be idle: what ran before has just ended, and firmware
/// tells of it for a second or two.
const SETTLE: Duration = Duration::from_secs(10);

/// What a run requires. By default nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirements {
    /// The temperature that the hottest part shall have come down to, in degrees Celsius.
    pub cool_to: Option<f64>,
    /// How long that is waited for.
    pub cool_timeout: Duration,
    /// Whether the graphics processor shall be idle.
    pub require_idle: bool,
    /// The groups of tuning checks none of which may fail.
    pub require_check: Vec<Group>,
    /// The temperature above which the command is ended, in degrees Celsius.
    pub abort_above: Option<f64>,
    /// How long the command may take.
    pub timeout: Option<Duration>,
}

impl Default for Requirements {
    fn default() -> Self {
        Self {
            cool_to: None,
            cool_timeout: Duration::from_mins(10),
            require_idle: false,
            require_check: Vec::new(),
            abort_above: None,
            timeout: None,
        }
    }
}

impl Requirements {
    /// Whether nothing is required.
    pub fn is_empty(&self) -> bool {
        let Self { cool_to, cool_timeout: _, require_idle, require_check, abort_above, timeout: _ } =
            self;
        let has_limit = cool_to.is_some() || abort_above.is_some();
        !has_limit && !require_idle && require_check.is_empty()
    }
}

impl From<&Requirements> for Fitness {
    fn from(requirements: &Requirements) -> Self {
        let groups = requirements.require_check.iter();
        Self {
            cool_to: requirements.cool_to,
            cool_timeout_seconds: Some(requirements.cool_timeout.as_secs_f64()),
            require_idle: requirements.require_idle,
            require_check: groups.map(|group| group.as_str().to_owned()).collect(),
            abort_above: requirements.abort_above,
            timeout_seconds: requirements.timeout.map(|timeout| timeout.as_secs_f64()),
        }
    }
}

impl TryFrom<&Fitness> for Requirements {
    /// What cannot be required.
    type Error = String;

    fn try_from(fitness: &Fitness) -> Result<Self, String> {
        let group = |name: &String| {
            let group = Group::ALL.into_iter().find(|group| group.as_str() == name);
            group.ok_or_else(|| format!("{name}: this halo knows no such group of checks"))
        };
        let time = |name: &str, seconds: Option<f64>| {
            let time = seconds.map(Duration::try_from_secs_f64).transpose();
            time.map_err(|error| format!("{name}: {error}"))
        };
        let cool_timeout = time("cool_timeout", fitness.cool_timeout_seconds)?;
        Ok(Self {
            cool_to: fitness.cool_to,
            cool_timeout: cool_timeout.unwrap_or(Self::default().cool_timeout),
            require_idle: fitness.require_idle,
            require_check: fitness.require_check.iter().map(group).collect::<Result<_, _>>()?,
            abort_above: fitness.abort_above,
            timeout: time("timeout", fitness.timeout_seconds)?,
        })
    }
}

/// How far a machine has cooled.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The hottest part; none where it is not known at the moment.
    pub hottest: Option<Temperature>,
    /// What it shall come down to, in degrees Celsius.
    pub limit: f64,
    /// How long it may still take.
    pub left: Duration,
}

/// A machine that is as required.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Waited {
    /// How long that took.
    pub time: Duration,
    /// The hottest part at the end; none where nothing was required or it is not known.
    pub hottest: Option<Temperature>,
}

/// Waits until a machine is as required; returns at once where nothing is.
///
/// `pause` sleeps and says which signal came meanwhile; `tell` hears about once a second how far
/// the machine has cooled.
///
/// # Errors
///
/// What is not as required, or the signal that came.
pub fn ready(
    requirements: &Requirements,
    config: &Config,
    pause: Pause<'_>,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Waited, Unfit> {
    if requirements.is_empty() {
        return Ok(Waited::default());
    }
    let began = Instant::now();
    let look = Look::open(config)?;
    let mut hottest = look.hottest()?;
    let limits = [("--cool-to", requirements.cool_to), ("--abort-above", requirements.abort_above)];
    let limit = limits.iter().find_map(|(flag, limit)| Some((flag, (*limit)?)));
    if let (Some((flag, limit)), None) = (limit, &hottest) {
        return Err(Unfit::Refused(format!(
            "{flag} {limit}: no temperature of this machine is known; `halo-exporter --doctor` says why, or leave the flag away"
        )));
    }
    // What no waiting changes comes first.
    require_checks(&look, &requirements.require_check)?;
    if requirements.require_idle {
        require_idle(&look, pause)?;
    }
    if let Some(limit) = requirements.cool_to {
        let cooling = Instant::now();
        hottest = cool(&look, limit, requirements.cool_timeout, pause, tell)?;
        // Somebody may have begun something meanwhile.
        if requirements.require_idle && cooling.elapsed() >= POLL {
            require_idle(&look, pause)?;
        }
    }
    if let (Some(limit), Some(now)) = (requirements.abort_above, &hottest)
        && now.celsius > limit
    {
        return Err(Unfit::Refused(format!(
            "--abort-above {limit}: the machine is at {now} before anything runs; wait with --cool-to, or raise the limit"
        )));
    }
    Ok(Waited { time: began.elapsed(), hottest })
}

fn require_checks(look: &Look, groups: &[Group]) -> Result<(), Unfit> {
    if groups.is_empty() {
        return Ok(());
    }
    let snapshot = look.read(|source| source.name == tuning::SOURCE.name)?;
    let machine = Machine::of(&[snapshot.values().cloned().collect()]);
    for &group in groups {
        let findings = checks::tuning(&machine, group);
        let name = group.as_str();
        if findings.iter().all(|finding| finding.state == State::Unknown) {
            return Err(Unfit::Refused(format!(
                "--require-check {name}: none of its checks can be told; `halo-exporter --doctor` says why"
            )));
        }
        let bad: Vec<&Finding> = findings.iter().filter(|f| f.state == State::Bad).collect();
        if let Some(first) = bad.first() {
            let names: Vec<&str> = bad.iter().map(|finding| finding.check).collect();
            return Err(Unfit::Refused(format!(
                "--require-check {name}: {} failed; for {}: {}; `halo-record check` shows all",
                names.join(", "),
                first.check,
                first.remedy.as_deref().unwrap_or(&first.says)
            )));
        }
    }
    Ok(())
}

fn require_idle(look: &Look, pause: Pause<'_>) -> Result<(), Unfit> {
    let began = Instant::now();
    loop {
        let finding = checks::gpu_idle(&look.gather(pause)?);
        if finding.state == State::Good {
            return Ok(());
        }
        if finding.state == State::Unknown || began.elapsed() >= SETTLE {
            let remedy = finding.remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
            return Err(Unfit::Refused(format!("--require-idle: {}{remedy}", finding.says)));
        }
    }
}

/// Waits until the hottest part is at or below a limit.
fn cool(
    look: &Look,
    limit: f64,
    timeout: Duration,
    pause: Pause<'_>,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Option<Temperature>, Unfit> {
    let began = Instant::now();
    loop {
        let hottest = look.hottest()?;
        if hottest.as_ref().is_some_and(|hottest| hottest.celsius <= limit) {
            return Ok(hottest);
        }
        let left = timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            let now = hottest.map_or_else(
                || "the temperature is not known any more".to_owned(),
                |hottest| format!("still at {hottest}"),
            );
            return Err(Unfit::Refused(format!(
                "--cool-to {limit}: {now} after {}; `halo-record check` shows what keeps it warm; else raise --cool-to or --cool-timeout",
                quantity::time(timeout)
            )));
        }
        tell(&Progress { hottest, limit, left });
        if let Some(signal) = pause(POLL.min(left)) {
            return Err(Unfit::Signal(signal));
        }
    }
}
