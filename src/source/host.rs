//! Which machine this is, without anything that identifies its owner.

use std::time::Duration;

use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::root::{ReadError, Root, is_word};
use crate::source::{Cadence, Presence, Source, Stateless, absent_or};

static INFO: Metric<5> = Metric::new(Def {
    name: "halo_host_info",
    help: "The machine: kernel, operating system, processor, board and BIOS; no serial numbers and no host name.",
    kind: Kind::Gauge,
    unit: Unit::Info,
    labels: &["kernel", "os", "cpu", "board", "bios"],
    table: Table::None,
    from: "/proc/sys/kernel/osrelease, PRETTY_NAME of /etc/os-release, model name of /proc/cpuinfo, /sys/class/dmi/id",
});

/// The source `host`.
pub static SOURCE: Source = Source {
    name: "host",
    about: "Machine: kernel, operating system, processor, board, BIOS",
    metrics: &[INFO.def()],
    default: true,
    cadence: Cadence::Hold(Duration::from_mins(1)),
    floor: Duration::ZERO,
    remedy: "No /proc/sys/kernel/osrelease: mount procfs, or name it with --path.procfs.",
    open: |_| vec![Box::new(Stateless(read))],
};

fn read(root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
    absent_or(root.word("/proc/sys/kernel/osrelease"), |kernel| {
        // The second is there where the first is missing (os-release(5)).
        let os = ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .find_map(|path| samples.known(root.read(path)))
            .and_then(|text| value_of(&text, "PRETTY_NAME=").map(unquoted))
            .unwrap_or_default();
        let cpu = samples
            .known(root.read("/proc/cpuinfo"))
            .and_then(|text| {
                value_of(&text, "model name").map(|v| v.trim_matches([' ', '\t', ':']).to_owned())
            })
            .unwrap_or_default();
        let mut dmi = |files: [&str; 2]| {
            let parts = files.map(|file| {
                samples
                    .known(root.word(&format!("/sys/class/dmi/id/{file}")))
                    .filter(|text| !PLACEHOLDERS.contains(&text.as_str()))
                    .unwrap_or_default()
            });
            parts.join(" ").trim().to_owned()
        };
        let board = dmi(["board_vendor", "board_name"]);
        let bios = dmi(["bios_version", "bios_date"]);
        samples.record(&INFO, [&kernel, &os, &cpu, &board, &bios], 1.0);
        Ok(Presence::Present)
    })
}

/// What vendors leave in the firmware where they have nothing to say.
const PLACEHOLDERS: [&str; 4] =
    ["Default string", "Not Specified", "System Product Name", "To Be Filled By O.E.M."];

/// A value of os-release without its shell quotes (os-release(5)).
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.trim_matches('\'').to_owned();
    };
    let mut is_escaped = false;
    let kept = inner.chars().filter(|&character| {
        is_escaped = character == '\\' && !is_escaped;
        !is_escaped
    });
    kept.collect()
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .filter(|value| is_word(value.trim_matches(['\t', ' ', ':'])))
}
