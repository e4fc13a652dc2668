//! Which GPUs a command computed on, and so whose power its energy is.
//!
//! The socket of an APU feeds what any command does, so it always counts; a card of its own counts
//! where the command used it. Where that cannot be known, or where the power of a card that worked
//! is not known, there is no figure, and the reason stands in its place.

use std::collections::{BTreeMap, BTreeSet};

use named::{Choice, Device};

use super::phase::Window;
use super::telemetry::{Telemetry, Unreadable};
use crate::run::Environment;
use crate::run::manifest::Case;
use crate::source::amdgpu::{BUSY, Kind};
use crate::source::shared::POWER;

pub mod named;

/// How busy a card may be that nobody computes on, from 0 to 1: a desktop that it shows is.
const IDLE_BUSY: f64 = 0.05;

/// A GPU of the machine.
#[derive(Debug, Clone, Default, PartialEq)]
struct Gpu {
    address: String,
    kind: Option<Kind>,
    name: String,
    gfx: String,
    /// Another driver than amdgpu, whose power halo does not read.
    driver: Option<String>,
}

/// What is known of the devices of a command.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a> {
    /// The machine.
    pub environment: Option<&'a Environment>,
    /// The words of the command behind its program.
    pub arguments: &'a [String],
    /// What the program printed of devices.
    pub named: Vec<Device>,
    /// The cases that it measured, with what it says of each.
    pub cases: &'a [Case],
    /// The PCI addresses on which its processes worked, as the kernel counted.
    pub counted: &'a [String],
}

/// Whose power is the energy of a command or of a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Devices {
    /// The APU whose socket counts; none where no GPU of the machine is known to be one.
    pub apu: Option<String>,
    /// The cards that count beside it, by PCI address.
    pub cards: Vec<String>,
    /// Why there is no figure, where there can be none.
    pub absent: Option<String>,
    /// What may be missing in the figure.
    pub remark: Option<String>,
    /// Whether the machine's GPUs are known at all.
    pub is_machine_known: bool,
}

/// The devices of a command and of each of its cases.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Of the command.
    pub whole: Devices,
    cases: BTreeMap<(String, String), Devices>,
}

impl Usage {
    /// Of a case; the command's where nothing more is known of it.
    pub fn of_case(&self, task: &str, case: &str) -> &Devices {
        self.cases.get(&(task.to_owned(), case.to_owned())).unwrap_or(&self.whole)
    }

    /// Finds out.
    ///
    /// # Errors
    ///
    /// Where the recording is damaged.
    pub fn of(
        evidence: &Evidence<'_>,
        telemetry: &dyn Telemetry,
        command: Window,
    ) -> Result<Self, Unreadable> {
        let machine = Machine::of(evidence.environment);
        let activity = Activity::of(telemetry, command)?;
        let mut usage = Self { whole: Devices::default(), cases: BTreeMap::new() };
        let mut union = BTreeSet::new();
        let mut is_whole = !evidence.cases.is_empty();
        for case in evidence.cases {
            let field = |name: &str| {
                let value = case.parameters.get(name)?;
                Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            let found = used_by_row(&machine, evidence, field);
            is_whole &= found.is_some();
            union.extend(found.iter().flatten().cloned());
            let devices = machine.devices(found, &activity);
            usage.cases.insert((case.task.clone(), case.case.clone()), devices);
        }
        let found = if is_whole { Some(union) } else { used_by_command(&machine, evidence) };
        usage.whole = machine.devices(found, &activity);
        if !is_whole {
            // What the command tells is true of each of its cases.
            usage.cases.clear();
        }
        Ok(usage)
    }
}

/// A device that a command used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Used {
    /// One of the machine, by its address.
    Gpu(String),
    /// One of another maker, by what the program calls it.
    Foreign(String),
    /// One of which nobody knows which it is.
    Unknown(String),
}

type Found = Option<BTreeSet<Used>>;

/// The devices of one test, as far as its row tells them.
fn used_by_row(
    machine: &Machine,
    evidence: &Evidence<'_>,
    field: impl Fn(&str) -> Option<String>,
) -> Found {
    let backends = field("backends").unwrap_or_default();
    let is_gpu = |name: &str| !matches!(name, "" | "CPU" | "BLAS" | "RPC");
    if !backends.is_empty() && !backends.split(',').any(|name| is_gpu(name.trim())) {
        return Some(BTreeSet::new());
    }
    let info = field("gpu_info").unwrap_or_default();
    let descriptions = || info.split(", ").map(str::trim).filter(|text| !text.is_empty());
    // With several backends nobody knows whose numbers those of the descriptions are.
    let gpu_backends: Vec<&str> =
        backends.split(',').map(str::trim).filter(|name| is_gpu(name)).collect();
    let name = |number: usize| match gpu_backends[..] {
        [only] => format!("{only}{number}"),
        _ => String::new(),
    };
    let mut there: Vec<Device> = descriptions()
        .enumerate()
        .map(|(number, description)| Device {
            name: name(number),
            description: description.to_owned(),
            ..Device::default()
        })
        .collect();
    // What the program itself printed of a device says more of it.
    for device in &mut there {
        if let Some(known) = evidence.named.iter().find(|known| known.name == device.name) {
            device.address.clone_from(&known.address);
            device.is_unified = known.is_unified;
        }
    }
    if there.is_empty() {
        there.clone_from(&evidence.named);
    }
    let choice = Choice::of_row(&field);
    if choice == Choice::default() {
        let said = used_by_lines(machine, evidence);
        if said.is_some() {
            return said;
        }
    }
    chosen(machine, &choice, &there).or_else(|| counted(evidence))
}

/// The devices of a command whose tests do not tell them.
fn used_by_command(machine: &Machine, evidence: &Evidence<'_>) -> Found {
    let choice = Choice::of(evidence.arguments);
    if choice.devices.is_some() {
        return chosen(machine, &choice, &evidence.named);
    }
    used_by_lines(machine, evidence)
        .or_else(|| counted(evidence))
        .or_else(|| chosen(machine, &choice, &evidence.named))
}

fn counted(evidence: &Evidence<'_>) -> Found {
    let all = evidence.counted.iter().map(|address| Used::Gpu(address.clone()));
    (!evidence.counted.is_empty()).then(|| all.collect())
}

/// The devices that the program says that it uses.
fn used_by_lines(machine: &Machine, evidence: &Evidence<'_>) -> Found {
    let used = evidence.named.iter().filter(|device| device.is_used);
    let used: BTreeSet<Used> = used.map(|device| machine.find(device)).collect();
    (!used.is_empty()).then_some(used)
}

/// The devices that were chosen of those that are there; all of them where nothing was chosen, as
/// llama.cpp does. None where nobody says which are there.
fn chosen(machine: &Machine, choice: &Choice, there: &[Device]) -> Found {
    if let Some(names) = &choice.devices {
        let find = |name: &String| {
            let known = there.iter().find(|device| device.name == *name);
            // Where one is described alone, it is the one that was chosen.
            let known = known.or(if let [only] = there { Some(only) } else { None });
            let unknown = Device { name: name.clone(), ..Device::default() };
            machine.find(known.map_or(&unknown, |known| known))
        };
        return Some(names.iter().map(find).collect());
    }
    if there.is_empty() {
        return None;
    }
    let is_used = |number: usize| match choice.only {
        Some(only) => number == only,
        None => !choice.left_out.contains(&number),
    };
    let used = there.iter().enumerate().filter(|(number, _)| is_used(*number));
    Some(used.map(|(_, device)| machine.find(device)).collect())
}

/// How busy each GPU was while the command ran.
struct Activity {
    /// By address; none where it is not known.
    busy: BTreeMap<String, f64>,
    /// Those that were awake, so that their power was read.
    awake: BTreeSet<String>,
}

impl Activity {
    fn of(telemetry: &dyn Telemetry, command: Window) -> Result<Self, Unreadable> {
        let mut activity = Self { busy: BTreeMap::new(), awake: BTreeSet::new() };
        for series in telemetry.series(BUSY.def())? {
            let [gpu, engine] = &series.labels[..] else { continue };
            let inside = series.points.iter().filter(|point| command.holds(point.at));
            let values: Vec<f64> = inside.map(|point| point.value).collect();
            if engine == "gfx" && !values.is_empty() {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                activity.busy.insert(gpu.clone(), mean);
                activity.awake.insert(gpu.clone());
            }
        }
        for series in telemetry.series(POWER.def())? {
            let is_inside = series.points.iter().any(|point| command.holds(point.at));
            if let (Some(device), true) = (series.labels.first(), is_inside) {
                activity.awake.insert(device.clone());
            }
        }
        Ok(activity)
    }
}

/// The GPUs of a machine.
struct Machine {
    gpus: Vec<Gpu>,
}

impl Machine {
    fn of(environment: Option<&Environment>) -> Self {
        let mut facts: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (name, value) in environment.iter().flat_map(|environment| &environment.facts) {
            // The address has one dot itself.
            let Some(rest) = name.strip_prefix("gpu.").filter(|rest| rest.contains(':')) else {
                continue;
            };
            let Some((at, _)) = rest.match_indices('.').nth(1) else { continue };
            facts.entry(&rest[..at]).or_default().insert(&rest[at + 1..], value);
        }
        let gpus = facts.into_iter().map(|(address, facts)| {
            let fact = |name: &str| facts.get(name).copied().unwrap_or_default();
            let kind = match fact("kind") {
                "apu" => Some(Kind::Apu),
                "discrete" => Some(Kind::Discrete),
                // Recorded by a halo that did not tell it.
                _ => Kind::of_chip(fact("gfx"), fact("device_id"))
                    .or_else(|| Kind::of_table(fact("gpu_metrics"))),
            };
            Gpu {
                address: address.to_owned(),
                kind,
                name: fact("name").to_owned(),
                gfx: fact("gfx").to_owned(),
                driver: facts.get("driver").map(|driver| (*driver).to_owned()),
            }
        });
        Self { gpus: gpus.collect() }
    }

    /// Which GPU of the machine a device is that a program names.
    fn find(&self, device: &Device) -> Used {
        if let Some(address) = &device.address {
            let known = self.gpus.iter().find(|gpu| gpu.address == *address);
            if let Some(gpu) = known.filter(|gpu| gpu.driver.is_none()) {
                return Used::Gpu(gpu.address.clone());
            }
        }
        let shown = match (device.name.as_str(), device.description.as_str()) {
            (name, "") => name.to_owned(),
            ("", description) => description.to_owned(),
            (name, description) => format!("{name} ({description})"),
        };
        if is_of_another_maker(device) {
            return Used::Foreign(shown);
        }
        let ours: Vec<&Gpu> = self.gpus.iter().filter(|gpu| gpu.driver.is_none()).collect();
        let is_named = |gpu: &&&Gpu| {
            let set = instruction_set(&device.description);
            !gpu.gfx.is_empty() && set.as_deref() == Some(&gpu.gfx)
                || !gpu.name.is_empty() && short(&device.description).contains(short(&gpu.name))
        };
        let of_kind = |gpu: &&&Gpu| {
            let kind = device.is_unified.map(|is| if is { Kind::Apu } else { Kind::Discrete });
            kind.is_some() && gpu.kind == kind
        };
        let only = |gpus: Vec<&&Gpu>| match gpus[..] {
            [only] => Some(Used::Gpu(only.address.clone())),
            _ => None,
        };
        only(ours.iter().filter(is_named).collect())
            .or_else(|| only(ours.iter().filter(of_kind).collect()))
            // There is no other that it could be.
            .or_else(|| only(ours.iter().filter(|_| self.gpus.len() == 1).collect()))
            .unwrap_or(Used::Unknown(shown))
    }

    /// Whose power counts, given what the command used.
    fn devices(&self, found: Found, activity: &Activity) -> Devices {
        let apus: Vec<&Gpu> = self.gpus.iter().filter(|gpu| gpu.kind == Some(Kind::Apu)).collect();
        let mut devices = Devices {
            apu: if let [only] = apus[..] { Some(only.address.clone()) } else { None },
            is_machine_known: !self.gpus.is_empty(),
            ..Devices::default()
        };
        let Some(found) = found else {
            self.guess(&mut devices, activity);
            return devices;
        };
        for used in found {
            let reason = match used {
                Used::Foreign(name) => {
                    format!("{name} worked, and halo does not read the power of such a card")
                }
                // With one GPU in the machine there is nothing to mistake it for.
                Used::Unknown(name) if self.gpus.len() > 1 => format!(
                    "the command computed on {name}, and nothing tells which of the machine's GPUs that is"
                ),
                Used::Unknown(_) => continue,
                Used::Gpu(address) => {
                    let gpu = self.gpus.iter().find(|gpu| gpu.address == address);
                    match gpu.and_then(|gpu| gpu.kind) {
                        Some(Kind::Apu) => continue,
                        _ if gpu.is_none() && !devices.is_machine_known => continue,
                        Some(Kind::Discrete) if activity.awake.contains(&address) => {
                            devices.cards.push(address);
                            continue;
                        }
                        Some(Kind::Discrete) => {
                            format!("{address} worked, and its power was not read meanwhile")
                        }
                        None => format!(
                            "{address} worked, and nothing tells whether it is an APU or a card, so what its power covers is not known"
                        ),
                    }
                }
            };
            devices.absent.get_or_insert(reason);
        }
        devices
    }

    /// What can be said where nothing tells what the command used: a card that slept or idled was not
    /// used, and of one that worked nobody knows for whom.
    fn guess(&self, devices: &mut Devices, activity: &Activity) {
        let beside = self.gpus.iter().filter(|gpu| gpu.kind != Some(Kind::Apu));
        for gpu in beside {
            let address = &gpu.address;
            if let Some(driver) = &gpu.driver {
                devices.remark.get_or_insert_with(|| {
                    format!("whether {address} (driver {driver}) worked is not known, and its power is not in the figures")
                });
                continue;
            }
            let reason = match activity.busy.get(address) {
                Some(busy) if *busy <= IDLE_BUSY => continue,
                None if !activity.awake.contains(address) => continue,
                Some(busy) => format!("{address} was busy {:.0} % of the time", 100.0 * busy),
                None => format!("how busy {address} was is not known"),
            };
            devices.absent.get_or_insert_with(|| {
                format!("{reason}, and nothing tells whether the command used it")
            });
        }
    }
}

/// Whether what a program says of a device names another maker's.
fn is_of_another_maker(device: &Device) -> bool {
    const BACKENDS: [&str; 6] = ["CUDA", "MUSA", "SYCL", "Metal", "MTL", "CANN"];
    const MAKERS: [&str; 7] =
        ["NVIDIA", "GeForce", "Quadro", "Tesla", "Intel", "Arc(TM)", "compute capability"];
    BACKENDS.iter().any(|backend| device.name.starts_with(backend))
        || MAKERS.iter().any(|maker| device.description.contains(maker))
}

/// What drivers call chips in the names of their devices (RADV's `radv_get_family_name`), by
/// instruction set.
const CHIPS: [(&str, &str); 22] = [
    ("NAVI10", "gfx1010"),
    ("NAVI12", "gfx1011"),
    ("NAVI14", "gfx1012"),
    ("NAVI21", "gfx1030"),
    ("NAVI22", "gfx1031"),
    ("NAVI23", "gfx1032"),
    ("NAVI24", "gfx1034"),
    ("NAVI31", "gfx1100"),
    ("NAVI32", "gfx1101"),
    ("NAVI33", "gfx1102"),
    ("NAVI44", "gfx1200"),
    ("NAVI48", "gfx1201"),
    ("PHOENIX", "gfx1103"),
    ("POLARIS10", "gfx803"),
    ("POLARIS11", "gfx803"),
    ("RAPHAEL_MENDOCINO", "gfx1036"),
    ("RAVEN2", "gfx909"),
    ("REMBRANDT", "gfx1035"),
    ("RENOIR", "gfx90c"),
    ("VANGOGH", "gfx1033"),
    ("VEGA10", "gfx900"),
    ("VEGA20", "gfx906"),
];

/// The instruction set in what is said of a device: `(RADV GFX1151)`, `(RADV NAVI31)`, `gfx1151`.
fn instruction_set(description: &str) -> Option<String> {
    let words = description.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.map(str::to_uppercase).find_map(|word| {
        let chip = CHIPS.iter().find(|(chip, _)| *chip == word);
        chip.map(|(_, set)| (*set).to_owned())
            .or_else(|| word.starts_with("GFX").then(|| word.to_lowercase()))
    })
}

/// A name without its maker, which one says and the other does not.
fn short(name: &str) -> &str {
    name.strip_prefix("AMD ").unwrap_or(name).trim()
}
