//! A machine of files that change while halo reads them, as firmware and kernel change them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::real::process::output;

pub(in crate::real) const CARD: &str = "sys/class/drm/card1/device";

/// A copy of the fixture whose files change.
pub(in crate::real) struct Machine(pub(in crate::real) PathBuf);

impl Machine {
    pub(in crate::real) fn copy(directory: &Path) -> Self {
        let machine = directory.join("machine");
        let fixture = crate::real::hosts().join("strix-halo-zbook-64g");
        assert!(output(Command::new("cp").arg("-r").arg(fixture).arg(&machine)).status.success());
        fs::create_dir_all(machine.join("root/run/halo")).unwrap();
        Self(machine)
    }

    /// Replaces a file as a whole, so that nobody reads a part of it.
    pub(in crate::real) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let new = self.0.join("new").with_extension(path.replace('/', "-"));
        fs::write(&new, content).unwrap();
        fs::rename(new, self.0.join(path)).unwrap();
    }

    pub(in crate::real) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }

    /// Puts a FIFO where a file is: a read of it waits as for a driver that does not answer.
    pub(in crate::real) fn hang(&self, path: &str) {
        let fifo = self.0.join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::rename(fifo, self.0.join(path)).unwrap();
    }

    /// Puts a file back and lets those go on who wait for it.
    pub(in crate::real) fn answer(&self, path: &str, content: &str) {
        let fifo = self.0.join("fifo");
        fs::rename(self.0.join(path), &fifo).unwrap();
        self.write(path, content);
        drop(fs::OpenOptions::new().read(true).write(true).open(fifo).unwrap());
    }
}

/// What firmware does, in the units of its table.
#[derive(Clone, Copy)]
pub(in crate::real) struct Firmware {
    /// Percent.
    pub(in crate::real) busy: u16,
    /// MHz.
    pub(in crate::real) clock: u16,
    /// mW.
    pub(in crate::real) socket: u32,
    /// mW.
    pub(in crate::real) gfx: u32,
    /// Hundredths of a degree.
    pub(in crate::real) temperature: u16,
    /// The share of time that the limiters are engaged, in the order of the table.
    pub(in crate::real) shares: [f64; 7],
    /// W.
    pub(in crate::real) limit: f64,
    /// W.
    pub(in crate::real) value: f64,
    /// The share of time that programs wait for memory.
    pub(in crate::real) pressure: f64,
    pub(in crate::real) is_pressure_told: bool,
}

pub(in crate::real) const CALM: Firmware = Firmware {
    busy: 40,
    clock: 2400,
    socket: 55_000,
    gfx: 40_000,
    temperature: 6_500,
    // Prochot, spl, fppt, sppt, thm_core, thm_gfx, thm_soc: the edges of loads.
    shares: [0.0, 0.02, 0.04, 0.02, 0.01, 0.0, 0.0],
    limit: 81.0,
    value: 55.0,
    pressure: 0.001,
    is_pressure_told: true,
};

pub(in crate::real) const TROUBLE: Firmware = Firmware {
    busy: 100,
    clock: 2100,
    socket: 115_000,
    gfx: 80_000,
    temperature: 9_900,
    shares: [0.3, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0],
    limit: 59.0,
    value: 59.0,
    pressure: 0.4,
    is_pressure_told: true,
};

/// 100 % busy at the highest clock with a third of the power before: facts G2.
pub(in crate::real) const HANG: Firmware = Firmware {
    busy: 100,
    clock: 2900,
    socket: 42_000,
    gfx: 24_800,
    shares: [0.0; 7],
    is_pressure_told: false,
    ..CALM
};

/// Sleeps and writes what the firmware says, until nobody holds the other end.
pub(in crate::real) fn run_firmware(machine: &Machine, now: &Arc<Mutex<Firmware>>) {
    let mut table = fs::read(machine.0.join(CARD).join("gpu_metrics")).unwrap();
    let (mut counters, mut stalled) = ([1000.0; 7], 0.0);
    let mut last = Instant::now();
    while Arc::strong_count(now) > 1 {
        // Held while files are written, so that whoever changes it finds them written.
        let firmware = now.lock().unwrap();
        let seconds = last.elapsed().as_secs_f64();
        last = Instant::now();
        let mut put = |at: usize, bytes: &[u8]| table[at..at + bytes.len()].copy_from_slice(bytes);
        for ((counter, share), at) in
            counters.iter_mut().zip(firmware.shares).zip((228..).step_by(4))
        {
            *counter += share * seconds * 1000.0;
            put(at, &whole(*counter).to_le_bytes());
        }
        // Offsets of struct gpu_metrics_v3_0: temperature_gfx, temperature_soc, activity, power
        // of the socket and of graphics, clock.
        put(4, &firmware.temperature.to_le_bytes());
        put(6, &(firmware.temperature - 300).to_le_bytes());
        put(42, &firmware.busy.to_le_bytes());
        put(112, &firmware.socket.to_le_bytes());
        put(124, &firmware.gfx.to_le_bytes());
        put(174, &firmware.clock.to_le_bytes());
        machine.write(&format!("{CARD}/gpu_metrics"), &table);
        stalled += firmware.pressure * seconds * 1e6;
        if firmware.is_pressure_told {
            machine.write("proc/pressure/memory", pressure(whole(stalled)));
        }
        machine.write("root/run/halo/ryzenadj.txt", ryzenadj(&firmware));
        drop(firmware);
        thread::sleep(Duration::from_millis(50));
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
pub(in crate::real) fn whole(number: f64) -> u32 {
    number as u32
}

pub(in crate::real) fn pressure(total: u32) -> String {
    let line = |kind| format!("{kind} avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n");
    line("some") + &line("full")
}

/// As `ryzenadj -i` prints it.
pub(in crate::real) fn ryzenadj(firmware: &Firmware) -> String {
    let mut text = "CPU Family: Strix Halo\nPM Table Version: 64020c\n".to_owned();
    for (row, value) in [
        ("STAPM LIMIT", firmware.limit),
        ("STAPM VALUE", firmware.value),
        ("PPT LIMIT FAST", firmware.limit),
        ("PPT VALUE FAST", firmware.value),
        ("PPT LIMIT SLOW", firmware.limit),
        ("PPT VALUE SLOW", firmware.value),
        ("THM LIMIT CORE", 100.0),
    ] {
        writeln!(text, "| {row:<19} | {value:>9.3} | {:<18} |", "").unwrap();
    }
    text
}
