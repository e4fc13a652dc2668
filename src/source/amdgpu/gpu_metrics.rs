//! The binary table `gpu_metrics` of amdgpu, as a pure function on bytes.
//!
//! Layouts: `struct gpu_metrics_v2_0` to `v2_4` and `v3_0` in the kernel's
//! `drivers/gpu/drm/amd/include/kgd_pp_interface.h`; little endian with natural alignment.
//! The kernel fills the structure with 0xFF before the driver writes to it, so all ones means
//! that a field was not provided, and padding is all ones too.
//!
//! The unit of the activities is not the layout's but the firmware's, as the driver of each chip
//! shows where it makes `gpu_busy_percent` of the same field (`drivers/gpu/drm/amd/pm/swsmu`):
//!
//! | table | driver | chip | activity in |
//! | --- | --- | --- | --- |
//! | v2.0 to v2.2 | `smu12/renoir_ppt.c` | Renoir, Cezanne, Barcelo | hundredths of a percent |
//! | v2.1 | `smu13/yellow_carp_ppt.c`, `smu_v13_0_4_ppt.c`, `smu_v13_0_5_ppt.c` | Rembrandt, Phoenix, Mendocino | hundredths |
//! | v2.2, v2.3 | `smu11/vangogh_ppt.c`, its legacy metrics | Van Gogh, interface before 3 | hundredths |
//! | v2.2, v2.3, v2.4 | `smu11/vangogh_ppt.c` | Van Gogh, interface 3 | percent |
//! | v3.0 | `smu14/smu_v14_0_0_ppt.c` | Strix Point, Krackan, Strix Halo | percent; hundredths where the SMU's firmware is 0x5d4600 or older |
//!
//! Van Gogh's two are told apart by the fields that only the newer one fills together: its own power of
//! graphics, which Renoir has not, and the current clocks, which no other driver that has it fills.

use std::fmt;

use crate::source::shared::plausible_celsius;

/// Version of a table, from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// `format_revision`: 1 for discrete cards, 2 and 3 for APUs.
    pub format: u8,
    /// `content_revision`.
    pub content: u8,
}

impl Version {
    /// The version in the header of a table, whatever follows.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let &[_, _, format, content, ..] = bytes else { return None };
        Some(Self { format, content })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v{}.{}", self.format, self.content)
    }
}

/// Why a table was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Shorter than its header, or than the header says.
    #[error("{0} bytes are too few for a gpu_metrics table")]
    Truncated(usize),
    /// A discrete card's table, which has another meaning throughout.
    #[error("{0} is the table of a discrete card")]
    Discrete(Version),
    /// A revision whose layout is not known here.
    #[error("{0} is a table that halo does not know; see docs/metrics.md for those it knows")]
    Unknown(Version),
    /// The header contradicts the layout of its own revision.
    #[error("{version} says that it has {declared} bytes, but has {expected}")]
    WrongSize {
        /// The revision of the header.
        version: Version,
        /// What the header says.
        declared: usize,
        /// What the kernel's structure has.
        expected: usize,
    },
}

/// The limiters whose engagement firmware tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limiter {
    /// Processor hot: the platform, the embedded controller or the adapter.
    Prochot,
    /// Sustained power limit (STAPM).
    Spl,
    /// Fast power limit.
    Fppt,
    /// Slow power limit.
    Sppt,
    /// Temperature of the cores.
    ThmCore,
    /// Temperature of the graphics part.
    ThmGfx,
    /// Temperature of the rest of the chip.
    ThmSoc,
}

impl Limiter {
    /// All limiters, in the order of the fields of v3.0.
    pub const ALL: [Self; 7] = [
        Self::Prochot,
        Self::Spl,
        Self::Fppt,
        Self::Sppt,
        Self::ThmCore,
        Self::ThmGfx,
        Self::ThmSoc,
    ];

    /// The value of the label `limiter`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prochot => "prochot",
            Self::Spl => "spl",
            Self::Fppt => "fppt",
            Self::Sppt => "sppt",
            Self::ThmCore => "thm_core",
            Self::ThmGfx => "thm_gfx",
            Self::ThmSoc => "thm_soc",
        }
    }

    /// Bits of `throttle_status` of v2.1, as the SMU 13 firmware of Rembrandt and Phoenix sets
    /// them (`smu13_driver_if_yellow_carp.h`, `smu13_driver_if_v13_0_4.h`).
    const fn raw_bits(self) -> u64 {
        match self {
            Self::Spl => 1,
            Self::Fppt => 1 << 1,
            Self::Sppt => 1 << 2,
            Self::ThmCore => 1 << 4,
            Self::ThmGfx => 1 << 5,
            Self::ThmSoc => 1 << 6,
            Self::Prochot => 1 << 9 | 1 << 10,
        }
    }

    /// Bits of `indep_throttle_status` (`SMU_THROTTLER_*` in `amdgpu_smu.h`). Bit 36, the
    /// hotspot, is none of them: many parts have it set always.
    const fn independent_bits(self) -> u64 {
        match self {
            Self::Spl => 1 << 4,
            Self::Fppt => 1 << 5,
            Self::Sppt => 1 << 6,
            Self::ThmGfx => 1 << 32,
            Self::ThmCore => 1 << 33,
            Self::ThmSoc => 1 << 37,
            Self::Prochot => 1 << 46 | 1 << 47,
        }
    }
}

/// What a table says, in base units; `None` where it says nothing that can be true.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuMetrics {
    /// The table's version.
    pub version: Version,
    /// Celsius.
    pub temperature_gfx: Option<f64>,
    /// Celsius.
    pub temperature_soc: Option<f64>,
    /// Celsius; the hottest of the sensors of the board and the chassis.
    pub temperature_skin: Option<f64>,
    /// 0 to 1.
    pub busy_gfx: Option<f64>,
    /// 0 to 1.
    pub busy_media: Option<f64>,
    /// 0 to 1.
    pub busy_npu: Option<f64>,
    /// Watts; the whole chip.
    pub power_socket: Option<f64>,
    /// Watts.
    pub power_gfx: Option<f64>,
    /// Watts; all cores.
    pub power_cpu: Option<f64>,
    /// Watts.
    pub power_npu: Option<f64>,
    /// Hertz.
    pub clock_gfx: Option<f64>,
    /// Hertz.
    pub clock_soc: Option<f64>,
    /// Hertz; half of the data rate's quarter: 1 GHz for LPDDR5x-8000.
    pub clock_memory: Option<f64>,
    /// Hertz.
    pub clock_fabric: Option<f64>,
    /// Hertz; the video codec.
    pub clock_media: Option<f64>,
    /// Hertz.
    pub clock_npu: Option<f64>,
    /// Hertz; the limit that firmware enforces now.
    pub clock_limit_gfx: Option<f64>,
    /// Hertz; the limit that firmware enforces now.
    pub clock_limit_cpu: Option<f64>,
    /// Ticks while each limiter was engaged, in the order of [`Limiter::ALL`]; wraps at 2^32.
    pub residency: [Option<u32>; 7],
    /// Whether each limiter is engaged now, in the order of [`Limiter::ALL`].
    pub engaged: [Option<bool>; 7],
}

/// The newest firmware of the SMU 14 that counts hundredths of a percent (`smu_v14_0_0_ppt.c`).
const LAST_IN_HUNDREDTHS: u32 = 0x005d_4600;

/// Decodes a table of a chip whose SMU has a firmware that is not known.
pub fn parse(bytes: &[u8]) -> Result<GpuMetrics, Refusal> {
    parse_of(bytes, None)
}

/// Decodes a table, given the version of the SMU's firmware.
pub fn parse_of(bytes: &[u8], firmware: Option<u32>) -> Result<GpuMetrics, Refusal> {
    let &[low, high, format, content, ..] = bytes else {
        return Err(Refusal::Truncated(bytes.len()));
    };
    let version = Version { format, content };
    let declared = usize::from(u16::from_le_bytes([low, high]));
    let expected = match (format, content) {
        (1, _) => return Err(Refusal::Discrete(version)),
        (2, 0 | 1) => 120,
        (2, 2) => 128,
        (2, 3) => 152,
        (2, 4) => 168,
        (3, 0) => 264,
        _ => return Err(Refusal::Unknown(version)),
    };
    if declared != expected {
        return Err(Refusal::WrongSize { version, declared, expected });
    }
    let Some(table) = bytes.get(..expected) else {
        return Err(Refusal::Truncated(bytes.len()));
    };
    Ok(match version {
        Version { format: 3, .. } => {
            let is_old = firmware.is_some_and(|version| version <= LAST_IN_HUNDREDTHS);
            parse_v3(version, table, if is_old { centipercent } else { percent })
        }
        _ => parse_v2(version, table),
    })
}

fn parse_v3(version: Version, table: &[u8], ratio: fn(Option<u16>) -> Option<f64>) -> GpuMetrics {
    let mut residency = [None; 7];
    for (offset, ticks) in (228..).step_by(4).zip(&mut residency) {
        *ticks = u32_at(table, offset);
    }
    let columns: Vec<f64> =
        (46..62).step_by(2).filter_map(|at| percent(u16_at(table, at))).collect();
    GpuMetrics {
        version,
        temperature_gfx: celsius(u16_at(table, 4)),
        temperature_soc: celsius(u16_at(table, 6)),
        temperature_skin: celsius(u16_at(table, 40)),
        busy_gfx: ratio(u16_at(table, 42)),
        busy_media: ratio(u16_at(table, 44)),
        busy_npu: (!columns.is_empty()).then(|| columns.iter().sum::<f64>() / columns.len() as f64),
        power_socket: watts(u32_at(table, 112)).filter(|&watts| watts >= SMALLEST_SOCKET_WATTS),
        power_gfx: watts(u32_at(table, 124)),
        power_cpu: watts(u32_at(table, 132)),
        power_npu: watts(u16_at(table, 116).map(u32::from)),
        clock_gfx: hertz(u16_at(table, 174)),
        clock_soc: running(hertz(u16_at(table, 176))),
        clock_memory: running(hertz(u16_at(table, 186))),
        clock_fabric: running(hertz(u16_at(table, 182))),
        clock_media: hertz(u16_at(table, 184)),
        clock_npu: hertz(u16_at(table, 180)),
        clock_limit_gfx: running(hertz(u16_at(table, 224))),
        clock_limit_cpu: running(hertz(u16_at(table, 222))),
        residency,
        engaged: [None; 7],
    }
}

fn parse_v2(version: Version, table: &[u8]) -> GpuMetrics {
    // v2.0 has its 64-bit clock first; later revisions moved it behind the activities. The
    // fields before that place lie 12 bytes lower there, those behind it 4 bytes lower.
    let moved = if version.content == 0 { 0 } else { 12 };
    let behind = if version.content == 0 { 0 } else { 4 };
    let early = |offset: usize| u16_at(table, offset - moved);
    let late = |offset: usize| u16_at(table, offset - behind);
    // Van Gogh leaves 0 in the average clocks of what it does not average, beside the current ones.
    let clock = |average: usize, current: usize| {
        let average = late(average);
        hertz(average.filter(|&mega| mega > 0).or_else(|| late(current)).or(average))
    };
    let is_newer_van_gogh = late(50).is_some() && late(80).is_some();
    let ratio = if is_newer_van_gogh { percent } else { centipercent };
    let status = match version.content {
        0 => None,
        1 => u32_at(table, 108).map(u64::from),
        _ => u64_at(table, 120),
    };
    let bits = if version.content == 1 { Limiter::raw_bits } else { Limiter::independent_bits };
    let socket = watts(late(44).map(u32::from));
    let power_socket = socket.filter(|&watts| watts >= SMALLEST_SOCKET_WATTS);
    let is_in_milliwatts = socket.is_none() || power_socket.is_some();
    GpuMetrics {
        version,
        temperature_gfx: celsius(early(16)),
        temperature_soc: celsius(early(18)),
        temperature_skin: None,
        busy_gfx: ratio(early(40)),
        busy_media: ratio(early(42)),
        busy_npu: None,
        power_socket,
        power_gfx: watts(late(50).map(u32::from)).filter(|_| is_in_milliwatts),
        power_cpu: watts(late(46).map(u32::from)).filter(|_| is_in_milliwatts),
        power_npu: None,
        clock_gfx: clock(68, 80),
        clock_soc: running(clock(70, 82)),
        clock_memory: running(clock(72, 84)),
        clock_fabric: running(clock(74, 86)),
        clock_media: clock(76, 88),
        clock_npu: None,
        clock_limit_gfx: None,
        clock_limit_cpu: None,
        residency: [None; 7],
        engaged: Limiter::ALL.map(|limiter| Some(status? & bits(limiter) != 0)),
    }
}

/// No chip that runs draws less. Some Renoir firmware reports watts where the table means
/// milliwatts, which would read as a few hundredths of a watt.
const SMALLEST_SOCKET_WATTS: f64 = 0.2;

/// No APU draws more; the socket limit of Strix Halo is 140 W.
const LARGEST_WATTS: f64 = 1000.0;

/// No clock of an APU is faster.
const LARGEST_MEGAHERTZ: u16 = 10_000;

fn u16_at(table: &[u8], offset: usize) -> Option<u16> {
    let bytes = table.get(offset..offset + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes)).filter(|&value| value != u16::MAX)
}

fn u32_at(table: &[u8], offset: usize) -> Option<u32> {
    let bytes = table.get(offset..offset + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes)).filter(|&value| value != u32::MAX)
}

fn u64_at(table: &[u8], offset: usize) -> Option<u64> {
    let bytes = table.get(offset..offset + 8)?.try_into().ok()?;
    Some(u64::from_le_bytes(bytes)).filter(|&value| value != u64::MAX)
}

fn celsius(centi: Option<u16>) -> Option<f64> {
    plausible_celsius(f64::from(centi?) / 100.0)
}

/// Of firmware that counts percent. Where a version of it that is not known here counts hundredths,
/// that shows where the value is above 100.
fn percent(value: Option<u16>) -> Option<f64> {
    let value = value?;
    if value > 100 { centipercent(Some(value)) } else { Some(f64::from(value) / 100.0) }
}

fn centipercent(value: Option<u16>) -> Option<f64> {
    Some(f64::from(value?) / 10_000.0).filter(|&ratio| ratio <= 1.0)
}

fn watts(milli: Option<u32>) -> Option<f64> {
    Some(f64::from(milli?) / 1000.0).filter(|&watts| watts <= LARGEST_WATTS)
}

/// A clock of 0 is true for a part that is switched off, as the codec is most of the time.
fn hertz(mega: Option<u16>) -> Option<f64> {
    Some(f64::from(mega.filter(|&mega| mega <= LARGEST_MEGAHERTZ)?) * 1e6)
}

/// A clock that cannot be 0 while the machine answers.
fn running(clock: Option<f64>) -> Option<f64> {
    clock.filter(|&hertz| hertz > 0.0)
}
