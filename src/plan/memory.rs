//! Whether a model fits into the memory that the GPU can use: GTT and VRAM together, which on an
//! APU are both the machine's own memory.

use std::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::sample::{Sampler, Snapshot};

/// What is known of the machine's memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// GTT and VRAM.
    size: Option<f64>,
    /// What of it is free, no more than the machine has left for GTT.
    free: Option<f64>,
}

/// Whether a model fits. Its weights alone are counted: context and buffers come on top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fit {
    /// Its weights do.
    Yes,
    /// They would if other programs freed memory; the bytes that are free now.
    NotNow(f64),
    /// They never do; the bytes that there are.
    Never(f64),
    /// The size of the memory or the model is not known.
    Unknown,
}

impl Memory {
    /// Reads the machine.
    ///
    /// # Errors
    ///
    /// Where threads cannot be started.
    pub fn read(config: &Config) -> std::io::Result<Self> {
        let root = Arc::new(config.path.root());
        let sampler = Sampler::start(config, &root)?;
        let wanted = |name: &str| matches!(name, "amdgpu" | "memory");
        Ok(Self::of(&sampler.read_now(|source| wanted(source.name))?))
    }

    /// What a sample of the machine says.
    pub fn of(snapshot: &Snapshot) -> Self {
        let sum = |name: &str, pool: Option<&str>| {
            let is_meant = |labels: &[Box<str>]| {
                pool.is_none_or(|pool| labels.iter().any(|label| &**label == pool))
            };
            let values = snapshot.values().filter(|s| s.def.name == name && is_meant(&s.labels));
            values.map(|sample| sample.value).reduce(|sum, value| sum + value)
        };
        let size = sum("halo_gpu_memory_size_bytes", None);
        let free = |pool| {
            let size = sum("halo_gpu_memory_size_bytes", Some(pool))?;
            Some((size - sum("halo_gpu_memory_used_bytes", Some(pool))?).max(0.0))
        };
        let available = sum("halo_memory_available_bytes", None);
        let free = match (free("gtt"), free("vram"), available) {
            (Some(gtt), Some(vram), Some(available)) => Some(gtt.min(available) + vram),
            _ => None,
        };
        Self { size, free }
    }

    /// What is free for a model, in bytes.
    pub fn free(&self) -> Option<f64> {
        self.free
    }

    /// Whether a model of this many bytes fits.
    pub fn fits(&self, bytes: u64) -> Fit {
        let bytes = bytes as f64;
        match (self.size, self.free) {
            (Some(size), _) if bytes > size => Fit::Never(size),
            (Some(_), Some(free)) if bytes > free => Fit::NotNow(free),
            (Some(_), Some(_)) => Fit::Yes,
            _ => Fit::Unknown,
        }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
        match self {
            Self::Yes => formatter.pad("yes"),
            Self::NotNow(free) => write!(formatter, "not now: {:.1} GiB free", free / GIB),
            Self::Never(size) => write!(formatter, "no: {:.1} GiB in all", size / GIB),
            Self::Unknown => formatter.pad("unknown"),
        }
    }
}
