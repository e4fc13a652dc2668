//! A campaign: the cells that it is made of, in the order in which they run.
//!
//! Which of them are done is not written here: the manifests of the runs say it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::manifest::{Recorder, Tags};
use super::model;

/// What a campaign is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// The version of the archive's format.
    pub schema_version: u32,
    /// `UUIDv7` of the campaign.
    pub id: String,
    /// Its name, which is that of its file and stands in the manifests of its runs.
    pub name: String,
    /// When it was planned.
    pub created: Timestamp,
    /// The command line of `halo-record` that planned it.
    pub asked: Vec<String>,
    /// How the cells are ordered: `fixed`, `shuffled` or `interleaved`.
    pub order: String,
    /// What the user says about each run.
    pub tags: Tags,
    /// How each cell is recorded.
    pub recording: Recording,
    /// Where its evals ask; absent for benchmarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The cells.
    pub cells: Vec<PlannedCell>,
    /// Runs of it that the user removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<RemovedRun>,
    /// The halo that planned it.
    pub recorder: Recorder,
}

/// A server of models that evals ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address of its API in the form of `OpenAI`, as `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// What answers there.
    pub server: Server,
    /// The model, as the server calls it.
    pub model: String,
    /// The model's file, where the server says it and it is on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The file that has the key of the server; the key itself is never written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<String>,
    /// For how long nothing may listen there before an eval is ended, in seconds.
    pub timeout_seconds: f64,
}

/// A program that serves models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Server {
    /// llama-server of llama.cpp.
    #[serde(rename = "llama-server")]
    LlamaServer,
    /// Ollama.
    #[serde(rename = "ollama")]
    Ollama,
    /// Something else that speaks the same API.
    #[serde(rename = "other")]
    Other,
}

/// A cell and its command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCell {
    /// What is measured.
    pub cell: Cell,
    /// The model's file, where halo chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its size in bytes, all parts together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The command.
    pub argv: Vec<String>,
}

impl PlannedCell {
    /// What its model is called everywhere: as its file, where halo chose one.
    pub fn model_title(&self) -> String {
        let name = self.cell.model();
        model::title(name, self.file.as_deref().unwrap_or_default(), None)
    }
}

/// A run that was removed from the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedRun {
    /// Its name.
    pub run: String,
    /// What it measured.
    pub cell: Cell,
}

/// How the cells of a campaign are recorded, so that one that is resumed goes on alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// How often the machine is sampled.
    pub interval_seconds: f64,
    /// How long it is sampled before and after each command.
    pub lead_seconds: f64,
    /// Whether model files are hashed.
    pub hash_model: bool,
    /// What each cell requires of the machine.
    #[serde(default)]
    pub fitness: Fitness,
    /// The configuration file of halo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
    /// The mount point of procfs, where the user named it; and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub procfs: Option<String>,
    /// The mount point of sysfs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysfs: Option<String>,
    /// The mount point of the root filesystem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<String>,
}

/// What each cell of a campaign requires of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fitness {
    /// The temperature that it shall have come down to, in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cool_to: Option<f64>,
    /// How long that is waited for, where it is not as long as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cool_timeout_seconds: Option<f64>,
    /// Whether the graphics processor shall be idle.
    #[serde(default)]
    pub require_idle: bool,
    /// The groups of tuning checks none of which may fail: `core`, `power`, `runtime`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require_check: Vec<String>,
    /// The temperature above which a command is ended, in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_above: Option<f64>,
    /// How long a command may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
}
