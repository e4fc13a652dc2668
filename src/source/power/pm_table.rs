//! The power table of `ryzen_smu`, as a pure function on bytes.
//!
//! A table of 32-bit floats whose layout belongs to its version. The first six are the same in
//! all versions (`RyzenAdj`, `lib/api.c`); the temperature limits of 0x64020C were found out by
//! heating parts of the chip one by one, and agree with `gpu_metrics`.

use super::{Limit, Readings};

/// Why a table was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The driver gives no bytes where the SMU refused to fill the table.
    #[error("is empty: the SMU did not answer")]
    Empty,
    /// A version whose layout is not known here.
    #[error("is {0:#x}, a version that halo does not know")]
    UnknownVersion(u32),
    /// Shorter than its known part.
    #[error("has {0} bytes, too few for its version")]
    Truncated(usize),
    /// The sustained limit cannot be one, so nothing of the table is believed.
    #[error("has a sustained limit of {0} W, which cannot be")]
    Implausible(f32),
}

/// The version of Ryzen AI Max 395 and 390.
const STRIX_HALO: u32 = 0x0064_020C;

/// The version of Ryzen AI Max 385 and 388, of which only the common beginning is known.
const STRIX_HALO_385: u32 = 0x0064_010C;

/// Decodes a table.
pub fn parse(version: u32, bytes: &[u8]) -> Result<Readings, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    let needed = match version {
        STRIX_HALO => 0x68,
        STRIX_HALO_385 => 0x18,
        _ => return Err(Refusal::UnknownVersion(version)),
    };
    if bytes.len() < needed {
        return Err(Refusal::Truncated(bytes.len()));
    }
    let float = |offset: usize| -> Option<f32> {
        Some(f32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
    };
    let sustained = float(0).unwrap_or(f32::NAN);
    if !(1.0..=300.0).contains(&sustained) {
        return Err(Refusal::Implausible(sustained));
    }
    let mut readings = Readings::default();
    for (limit, offset) in [(Limit::Stapm, 0x00), (Limit::Fast, 0x08), (Limit::Slow, 0x10)] {
        readings.limit(limit, float(offset).map(f64::from));
        readings.value(limit, float(offset + 4).map(f64::from));
    }
    if version == STRIX_HALO {
        // The value beside it is 0 always.
        readings.limit(Limit::ApuSlow, float(0x18).map(f64::from));
        readings.temperature_limit("gfx", float(0x58).map(f64::from));
        readings.temperature_limit("soc", float(0x60).map(f64::from));
    }
    Ok(readings)
}
