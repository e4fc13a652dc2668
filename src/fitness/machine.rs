//! What is known of a machine at the moment, as the checks need it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::processes::Processes;
use super::temperature::{self, Temperature};
use super::{Pause, Unfit};
use crate::config::{Config, Paths};
use crate::metric::Sample;
use crate::plan::memory::Memory;
use crate::process::Program;
use crate::root::Root;
use crate::run::manifest::ProcessUse;
use crate::sample::{Sampler, Snapshot};
use crate::source::tuning::checks::{CHECKS, Check};
use crate::source::{Source, process_gpu, runs, selfstat};

/// How often the graphics processor is looked at, and how long between: firmware filters its
/// activity over a second, so this sees what one reading would not.
const LOOKS: u32 = 8;
const BETWEEN: Duration = Duration::from_millis(250);

/// How long `timedatectl` may take.
const CLOCK_DEADLINE: Duration = Duration::from_secs(2);

/// What is known of a machine. What is unknown is absent.
#[derive(Debug, Default)]
pub struct Machine {
    /// The graphics processors that are awake.
    pub gpus: Vec<Gpu>,
    /// Who has one of them open, as far as this user may see, without halo and what it started;
    /// the busiest first, then who holds most. Absent where that cannot be told at all.
    pub users: Option<Vec<User>>,
    /// What other processes took of the processor meanwhile, the busiest first. Absent where halo looks
    /// at another machine than the one that it runs on.
    pub busiest: Option<Vec<ProcessUse>>,
    /// The processes that hold most memory, the greatest first.
    pub largest: Option<Vec<ProcessUse>>,
    /// How long they were looked at.
    pub looked: Duration,
    /// The hottest part of the processor.
    pub hottest: Option<Temperature>,
    /// The memory that a model may have.
    pub memory: Memory,
    /// The tuning checks that can be told, and whether they pass.
    pub tuning: Vec<(&'static Check, bool)>,
    /// The settings that those look at, by name.
    pub settings: BTreeMap<String, String>,
    /// The power limits that the user asked for.
    pub limits: Vec<PowerLimit>,
    /// Mains and USB supplies, and whether each is connected.
    pub supplies: Vec<(String, bool)>,
    /// Whether the system clock follows another one.
    pub is_clock_synchronized: Option<bool>,
    /// Room in the archive's file system, in bytes.
    pub room: Option<u64>,
}

/// A graphics processor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gpu {
    /// Its PCI address.
    pub address: String,
    /// Share of the time that its shaders worked, the mean over the time that was looked at.
    pub busy: Option<f64>,
    /// What its shaders drew, in watts, the mean over the same time.
    pub watts: Option<f64>,
}

/// A process that has a graphics processor open.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Its number.
    pub pid: String,
    /// Its name.
    pub comm: String,
    /// Bytes of the graphics processors' memory that it holds.
    pub bytes: f64,
    /// Seconds that the engines worked for it while they were looked at.
    pub seconds: f64,
}

/// A power limit that the user asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerLimit {
    /// As `stapm`.
    pub limit: String,
    /// Watts that the configuration asks for.
    pub requested: f64,
    /// Watts that firmware enforces.
    pub enforced: Option<f64>,
}

/// The sources of a machine, opened for as long as somebody looks at it.
#[derive(Debug)]
pub struct Look {
    root: Arc<Root>,
    sampler: Sampler,
    config: Config,
}

impl Look {
    /// Opens the sources that the configuration switches on, and the one that tells who uses the
    /// graphics processor.
    pub fn open(config: &Config) -> Result<Self, Unfit> {
        let mut config = config.clone();
        config.collector.insert(process_gpu::SOURCE.name.to_owned(), true);
        let root = Arc::new(config.path.root());
        let sampler = Sampler::start(&config, &root).map_err(|error| failure(&error))?;
        Ok(Self { root, sampler, config })
    }

    /// What the wanted sources say now.
    pub(super) fn read(&self, wanted: impl Fn(&Source) -> bool) -> Result<Snapshot, Unfit> {
        self.sampler.read_now(wanted).map_err(|error| failure(&error))
    }

    /// The hottest part of the processor now.
    pub(super) fn hottest(&self) -> Result<Option<Temperature>, Unfit> {
        Ok(temperature::hottest(self.read(temperature::is_source)?.values()))
    }

    /// Looks at the machine for two seconds. Where the archive is and the clock are the caller's
    /// to add: no source tells them.
    pub fn gather(&self, pause: Pause<'_>) -> Result<Machine, Unfit> {
        let began = Instant::now();
        let is_about_machine = |source: &Source| {
            [&runs::SOURCE, &selfstat::SOURCE].iter().all(|other| source.name != other.name)
        };
        // Activity and power of the graphics processor come from a source that has temperatures.
        let changes_quickly = |source: &Source| {
            temperature::is_source(source) || source.name == process_gpu::SOURCE.name
        };
        let mut processes = Processes::watch(&self.config);
        let first = self.read(is_about_machine)?;
        let knows_users = first
            .states()
            .iter()
            .any(|state| state.source.name == process_gpu::SOURCE.name && state.is_up());
        let mut looks: Vec<Vec<Sample>> = vec![first.values().cloned().collect()];
        for _ in 1..LOOKS {
            if let Some(signal) = pause(BETWEEN) {
                return Err(Unfit::Signal(signal));
            }
            looks.push(self.read(changes_quickly)?.values().cloned().collect());
        }
        let mut machine = Machine::of(&looks);
        machine.memory = Memory::of(first.values(), &self.root);
        machine.looked = began.elapsed();
        machine.busiest = processes.as_mut().map(Processes::busiest);
        machine.largest = processes.as_ref().map(Processes::largest);
        let is_own = |pid: &str| {
            let pid = pid.parse::<usize>().map(sysinfo::Pid::from);
            pid.is_ok_and(|pid| processes.as_ref().is_some_and(|all| all.is_own(pid)))
        };
        machine.users = knows_users.then(|| users(&looks, is_own));
        Ok(machine)
    }

    /// Whether the system clock follows another one.
    pub fn is_clock_synchronized(&self) -> Option<bool> {
        if self.root.stamp("/run/systemd/timesync/synchronized").is_ok() {
            return Some(true);
        }
        // What a program of this machine says is true of this machine alone.
        if self.config.path != Paths::default() {
            return None;
        }
        let program = [
            "/usr/bin/timedatectl",
            "/bin/timedatectl",
            // NixOS has it here alone.
            "/run/current-system/sw/bin/timedatectl",
        ];
        let program = program.iter().find(|path| Path::new(path).is_file())?;
        let arguments = ["show", "--property=NTPSynchronized", "--value"];
        let output = Program::new(Path::new(program), &arguments, CLOCK_DEADLINE).run().ok()?;
        match output.stdout.trim() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
}

fn failure(error: &std::io::Error) -> Unfit {
    Unfit::Refused(format!("the machine cannot be looked at: {error}"))
}

impl Machine {
    /// What the sources said, looked at several times; the first time it was all of them.
    pub fn of(looks: &[Vec<Sample>]) -> Self {
        let (Some(first), Some(last)) = (looks.first(), looks.last()) else {
            return Self::default();
        };
        let values =
            |family: &'static str| first.iter().filter(move |sample| sample.def.name == family);
        let enforced = |limit: &str| {
            values("halo_power_limit_watts").find(|s| &*s.labels[0] == limit).map(|s| s.value)
        };
        let passes = |check: &Check| {
            let mut all = values("halo_tuning_check");
            all.find(|sample| &*sample.labels[0] == check.name).map(|sample| sample.value > 0.0)
        };
        Self {
            gpus: gpus(looks),
            hottest: temperature::hottest(last),
            tuning: CHECKS.iter().filter_map(|check| Some((check, passes(check)?))).collect(),
            settings: values("halo_tuning_info")
                .map(|sample| (sample.labels[0].to_string(), sample.labels[1].to_string()))
                .chain(
                    values("halo_tuning_value")
                        .map(|sample| (sample.labels[0].to_string(), sample.value.to_string())),
                )
                .collect(),
            limits: values("halo_power_limit_requested_watts")
                .map(|sample| PowerLimit {
                    limit: sample.labels[0].to_string(),
                    requested: sample.value,
                    enforced: enforced(&sample.labels[0]),
                })
                .collect(),
            supplies: values("halo_supply_online")
                .map(|sample| (sample.labels[0].to_string(), sample.value > 0.0))
                .collect(),
            ..Self::default()
        }
    }
}

/// The graphics processors, with the mean of what each did.
fn gpus(looks: &[Vec<Sample>]) -> Vec<Gpu> {
    let mut addresses: Vec<&str> = looks
        .iter()
        .flatten()
        .filter(|sample| sample.def.name.starts_with("halo_gpu_"))
        .filter_map(|sample| Some(&**sample.labels.first()?))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let gpu = |address: &str| {
        let mean = |family: &str, what: &str| {
            let values = looks.iter().flatten().filter(|sample| {
                sample.def.name == family && *sample.labels == [address.into(), what.into()]
            });
            let values: Vec<f64> = values.map(|sample| sample.value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Gpu {
            address: address.to_owned(),
            busy: mean("halo_gpu_busy_ratio", "gfx"),
            watts: mean("halo_power_watts", "gfx"),
        }
    };
    // One that sleeps has a name and no values.
    let is_awake = |gpu: &Gpu| gpu.busy.is_some() || gpu.watts.is_some();
    addresses.into_iter().map(gpu).filter(is_awake).collect()
}

/// Who has a graphics processor open.
fn users(looks: &[Vec<Sample>], is_own: impl Fn(&str) -> bool) -> Vec<User> {
    let sum = |look: &[Sample], family: &str, pid: &str| -> f64 {
        let of = |sample: &&Sample| sample.def.name == family && &*sample.labels[1] == pid;
        look.iter().filter(of).map(|sample| sample.value).sum()
    };
    let (memory, time) = (process_gpu::MEMORY.def().name, process_gpu::TIME.def().name);
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for sample in looks.iter().flatten().filter(|s| s.def.name == memory || s.def.name == time) {
        names.insert(&sample.labels[1], &sample.labels[2]);
    }
    let users = names.into_iter().filter(|(pid, _)| !is_own(pid)).map(|(pid, comm)| {
        let seen =
            |look: &&Vec<Sample>| look.iter().any(|s| s.def.name == time && &*s.labels[1] == pid);
        let first = looks.iter().find(seen).map_or(0.0, |look| sum(look, time, pid));
        let last = looks.iter().rev().find(seen).map_or(0.0, |look| sum(look, time, pid));
        User {
            pid: pid.to_owned(),
            comm: comm.to_owned(),
            bytes: looks.iter().map(|look| sum(look, memory, pid)).fold(0.0, f64::max),
            seconds: (last - first).max(0.0),
        }
    });
    let mut users: Vec<User> = users.collect();
    users.sort_by(|a, b| {
        (b.seconds, b.bytes).partial_cmp(&(a.seconds, a.bytes)).unwrap_or(std::cmp::Ordering::Equal)
    });
    users
}
