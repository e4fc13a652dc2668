//! Waits until the machine is as a run requires, before anything of the run is made.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{RecordError, Refusal, Request, Watcher, say, wait};
use crate::fitness::{Progress, Unfit, Waited, ready};
use crate::process::foreground::Signals;
use crate::quantity;

/// How often the user is told how far the machine has cooled.
const TELL: Duration = Duration::from_secs(15);

/// Waits. Who watches is told about once a second, else the user now and then.
pub(super) fn wait_until_fit(
    request: &Request,
    signals: &mut Signals,
    watcher: Option<&dyn Watcher>,
) -> Result<Waited, RecordError> {
    let told: Cell<Option<Instant>> = Cell::new(None);
    let mut tell = |progress: &Progress| match watcher {
        Some(watcher) => watcher.cooling(progress),
        None if told.get().is_none_or(|told| told.elapsed() >= TELL) => {
            told.set(Some(Instant::now()));
            say(&sentence(progress));
        }
        None => {}
    };
    let mut pause = |time| wait(time, signals);
    ready(&request.requirements, &request.config, &mut pause, &mut tell).map_err(
        |unfit| match unfit {
            Unfit::Refused(text) => Refusal(text).into(),
            Unfit::Signal(signal) => RecordError::Signal(signal),
        },
    )
}

fn sentence(progress: &Progress) -> String {
    let Progress { hottest, limit, left } = progress;
    let now = hottest.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    format!("cooling: {now}, waiting for {limit} °C for at most {}", quantity::time(*left))
}

/// What the manifest says of it.
pub(super) fn facts(waited: &Waited) -> impl Iterator<Item = (String, String)> {
    let celsius = waited.hottest.as_ref().map(|hottest| format!("{:.1}", hottest.celsius));
    let time = celsius.is_some() || !waited.time.is_zero();
    let time = time.then(|| format!("{:.1}", waited.time.as_secs_f64()));
    let facts = [("fitness.waited_seconds", time), ("fitness.temperature_celsius", celsius)];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
}
