//! `manifest.json`: what was run, on what, how it ended and what came out.

mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::finite::{self, Whole};
use super::share::{self, Share, share};
use super::{Cell, Completion, Environment, Score, Thresholds};
use crate::redact::Redactor;

pub use words::{Kind, Origin, Results, State};

/// The version of the archive's format that this halo writes.
pub const SCHEMA_VERSION: u32 = 1;

/// A tag's name and, where it has one, its value.
pub type Tags = BTreeMap<String, Option<String>>;

/// What a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the archive's format.
    pub schema_version: u32,
    /// `UUIDv7` of the run, which the command sees as `HALO_RUN_ID`.
    pub id: String,
    /// The name of the run directory when it was made.
    pub name: String,
    /// Which subcommand made the run.
    pub kind: Kind,
    /// The campaign that the run is a cell of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// That cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// Where the samples came from.
    pub origin: Origin,
    /// How far it got.
    pub state: State,
    /// Whether results were found in the tool's output.
    pub results: Results,
    /// Why the results are unparsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unparsed: Option<String>,
    /// What the tool's output says of a failure, whatever the exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What else went wrong with the recording: one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// When the recording began.
    pub started: Timestamp,
    /// When the recording ended; absent while it lasts, and where halo was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What the user says about it.
    pub tags: Tags,
    /// Remarks that were added later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The command.
    pub command: Command,
    /// The tool that was recognized.
    pub tool: Tool,
    /// The models that the command names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Model>,
    /// What computes, as the tool says: `ROCm`, `Vulkan`, `CPU`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// One value a case and metric: the mean over its repetitions.
    #[serde(
        default,
        skip_serializing_if = "finite::is_empty",
        serialize_with = "finite::write_list",
        deserialize_with = "finite::list"
    )]
    pub summary: Vec<Summary>,
    /// What each case was measured with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
    /// What an eval scored.
    #[serde(
        default,
        skip_serializing_if = "finite::is_empty",
        serialize_with = "finite::write_list",
        deserialize_with = "finite::list"
    )]
    pub scores: Vec<Score>,
    /// How much of an eval was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Completion>,
    /// How the machine was sampled.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "finite::known")]
    pub sampling: Option<Sampling>,
    /// What the figures are worth; absent where nobody judged them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// From when on it is flagged; the defaults where nobody said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
    /// What it took, the whole command first; empty where there are no samples.
    #[serde(
        default,
        skip_serializing_if = "finite::is_empty",
        serialize_with = "finite::write_list",
        deserialize_with = "finite::list"
    )]
    pub energy: Vec<Energy>,
    /// What other processes took of the processor while the command ran, the busiest first; absent where
    /// nobody looked.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "finite::write_known_list",
        deserialize_with = "finite::known_list"
    )]
    pub processes: Option<Vec<ProcessUse>>,
    /// What was done to it so that it can be given to others; absent where it is the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// The files beside this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// The halo that recorded it.
    pub recorder: Recorder,
    /// The machine before the command.
    #[serde(default)]
    pub environment_at_start: Environment,
    /// The machine after it; absent while it lasts, and where halo was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_at_end: Option<Environment>,
}

share!(Manifest {
    keep schema_version, id, kind, origin, state, results, started, ended, completion, sampling,
        thresholds, bundle, files, recorder;
    clean name, campaign, cell, unparsed, failure, problems, tags, notes, command, tool, models,
        backend, summary, cases, scores, verdict, energy, processes, environment_at_start,
        environment_at_end;
});

impl Manifest {
    /// Adds what is to be known of the run, once.
    pub fn add_problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// What is known of every run when it begins; all else is unknown yet.
    pub fn begin(
        id: String,
        kind: Kind,
        origin: Origin,
        state: State,
        started: Timestamp,
        tool: Tool,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            id,
            name: String::new(),
            kind,
            campaign: None,
            cell: None,
            origin,
            state,
            results: Results::None,
            unparsed: None,
            failure: None,
            problems: Vec::new(),
            started,
            ended: None,
            tags: Tags::new(),
            notes: Vec::new(),
            command: Command::default(),
            tool,
            models: Vec::new(),
            backend: None,
            summary: Vec::new(),
            cases: Vec::new(),
            scores: Vec::new(),
            completion: None,
            sampling: None,
            verdict: None,
            thresholds: None,
            energy: Vec::new(),
            processes: None,
            bundle: None,
            files: Vec::new(),
            recorder: Recorder::this(),
            environment_at_start: Environment::default(),
            environment_at_end: None,
        }
    }
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it was made.
    pub time: Timestamp,
    /// What it says.
    pub text: String,
}

share!(Note { keep time; clean text; });

/// The command of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What the user asked for. Bytes that are not UTF-8 are replaced, here and below.
    pub asked: Vec<String>,
    /// What was executed: the same with output flags, or with what a container needs.
    pub executed: Vec<String>,
    /// Where.
    pub directory: String,
    /// What tells the machine that began the run from all others, as `record::machine` makes it:
    /// only there files are taken from where the command worked when the run is recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The files and directories into which its tool writes, as whole paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// The GPUs on which its processes worked, by PCI address, as the kernel counted while they ran
    /// (`drm-engine-*` and `drm-memory-*` of their `fdinfo`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The exit code that it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The signal by which somebody asked it to end, Ctrl-C or `kill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_to_end: Option<i32>,
    /// Why halo ended it, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// Whether that was because the server was gone that it asked: then it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost_server: bool,
}

share!(Command {
    keep gpus, started, ended, exit_code, signal, asked_to_end, lost_server;
    clean asked, executed, aborted;
    leave_out directory, machine, places;
});

/// The tool that a command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name, as `llama-bench`; the program's name where the tool is unknown.
    pub name: String,
    /// What it says of its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

share!(Tool { clean name, version; });

/// A model file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its name: what its metadata say, else the file's. Quantizations of a model share it;
    /// [`Model::title`] tells them apart.
    pub name: String,
    /// How the command names it where that is no file, e.g. `unsloth/Qwen3-8B-GGUF:Q4_K_M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The file, as the command names it; empty for a model that a server has and nobody knows of
    /// which file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Its size in bytes, all parts of a split model together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its hash, where the user asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The hash of its size and of samples from all over it, which tells files of one name and size
    /// apart without reading the whole; `None` if the file could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Short metadata of its header, as `general.architecture`; no arrays.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, serde_json::Value>,
}

share!(Model { keep bytes, sha256, fingerprint; clean name, reference, file, metadata; });

/// One figure of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The benchmark or eval in the run.
    pub task: String,
    /// What was measured in it, as `pp512`.
    pub case: String,
    /// As `tokens_per_second`.
    pub metric: String,
    /// The unit of the value, as `1/s`; empty for a number without one.
    pub unit: String,
    /// The mean over the repetitions.
    #[serde(deserialize_with = "finite::number")]
    pub mean: f64,
    /// The sample standard deviation, where there are two repetitions or more.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub standard_deviation: Option<f64>,
    /// How many repetitions there were, where the tool tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetitions: Option<u32>,
}

share!(Summary { keep mean, standard_deviation, repetitions; clean task, case, metric, unit; });

impl Whole for Summary {
    fn is_whole(&self) -> bool {
        self.mean.is_finite()
    }
}

/// What one case was measured with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The benchmark or eval in the run.
    pub task: String,
    /// The case.
    pub case: String,
    /// What the tool says about it; fields that halo does not know are kept.
    pub parameters: BTreeMap<String, serde_json::Value>,
}

share!(Case { clean task, case, parameters; });

/// How the machine was sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// The interval that was asked for.
    #[serde(deserialize_with = "finite::number")]
    pub interval_seconds: f64,
    /// The sources that were read.
    pub sources: Vec<String>,
    /// Samples that were taken.
    pub ticks: u64,
    /// Samples that were due and left out, because the one before took too long.
    pub skipped: u64,
    /// The mean time from when a sample was due to when it began.
    #[serde(deserialize_with = "finite::number")]
    pub mean_lateness_seconds: f64,
    /// The longest such time.
    #[serde(deserialize_with = "finite::number")]
    pub max_lateness_seconds: f64,
    /// The mean time that a sample took.
    #[serde(deserialize_with = "finite::number")]
    pub mean_cost_seconds: f64,
}

impl Whole for Sampling {
    fn is_whole(&self) -> bool {
        let lateness = [self.mean_lateness_seconds, self.max_lateness_seconds];
        let rest = [self.interval_seconds, self.mean_cost_seconds];
        lateness.into_iter().chain(rest).all(f64::is_finite)
    }
}

/// What the figures of a run are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// `clean`, `flagged` or `unknown`.
    pub label: String,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Flag>,
    /// Why more cannot be said, one sentence each: with any of these the label is `unknown`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

share!(Verdict { keep label; clean reasons, missing; });

/// A reason that flags a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// As `power-capped`.
    pub reason: String,
    /// The figures, in a sentence.
    pub evidence: String,
    /// The figures that a comparison asks for, as `spl` with the share of time from 0 to 1.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "finite::write_map",
        deserialize_with = "finite::map"
    )]
    pub figures: BTreeMap<String, f64>,
}

share!(Flag { keep reason; clean evidence, figures; });

/// The energy that a run or a part of it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// The benchmark or eval; empty for the whole command.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// The case, as `pp512`; empty for the whole command.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub case: String,
    /// `prompt`, `generation`, or `command` for the whole.
    pub work: String,
    /// Where the figures come from, as `socket average of gpu_metrics`.
    pub source: String,
    /// How long it took, all repetitions together.
    #[serde(deserialize_with = "finite::number")]
    pub seconds: f64,
    /// The part of that time from 0 to 1 for which there are samples.
    #[serde(deserialize_with = "finite::number")]
    pub coverage: f64,
    /// Why there is no figure, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// Joules in the time that is covered.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub joules: Option<f64>,
    /// Watts, mean over the time that is covered.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub mean_watts: Option<f64>,
    /// The highest reading in watts; a counter of energy has none.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub peak_watts: Option<f64>,
    /// Watts before the command was started, where the machine was idle for long enough.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub idle_watts: Option<f64>,
    /// Tokens that were processed or generated, all repetitions together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Joules for one of them.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub joules_per_token: Option<f64>,
    /// The same without what the machine takes when it is idle.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub joules_per_token_above_idle: Option<f64>,
    /// Tokens per second for one watt, which is tokens per joule.
    #[serde(default, skip_serializing_if = "finite::is_unknown")]
    pub tokens_per_second_per_watt: Option<f64>,
}

share!(Energy {
    keep work, seconds, coverage, joules, mean_watts, peak_watts, idle_watts, tokens, joules_per_token,
        joules_per_token_above_idle, tokens_per_second_per_watt;
    clean task, case, source, absent;
});

impl Whole for Energy {
    fn is_whole(&self) -> bool {
        self.seconds.is_finite() && self.coverage.is_finite()
    }
}

/// What a process took while a command ran that it does not belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel has it: 15 bytes at most.
    pub name: String,
    /// Processor cores that it kept busy, the mean over the time: 0.5 is half of one.
    #[serde(deserialize_with = "finite::number")]
    pub cores: f64,
    /// Resident memory at the end, in bytes.
    pub bytes: u64,
}

impl Whole for ProcessUse {
    fn is_whole(&self) -> bool {
        self.cores.is_finite()
    }
}

impl Share for ProcessUse {
    fn share(self, redactor: &mut Redactor) -> Self {
        Self { pid: 0, name: share::program(self.name, redactor), ..self }
    }
}

/// What was done to a run so that it can be given to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// What was taken out, by kind, and how often.
    pub removed: BTreeMap<String, u64>,
    /// The files before that, with their hashes.
    pub originals: Vec<File>,
}

/// A file of a run directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its hash, in hexadecimal digits.
    pub sha256: String,
}

/// The halo that recorded a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorder {
    /// Its version.
    pub version: String,
    /// The revision of its source; empty where that is not known.
    pub revision: String,
}

impl Recorder {
    /// This halo.
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("HALO_REVISION").to_owned(),
        }
    }
}
