//! What is measured: one module a driver or file of the kernel, all in [`SOURCES`].
//!
//! A source reads through [`Root`] and returns values; it keeps nothing that it can read again
//! and knows nothing of who asks.

use std::time::Duration;

use crate::config::Config;
use crate::metric::{Def, Samples};
use crate::root::{ReadError, Root};

pub mod amdgpu;
pub mod cpu;
pub mod host;
pub mod hwmon;
pub mod llama;
pub mod memory;
pub mod npu;
pub mod power;
pub mod pressure;
pub mod process_gpu;
pub mod rapl;
mod registered;
pub mod runs;
pub mod selfstat;
pub mod shared;
pub mod supply;
pub mod tuning;

/// Every source, in the order in which users read about them.
pub static SOURCES: &[&Source] = &[
    &amdgpu::SOURCE,
    &cpu::SOURCE,
    &host::SOURCE,
    &hwmon::SOURCE,
    &llama::SOURCE,
    &memory::SOURCE,
    &npu::SOURCE,
    &power::SOURCE,
    &pressure::SOURCE,
    &process_gpu::SOURCE,
    &rapl::SOURCE,
    &runs::SOURCE,
    &selfstat::SOURCE,
    &supply::SOURCE,
    &tuning::SOURCE,
];

/// One thing that is measured.
#[derive(Debug)]
pub struct Source {
    /// The name in flags (`--collector.NAME`), in `collect[]=` and in the label `source`.
    pub name: &'static str,
    /// What it measures, for `--help` and `--doctor`.
    pub about: &'static str,
    /// The families that it may give.
    pub metrics: &'static [&'static Def],
    /// Whether it is read unless the user says otherwise.
    pub default: bool,
    /// How often it is read.
    pub cadence: Cadence,
    /// The least time between two readings in a recording, however often the recorder samples:
    /// what the hardware behind it takes without being disturbed.
    pub floor: Duration,
    /// How to get it where it is absent: a sentence with a command.
    pub remedy: &'static str,
    /// Makes its readers, one an instance.
    pub open: fn(&Config) -> Vec<Box<dyn Reader>>,
}

/// How often a source is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// Anew for everybody who asks.
    OnDemand,
    /// A reading serves for this long: what changes rarely and takes many files.
    Hold(Duration),
    /// As `Hold`, and nobody waits for a reading where the last one was slow: who asks gets that
    /// one, with its age, while the next is taken. Who asks rarely waits a tenth of a second.
    Apart(Duration),
}

/// One instance of a source.
pub trait Reader: Send {
    /// Reads once. A single file that fails is a problem in `samples`; an error is returned
    /// where nothing could be read at all.
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError>;
}

/// Whether the hardware or the kernel's support of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is not, which is no failure.
    Absent,
}

/// A reader that keeps nothing: a function.
pub struct Stateless(pub fn(&Root, &mut Samples) -> Result<Presence, ReadError>);

impl Reader for Stateless {
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        self.0(root, samples)
    }
}

/// Turns "its first file is not there" into "it is absent".
pub fn absent_or<T>(
    first: Result<T, ReadError>,
    read: impl FnOnce(T) -> Result<Presence, ReadError>,
) -> Result<Presence, ReadError> {
    match first {
        Ok(value) => read(value),
        Err(error) if error.is_absent() => Ok(Presence::Absent),
        Err(error) => Err(error),
    }
}
