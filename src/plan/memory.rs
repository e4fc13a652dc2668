//! Whether a model fits into the memory that the GPU can use: GTT and VRAM together, which on an
//! APU are both the machine's own memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::metric::Sample;
use crate::sample::Sampler;
use crate::source::amdgpu::{KIND, Kind};

/// Bytes of a GiB.
pub const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a model needs beside its weights, in bytes: the context of a standard test, the buffers in
/// which llama.cpp computes, and a little for the desktop. A long context needs more.
pub const MARGIN: f64 = 2.0 * GIB;

/// What is known of the machine's memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// GTT and VRAM of the APU; where no GPU is known to be one, of the GPU that has most of them.
    pub size: Option<f64>,
    /// What of it is free; of GTT, which is system memory, no more than the machine has left.
    pub free: Option<f64>,
}

/// Whether a model fits, its weights with [`MARGIN`]; none is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fit {
    /// Whether it does where nothing else is there.
    pub alone: Option<bool>,
    /// Whether it does beside what is there now.
    pub now: Option<bool>,
}

/// The memory of one GPU: what each pool has and what of it is used.
#[derive(Debug, Default, Clone, Copy)]
struct Pool {
    size: Option<f64>,
    used: Option<f64>,
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
        Ok(Self::of(sampler.read_now(|source| wanted(source.name))?.values()))
    }

    /// What samples of the machine say.
    pub fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let mut available = None;
        let mut gpus: BTreeMap<&str, [Pool; 2]> = BTreeMap::new();
        let mut apu = None;
        for sample in samples {
            if sample.def.name == KIND.def().name && *sample.labels[1] == *Kind::Apu.as_str() {
                apu = Some(&*sample.labels[0]);
                continue;
            }
            let is_size = match sample.def.name {
                "halo_memory_available_bytes" => {
                    available = Some(sample.value);
                    continue;
                }
                "halo_gpu_memory_size_bytes" => true,
                "halo_gpu_memory_used_bytes" => false,
                _ => continue,
            };
            let [gpu, pool] = &*sample.labels else { continue };
            let [vram, gtt] = gpus.entry(gpu).or_default();
            let pool = if &**pool == "gtt" { gtt } else { vram };
            let field = if is_size { &mut pool.size } else { &mut pool.used };
            *field = Some(sample.value);
        }
        // Beside an APU, the memory of a card is not where models of this machine lie.
        if let Some(apu) = apu {
            gpus.retain(|gpu, _| *gpu == apu);
        }
        let sized = gpus.values().filter_map(|[vram, gtt]| {
            let size = vram.size? + gtt.size?;
            let free = || {
                let free_vram = (vram.size? - vram.used?).max(0.0);
                Some(free_vram + (gtt.size? - gtt.used?).max(0.0).min(available?))
            };
            Some((size, free()))
        });
        let largest = sized.max_by(|(one, _), (other, _)| one.total_cmp(other));
        Self { size: largest.map(|(size, _)| size), free: largest.and_then(|(_, free)| free) }
    }

    /// The size of the memory, where it is known and a model of this many bytes is larger: its
    /// weights alone, without which nothing can be measured.
    pub fn never_holds(&self, bytes: u64) -> Option<f64> {
        self.size.filter(|size| bytes as f64 > *size)
    }

    /// Whether a model of this many bytes fits, with [`MARGIN`].
    pub fn fits(&self, bytes: u64) -> Fit {
        self.has_room_for(bytes as f64)
    }

    /// Whether a model fits whose size is only listed: a number that may be GB or GiB. Where one
    /// would and the other would not, it is unknown.
    pub fn fits_listed(&self, size: f64) -> Fit {
        let [least, most] = [1e9, GIB].map(|unit| self.has_room_for(size * unit));
        let agreed = |one: Option<bool>, other| one.filter(|_| one == other);
        Fit { alone: agreed(least.alone, most.alone), now: agreed(least.now, most.now) }
    }

    fn has_room_for(&self, bytes: f64) -> Fit {
        let needed = bytes + MARGIN;
        let alone = self.size.map(|size| needed <= size);
        let now = self.free.map(|free| needed <= free);
        // What never fits does not fit now, however much is free.
        Fit { alone, now: if alone == Some(false) { alone } else { now } }
    }
}
