//! The output of `ryzenadj -i`, as a pure function on text.
//!
//! Rows are printed as `"| %-19s | %9.3lf | %-18s |\n"` (`RyzenAdj`, `main.c`); which rows there
//! are changed over its versions, so they are taken by name.

use crate::root::Reason;

use super::{Limit, Readings};

/// What a text of `ryzenadj -i` says: readings, or why there are none.
pub fn parse(text: &str) -> Result<Readings, (Reason, &'static str)> {
    let mut readings = Readings::default();
    let is_strix_halo = text.lines().any(|line| {
        let line = line.trim().to_ascii_lowercase();
        line == "cpu family: strix halo" || line == "pm table version: 64020c"
    });
    for line in text.lines() {
        let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
        let (Some(name), Some(value)) = (cells.next(), cells.next()) else { continue };
        // `nan` and `-nan` are numbers for the parser and none for the reader.
        let Some(value) = value.parse::<f64>().ok().filter(|value| value.is_finite()) else {
            continue;
        };
        match name {
            "STAPM LIMIT" => readings.limit(Limit::Stapm, Some(value)),
            "STAPM VALUE" => readings.value(Limit::Stapm, Some(value)),
            "PPT LIMIT FAST" => readings.limit(Limit::Fast, Some(value)),
            "PPT VALUE FAST" => readings.value(Limit::Fast, Some(value)),
            "PPT LIMIT SLOW" => readings.limit(Limit::Slow, Some(value)),
            "PPT VALUE SLOW" => readings.value(Limit::Slow, Some(value)),
            // PPT VALUE APU beside it is marked as untested and is 0 always.
            "PPT LIMIT APU" => readings.limit(Limit::ApuSlow, Some(value)),
            // On Strix Halo these rows show other sensors than their names say: the getters
            // read the limits of the graphics part and of the rest of the chip.
            "THM LIMIT CORE" if is_strix_halo => readings.temperature_limit("gfx", Some(value)),
            "STT LIMIT dGPU" if is_strix_halo => readings.temperature_limit("soc", Some(value)),
            _ => {}
        }
    }
    if readings.is_empty() { Err(reason(text)) } else { Ok(readings) }
}

/// Texts that `ryzenadj` prints where it fails, the most telling first.
const FAILURES: [(&str, Reason, &str); 19] = [
    ("rejected - busy", Reason::Busy, "the SMU is busy"),
    ("was rejected", Reason::Rejected, "the SMU rejected the request"),
    ("refresh_table failed", Reason::Rejected, "the SMU did not fill the table"),
    ("Unable to refresh power metric table", Reason::Rejected, "the SMU did not fill the table"),
    ("is unsupported", Reason::Unsupported, "the SMU does not support the request"),
    ("Not AMD processor", Reason::Unsupported, "not an AMD processor"),
    ("Unsupported family", Reason::Unsupported, "ryzenadj does not know this processor"),
    ("Only Ryzen Mobile Series", Reason::Unsupported, "ryzenadj does not know this processor"),
    ("unsupported model", Reason::Unsupported, "ryzenadj does not know this processor"),
    ("check secure boot", Reason::Lockdown, "the kernel is locked down: secure boot"),
    ("Unable to get memory access", Reason::Lockdown, "the kernel forbids /dev/mem: iomem=relaxed"),
    ("Unable to init power metric table", Reason::Lockdown, "the kernel forbids /dev/mem"),
    // It says so too where the module ryzen_smu is loaded and does not know the table.
    (
        "Unable to get os_access Obj",
        Reason::Permission,
        "ryzenadj has no access: it must run as root, and a ryzen_smu that is loaded must know this machine's table",
    ),
    ("check permission", Reason::Permission, "ryzenadj must run as root"),
    ("Unable to get PCI Obj", Reason::Permission, "ryzenadj must run as root"),
    ("Unable to get NB Obj", Reason::Permission, "ryzenadj must run as root"),
    ("pci_alloc failed", Reason::Permission, "ryzenadj must run as root"),
    ("Unable to get pci device", Reason::Permission, "ryzenadj must run as root"),
    ("Unable to init ryzenadj", Reason::Permission, "ryzenadj could not start: is it root?"),
];

fn reason(text: &str) -> (Reason, &'static str) {
    let known = FAILURES.iter().find(|(part, ..)| text.contains(part));
    if let Some((_, reason, detail)) = known {
        return (*reason, detail);
    }
    if text.contains("PM Table Version") {
        return (Reason::UnknownTable, "ryzenadj does not know this version of the power table");
    }
    (Reason::Garbage, "holds no row of ryzenadj -i with a number")
}
