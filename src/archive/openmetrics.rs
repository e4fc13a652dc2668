//! A run as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.
//!
//! The series have the names and labels that Prometheus gives to those of a live exporter, so
//! that a dashboard shows both alike. Everything comes from the archive's files, which know
//! families that this halo may not declare any more.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimeUnit::Nanosecond;
use arrow::datatypes::{DataType, Field, Float64Type, TimestampNanosecondType};
use jiff::Timestamp;

use super::export::ExportError;
use super::read::{self, Table};
use super::{RunDirectory, schema};
use crate::run::Manifest;
use crate::run::manifest::Summary;

/// The label `job` of the shipped configuration of Prometheus.
pub const JOB: &str = "halo";

/// The label `instance` of a halo-exporter that Prometheus scrapes on its own machine.
pub const INSTANCE: &str = "127.0.0.1:10395";

/// Milliseconds after which what is known about the run is repeated: Prometheus looks back for
/// 5 minutes.
const REPEATED_EVERY: usize = 60_000;

/// The family that says when a run was recorded.
const ACTIVE: &str = "halo_run_active";

/// The labels that Prometheus adds when it scrapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The label `job`.
    pub job: String,
    /// The label `instance`.
    pub instance: String,
}

/// Writes every series of a run, and gives what the user must know about it.
///
/// # Errors
///
/// Where the run cannot be read, or the output takes no more.
pub fn write(
    run: &RunDirectory,
    target: &Target,
    output: &mut dyn Write,
) -> Result<Option<String>, ExportError> {
    let mut text = Text { target, output, left_out: 0 };
    for name in read::names(run)? {
        text.table(&Table::open(run, &name)?)?;
    }
    text.run(run.name(), &run.manifest()?)?;
    text.output.write_all(b"# EOF\n")?;
    let left_out = text.left_out;
    Ok((left_out > 0).then(|| {
        format!("the clock was set back meanwhile; {left_out} samples of that time are left out")
    }))
}

struct Text<'a> {
    target: &'a Target,
    output: &'a mut dyn Write,
    left_out: u64,
}

impl Text<'_> {
    /// Writes the families of a table. A family's series stand one behind the other, each in the
    /// order of its time, while the rows of the table are in the order of time: each series is a
    /// pass over its column, which costs time where keeping them all would cost memory.
    fn table(&mut self, table: &Table) -> Result<(), ExportError> {
        let fields = table.schema().fields();
        let columns = |is_wanted: fn(&Field) -> bool| -> Vec<usize> {
            (0..fields.len()).filter(|number| is_wanted(&fields[*number])).collect()
        };
        let times = columns(|field| {
            let is_time = matches!(field.data_type(), DataType::Timestamp(Nanosecond, _));
            field.name() == schema::TIME && is_time
        });
        let families = columns(|field| *field.data_type() == DataType::Float64);
        // Tables without a time, or without values of families, are about the run itself.
        if times.is_empty() || families.is_empty() {
            return Ok(());
        }
        let keys = columns(|field| *field.data_type() == DataType::Utf8);
        let series = series(table, &keys)?;
        for column in families {
            let mut family = Some(Family::of(&fields[column]));
            let projection = [&times[..], &keys, &[column]].concat();
            for wanted in &series {
                let names = keys.iter().map(|key| fields[*key].name().as_str());
                let labels = names.zip(wanted.iter().map(String::as_str));
                let start = self.start(fields[column].name(), labels);
                let mut last = i64::MIN;
                for batch in table.columns(&projection)? {
                    for (time, value) in samples(&batch?, fields[column].name(), wanted) {
                        self.left_out += u64::from(time < last);
                        // Prometheus counts milliseconds: one of two samples in the same is enough.
                        if time > last {
                            if let Some(family) = family.take() {
                                write!(self.output, "{family}")?;
                            }
                            self.sample(&start, value, time)?;
                            last = time;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes what is known about the run, for the time that it lasted.
    fn run(&mut self, run: &str, manifest: &Manifest) -> io::Result<()> {
        let start = manifest.started.as_millisecond();
        let end = manifest.ended.map_or(start, Timestamp::as_millisecond).max(start);
        for about in about(manifest) {
            if about.series.is_empty() {
                continue;
            }
            write!(self.output, "{}", about.family)?;
            for (labels, value) in &about.series {
                let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
                let series =
                    self.start(&about.family.name, [("run", run)].into_iter().chain(labels));
                for time in (start..end).step_by(REPEATED_EVERY) {
                    self.sample(&series, *value, time)?;
                }
                // Prometheus shows a last value for 5 minutes more, but the run is over.
                let last = if about.family.name == ACTIVE { 0.0 } else { *value };
                self.sample(&series, last, end)?;
            }
        }
        Ok(())
    }

    /// What the samples of a series begin with.
    fn start<'a>(&self, name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
        let target = [("job", &*self.target.job), ("instance", &*self.target.instance)];
        let pairs: Vec<String> = labels
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
            .chain(target.map(|(name, value)| format!("{name}=\"{}\"", escape(value))))
            .collect();
        format!("{name}{{{}}}", pairs.join(","))
    }

    /// Writes a value: `{:?}` gives as many digits as it takes to read the same one back.
    /// Milliseconds are what Prometheus keeps; more digits it would cut off.
    fn sample(&mut self, series: &str, value: f64, time: i64) -> io::Result<()> {
        let (seconds, thousandths) = (time.div_euclid(1000), time.rem_euclid(1000));
        writeln!(self.output, "{series} {value:?} {seconds}.{thousandths:03}")
    }
}

/// The label values of the series in a table, in order.
fn series(table: &Table, keys: &[usize]) -> Result<Vec<Vec<String>>, ExportError> {
    let mut known: BTreeSet<Vec<String>> = BTreeSet::new();
    if keys.is_empty() {
        return Ok(vec![Vec::new()]);
    }
    for batch in table.columns(keys)? {
        let batch = batch?;
        let columns = texts(&batch);
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row));
            if !known.iter().any(|series| series.iter().eq(values.clone())) {
                known.insert(values.map(str::to_owned).collect());
            }
        }
    }
    Ok(known.into_iter().collect())
}

fn texts(batch: &RecordBatch) -> Vec<&StringArray> {
    batch.columns().iter().filter_map(|column| column.as_string_opt()).collect()
}

/// The samples of a series in a batch: milliseconds and values.
fn samples<'a>(
    batch: &'a RecordBatch,
    family: &str,
    wanted: &'a [String],
) -> impl Iterator<Item = (i64, f64)> + 'a {
    let times = batch[schema::TIME].as_primitive::<TimestampNanosecondType>();
    let values = batch[family].as_primitive::<Float64Type>();
    let keys = texts(batch);
    let is_meant = move |row: &usize| {
        let has = |(key, wanted): (&&StringArray, &String)| key.value(*row) == wanted;
        values.is_valid(*row) && keys.iter().zip(wanted).all(has)
    };
    let rows = (0..batch.num_rows()).filter(is_meant);
    rows.map(|row| (times.value(row).div_euclid(1_000_000), values.value(row)))
}

/// What OpenMetrics says of a family before its samples.
struct Family {
    name: String,
    unit: String,
    help: String,
}

impl Family {
    /// The family that a column holds.
    fn of(column: &Field) -> Self {
        let text = |key| column.metadata().get(key).cloned().unwrap_or_default();
        Self { name: column.name().clone(), unit: text("unit"), help: text("help") }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ending belongs to a counter's samples, and to nothing else's.
        let (name, kind) = match self.name.strip_suffix("_total") {
            Some(name) => (name, "counter"),
            None => (self.name.as_str(), "gauge"),
        };
        writeln!(formatter, "# TYPE {name} {kind}")?;
        if !self.unit.is_empty() && self.unit != "info" {
            writeln!(formatter, "# UNIT {name} {}", self.unit)?;
        }
        writeln!(formatter, "# HELP {name} {}", escape(&self.help))
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// A family about the run itself, with its series: labels beside `run`, and the value.
struct About {
    family: Family,
    series: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// What is known about a run, as families.
fn about(manifest: &Manifest) -> Vec<About> {
    let family = |name: &str, unit: &str, help: &str, series| About {
        family: Family { name: name.to_owned(), unit: unit.to_owned(), help: help.to_owned() },
        series,
    };
    let seconds = |time: Timestamp| time.as_millisecond() as f64 / 1000.0;
    let models: Vec<&str> = manifest.models.iter().map(|model| model.name.as_str()).collect();
    let verdict = manifest.verdict.as_ref();
    let info = vec![
        ("campaign", manifest.campaign.clone().unwrap_or_default()),
        ("kind", manifest.kind.to_string()),
        ("name", manifest.name.clone()),
        ("tool", manifest.tool.name.clone()),
        ("model", models.join(", ")),
        ("backend", manifest.backend.clone().unwrap_or_default()),
        ("state", manifest.state.to_string()),
        ("verdict", verdict.map(|verdict| verdict.label.clone()).unwrap_or_default()),
    ];
    let tag = |(key, value): (&String, &Option<String>)| {
        (vec![("key", key.clone()), ("value", value.clone().unwrap_or_default())], 1.0)
    };
    let flags = verdict.map(|verdict| verdict.reasons.as_slice()).unwrap_or_default();
    let result = |row: &Summary| {
        let labels = vec![
            ("task", row.task.clone()),
            ("case", row.case.clone()),
            ("metric", row.metric.clone()),
            ("unit", row.unit.clone()),
        ];
        (labels, row.mean)
    };
    vec![
        family("halo_run_info", "", "What a run is.", vec![(info, 1.0)]),
        family("halo_run_tag_info", "", "A tag of a run.", manifest.tags.iter().map(tag).collect()),
        family(
            "halo_run_flag_info",
            "",
            "Why a run is flagged.",
            flags.iter().map(|flag| (vec![("reason", flag.reason.clone())], 1.0)).collect(),
        ),
        family(ACTIVE, "", "Whether a run is being recorded.", vec![(Vec::new(), 1.0)]),
        family(
            "halo_run_start_timestamp_seconds",
            "seconds",
            "When the recording of a run began.",
            vec![(Vec::new(), seconds(manifest.started))],
        ),
        family(
            "halo_run_end_timestamp_seconds",
            "seconds",
            "When the recording of a run ended.",
            manifest.ended.map(|ended| (Vec::new(), seconds(ended))).into_iter().collect(),
        ),
        family(
            "halo_run_result",
            "",
            "A figure of a run: the mean over its repetitions.",
            manifest.summary.iter().map(result).collect(),
        ),
    ]
}
