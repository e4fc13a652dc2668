//! What a server of models did meanwhile, by its own counters.

use super::phase::Window;
use super::series;
use super::telemetry::{Telemetry, Unreadable};
use crate::metric::Def;
use crate::source::llama::{GENERATED_TOKENS, GENERATION_SECONDS, PROMPT_SECONDS, PROMPT_TOKENS};

/// What all servers did that were asked in a run. A counter that began anew is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Served {
    /// Prompt tokens that were computed.
    pub prompt_tokens: Option<f64>,
    /// Seconds that this took.
    pub prompt_seconds: Option<f64>,
    /// Tokens that were generated.
    pub generated_tokens: Option<f64>,
    /// Seconds that this took, of all slots together.
    pub generation_seconds: Option<f64>,
}

/// What they did from the start of the recording to its end: their counters move when a request has
/// ended, so nothing less than that holds all of them. Requests of others count as well.
///
/// # Errors
///
/// Where the recording is damaged.
pub fn of(telemetry: &dyn Telemetry) -> Result<Served, Unreadable> {
    let grown = |family: &Def| -> Result<Option<f64>, Unreadable> {
        let all = Window { from: i64::MIN, to: i64::MAX };
        let series = telemetry.series(family)?;
        let grown = series.iter().map(|series| Some(series::growth(&series.points, all)?.0));
        // A server that was read once says nothing, and the sum is unknown with it.
        let sum: Option<f64> = grown.sum();
        Ok(sum.filter(|sum| *sum > 0.0))
    };
    Ok(Served {
        prompt_tokens: grown(PROMPT_TOKENS.def())?,
        prompt_seconds: grown(PROMPT_SECONDS.def())?,
        generated_tokens: grown(GENERATED_TOKENS.def())?,
        generation_seconds: grown(GENERATION_SECONDS.def())?,
    })
}
