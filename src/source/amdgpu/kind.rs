//! Whether a GPU is part of an APU or a discrete card, from what is positively known: a file that is
//! missing tells nothing.

use std::fmt;

/// What a GPU is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of the processor, with which it shares memory, power and temperature limits.
    Apu,
    /// Of a card of its own.
    Discrete,
}

/// The instruction sets of APUs, by LLVM's table of processors (`AMDGPUUsage`, column "dGPU/APU").
const APU_SETS: [&str; 15] = [
    "gfx700", "gfx801", "gfx810", "gfx902", "gfx909", "gfx90c", "gfx1013", "gfx1033", "gfx1035",
    "gfx1036", "gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153",
];

/// The instruction sets of discrete cards, by the same table. gfx942 is in neither list: it is both.
const DISCRETE_SETS: [&str; 26] = [
    "gfx600", "gfx601", "gfx602", "gfx701", "gfx702", "gfx704", "gfx802", "gfx803", "gfx805",
    "gfx900", "gfx904", "gfx906", "gfx908", "gfx90a", "gfx1010", "gfx1011", "gfx1012", "gfx1030",
    "gfx1031", "gfx1032", "gfx1034", "gfx1100", "gfx1101", "gfx1102", "gfx1200", "gfx1201",
];

/// The PCI devices that are APUs: those that `amdgpu_drv.c` marks `AMD_IS_APU`, and those that came
/// after such marks, by the names of libdrm's list.
const APU_DEVICES: [u16; 33] = [
    0x1114, // Krackan
    0x13c0, // Granite Ridge
    0x13f9, // Cyan Skillfish
    0x13fa, // Cyan Skillfish
    0x13fb, // Cyan Skillfish
    0x13fc, // Cyan Skillfish
    0x13fe, // Cyan Skillfish
    0x1435, // Van Gogh
    0x143f, // Cyan Skillfish
    0x1506, // Mendocino
    0x150e, // Strix Point
    0x1586, // Strix Halo
    0x15bf, // Phoenix
    0x15c8, // Phoenix 2
    0x15d8, // Picasso, Raven 2
    0x15dd, // Raven
    0x15e7, // Barcelo
    0x1636, // Renoir
    0x1638, // Cezanne
    0x163f, // Van Gogh
    0x164c, // Lucienne
    0x164d, // Rembrandt
    0x164e, // Raphael
    0x164f, // Phoenix
    0x1681, // Rembrandt
    0x1900, // Hawk Point
    0x1901, // Hawk Point 2
    0x1902, // Krackan 2
    0x74a0, // MI300A
    0x9870, // Carrizo
    0x9874, // Carrizo
    0x9875, // Carrizo
    0x98e4, // Stoney
];

/// In this range `amdgpu_drv.c` has discrete cards alone, from Oland to Navi 4x, but for MI300A.
const DISCRETE_DEVICES: std::ops::RangeInclusive<u16> = 0x6600..=0x7fff;

impl Kind {
    /// What tells it in the label `kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apu => "apu",
            Self::Discrete => "discrete",
        }
    }

    /// By the chip: its instruction set as `gfx1151` and its PCI device as `0x1586`. None where neither
    /// is known, and where they contradict each other.
    pub fn of_chip(gfx: &str, device_id: &str) -> Option<Self> {
        match (Self::of_set(gfx), Self::of_device(device_id)) {
            (Some(one), Some(other)) => (one == other).then_some(one),
            (one, other) => one.or(other),
        }
    }

    /// By the version of its `gpu_metrics`, as `v3.0`: tables of format 1 are those of discrete cards,
    /// later ones those of APUs (`kgd_pp_interface.h`).
    pub fn of_table(version: &str) -> Option<Self> {
        let (format, _) = version.strip_prefix('v')?.split_once('.')?;
        match format {
            "1" => Some(Self::Discrete),
            "2" | "3" => Some(Self::Apu),
            _ => None,
        }
    }

    fn of_set(gfx: &str) -> Option<Self> {
        if APU_SETS.contains(&gfx) {
            return Some(Self::Apu);
        }
        DISCRETE_SETS.contains(&gfx).then_some(Self::Discrete)
    }

    fn of_device(device_id: &str) -> Option<Self> {
        let device = u16::from_str_radix(device_id.strip_prefix("0x")?, 16).ok()?;
        if APU_DEVICES.contains(&device) {
            return Some(Self::Apu);
        }
        DISCRETE_DEVICES.contains(&device).then_some(Self::Discrete)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Kind::{self, Apu, Discrete};

    #[test]
    fn a_chip_is_told_by_its_instruction_set_or_its_pci_device() {
        for (gfx, device, kind) in [
            ("gfx1151", "0x1586", Some(Apu)),
            ("gfx1100", "0x744c", Some(Discrete)),
            ("", "0x687f", Some(Discrete)),
            ("", "0x163f", Some(Apu)),
            ("gfx1201", "", Some(Discrete)),
            ("gfx90c", "0x9999", Some(Apu)),
            // An instruction set of both, and then the device.
            ("gfx942", "0x74a1", Some(Discrete)),
            ("gfx942", "0x74a0", Some(Apu)),
        ] {
            assert_eq!(Kind::of_chip(gfx, device), kind, "{gfx} {device}");
        }
    }

    #[test]
    fn what_nobody_knows_or_what_contradicts_itself_is_neither() {
        for (gfx, device) in [("", ""), ("gfx9999", "0x1234"), ("gfx1100", "0x1586"), ("", "1586")]
        {
            assert_eq!(Kind::of_chip(gfx, device), None, "{gfx} {device}");
        }
    }

    #[test]
    fn tables_are_of_discrete_cards_in_format_1_and_of_apus_after_it() {
        let of = Kind::of_table;
        assert_eq!([of("v1.3"), of("v2.2"), of("v3.0")], [Some(Discrete), Some(Apu), Some(Apu)]);
        assert_eq!([of(""), of("v9.0"), of("v"), of("3.0")], [None; 4]);
    }
}
