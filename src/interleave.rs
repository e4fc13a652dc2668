//! Two commands in turn, A B B A: what drifts meanwhile hits both alike.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::analyze::compare::{self, Comparison, Named, ROUND, Row, SIDE};
use crate::archive::{Archive, ArchiveError, RunDirectory, select};
use crate::campaign::display::Display;
use crate::config::Config;
use crate::fitness::Requirements;
use crate::process::foreground::Signals;
use crate::quantity;
use crate::record::{self, Membership, RecordError, Recorded, Request};
use crate::run::manifest::{Kind, State, Tags};
use crate::tool;

/// The sides, in the words of that tag.
const SIDES: [&str; 2] = ["a", "b"];

/// Before so many rounds nobody knows how much rounds vary, so that an interval that is narrow is so by
/// chance.
const LEAST_ROUNDS: usize = 6;

/// What a difference is looked for with where no condition names one: 3 %.
const SOUGHT: f64 = 0.03;

/// How much runs on a quiet machine vary: by 1 %.
const NOISE: f64 = 0.01;

/// How many cells a metric has: llama-bench measures prompt and generation.
const CELLS: usize = 2;

/// What decides whether an interval is narrow enough, where the tool measures it.
const SPEED: &str = "tokens_per_second";
/// The same for all other commands.
const DURATION: &str = "duration";

/// What the user wants to be run in turn.
#[derive(Debug)]
pub struct Asked {
    /// The two commands.
    pub commands: [Vec<OsString>; 2],
    /// How often each is run at most.
    pub rounds: u32,
    /// The least difference that a condition asks for, as a share.
    pub sought: Option<f64>,
    /// Stop when the interval of every difference reaches no farther from it than this share.
    pub precision: Option<f64>,
    /// Begin no round that would probably end later than this.
    pub budget: Option<Duration>,
    /// What the user says about each run.
    pub tags: Tags,
    /// How often the machine is sampled.
    pub interval: Duration,
    /// How long it is sampled before each command and after it.
    pub lead: Duration,
    /// Whether model files are hashed.
    pub hash_model: bool,
    /// What the machine must be like before each command.
    pub requirements: Requirements,
    /// Where the runs are archived.
    pub archive: Archive,
    /// Which sources are read, and where.
    pub config: Config,
}

/// What came out.
#[derive(Debug)]
pub struct Interleaved {
    /// Under which name of a campaign the runs are archived.
    pub name: String,
    /// Why it ended, in a sentence.
    pub why: String,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// Both sides; or why there is nothing to compare.
    pub comparison: Result<Comparison, String>,
}

impl Asked {
    /// Why the rounds will probably tell nothing, where they are too few for what is sought.
    pub fn too_few_rounds(&self) -> Option<String> {
        let sought = self.sought.filter(|sought| *sought > 0.0).unwrap_or(SOUGHT);
        let needed = compare::needed_rounds(sought, NOISE, CELLS);
        if needed.is_some_and(|needed| needed <= self.rounds) {
            return None;
        }
        let needed = needed.map_or("more than 1000".to_owned(), |needed| needed.to_string());
        Some(format!(
            "{} rounds are too few to call a difference of {} where runs vary by {}: {needed} needed",
            self.rounds,
            quantity::percent(sought),
            quantity::percent(NOISE),
        ))
    }
}

/// Runs the commands in turn, and compares what they measured.
///
/// # Errors
///
/// What was refused before anything ran, and what halo could not do.
pub fn run(asked: &Asked, display: &Arc<Display>) -> Result<Interleaved, RecordError> {
    let name = format!("{}-ab", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    let mut signals = Signals::catch()?;
    let mut runs: [Vec<RunDirectory>; 2] = [Vec::new(), Vec::new()];
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    display.begin(asked.rounds as usize * 2, 0);
    let mut why = format!("{} rounds", asked.rounds);
    let mut signal = None;
    'rounds: for round in 1..=asked.rounds {
        let round_begun = Instant::now();
        if asked.budget.is_some_and(|budget| begun.elapsed() + longest > budget) {
            why = format!("the budget is spent after {} rounds", round - 1);
            break;
        }
        for side in order(round) {
            let left = longest * (asked.rounds - round + 1);
            let what = format!("{}, round {round}: {}", SIDES[side], words(&asked.commands[side]));
            let left = if longest.is_zero() { "?".to_owned() } else { quantity::time(left) };
            display.cell(&what, left);
            let request = request(asked, &name, side, round);
            let watcher = Arc::clone(display) as Arc<dyn record::Watcher>;
            let recorded = match record::record_cell(&request, &mut signals, watcher) {
                Ok(recorded) => recorded,
                Err(RecordError::Signal(by)) => {
                    (why, signal) = ("interrupted".to_owned(), Some(by));
                    break 'rounds;
                }
                Err(error) => return Err(error),
            };
            display.tell_end(&what, &result(&recorded));
            runs[side].push(RunDirectory::at(asked.archive.directory().join(&recorded.name)));
            if let Some(by) = recorded.manifest.command.asked_to_end.or(signals.ending()) {
                (why, signal) = ("interrupted".to_owned(), Some(by));
                break 'rounds;
            }
            if recorded.manifest.state != State::Complete {
                why = format!("{} {} in round {round}", SIDES[side], recorded.manifest.state);
                break 'rounds;
            }
        }
        longest = longest.max(round_begun.elapsed());
        if let Some(precision) = asked.precision
            && runs[0].len() >= LEAST_ROUNDS
            && round < asked.rounds
            && compared(asked, &runs)?.is_ok_and(|found| is_narrow(&found, precision))
        {
            why = format!("the intervals are narrow enough after {round} rounds");
            break;
        }
    }
    display.finish();
    Ok(Interleaved { comparison: compared(asked, &runs)?, name, why, signal })
}

/// What a command measured, or how far it got.
fn result(recorded: &Recorded) -> String {
    let manifest = &recorded.manifest;
    let speeds = manifest.summary.iter().filter(|figure| figure.metric == SPEED);
    let speeds: Vec<String> =
        speeds.map(|one| format!("{} {:.2} tokens/s", one.case, one.mean)).collect();
    match (manifest.state, &speeds[..]) {
        (State::Complete, [_, ..]) => speeds.join(", "),
        (State::Complete, []) => {
            let times = manifest.command.started.zip(manifest.command.ended);
            times.map_or_else(String::new, |(started, ended)| {
                format!("{:.2} s", ended.duration_since(started).as_secs_f64())
            })
        }
        (state, _) => manifest.failure.clone().unwrap_or_else(|| state.to_string()),
    }
}

/// A B in one round, B A in the next.
fn order(round: u32) -> [usize; 2] {
    if round % 2 == 1 { [0, 1] } else { [1, 0] }
}

fn words(argv: &[OsString]) -> String {
    argv.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn request(asked: &Asked, name: &str, side: usize, round: u32) -> Request {
    let argv = asked.commands[side].clone();
    let own = [(SIDE, SIDES[side].to_owned()), (ROUND, round.to_string())];
    let own = own.map(|(tag, value)| (tag.to_owned(), Some(value)));
    Request {
        kind: if tool::recognize(&argv).is_some() { Kind::Benchmark } else { Kind::Run },
        argv,
        tags: asked.tags.clone().into_iter().chain(own).collect(),
        interval: asked.interval,
        lead: asked.lead,
        hash_model: asked.hash_model,
        min_phase: None,
        endpoint: None,
        server_timeout: None,
        campaign: Some(Membership { campaign: name.to_owned(), planned: None }),
        requirements: asked.requirements.clone(),
        archive: asked.archive.clone(),
        config: asked.config.clone(),
    }
}

fn compared(
    asked: &Asked,
    runs: &[Vec<RunDirectory>; 2],
) -> Result<Result<Comparison, String>, ArchiveError> {
    let mut named = Vec::new();
    for ((side, command), runs) in SIDES.iter().zip(&asked.commands).zip(runs) {
        let name = format!("{side}: {}", words(command));
        let (runs, unreadable) = select::read(runs);
        if let Some(error) = unreadable.into_iter().next() {
            return Err(ArchiveError(error.to_string()));
        }
        named.push(Named { name, runs });
    }
    Ok(compare::compare(named, None))
}

/// Whether every difference in what is measured is known well enough.
fn is_narrow(comparison: &Comparison, precision: f64) -> bool {
    let of = |metric: &str| -> Vec<&Row> {
        comparison.rows.iter().filter(|row| row.metric == metric).collect()
    };
    let speeds = of(SPEED);
    let rows = if speeds.is_empty() { of(DURATION) } else { speeds };
    let reach = |row: &&Row| {
        let difference = row.differences.first()?.as_ref()?;
        let (low, high) = difference.interval?;
        Some((high - difference.relative).max(difference.relative - low))
    };
    !rows.is_empty() && rows.iter().all(|row| reach(row).is_some_and(|reach| reach <= precision))
}
