//! The checks: pure functions on what is known of a machine.

use super::machine::{Gpu, Machine, User};
use super::processes::{self, BUSY_CORES};
use super::{Finding, State};
use crate::archive::LEAST_ROOM;
use crate::quantity;
use crate::run::manifest::ProcessUse;
use crate::source::tuning::checks::{CHECKS, Check, Group};

/// A desktop that shows a page is busy for less; any model keeps the shaders busy all the time.
const BUSY: f64 = 0.1;

/// Idle graphics of these chips draw less than 4 W, and any model more than 20. Firmware can report
/// no activity of a graphics processor that works, and full activity of one that does not.
const BUSY_WATTS: f64 = 10.0;

/// Where the user names no limit: idle machines of this kind are at 35 to 50 °C, and above this one
/// has not cooled down yet from what it did.
pub const COOL: f64 = 60.0;

/// Firmware rounds limits.
const LIMIT_TOLERANCE: f64 = 0.5;

/// How many processes are named.
const MOST_NAMED: usize = 3;

/// What the machine is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// The temperature that it shall not exceed, in degrees Celsius.
    pub cool_to: f64,
    /// The size of the model that it shall run, in bytes.
    pub model: Option<u64>,
}

/// Every check, in the order in which one would go about it.
pub fn examine(machine: &Machine, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![
        gpu_idle(machine),
        cpu_idle(machine),
        temperature(machine, wanted.cool_to),
        memory(machine, wanted.model),
        disk(machine),
        clock(machine),
        supply(machine),
    ];
    findings.extend(power_limits(machine));
    findings.extend(Group::ALL.iter().flat_map(|g| tuning(machine, *g)));
    findings
}

/// Whether nothing is computed on any graphics processor, and else by whom.
pub fn gpu_idle(machine: &Machine) -> Finding {
    let judged: Vec<(&Gpu, Option<bool>)> =
        machine.gpus.iter().map(|gpu| (gpu, is_idle(gpu))).collect();
    let busy = judged.iter().find(|(_, idle)| *idle == Some(false));
    let unknown = judged.iter().find(|(_, idle)| idle.is_none());
    let looked = format!("over {:.1} s", machine.looked.as_secs_f64());
    let (state, says, remedy) = match (busy, unknown, judged.first()) {
        (Some((gpu, _)), ..) => {
            let (who, remedy) = who(machine.users.as_deref());
            (State::Bad, format!("{} {looked}{who}", activity(gpu)), Some(remedy))
        }
        (None, Some((gpu, _)), _) => {
            let says = format!("the activity of {} is not known", gpu.address);
            (State::Unknown, says, Some(DOCTOR.to_owned()))
        }
        (None, None, None) => {
            let says = "no graphics processor is awake".to_owned();
            (State::Unknown, says, Some(DOCTOR.to_owned()))
        }
        (None, None, Some((gpu, _))) => (State::Good, format!("{} {looked}", activity(gpu)), None),
    };
    Finding { check: "gpu_idle", state, says, remedy }
}

/// Whether no other process takes much of the processor, and with it of the memory's bandwidth.
pub fn cpu_idle(machine: &Machine) -> Finding {
    let busiest = machine.busiest.as_deref();
    let is_busy = |process: &&ProcessUse| process.cores > BUSY_CORES;
    let busy = busiest.and_then(|all| all.iter().find(is_busy));
    let looked = format!("over {:.1} s", machine.looked.as_secs_f64());
    let says = match busiest {
        None => "the processes of another machine are not known".to_owned(),
        Some([]) => format!("no other process takes the processor, {looked}"),
        Some(all) => {
            let named: Vec<String> = all.iter().take(MOST_NAMED).map(processes::in_words).collect();
            format!("busiest {looked}: {}", named.join(", "))
        }
    };
    let remedy =
        busy.map(|process| format!("wait for {}, or end it: `kill {}`", process.name, process.pid));
    let state = State::of(busiest.map(|_| busy.is_none()));
    Finding { check: "cpu_idle", state, says, remedy }
}

const DOCTOR: &str = "`halo-exporter --doctor` says what cannot be read";

/// A processor that draws power is not idle, whatever it says of its activity; without its activity
/// it is not known to be idle.
fn is_idle(gpu: &Gpu) -> Option<bool> {
    let draws = gpu.watts.map(|watts| watts > BUSY_WATTS);
    match (gpu.busy.map(|busy| busy > BUSY), draws) {
        (Some(true), _) | (_, Some(true)) => Some(false),
        (Some(false), _) => Some(true),
        (None, _) => None,
    }
}

fn activity(gpu: &Gpu) -> String {
    let busy = gpu.busy.map(|busy| format!("is busy {:.0} % of the time", busy * 100.0));
    let watts = gpu.watts.map(|watts| format!("draws {watts:.1} W"));
    let parts: Vec<String> = [busy, watts].into_iter().flatten().collect();
    format!("{} {}", gpu.address, parts.join(" and "))
}

/// By whom graphics is used, and what to do about it.
fn who(users: Option<&[User]>) -> (String, String) {
    let fuser = "`sudo fuser -v /dev/dri/renderD*` shows who uses it; end that, or wait for it";
    let Some(users) = users else { return (String::new(), fuser.to_owned()) };
    if users.is_empty() {
        return ("; by no process that this user may look at".to_owned(), fuser.to_owned());
    }
    let name = |user: &User| {
        format!("{} (pid {}, holds {})", user.comm, user.pid, quantity::bytes(user.bytes))
    };
    let named: Vec<String> = users.iter().take(MOST_NAMED).map(name).collect();
    let more = if users.len() > MOST_NAMED { ", …" } else { "" };
    let remedy = format!("wait for it, or end it: `kill {}`", users[0].pid);
    (format!("; in use by {}{more}", named.join(", ")), remedy)
}

/// Whether the hottest part of the processor is at or below a limit in degrees Celsius.
pub fn temperature(machine: &Machine, limit: f64) -> Finding {
    let state = State::of(machine.hottest.as_ref().map(|hottest| hottest.celsius <= limit));
    let says = match &machine.hottest {
        Some(hottest) => format!("{hottest}, limit {limit} °C"),
        None => "no temperature is known".to_owned(),
    };
    let remedy = match state {
        State::Good => None,
        State::Bad => Some(format!("wait; `--cool-to {limit}` of a recording waits itself")),
        State::Unknown => Some(DOCTOR.to_owned()),
    };
    Finding { check: "temperature", state, says, remedy }
}

/// Whether the weights of a model of so many bytes fit into the memory that is free. What its
/// context needs comes on top.
pub fn memory(machine: &Machine, model: Option<u64>) -> Finding {
    let free = &machine.memory.free;
    let shown = match (free.least, free.most) {
        (Some(least), Some(most)) if least < most => {
            format!("{} to {}", quantity::bytes(least), quantity::bytes(most))
        }
        (Some(least), _) => quantity::bytes(least),
        (None, Some(most)) => format!("at most {}", quantity::bytes(most)),
        (None, None) => "unknown".to_owned(),
    };
    let (state, says, remedy) = match model {
        None => (
            State::Unknown,
            format!("free for a model: {shown}{}", holders(machine)),
            "--model FILE tells whether it fits".to_owned(),
        ),
        Some(bytes) => {
            let says =
                format!("free for a model: {shown}; it has {}", quantity::bytes(bytes as f64));
            if machine.memory.never_holds(bytes).is_some() {
                let says = format!("{says}; the GPU can use {}", machine.memory.size.evidence);
                let remedy = "take a smaller model, or raise `ttm.pages_limit` (docs/tuning.md)";
                (State::Bad, says, remedy.to_owned())
            } else {
                let says = format!("{says}; {}", free.evidence);
                match free.hold(bytes as f64) {
                    Some(true) => (State::Good, says, String::new()),
                    Some(false) => (State::Bad, says + &holders(machine), hint(machine)),
                    None => (State::Unknown, says, DOCTOR.to_owned()),
                }
            }
        }
    };
    Finding { check: "memory", state, says, remedy: Some(remedy).filter(|text| !text.is_empty()) }
}

/// Who holds most of the processor's memory.
fn holders(machine: &Machine) -> String {
    let largest = machine.largest.iter().flatten().take(MOST_NAMED);
    let named: Vec<String> = largest.map(processes::in_words).collect();
    if named.is_empty() { String::new() } else { format!("; most is held by {}", named.join(", ")) }
}

/// How memory becomes free.
fn hint(machine: &Machine) -> String {
    let users = machine.users.iter().flatten();
    let held = users.max_by(|a, b| a.bytes.total_cmp(&b.bytes));
    let largest = machine.largest.iter().flatten().next();
    match held.filter(|user| user.bytes > 0.0) {
        Some(user) => format!(
            "end {} (pid {}), which holds {}, or take a smaller model",
            user.comm,
            user.pid,
            quantity::bytes(user.bytes)
        ),
        None => match largest {
            Some(process) => {
                format!("end {}, or take a smaller model", processes::in_words(process))
            }
            None => "end what holds memory, or take a smaller model".to_owned(),
        },
    }
}

/// Whether the archive has room for a run.
pub fn disk(machine: &Machine) -> Finding {
    let state = State::of(machine.room.map(|room| room >= LEAST_ROOM));
    let says = match machine.room {
        Some(room) => format!(
            "free where the archive is: {}; a run may need {}",
            quantity::bytes(room as f64),
            quantity::bytes(LEAST_ROOM as f64)
        ),
        None => "the room where the archive is is not known".to_owned(),
    };
    let remedy = match state {
        State::Good => None,
        State::Bad => Some("`halo-record prune --keep N`, or --archive on another disk".to_owned()),
        State::Unknown => Some("name the archive with --archive".to_owned()),
    };
    Finding { check: "disk", state, says, remedy }
}

/// Whether the system clock follows another one: times are compared between machines.
pub fn clock(machine: &Machine) -> Finding {
    let state = State::of(machine.is_clock_synchronized);
    let (says, remedy) = match state {
        State::Good => ("the system clock is synchronized", None),
        State::Bad => ("the system clock is not synchronized", Some("`timedatectl set-ntp true`")),
        State::Unknown => (
            "nothing tells whether the system clock is synchronized",
            Some("`chronyc tracking` or `ntpq -p` tells, where one of them is used"),
        ),
    };
    Finding { check: "clock", state, says: says.to_owned(), remedy: remedy.map(str::to_owned) }
}

/// Whether the machine runs from mains: firmware lowers power limits on battery.
pub fn supply(machine: &Machine) -> Finding {
    let online: Vec<&str> =
        machine.supplies.iter().filter(|(_, online)| *online).map(|(name, _)| &**name).collect();
    let state = State::of((!machine.supplies.is_empty()).then_some(!online.is_empty()));
    let says = match state {
        State::Good => format!("{} is connected", online.join(", ")),
        State::Bad => "no supply is connected".to_owned(),
        State::Unknown => "the machine tells of no supply, as every desktop".to_owned(),
    };
    let remedy = (state == State::Bad).then(|| "connect the supply".to_owned());
    Finding { check: "supply", state, says, remedy }
}

/// Whether firmware enforces the power limits that the user asked for: one finding a limit.
pub fn power_limits(machine: &Machine) -> Vec<Finding> {
    const CHECK: &str = "power_limit";
    if machine.limits.is_empty() {
        return vec![Finding {
            check: CHECK,
            state: State::Unknown,
            says: "no power limits are asked for".to_owned(),
            remedy: Some(
                "[power.requested] in the configuration says what they should be".to_owned(),
            ),
        }];
    }
    let finding = |limit: &super::machine::PowerLimit| {
        let (name, requested) = (&limit.limit, limit.requested);
        let is_as_asked = limit.enforced.map(|watts| (watts - requested).abs() <= LIMIT_TOLERANCE);
        let state = State::of(is_as_asked);
        let enforced = match limit.enforced {
            Some(watts) => format!("firmware enforces {watts} W"),
            None => "what firmware enforces is not known".to_owned(),
        };
        let flag = name.replace('_', "-");
        let remedy = match state {
            State::Good => None,
            State::Bad => Some(format!("`sudo ryzenadj --{flag}-limit={:.0}`", requested * 1000.0)),
            State::Unknown => Some(DOCTOR.to_owned()),
        };
        Finding {
            check: CHECK,
            state,
            says: format!("{name}: {requested} W asked for, {enforced}"),
            remedy,
        }
    };
    machine.limits.iter().map(finding).collect()
}

/// The tuning checks of a group: one finding each, unknown ones too.
pub fn tuning(machine: &Machine, group: Group) -> Vec<Finding> {
    let checks = CHECKS.iter().filter(|check| check.group == group);
    let finding = |check: &'static Check| {
        let known = machine.tuning.iter().find(|(known, _)| known.name == check.name);
        let state = State::of(known.map(|(_, passes)| *passes));
        let mut says = format!("{}: {} should be {}", group.as_str(), check.what, check.should_be);
        let settings = check.settings.iter();
        let now: Vec<String> = settings
            .filter_map(|name| Some(format!("{name} {}", machine.settings.get(*name)?)))
            .collect();
        if !now.is_empty() {
            says = format!("{says}; now: {}", now.join(", "));
        }
        let remedy = (state == State::Bad).then(|| check.set_with.to_owned());
        Finding { check: check.name, state, says, remedy }
    };
    checks.map(finding).collect()
}
