//! A run as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.
//!
//! The series have the names and labels that Prometheus gives to those of a live exporter, so
//! that a dashboard shows both alike. Everything comes from the archive's files, which know
//! families that this halo may not declare any more.

mod speed;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimeUnit::Nanosecond;
use arrow::datatypes::{DataType, Field, Float64Type, TimestampNanosecondType};
use jiff::Timestamp;

use super::export::ExportError;
use super::read::{self, Table};
use super::telemetry::MOST_SERIES;
use super::{ArchiveError, RunDirectory, schema};
use crate::metric::{Def, Sample};
use crate::root::is_word;
use crate::run::{Brief, Manifest};
use crate::source::runs;

/// The label `job` of the shipped configuration of Prometheus.
pub const JOB: &str = "halo";

/// The label `instance` of a halo-exporter that Prometheus scrapes on its own machine.
pub const INSTANCE: &str = "127.0.0.1:10395";

/// Milliseconds after which what is known about the run is repeated: Prometheus looks back for
/// 5 minutes.
const REPEATED_EVERY: usize = 60_000;

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
    let manifest = run.manifest()?;
    text.run(run.name(), &manifest)?;
    text.speeds(run, &manifest)?;
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
    /// order of its time, while a row group of the table has all of them: each series is a pass
    /// over its column, which costs time where keeping them all would cost memory.
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
        let keys = columns(|field| *field.data_type() == DataType::Utf8 && is_name(field.name()));
        let series = series(table, &keys)?;
        for column in families {
            // A table of somebody else may be called anything.
            if !is_name(fields[column].name()) {
                continue;
            }
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
        let about = runs::about(run, &Brief::from(manifest), false);
        for def in runs::SOURCE.metrics {
            let is_of_family = |sample: &&Sample| std::ptr::eq(sample.def, *def);
            let mut family = Some(Family::declared(def));
            for sample in about.values().iter().filter(is_of_family) {
                if let Some(family) = family.take() {
                    write!(self.output, "{family}")?;
                }
                let labels =
                    def.labels.iter().copied().zip(sample.labels.iter().map(AsRef::as_ref));
                let series = self.start(def.name, labels);
                // While it lasted it was recorded, and Prometheus shows a last value for
                // 5 minutes more.
                let is_activity = std::ptr::eq(*def, runs::ACTIVE.def());
                let during = if is_activity { 1.0 } else { sample.value };
                for time in (start..end).step_by(REPEATED_EVERY) {
                    self.sample(&series, during, time)?;
                }
                self.sample(&series, sample.value, end)?;
            }
        }
        Ok(())
    }

    /// Writes how fast the tool was in each repetition, and that nobody says so when that has ended:
    /// Prometheus would show the last value for 5 minutes more.
    fn speeds(&mut self, run: &RunDirectory, manifest: &Manifest) -> Result<(), ExportError> {
        let def = runs::SPEED.def();
        let mut family = Some(Family::declared(def));
        for ([task, case, phase], spans) in speed::spans(run, manifest)? {
            let values = [run.name(), &task, &case, &phase];
            if !values.iter().all(|value| is_word(value)) {
                continue;
            }
            if let Some(family) = family.take() {
                write!(self.output, "{family}")?;
            }
            let series = self.start(def.name, def.labels.iter().copied().zip(values));
            for (index, span) in spans.iter().enumerate() {
                for time in (span.from..span.to).step_by(REPEATED_EVERY) {
                    self.sample(&series, span.value, time)?;
                }
                if spans.get(index + 1).is_none_or(|next| next.from > span.to) {
                    self.sample(&series, f64::NAN, span.to)?;
                }
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
                // Each is a pass over the table.
                if known.len() == MOST_SERIES {
                    let text = format!("has more than {MOST_SERIES} series");
                    return Err(ArchiveError::at(table.path(), text).into());
                }
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

impl Family {
    /// A family that a source declares.
    fn declared(def: &Def) -> Self {
        let unit = def.unit.suffix().unwrap_or_default().trim_start_matches('_');
        Self { name: def.name.to_owned(), unit: unit.to_owned(), help: def.help.to_owned() }
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
        // The unit stands at the end of the name.
        let has_unit = name.strip_suffix(&*self.unit).is_some_and(|stem| stem.ends_with('_'));
        if has_unit && self.unit != "info" {
            writeln!(formatter, "# UNIT {name} {}", self.unit)?;
        }
        writeln!(formatter, "# HELP {name} {}", escape(&self.help))
    }
}

/// Whether a text can be the name of a family or a label.
fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}
