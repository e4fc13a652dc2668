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

    /// The speed since an earlier moment. Unknown where the two answers of one moment do not fit
    /// together: a request ended between them, and is counted in neither.
    pub fn speed_since(&self, earlier: &Self) -> Speed {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        if seconds <= 0.0 || self.is_before(earlier) {
            return Speed::default();
        }
        let generated = self.running.as_ref().zip(earlier.running.as_ref());
        let generated = generated.and_then(|(now, before)| {
            let ended = self.ended - earlier.ended;
            let gone = before.iter().filter(|(task, _)| !now.contains_key(task));
            let gone: f64 = gone.map(|(_, tokens)| tokens).sum();
            let tolerance = 1.0 + self.ended * ROUNDED;
            if gone > ended + tolerance {
                return None;
            }
            let tokens = ended + now.values().sum::<f64>() - before.values().sum::<f64>();
            Some((tokens / seconds).max(0.0))
        });
        Speed { prompt: Some((self.prompt - earlier.prompt) / seconds), generated }
    }

    /// Whether it can be the earlier moment of a later one.
    pub fn fits(&self, earlier: Option<&Self>) -> bool {
        earlier.is_none_or(|earlier| {
            self.is_before(earlier) || self.speed_since(earlier).generated.is_some()
        })
    }
}
