//! The archive of `halo-record`: the newest runs, read from their manifests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::metric::{Def, Kind, Metric, Sample, Samples, Table, Unit};
use crate::root::{ReadError, Root, Stamp, is_word};
use crate::run::manifest::{SCHEMA_VERSION, State};
use crate::run::{Brief, MANIFEST};
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
/// When a run was being recorded.
pub static ACTIVE: Metric<1> = Metric::new(Def {
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

/// How fast a tool without a server was, moment by moment: a scrape knows it only when the run has
/// ended, so an export alone gives it.
pub static SPEED: Metric<4> = Metric::new(Def {
    from: "results.parquet and the tool's marks in marks.parquet; in exports alone (`halo-record export --format openmetrics`)",
    ..def(
        "halo_run_tokens_per_second",
        "Tokens per second of a repetition as the tool printed them, while that repetition lasted; NaN when it had ended.",
        Unit::None,
        &["run", "task", "case", "phase"],
    )
});

/// The families that exports have and the exporter has not.
pub static EXPORTED: &[&Def] = &[SPEED.def()];

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

/// Where an installed package puts the archive of a machine.
const OF_THE_MACHINE: &str = "/var/lib/halo";

fn open(config: &Config) -> Vec<Box<dyn Reader>> {
    let (archive, root) = match &config.archive {
        Some(named) => (named.to_string_lossy().into_owned(), Some(Arc::new(Root::live()))),
        None => (OF_THE_MACHINE.to_owned(), None),
    };
    vec![Box::new(Runs {
        archive,
        root,
        newest: config.runs.newest,
        names: None,
        known: HashMap::new(),
    })]
}

/// Reads the archive. What does not change is kept: of a manifest of an ended run only the time of
/// its last change is looked at again.
struct Runs {
    archive: String,
    /// Where the archive is looked for; none for where the machine is.
    root: Option<Arc<Root>>,
    newest: usize,
    names: Option<(Stamp, Vec<String>)>,
    known: HashMap<String, (Stamp, Known)>,
}

/// What a manifest gave.
struct Known {
    brief: Brief,
    /// While nobody holds the lock.
    samples: Vec<Sample>,
}

impl Reader for Runs {
    fn read(&mut self, machine: &Root, samples: &mut Samples) -> Result<Presence, ReadError> {
        let own = self.root.clone();
        let root = own.as_deref().unwrap_or(machine);
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
                let is_running = known.brief.state == State::Running;
                if is_running && samples.known(root.is_locked(&directory)) == Some(true) {
                    samples.extend(about(name, &known.brief, true).values().iter().cloned());
                } else {
                    samples.extend(known.samples.iter().cloned());
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
        let text = root.read_of_user(path)?;
        let garbage =
            |error: serde_json::Error| ReadError::garbage(root.locate(path), error.to_string());
        let brief: Brief = serde_json::from_str(&text).map_err(garbage)?;
        if brief.schema_version > SCHEMA_VERSION {
            let detail = format!("schema_version {} is newer than this halo", brief.schema_version);
            return Err(ReadError::unsupported(root.locate(path), detail));
        }
        let samples = about(run, &brief, false).values().to_vec();
        Ok(Self { brief, samples })
    }
}

/// What is shown of a run, here and by an export: the same series, so that a run that is both
/// scraped and backfilled is one.
pub fn about(run: &str, brief: &Brief, is_active: bool) -> Samples {
    let mut samples = Samples::default();
    if !is_word(run) {
        return samples;
    }
    samples.record(&ACTIVE, [run], f64::from(u8::from(is_active)));
    samples.record(&INFO, info(run, brief, is_active), 1.0);
    samples.record(&START, [run], seconds(brief.started));
    samples.record(&END, [run], brief.ended.map(seconds));
    let tags = brief.tags.iter().map(|(key, value)| (key, value.as_deref().unwrap_or_default()));
    for (key, value) in tags.filter(|(key, value)| is_word(key) && is_word(value)).take(MOST_TAGS) {
        samples.record(&TAG, [run, key, value], 1.0);
    }
    for flag in brief.verdict.iter().flat_map(|verdict| &verdict.reasons) {
        samples.record(&FLAG, [run, word(&flag.reason)], 1.0);
    }
    for figure in brief.summary.iter().take(MOST_RESULTS) {
        let labels = [&figure.task, &figure.case, &figure.metric, &figure.unit];
        let [task, case, metric, unit] = labels.map(String::as_str);
        if labels.iter().all(|label| is_word(label)) {
            samples.record(&RESULT, [run, task, case, metric, unit], figure.mean);
        }
    }
    samples
}

fn info<'a>(run: &'a str, brief: &'a Brief, is_active: bool) -> [&'a str; 9] {
    let model = brief.models.first().map_or("", |model| word(&model.name));
    let named = brief.tags.get("name").and_then(Option::as_deref).map(word);
    // The name of the directory without its time.
    let slug = run.split_once('-').map_or(run, |(_, slug)| slug);
    let state = match brief.state {
        State::Running if !is_active => State::Interrupted,
        state => state,
    };
    [
        run,
        brief.campaign.as_deref().map_or("", word),
        brief.kind.as_str(),
        named.filter(|name| !name.is_empty()).unwrap_or(slug),
        word(&brief.tool.name),
        model,
        brief.backend.as_deref().map_or("", word),
        state.as_str(),
        brief.verdict.as_ref().map_or("unknown", |verdict| word(&verdict.label)),
    ]
}

/// A text that can be the value of a label, or nothing.
fn word(text: &str) -> &str {
    if is_word(text) { text } else { "" }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}
