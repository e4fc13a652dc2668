//! From when on a run is flagged: the section `[verdict]` of the configuration.
//!
//! They stand in the manifest too, so that a run which is judged again is judged alike.

use serde::{Deserialize, Serialize};

/// The limits of a verdict. `docs/measuring.md` says why they are what they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// The share of time, from 0 to 1, that a power limit may be engaged.
    pub power_capped_share: f64,
    /// The share of time that a thermal limit or PROCHOT may be engaged.
    pub thermal_share: f64,
    /// How near to its limit a part may come, in kelvins, where nothing counts throttling.
    pub temperature_margin: f64,
    /// The share of time that some process may wait for memory (PSI `some`).
    pub memory_pressure_share: f64,
    /// How many bytes may go to swap.
    pub swap_growth_bytes: f64,
    /// How busy the graphics processor may be before and after the command, and how much of its
    /// time others may take during it, from 0 to 1.
    pub contended_share: f64,
    /// How many processor cores another process may keep busy while a benchmark runs.
    pub contended_cores: f64,
    /// The share of the samples that may be left out, or lack a source that timed out.
    pub gaps_share: f64,
    /// The share of the time for which there must be samples; below it there is no energy.
    pub coverage: f64,
    /// The shortest phase, in seconds, that sensors which filter over a second can tell of.
    pub shortest_phase: f64,
    /// Without which evidence the verdict is `unknown`.
    pub evidence: Vec<Evidence>,
}

/// What a verdict is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Socket power, or a count of the time that limits are engaged.
    Power,
    /// Any temperature of the processor.
    Temperature,
    /// The memory that is available.
    Memory,
    /// Samples that cover the command.
    Samples,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            power_capped_share: 0.1,
            thermal_share: 0.02,
            temperature_margin: 2.0,
            memory_pressure_share: 0.05,
            swap_growth_bytes: 67_108_864.0,
            contended_share: 0.1,
            contended_cores: 0.5,
            gaps_share: 0.05,
            coverage: 0.95,
            shortest_phase: 3.0,
            evidence: vec![
                Evidence::Power,
                Evidence::Temperature,
                Evidence::Memory,
                Evidence::Samples,
            ],
        }
    }
}

impl Thresholds {
    /// What is wrong with a value: its key and what was expected.
    pub fn fault(&self) -> Option<String> {
        let shares = [
            ("power_capped_share", self.power_capped_share),
            ("thermal_share", self.thermal_share),
            ("memory_pressure_share", self.memory_pressure_share),
            ("contended_share", self.contended_share),
            ("gaps_share", self.gaps_share),
            ("coverage", self.coverage),
        ];
        let amounts = [
            ("temperature_margin", self.temperature_margin),
            ("swap_growth_bytes", self.swap_growth_bytes),
            ("contended_cores", self.contended_cores),
            ("shortest_phase", self.shortest_phase),
        ];
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let is_amount = |value: f64| value.is_finite() && value >= 0.0;
        let share = shares.into_iter().find(|(_, value)| !is_share(*value));
        let share =
            share.map(|(key, value)| format!("{key} = {value}: expected a share from 0 to 1"));
        share.or_else(|| {
            let (key, value) = amounts.into_iter().find(|(_, value)| !is_amount(*value))?;
            Some(format!("{key} = {value}: expected a number that is not negative"))
        })
    }
}
