//! What a run was run on, as flat maps: what differs between two runs is then a look at their keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::finite;

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
