//! Which part of a run did what: windows of time, from the marks.

use super::telemetry::Event;
use crate::run::manifest::Case;

/// The marks that the recorder itself makes.
const STARTED: &str = "command started";
const ENDED: &str = "command ended";

/// The mark that the recorder makes when a server has ended the last request, where that was after
/// the command's end.
pub const SERVER_IDLE: &str = "server idle";

/// A span of time, in nanoseconds since the recording began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its first moment.
    pub from: i64,
    /// Its end, which does not belong to it.
    pub to: i64,
}

impl Window {
    /// Its length in seconds; 0 where it ends before it begins.
    pub fn seconds(self) -> f64 {
        self.to.saturating_sub(self.from).max(0) as f64 / 1e9
    }

    /// Whether a moment lies in it.
    pub fn holds(self, at: i64) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// The part that two windows share.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        let shared = Self { from: self.from.max(other.from), to: self.to.min(other.to) };
        (shared.from < shared.to).then_some(shared)
    }
}

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// It processes a prompt: prefill.
    Prompt,
    /// It generates tokens: decode.
    Generation,
}

impl Work {
    /// As it stands in the marks and in the archive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Generation => "generation",
        }
    }

    /// The work that the parameters of a case tell the number of tokens of.
    const fn parameter(self) -> &'static str {
        match self {
            Self::Prompt => "n_prompt",
            Self::Generation => "n_gen",
        }
    }
}

/// One repetition of a case doing one kind of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// The benchmark, as in the results.
    pub task: String,
    /// What was measured in it, as `pp512`.
    pub case: String,
    /// What the model did.
    pub work: Work,
    /// Which repetition, from 1, as the tool counts.
    pub repetition: Option<u32>,
    /// Tokens that it was about.
    pub tokens: Option<u64>,
    /// When.
    pub window: Window,
}

/// From the start of the command to its end, or to that of the last request to a server; none where
/// it was never started. The end of a command that nobody saw ending is the last that is known.
pub fn command(events: &[Event], last: i64) -> Option<Window> {
    let at = |name: &str| events.iter().find(|event| event.by == "halo" && event.name == name);
    let from = at(STARTED)?.at;
    let ended = at(ENDED).map_or(last, |event| event.at);
    let to = at(SERVER_IDLE).map_or(ended, |event| event.at.max(ended));
    Some(Window { from, to })
}

/// The measured phases that a tool told, in the order of time. `cases` are those of the manifest,
/// which the tool numbers in its marks.
pub fn measured(events: &[Event], cases: &[Case], command: Window) -> Vec<Phase> {
    let told: Vec<&Event> = events.iter().filter(|event| event.by == "tool").collect();
    let mut phases = Vec::new();
    for (index, event) in told.iter().enumerate() {
        let work = match event.name.as_str() {
            "prompt" => Work::Prompt,
            "generation" => Work::Generation,
            _ => continue,
        };
        let number = |name: &str| event.attributes.get(name)?.parse::<u32>().ok();
        // Where a command ran the tool more than once, the numbers begin anew, and a number says no
        // longer which case it is.
        let begins_anew = number("tests").is_some_and(|tests| (tests as usize) < cases.len());
        let Some(case) = number("test")
            .filter(|_| !begins_anew)
            .and_then(|test| usize::try_from(test).ok()?.checked_sub(1))
            .and_then(|index| cases.get(index))
        else {
            continue;
        };
        let to = told.get(index + 1).map_or(command.to, |next| next.at);
        phases.push(Phase {
            task: case.task.clone(),
            case: case.case.clone(),
            work,
            repetition: number("repetition"),
            tokens: case.parameters.get(work.parameter()).and_then(serde_json::Value::as_u64),
            window: Window { from: event.at, to },
        });
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::{Case, Event, Window, measured};

    #[test]
    fn numbers_that_begin_anew_are_no_cases() {
        let event = |at: i64, test: &str| Event {
            at,
            by: "tool".to_owned(),
            name: "prompt".to_owned(),
            attributes: [("test", test), ("tests", "2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        let case = |name: &str| Case {
            task: "llama-bench".to_owned(),
            case: name.to_owned(),
            parameters: [("n_prompt".to_owned(), 512.into())].into(),
        };
        let command = Window { from: 0, to: 9 };
        let cases = ["pp512", "pp1024", "pp512 #2", "pp1024 #2"].map(case);
        let once = [event(1, "1"), event(2, "2")];
        let phases = measured(&once, &cases[..2], command);
        let named: Vec<&str> = phases.iter().map(|phase| phase.case.as_str()).collect();
        assert_eq!(named, ["pp512", "pp1024"]);
        // A command that ended early has fewer cases than tests.
        assert_eq!(measured(&once[..1], &cases[..1], command).len(), 1);
        let twice = [&once[..], &[event(3, "1"), event(4, "2")]].concat();
        assert_eq!(measured(&twice, &cases, command), []);
    }
}
