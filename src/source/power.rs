//! Power limits: what firmware enforces, the value held against each, and what the user asked for.
//!
//! Firmware changes limits behind the user's back (resume, platform profile, mains), so they are
//! read again and again. Three ways lead to them, and the first that gives a number is taken: the
//! table of the module `ryzen_smu`, a file of `ryzenadj -i` output that a helper writes as root,
//! and `ryzenadj -i` run by halo itself where the configuration says so.

use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::metric::{Def, Kind, Metric, Samples, Table, Unit};
use crate::process::{Failure, Program};
use crate::root::{ReadError, Reason, Root};
use crate::source::{Cadence, Presence, Reader, Source};

pub mod pm_table;
pub mod ryzenadj;

/// Power limits that firmware enforces.
pub static LIMIT: Metric<1> = Metric::new(Def {
    name: "halo_power_limit_watts",
    help: "Power limit that firmware enforces now.",
    kind: Kind::Gauge,
    unit: Unit::Watts,
    labels: &["limit"],
    table: Table::PowerLimit,
    from: FROM,
});
/// The values that are held against power limits.
pub static VALUE: Metric<1> = Metric::new(Def {
    name: "halo_power_limit_value_watts",
    help: "Power that firmware holds against a limit; at the limit, it slows the chip down.",
    kind: Kind::Gauge,
    unit: Unit::Watts,
    labels: &["limit"],
    table: Table::PowerLimit,
    from: FROM,
});
static REQUESTED: Metric<1> = Metric::new(Def {
    name: "halo_power_limit_requested_watts",
    help: "Power limit that the user asked for; firmware may enforce less.",
    kind: Kind::Gauge,
    unit: Unit::Watts,
    labels: &["limit"],
    table: Table::PowerLimit,
    from: "[power.requested] in the configuration",
});
/// Temperature limits that firmware enforces.
pub static TEMPERATURE_LIMIT: Metric<2> = Metric::new(Def {
    name: "halo_temperature_limit_celsius",
    help: "Temperature at which firmware slows a part of the chip down.",
    kind: Kind::Gauge,
    unit: Unit::Celsius,
    labels: &["device", "sensor"],
    table: Table::Temperature,
    from: "pm_table of ryzen_smu, version 0x64020C: 0x58 (gfx) and 0x60 (soc); the same two in ryzenadj -i of Strix Halo, where they are called THM LIMIT CORE and STT LIMIT dGPU",
});
static READING_AGE: Metric<0> = Metric::new(Def {
    name: "halo_power_reading_age_seconds",
    help: "Age of the file that the helper writes; absent where limits come from elsewhere.",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    table: Table::None,
    from: "modification time of the file that [power] ryzenadj_file names",
});

const FROM: &str = "pm_table of ryzen_smu (versions 0x64020C and, in part, 0x64010C), else the rows STAPM, PPT FAST, PPT SLOW and PPT LIMIT APU of ryzenadj -i";

/// The source `power`.
pub static SOURCE: Source = Source {
    name: "power",
    about: "Power limits: enforced, value held against them, requested",
    metrics: &[
        LIMIT.def(),
        VALUE.def(),
        REQUESTED.def(),
        TEMPERATURE_LIMIT.def(),
        READING_AGE.def(),
    ],
    default: true,
    // The SMU is made for a few requests a second.
    cadence: Cadence::Apart(Duration::from_secs(1)),
    floor: Duration::ZERO,
    remedy: "No power limits: `modprobe ryzen_smu` (amkillam's fork knows Strix Halo), or install configs/systemd/halo-ryzenadj.timer, or name ryzenadj with --power.ryzenadj-command.",
    open: |config| vec![Box::new(Power::new(config))],
};

/// The limits of the SMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Sustained, over minutes (skin temperature aware power management).
    Stapm,
    /// Fast, over milliseconds.
    Fast,
    /// Slow, over seconds.
    Slow,
    /// Slow, of the APU without a discrete card.
    ApuSlow,
}

impl Limit {
    /// All limits.
    pub const ALL: [Self; 4] = [Self::Stapm, Self::Fast, Self::Slow, Self::ApuSlow];

    /// The value of the label `limit`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stapm => "stapm",
            Self::Fast => "fast",
            Self::Slow => "slow",
            Self::ApuSlow => "apu_slow",
        }
    }
}

/// What one of the three ways gave. What cannot be true is left out.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Readings {
    limits: Vec<(Limit, f64)>,
    values: Vec<(Limit, f64)>,
    temperature_limits: Vec<(&'static str, f64)>,
}

impl Readings {
    fn limit(&mut self, limit: Limit, watts: Option<f64>) {
        self.limits.extend(watts.filter(|w| (1.0..=300.0).contains(w)).map(|w| (limit, w)));
    }

    fn value(&mut self, limit: Limit, watts: Option<f64>) {
        self.values.extend(watts.filter(|w| (0.0..=300.0).contains(w)).map(|w| (limit, w)));
    }

    fn temperature_limit(&mut self, sensor: &'static str, celsius: Option<f64>) {
        let celsius = celsius.filter(|c| (20.0..=150.0).contains(c));
        self.temperature_limits.extend(celsius.map(|celsius| (sensor, celsius)));
    }

    /// Whether there is no power at all.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.values.is_empty()
    }

    /// The enforced limits in watts.
    pub fn limits(&self) -> &[(Limit, f64)] {
        &self.limits
    }

    /// The values held against them in watts.
    pub fn values(&self) -> &[(Limit, f64)] {
        &self.values
    }

    /// The temperature limits in degrees Celsius, by sensor.
    pub fn temperature_limits(&self) -> &[(&'static str, f64)] {
        &self.temperature_limits
    }
}

struct Power {
    helper_file: String,
    program: Option<Program>,
    requested: Vec<(Limit, f64)>,
}

/// How long `ryzenadj -i` may take; its waiting for the SMU has no end of its own.
const COMMAND_DEADLINE: Duration = Duration::from_secs(2);

/// A helper's file that is older shows limits that may have changed since: the timer writes it
/// every 10 s.
const OLDEST_FILE: Duration = Duration::from_mins(1);

impl Power {
    fn new(config: &Config) -> Self {
        let command = config.power.ryzenadj_command.as_deref();
        let requested = &config.power.requested;
        let requested = [
            (Limit::Stapm, requested.stapm),
            (Limit::Fast, requested.fast),
            (Limit::Slow, requested.slow),
            (Limit::ApuSlow, requested.apu_slow),
        ];
        Self {
            helper_file: config.power.ryzenadj_file.to_string_lossy().into_owned(),
            program: command.map(|path: &Path| Program::new(path, &["-i"], COMMAND_DEADLINE)),
            requested: requested.into_iter().filter_map(|(l, watts)| Some((l, watts?))).collect(),
        }
    }

    /// The readings of the first way that gives any. Otherwise the first failure, if none of the
    /// ways is simply not there.
    fn readings(
        &mut self,
        root: &Root,
        samples: &mut Samples,
    ) -> Result<Option<Readings>, ReadError> {
        let mut failure = None;
        for way in [Self::table, Self::file, Self::command] {
            match way(self, root, samples) {
                Ok(Some(readings)) => return Ok(Some(readings)),
                Ok(None) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    #[expect(clippy::unused_self, reason = "one of three ways with the same form")]
    fn table(&mut self, root: &Root, _: &mut Samples) -> Result<Option<Readings>, ReadError> {
        const VERSION: &str = "/sys/kernel/ryzen_smu_drv/pm_table_version";
        const TABLE: &str = "/sys/kernel/ryzen_smu_drv/pm_table";
        let version = match root.bytes(VERSION) {
            Err(error) if error.is_absent() && root.list(DRIVER).is_ok() => {
                return Err(without_table(root));
            }
            version => version?,
        };
        let version: [u8; 4] = version
            .as_slice()
            .try_into()
            .map_err(|_| ReadError::garbage(root.locate(VERSION), "is no 32-bit number"))?;
        let bytes = match root.bytes(TABLE) {
            Err(error) if error.is_absent() => return Err(without_table(root)),
            bytes => bytes?,
        };
        pm_table::parse(u32::from_le_bytes(version), &bytes).map(Some).map_err(|refusal| {
            let (path, reason) = match refusal {
                pm_table::Refusal::Empty => (TABLE, Reason::Rejected),
                pm_table::Refusal::UnknownVersion(_) => (VERSION, Reason::UnknownTable),
                _ => (TABLE, Reason::Garbage),
            };
            ReadError::new(root.locate(path), reason, refusal.to_string())
        })
    }

    fn file(&mut self, root: &Root, samples: &mut Samples) -> Result<Option<Readings>, ReadError> {
        let age = root.age(&self.helper_file)?;
        samples.record(&READING_AGE, [], age.as_secs_f64());
        if age > OLDEST_FILE {
            return Err(ReadError::new(
                root.locate(&self.helper_file),
                Reason::Stale,
                "was written long ago; `systemctl status halo-ryzenadj.timer` says why",
            ));
        }
        let text = root.read(&self.helper_file)?;
        ryzenadj::parse(&text).map(Some).map_err(|(reason, detail)| {
            ReadError::new(root.locate(&self.helper_file), reason, detail)
        })
    }

    fn command(&mut self, _: &Root, _: &mut Samples) -> Result<Option<Readings>, ReadError> {
        let Some(program) = &mut self.program else { return Ok(None) };
        let path = program.path().to_owned();
        let output = program.run().map_err(|failure| {
            let reason = match failure {
                Failure::NotStarted(_) => Reason::Io,
                Failure::Deadline(_) | Failure::StillThere => Reason::Timeout,
            };
            ReadError::new(path.clone(), reason, failure.to_string())
        })?;
        // The exit code tells nothing: 0 also where there is no table, 251 with a whole header.
        ryzenadj::parse(&format!("{}\n{}", output.stderr, output.stdout))
            .map(Some)
            .map_err(|(reason, detail)| ReadError::new(path, reason, detail))
    }
}

/// Where the module `ryzen_smu` has its files.
const DRIVER: &str = "/sys/kernel/ryzen_smu_drv";

/// The module is there and its table is not: it makes no files of a version that it does not know.
fn without_table(root: &Root) -> ReadError {
    let release = root.word(&format!("{DRIVER}/drv_version"));
    let release = release.map_or_else(|_| String::new(), |release| format!(" {release}"));
    let detail = format!(
        "ryzen_smu{release} is loaded and gives no table: it does not know the version of this machine's, e.g. 0x64010C; update it (amkillam's fork); `dmesg --grep ryzen_smu` names the version"
    );
    ReadError::new(root.locate(DRIVER), Reason::UnknownTable, detail)
}

impl Reader for Power {
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        for (limit, watts) in &self.requested {
            samples.record(&REQUESTED, [limit.as_str()], *watts);
        }
        let Some(readings) = self.readings(root, samples)? else {
            let is_requested = !self.requested.is_empty();
            return Ok(if is_requested { Presence::Present } else { Presence::Absent });
        };
        for (limit, watts) in &readings.limits {
            samples.record(&LIMIT, [limit.as_str()], *watts);
        }
        for (limit, watts) in &readings.values {
            samples.record(&VALUE, [limit.as_str()], *watts);
        }
        for (sensor, celsius) in &readings.temperature_limits {
            samples.record(&TEMPERATURE_LIMIT, ["package", sensor], *celsius);
        }
        Ok(Presence::Present)
    }
}
