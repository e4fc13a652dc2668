//! How fast tokens are processed, from what a server says twice.
//!
//! llama-server counts generated tokens when a request ends, and says of those that run how many
//! they have (`/slots`): both together grow with every token. Its own gauges of tokens per second
//! begin anew whenever anybody scrapes, so they are not used.

use std::collections::BTreeMap;
use std::time::Instant;

use super::text::Slot;

/// By how much a counter of six digits may be wrong.
const ROUNDED: f64 = 1e-5;

/// How many moments in a row may be torn before a new interval begins. A request that ends is
/// counted a moment later; what is not counted then was cancelled.
const MOST_TORN: u32 = 2;

/// What a server has done up to a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// When it said so.
    pub at: Instant,
    /// Prompt tokens that it processed.
    pub prompt: f64,
    /// Tokens of requests that have ended.
    pub ended: f64,
    /// Tokens of requests that run, by slot and task; none where it does not say it.
    pub running: Option<BTreeMap<(u64, u64), f64>>,
}

/// Tokens per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Speed {
    /// Of prompts.
    pub prompt: Option<f64>,
    /// Of generation, over all slots.
    pub generated: Option<f64>,
}

/// The tokens of the requests that run.
pub fn running(slots: &[Slot]) -> BTreeMap<(u64, u64), f64> {
    let running = slots.iter().filter(|slot| slot.is_processing);
    running.filter_map(|slot| Some(((slot.id, slot.task?), slot.generated))).collect()
}

impl Progress {
    /// Whether a server began anew since.
    pub fn is_before(&self, earlier: &Self) -> bool {
        self.prompt < earlier.prompt || self.ended < earlier.ended
    }

    /// The speed since an earlier moment; unknown where the server did not say enough at both.
    pub fn speed_since(&self, earlier: &Self) -> Speed {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        if seconds <= 0.0 || self.is_before(earlier) {
            return Speed::default();
        }
        let generated = self.running.as_ref().zip(earlier.running.as_ref());
        let generated = generated.filter(|_| !self.is_torn_since(earlier)).map(|(now, before)| {
            let running = now.values().sum::<f64>() - before.values().sum::<f64>();
            ((self.ended - earlier.ended + running) / seconds).max(0.0)
        });
        Speed { prompt: Some((self.prompt - earlier.prompt) / seconds), generated }
    }

    /// Whether the two answers of one moment do not fit together: a request ended between them, and
    /// is counted in neither.
    fn is_torn_since(&self, earlier: &Self) -> bool {
        let Some((now, before)) = self.running.as_ref().zip(earlier.running.as_ref()) else {
            return false;
        };
        let gone = before.iter().filter(|(task, _)| !now.contains_key(task));
        let gone: f64 = gone.map(|(_, tokens)| tokens).sum();
        let tolerance = 1.0 + self.ended * ROUNDED;
        !self.is_before(earlier) && gone > self.ended - earlier.ended + tolerance
    }
}

/// Where the next interval begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    progress: Progress,
    /// How many moments after it did not fit together.
    torn: u32,
}

impl Baseline {
    /// The speed up to a moment, and where the next interval begins: there, or still where it began
    /// where the moment is torn, so that nothing is left out of the speed that is shown next.
    pub fn advance(earlier: Option<Self>, now: Progress) -> (Speed, Self) {
        let Some(earlier) = earlier else {
            return (Speed::default(), Self { progress: now, torn: 0 });
        };
        let speed = now.speed_since(&earlier.progress);
        // A request that was cancelled is never counted as ended, and would be missed for ever.
        if now.is_torn_since(&earlier.progress) && earlier.torn < MOST_TORN {
            return (speed, Self { torn: earlier.torn + 1, ..earlier });
        }
        (speed, Self { progress: now, torn: 0 })
    }
}
