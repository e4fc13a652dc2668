//! What a run was run on, as flat maps: what differs between two runs is then a look at their keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::finite;
use super::share::{Share, is_known_program};
use crate::redact::{Kind, Redactor};
use crate::source::tuning::command_line;

/// Facts that halo made itself, or that are the same on each machine of a model, by how their names
/// begin.
const KEPT: [&str; 11] = [
    "cpu.",
    "firmware.",
    "fitness.",
    "git.dirty",
    "gpu.",
    "host.bios",
    "imported.time_from",
    "mesa",
    "npu.",
    "rocm",
    "ryzen_smu",
];

/// Facts that a user, a builder or a program made: they are cleaned.
const CLEANED: [&str; 11] = [
    "container.image",
    "halo.",
    "host.board",
    "host.container.image",
    "host.cpu",
    "host.kernel",
    "host.os",
    "imported.file",
    "kernel.build",
    "sleep.",
    "variable.",
];

/// Facts whose words a driver or a service chose.
const NAMED: [&str; 1] = ["tuning."];

/// The machine and the place of a run at one moment. What is unknown has no key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Texts by dotted name, as `kernel.release`, `gpu.0000:c5:00.0.vbios`,
    /// `variable.RADV_PERFTEST`, `git.commit`.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// Numbers by series, as `halo_power_limit_watts{limit="stapm"}`; the unit is the family's.
    #[serde(default, serialize_with = "finite::write_map", deserialize_with = "finite::map")]
    pub values: BTreeMap<String, f64>,
}

/// Facts that are neither kept nor cleaned are left out: the commit of the directory that the user was
/// in, the name of a container.
impl Share for Environment {
    fn share(self, redactor: &mut Redactor) -> Self {
        let is_one_of =
            |name: &str, known: &[&str]| known.iter().any(|known| name.starts_with(known));
        let share = |(name, value): (String, String)| {
            let value = match &*name {
                // Of what the kernel was started with only what changes how a model runs.
                "kernel.command_line" => command_line::public(&value),
                "gpu.users" => programs(&value, redactor),
                known if is_one_of(known, &KEPT) => value,
                known if is_one_of(known, &CLEANED) => value.share_named(known, redactor),
                known if is_one_of(known, &NAMED) => redactor.clean_name(&value),
                _ => return None,
            };
            Some((name, value))
        };
        let facts: BTreeMap<_, _> = self.facts.into_iter().filter_map(share).collect();
        let facts = facts.into_iter().map(|(name, value)| (redactor.clean_name(&name), value));
        let facts = facts.collect();
        // The labels of series have names of devices, and those of models.
        let values = self.values.into_iter();
        let values = values.map(|(series, value)| (redactor.clean_name(&series), value)).collect();
        Self { facts, values }
    }
}

/// Names of programs, of which those are replaced that are not known.
fn programs(names: &str, redactor: &mut Redactor) -> String {
    let names = names.split(", ").map(|name| match name {
        "none seen" => name.to_owned(),
        known if is_known_program(known) => known.to_owned(),
        other => redactor.stand_in(Kind::Process, other),
    });
    names.collect::<Vec<_>>().join(", ")
}
