//! Shows how far a campaign is: one line that changes at a terminal, else a line an event.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::status::{Outcome, outcome};
use crate::fitness::Progress;
use crate::fitness::temperature::hottest;
use crate::metric::Sample;
use crate::record::{Recorded, Watcher};
use crate::run::Score;
use crate::run::manifest::Summary;
use crate::sample::Snapshot;
use crate::say;
use crate::source::llama::GENERATED_SPEED;
use crate::source::shared::POWER;
use crate::tool::Phase;
use crate::visible;

/// How a speed is called in the archive.
const SPEED: &str = "tokens_per_second";

/// The display of one campaign.
pub struct Display {
    /// None where standard error is no terminal.
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cells: usize,
    ended: usize,
    cell: String,
    left: String,
    phase: String,
    speed: String,
    /// Tokens a second that servers generate, where they say it.
    served: Option<f64>,
    watts: Option<f64>,
    celsius: Option<f64>,
}

impl fmt::Debug for Display {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Display").finish_non_exhaustive()
    }
}

impl Display {
    /// A display on standard error.
    pub fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            // The template is constant and good.
            let style = ProgressStyle::with_template("{prefix}\n  {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self { bar, state: Mutex::default() }
    }

    /// The campaign begins or goes on.
    pub(crate) fn begin(&self, cells: usize, done: usize) {
        *self.state() = State { cells, ended: done, ..State::default() };
        if done > 0 {
            self.line(&format!("{done} of {cells} cells are done already"));
        }
    }

    /// A cell begins.
    pub(crate) fn cell(&self, cell: &impl fmt::Display, left: String) {
        let mut state = self.state();
        let (cells, ended) = (state.cells, state.ended);
        let line = format!("[{}/{cells}] {cell}; left: {left}", ended + 1);
        *state = State { cells, ended, cell: cell.to_string(), left, ..State::default() };
        "the machine alone".clone_into(&mut state.phase);
        drop(state);
        if self.bar.is_none() {
            self.line(&line);
        }
        self.draw();
    }

    /// A cell ended.
    pub(super) fn ended(&self, cell: &impl fmt::Display, recorded: &Recorded) {
        let manifest = &recorded.manifest;
        let text = match outcome(manifest) {
            Outcome::Done if !manifest.scores.is_empty() => scores(&manifest.scores),
            // Where every line stays, the speeds stand above.
            Outcome::Done if self.bar.is_none() => "done".to_owned(),
            Outcome::Done => speeds(&manifest.summary),
            Outcome::Failed(reason) => format!("failed: {reason}"),
            Outcome::Open | Outcome::Removed => "not finished".to_owned(),
        };
        self.tell_end(cell, &text);
        for problem in &manifest.problems {
            self.line(&format!("  {problem}"));
        }
    }

    /// A cell could not be started.
    pub(super) fn refused(&self, cell: &impl fmt::Display, reason: &str) {
        self.tell_end(cell, &format!("not run: {reason}"));
    }

    /// Something ended that is told in these words.
    pub(crate) fn tell_end(&self, cell: &impl fmt::Display, text: &str) {
        let mut state = self.state();
        state.ended += 1;
        let (cells, ended) = (state.cells, state.ended);
        drop(state);
        self.line(&format!("[{ended}/{cells}] {cell}: {text}"));
    }

    /// The campaign has ended: nothing that changes stays on the terminal.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(visible::text(text)),
            None => say::tell("halo-record", text),
        }
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            let (cell, text) = self.state().texts();
            bar.set_prefix(visible::line(&cell).into_owned());
            bar.set_message(visible::line(&text).into_owned());
            bar.tick();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The cell, and what happens in it.
    fn texts(&self) -> (String, String) {
        let mut text = self.phase.clone();
        if let Some(watts) = self.watts {
            let _ = write!(text, " | {watts:.0} W");
        }
        if let Some(celsius) = self.celsius {
            let _ = write!(text, " | {celsius:.0} °C");
        }
        if !self.speed.is_empty() {
            let _ = write!(text, " | {}", self.speed);
        }
        if let Some(served) = self.served {
            let _ = write!(text, " | {served:.1} tokens/s");
        }
        let _ = write!(text, " | left: {}", self.left);
        (format!("[{}/{}] {}", self.ended + 1, self.cells, self.cell), text)
    }
}

/// What an eval scored.
fn scores(scores: &[Score]) -> String {
    let text = |score: &Score| format!("{} {} {:.3}", score.task, score.metric, score.value);
    scores.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// How fast the cases of a benchmark were.
fn speeds(summary: &[Summary]) -> String {
    let speeds = summary.iter().filter(|figure| figure.metric == SPEED);
    let speeds: Vec<String> =
        speeds.map(|figure| format!("{} {:.2}", figure.case, figure.mean)).collect();
    if speeds.is_empty() { "done".to_owned() } else { format!("{} tokens/s", speeds.join(", ")) }
}

impl Watcher for Display {
    fn cooling(&self, progress: &Progress) {
        let now = progress.hottest.as_ref().map(|hottest| format!("{:.0}", hottest.celsius));
        let now = now.as_deref().unwrap_or("?");
        let text = format!("cooling: {now} °C, to {} °C", progress.limit);
        let mut state = self.state();
        let is_new = !state.phase.starts_with("cooling");
        state.phase.clone_from(&text);
        drop(state);
        if is_new && self.bar.is_none() {
            self.line(&format!("  {text}"));
        }
        self.draw();
    }

    fn started(&self) {
        "running".clone_into(&mut self.state().phase);
        self.draw();
    }

    fn phase(&self, phase: &Phase) {
        let attribute = |name: &str| phase.attributes.get(name).map(String::as_str);
        let mut state = self.state();
        phase.name.clone_into(&mut state.phase);
        if let (Some(repetition), Some(of)) = (attribute("repetition"), attribute("repetitions")) {
            let _ = write!(state.phase, " {repetition}/{of}");
        }
        if let Some(sample) = attribute("sample") {
            let _ = write!(state.phase, " {sample}");
        }
        if let (Some(done), Some(of)) = (attribute("done"), attribute("of")) {
            let _ = write!(state.phase, " {done}/{of}");
        }
        let speed = attribute("case").zip(attribute(SPEED).and_then(|text| text.parse().ok()));
        let speed = speed.map(|(case, speed): (_, f64)| format!("{case}: {speed:.2} tokens/s"));
        let is_new = speed.is_some();
        state.speed = speed.unwrap_or_else(|| std::mem::take(&mut state.speed));
        let said = state.speed.clone();
        drop(state);
        if is_new && self.bar.is_none() {
            self.line(&format!("  {said}"));
        }
        self.draw();
    }

    fn sample(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        let is_socket = |sample: &&Sample| {
            sample.def.name == POWER.def().name
                && sample.labels.iter().any(|label| &**label == "socket")
        };
        let watts = snapshot.values().find(is_socket).map(|sample| sample.value);
        let celsius = hottest(snapshot.values()).map(|hottest| hottest.celsius);
        let served = snapshot
            .values()
            .filter(|sample| sample.def.name == GENERATED_SPEED.def().name)
            .map(|sample| sample.value)
            .reduce(|sum, value| sum + value);
        // A source that is read less often than the machine is sampled keeps what it said.
        state.watts = watts.or(state.watts);
        state.celsius = celsius.or(state.celsius);
        state.served = served.or(state.served);
        drop(state);
        self.draw();
    }
}
