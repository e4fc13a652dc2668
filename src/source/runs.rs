//! The archive of `halo-record`: the newest runs, read from their manifests.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::config::Config;
use crate::metric::{Def, Kind, Metric, Sample, Samples, Table, Unit};
use crate::root::{ReadError, Root, Stamp, is_word};
use crate::run::MANIFEST;
use crate::run::manifest::{Flag, Kind as RunKind, SCHEMA_VERSION, State, Summary, Tool};
use crate::source::{Cadence, Presence, Reader, Source, absent_or};

/// Tags of a run beyond this are left out: each is a series.
const MOST_TAGS: usize = 20;

/// Results of a run beyond this are left out: each is a series.
const MOST_RESULTS: usize = 100;

const fn def(
    name: &'static str,
    help: &'static str,
    unit: Unit,
    labels: &'static [&'static str],
) -> Def {
    let from = "manifest.json of the archive's newest runs";
    Def { name, help, kind: Kind::Gauge, unit, labels, table: Table::None, from }
}

static INFO: Metric<9> = Metric::new(def(
    "halo_run_info",
    "A recorded run; its name is its tag called name, else the tool and the model.",
    Unit::Info,
    &["run", "campaign", "kind", "name", "tool", "model", "backend", "state", "verdict"],
));
static TAG: Metric<3> = Metric::new(def(
    "halo_run_tag_info",
    "A tag of a recorded run, with an empty value where it has none.",
    Unit::Info,
    &["run", "key", "value"],
));
static FLAG: Metric<2> = Metric::new(def(
    "halo_run_flag_info",
    "Why a recorded run is flagged.",
    Unit::Info,
    &["run", "reason"],
));
static ACTIVE: Metric<1> = Metric::new(Def {
    from: "the lock of the run directory (flock)",
    ..def("halo_run_active", "Whether a run is being recorded: 1 yes, 0 no.", Unit::None, &["run"])
});
static START: Metric<1> = Metric::new(def(
    "halo_run_start_timestamp_seconds",
    "When the recording of a run began, since 1970 UTC.",
    Unit::Seconds,
    &["run"],
));
static END: Metric<1> = Metric::new(def(
    "halo_run_end_timestamp_seconds",
    "When the recording of a run ended, since 1970 UTC.",
    Unit::Seconds,
    &["run"],
));
static RESULT: Metric<5> = Metric::new(def(
    "halo_run_result",
    "A figure of a recorded run in the unit that its label says: the mean over its repetitions.",
    Unit::None,
    &["run", "task", "case", "metric", "unit"],
));

/// The source `runs`.
pub static SOURCE: Source = Source {
    name: "runs",
    about: "Archive of halo-record: the newest runs, their results and tags",
    metrics: &[
        INFO.def(),
        TAG.def(),
        FLAG.def(),
        ACTIVE.def(),
        START.def(),
        END.def(),
        RESULT.def(),
    ],
    default: true,
    cadence: Cadence::Hold(Duration::from_secs(5)),
    floor: Duration::ZERO,
    remedy: "No archive: name its directory with --archive; `halo-record run -- COMMAND` begins one.",
    open,
};

fn open(config: &Config) -> Vec<Box<dyn Reader>> {
    vec![Box::new(Runs {
        archive: config.archive.to_string_lossy().into_owned(),
        newest: config.runs.newest,
        names: None,
        known: HashMap::new(),
    })]
}

/// Reads the archive. What does not change is kept: a manifest of an ended run takes a hundred
/// times as long to read as to look at its time of change, and there are fifty.
struct Runs {
    archive: String,
    newest: usize,
    names: Option<(Stamp, Vec<String>)>,
    known: HashMap<String, (Stamp, Known)>,
}

/// What a manifest gave.
struct Known {
    samples: Vec<Sample>,
    is_running: bool,
    brief: Brief,
}

/// The part of a manifest that is shown. A test holds that it agrees with the whole.
#[derive(Deserialize)]
struct Brief {
    schema_version: u32,
    kind: RunKind,
    #[serde(default)]
    campaign: Option<String>,
    state: State,
    started: Timestamp,
    #[serde(default)]
    ended: Option<Timestamp>,
    #[serde(default)]
    tags: BTreeMap<String, Option<String>>,
    tool: Tool,
    #[serde(default)]
    models: Vec<Named>,
    #[serde(default)]
    backend: Option<String>,
    #[serde(default)]
    summary: Vec<Summary>,
    #[serde(default)]
    verdict: Option<Judged>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Judged {
    label: String,
    #[serde(default)]
    reasons: Vec<Flag>,
}

impl Reader for Runs {
    fn read(&mut self, root: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        absent_or(root.stamp(&self.archive), |stamp| {
            self.list(root, stamp)?;
            let names = self.names.as_ref().map_or(&[][..], |(_, names)| names);
            let mut shown = HashMap::new();
            let mut count = 0;
            for name in names.iter().rev() {
                if count == self.newest {
                    break;
                }
                let path = format!("{}/{name}/{MANIFEST}", self.archive);
                let stamp = match root.stamp(&path) {
                    Ok(stamp) => stamp,
                    // It is being made, or it is no run.
                    Err(error) if error.is_absent() => continue,
                    Err(error) => {
                        samples.problem(error);
                        continue;
                    }
                };
                count += 1;
                let known = match self.known.remove(name) {
                    Some((known_stamp, known)) if known_stamp == stamp => Some(known),
                    _ => samples.known(Known::read(root, name, &path)),
                };
                let Some(known) = known else { continue };
                let directory = format!("{}/{name}", self.archive);
                let is_active =
                    known.is_running && samples.known(root.is_locked(&directory)) == Some(true);
                samples.record(&ACTIVE, [name], f64::from(u8::from(is_active)));
                if is_word(name) {
                    samples.extend(known.samples.iter().cloned());
                    samples.record(&INFO, known.brief.info(name, is_active), 1.0);
                }
                shown.insert(name.clone(), (stamp, known));
            }
            self.known = shown;
            Ok(Presence::Present)
        })
    }
}

impl Runs {
    /// Lists the archive anew where a run came or went.
    fn list(&mut self, root: &Root, stamp: Stamp) -> Result<(), ReadError> {
        if self.names.as_ref().is_none_or(|(known, _)| *known != stamp) {
            let mut names = root.list(&self.archive)?;
            // Names of runs begin with their time.
            names.retain(|name| name.starts_with(|c: char| c.is_ascii_digit()));
            names.sort_unstable();
            self.names = Some((stamp, names));
        }
        Ok(())
    }
}

impl Known {
    fn read(root: &Root, run: &str, path: &str) -> Result<Self, ReadError> {
        let text = root.read(path)?;
        let garbage =
            |error: serde_json::Error| ReadError::garbage(root.locate(path), error.to_string());
        let brief: Brief = serde_json::from_str(&text).map_err(garbage)?;
        if brief.schema_version > SCHEMA_VERSION {
            let detail = format!("schema_version {} is newer than this halo", brief.schema_version);
            return Err(ReadError::unsupported(root.locate(path), detail));
        }
        let samples = brief.samples(run).values().to_vec();
        Ok(Self { samples, is_running: brief.state == State::Running, brief })
    }
}

impl Brief {
    /// Everything but what depends on the lock.
    fn samples(&self, run: &str) -> Samples {
        let mut samples = Samples::default();
        samples.record(&START, [run], seconds(self.started));
        samples.record(&END, [run], self.ended.map(seconds));
        let tags = self.tags.iter().map(|(key, value)| (key, value.as_deref().unwrap_or_default()));
        for (key, value) in
            tags.filter(|(key, value)| is_word(key) && is_word(value)).take(MOST_TAGS)
        {
            samples.record(&TAG, [run, key, value], 1.0);
        }
        for flag in self.verdict.iter().flat_map(|verdict| &verdict.reasons) {
            samples.record(&FLAG, [run, word(&flag.reason)], 1.0);
        }
        for figure in self.summary.iter().take(MOST_RESULTS) {
            let labels = [&figure.task, &figure.case, &figure.metric, &figure.unit];
            let [task, case, metric, unit] = labels.map(String::as_str);
            if labels.iter().all(|label| is_word(label)) {
                samples.record(&RESULT, [run, task, case, metric, unit], figure.mean);
            }
        }
        samples
    }

    fn info<'a>(&'a self, run: &'a str, is_active: bool) -> [&'a str; 9] {
        let model = self.models.first().map_or("", |model| word(&model.name));
        let named = self.tags.get("name").and_then(Option::as_deref).map(word);
        // The name of the directory without its time.
        let slug = run.split_once('-').map_or(run, |(_, slug)| slug);
        let state = match self.state {
            State::Running if !is_active => State::Interrupted,
            state => state,
        };
        [
            run,
            self.campaign.as_deref().map_or("", word),
            self.kind.as_str(),
            named.filter(|name| !name.is_empty()).unwrap_or(slug),
            word(&self.tool.name),
            model,
            self.backend.as_deref().map_or("", word),
            state.as_str(),
            self.verdict.as_ref().map_or("unknown", |verdict| word(&verdict.label)),
        ]
    }
}

/// A text that can be the value of a label, or nothing.
fn word(text: &str) -> &str {
    if is_word(text) { text } else { "" }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}
