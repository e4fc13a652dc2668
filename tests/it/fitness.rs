//! A machine that is fit to measure, or not: what is found, what is waited for, what is ended.

mod campaign;
mod checks;
mod guard;
mod waiting;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::{Copy, fixtures};
use crate::program::machine_flags;
use crate::record::Archive;

/// A busy machine with every sensor.
const HOST: &str = "strix-halo-desktop-128g";

/// A machine whose temperatures change.
pub(crate) struct Heated(Copy);

const TABLE: &str = "sys/class/drm/card1/device/gpu_metrics";

/// The other sensors of that machine, in thousandths of a degree.
const SENSORS: [&str; 3] = [
    "sys/class/drm/card1/device/hwmon/hwmon2/temp1_input",
    "sys/class/hwmon/hwmon3/temp1_input",
    "sys/class/accel/accel0/device/hwmon/hwmon6/temp1_input",
];

impl Heated {
    /// A machine whose hottest part is the graphics at so many degrees Celsius.
    pub(crate) fn to(celsius: u16) -> Self {
        let copy = Copy::of(HOST);
        for file in SENSORS.into_iter().chain([TABLE]) {
            fs::copy(fixtures().join("hosts").join(HOST).join(file), copy.clear(file.as_ref()))
                .unwrap();
        }
        let machine = Self(copy);
        machine.set(celsius);
        machine
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Changes the temperature, each file at once: a driver gives no half of one.
    pub(crate) fn set(&self, celsius: u16) {
        let mut table = fs::read(self.path().join(TABLE)).unwrap();
        table[4..6].copy_from_slice(&(celsius * 100).to_le_bytes());
        table[6..8].copy_from_slice(&((celsius - 5) * 100).to_le_bytes());
        self.replace(TABLE, &table);
        for file in SENSORS {
            self.replace(file, format!("{}000\n", celsius - 5).as_bytes());
        }
    }

    fn replace(&self, file: &str, content: &[u8]) {
        let new = self.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path().join(file)).unwrap();
    }

    /// A recording on this machine.
    pub(crate) fn recording(&self, archive: &Archive, flags: &[&str], command: &[&str]) -> Command {
        recording(self.path(), archive, flags, command)
    }
}

fn recording(machine: &Path, archive: &Archive, flags: &[&str], command: &[&str]) -> Command {
    let mut program = archive.program(&["run", "--lead", "0", "--interval", "100ms"]);
    program.args(machine_flags(machine)).args(flags).arg("--").args(command);
    program
}
