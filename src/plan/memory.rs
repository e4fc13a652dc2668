//! Whether a model fits into the memory that the GPU can use: VRAM, which on an APU is what the
//! BIOS set aside, and GTT, which is memory of Linux: no more of it than Linux has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::metric::Sample;
use crate::root::Root;
use crate::sample::Sampler;
use crate::source::amdgpu::{KIND, Kind};
use crate::source::memory::linux::{Linux, cgroup_limit};

/// Bytes of a GiB.
pub const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a model needs beside its weights, in bytes: the context of a standard test, the buffers in
/// which llama.cpp computes, and a little for the desktop. A long context needs more.
pub const MARGIN: f64 = 2.0 * GIB;

/// What is known of the memory that a model may have: of the APU, or where no GPU is known to be one, of
/// the GPU that has most.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// Where nothing else is there.
    pub size: Bounds,
    /// Beside what is there now.
    pub free: Bounds,
}

/// What is known of a size, in bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bounds {
    /// It is at least this.
    pub least: Option<f64>,
    /// It is at most this.
    pub most: Option<f64>,
    /// Which figures of which files say so, and what is missing.
    pub evidence: String,
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

impl Bounds {
    /// A size that is known.
    pub fn exactly(bytes: f64) -> Self {
        Self { least: Some(bytes), most: Some(bytes), ..Self::default() }
    }

    /// The same where a control group may leave no more of Linux's memory than its limit.
    fn within(mut self, vram: f64, limit: Option<&Limit>) -> Self {
        let Some((limit, file)) = limit else { return self };
        let limit = *limit as f64;
        if self.least.is_some_and(|least| vram + limit < least) {
            self.least = Some(vram + limit);
            self.evidence = format!(
                "{}; {file} is {}, and whether GTT counts against it depends on the kernel",
                self.evidence,
                gib(limit)
            );
        }
        self
    }

    /// Whether so many bytes find room; `None` where that cannot be told.
    pub fn hold(&self, bytes: f64) -> Option<bool> {
        if self.most.is_some_and(|most| bytes > most) {
            return Some(false);
        }
        self.least.is_some_and(|least| bytes <= least).then_some(true)
    }
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
        Ok(Self::of(sampler.read_now(|source| wanted(source.name))?.values(), &root))
    }

    /// What samples of the machine say, and what its files say of the memory of Linux.
    pub fn of<'a>(samples: impl Iterator<Item = &'a Sample>, root: &Root) -> Self {
        let mut gpus: BTreeMap<&str, [Pool; 2]> = BTreeMap::new();
        let mut apu = None;
        for sample in samples {
            if sample.def.name == KIND.def().name && *sample.labels[1] == *Kind::Apu.as_str() {
                apu = Some(&*sample.labels[0]);
                continue;
            }
            let is_size = match sample.def.name {
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
        let meminfo = root.read("/proc/meminfo").unwrap_or_default();
        let linux = Linux::read(root, &meminfo);
        let limit = cgroup_limit(root);
        let all = gpus.values().map(|[vram, gtt]| {
            let linux = linux.clone().beside(vram.size, gtt.size, gtt.used);
            Self {
                size: total(*vram, *gtt, &linux, limit.as_ref()),
                free: free(*vram, *gtt, &linux, limit.as_ref()),
            }
        });
        let most = |memory: &Self| memory.size.most.unwrap_or(0.0);
        all.max_by(|one, other| most(one).total_cmp(&most(other))).unwrap_or_default()
    }

    /// The size of the memory, where it is known and a model of this many bytes is larger: its
    /// weights alone, without which nothing can be measured.
    pub fn never_holds(&self, bytes: u64) -> Option<f64> {
        self.size.most.filter(|most| bytes as f64 > *most)
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
        let alone = self.size.hold(needed);
        let now = self.free.hold(needed);
        // What never fits does not fit now, however much is free.
        Fit { alone, now: if alone == Some(false) { alone } else { now } }
    }
}

/// A size as evidence shows it.
fn gib(bytes: f64) -> String {
    format!("{:.1} GiB", bytes / GIB)
}

/// The limit of this process's control group in bytes, and the file that says so. Whether GTT
/// counts against it depends on the kernel.
type Limit = (u64, String);

/// What the pools of a GPU can hold.
fn total(vram: Pool, gtt: Pool, linux: &Linux, limit: Option<&Limit>) -> Bounds {
    let (Some(vram), Some(gtt)) = (vram.size, gtt.size) else {
        let evidence = "mem_info_vram_total or mem_info_gtt_total is not known".to_owned();
        return Bounds { evidence, ..Bounds::default() };
    };
    let known = linux.total.map(|bytes| bytes as f64);
    let container = linux.container.map(|bytes| bytes as f64);
    let source = &linux.evidence;
    let of_linux = match known {
        Some(linux) if linux < gtt => format!(
            "{} of Linux's memory ({source}), less than the {} of GTT (mem_info_gtt_total)",
            gib(linux),
            gib(gtt)
        ),
        Some(_) => format!("{} of GTT (mem_info_gtt_total)", gib(gtt)),
        None => format!(
            "at most {} of GTT (mem_info_gtt_total); how much memory Linux has is unknown: {source}",
            gib(gtt)
        ),
    };
    let bounds = Bounds {
        // The machine has at least what it gives to a container.
        least: known.or(container).map(|linux| vram + gtt.min(linux)),
        most: Some(vram + known.map_or(gtt, |linux| gtt.min(linux))),
        evidence: format!("{} of VRAM (mem_info_vram_total) and {of_linux}", gib(vram)),
    };
    bounds.within(vram, limit)
}

/// What of the pools is free; of GTT no more than Linux has available.
fn free(vram: Pool, gtt: Pool, linux: &Linux, limit: Option<&Limit>) -> Bounds {
    let left = |pool: Pool| Some((pool.size? - pool.used?).max(0.0));
    let (Some(vram), Some(gtt)) = (left(vram), left(gtt)) else {
        let evidence = "mem_info_vram_used or mem_info_gtt_used is not known".to_owned();
        return Bounds { evidence, ..Bounds::default() };
    };
    let available = linux.least_available.map(|bytes| bytes as f64);
    let least = available.map(|available| vram + gtt.min(available));
    let most = vram + linux.total.map_or(gtt, |bytes| gtt.min(bytes as f64));
    let of_linux = match (available, linux.container) {
        (Some(available), None) if available < gtt => format!(
            "{} that Linux has available (MemAvailable), less than the {} of GTT that are free",
            gib(available),
            gib(gtt)
        ),
        (Some(_), None) => format!("{} of GTT", gib(gtt)),
        (_, container) => {
            let why = container.map_or("no MemAvailable in /proc/meminfo", |_| &linux.evidence);
            format!(
                "at most {} of GTT; how much memory Linux has available is unknown: {why}",
                gib(gtt)
            )
        }
    };
    // Of a container's machine the free pages are known, and not what else could be freed.
    let is_exact = linux.container.is_none();
    let most = least.filter(|_| is_exact).or(Some(most));
    let evidence = format!("{} of VRAM and {of_linux}", gib(vram));
    Bounds { least, most, evidence }.within(vram, limit)
}
