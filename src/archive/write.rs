//! Turns a journal into Parquet files: in one pass, in memory that does not grow with the run.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondBuilder, UInt32Array, UInt64Builder,
};
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::inside::{Directory, Unfinished};
use super::schema::{self, Wide};
use crate::metric::{Def, Table};
use crate::run::Manifest;
use crate::run::journal::{Mark, Moment, NewSeries, Tick};
use crate::run::manifest::SCHEMA_VERSION;
use crate::tool::Row;

/// Rows that are gathered before they are written, as one row group and one page a column.
///
/// A row group is opened only to be closed at once: while it is open each of its columns holds
/// a compressor, and there are more than a hundred columns.
const BATCH: usize = 16 * 1024;

/// Texts that are gathered before they are written, in bytes: 16384 lines of a journal could have a
/// MiB each.
const MOST_TEXT: usize = 4 << 20;

/// Series of a run: with a thousand at once, as many can come anew each minute of four hours.
const MOST_SERIES: usize = 1 << 18;

/// Labels are names and paths; a longer one is no label of halo's. In bytes.
const LONGEST_LABEL: usize = 1024;

/// Labels of all series of a run, in bytes: what is held while its journal is read.
const MOST_LABELS: usize = 16 << 20;

/// Series without a place that are told by name.
const MOST_UNKNOWN: usize = 100;

/// Which run the files belong to: their key-value metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The run's identifier.
    pub id: String,
    /// The name of its directory.
    pub name: String,
    /// When the recording began.
    pub start: Moment,
}

impl Identity {
    /// That of a run whose manifest is written, in a directory of this name.
    pub fn of(manifest: &Manifest, name: String) -> Self {
        let started = i64::try_from(manifest.started.as_nanosecond()).unwrap_or_default();
        let start = Moment { monotonic: 0, unix: started };
        Self { id: manifest.id.clone(), name, start }
    }
}

/// A table that is written row by row.
pub(super) struct Output {
    unfinished: Unfinished,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
}

impl Output {
    pub(super) fn create(
        directory: &Path,
        name: &str,
        schema: Arc<Schema>,
        identity: &Identity,
    ) -> io::Result<Self> {
        let run = Directory::of_archive(directory)?;
        let mut unfinished = run.begin(&format!("{name}.parquet"))?;
        let file = unfinished.file().try_clone()?;
        let properties = properties(&schema, identity);
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
        Ok(Self { unfinished, schema, writer })
    }

    pub(super) fn write(&mut self, columns: Vec<ArrayRef>) -> io::Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        self.writer.write(&batch.map_err(io::Error::other)?)?;
        Ok(self.writer.flush()?)
    }

    /// Makes the file appear, whole.
    pub(super) fn finish(self) -> io::Result<()> {
        self.writer.close()?;
        self.unfinished.finish()
    }
}

fn properties(schema: &Schema, identity: &Identity) -> WriterProperties {
    let pairs = [
        ("halo.run", &identity.id),
        ("halo.name", &identity.name),
        ("halo.started", &jiff_text(identity.start.unix)),
        ("halo.schema_version", &SCHEMA_VERSION.to_string()),
    ];
    let pairs = pairs.map(|(key, value)| KeyValue::new(key.to_owned(), value.clone()));
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(BATCH)
        .set_created_by(format!("halo {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(pairs.to_vec()));
    for field in schema.fields() {
        // Times, and the values of one sensor, share their first bytes. A dictionary of them
        // would only take memory.
        let is_number = matches!(
            field.data_type(),
            DataType::Timestamp(..) | DataType::Int64 | DataType::Float64
        );
        if is_number {
            let column = ColumnPath::from(field.name().as_str());
            builder = builder
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT);
        }
    }
    builder.build()
}

fn jiff_text(unix: i64) -> String {
    jiff::Timestamp::from_nanosecond(unix.into()).unwrap_or_default().to_string()
}

/// The two columns that every table with a time begins with.
#[derive(Debug)]
struct Times {
    time: TimestampNanosecondBuilder,
    monotonic: Int64Builder,
}

impl Default for Times {
    fn default() -> Self {
        let time = TimestampNanosecondBuilder::new().with_timezone("UTC");
        Self { time, monotonic: Int64Builder::new() }
    }
}

impl Times {
    fn push(&mut self, at: Moment, start: Moment) {
        self.time.append_value(at.unix);
        self.monotonic.append_value(at.monotonic.saturating_sub(start.monotonic));
    }

    fn finish(&mut self) -> [ArrayRef; 2] {
        [Arc::new(self.time.finish()), Arc::new(self.monotonic.finish())]
    }
}

/// A wide table that is being written.
struct WideTable {
    output: Output,
    families: Vec<&'static Def>,
    rows: Vec<WideRow>,
    /// The values of the rows, as many a row as there are families; NaN, which no source gives,
    /// stands for none.
    values: Vec<f64>,
    /// The label sets that were seen; a row of a tick is named by its place here.
    label_sets: Vec<Vec<String>>,
    /// Where a label set stands there.
    numbers: HashMap<Vec<String>, usize>,
    /// The rows of the tick that is being read.
    pending: BTreeMap<usize, Vec<f64>>,
}

impl WideTable {
    fn new(directory: &Path, wide: &Wide, identity: &Identity) -> io::Result<Self> {
        Ok(Self {
            output: Output::create(directory, wide.name, wide.schema(), identity)?,
            families: wide.families.clone(),
            rows: Vec::new(),
            values: Vec::new(),
            label_sets: Vec::new(),
            numbers: HashMap::new(),
            pending: BTreeMap::new(),
        })
    }

    fn label_set(&mut self, labels: &[String]) -> usize {
        *self.numbers.entry(labels.to_owned()).or_insert_with(|| {
            self.label_sets.push(labels.to_owned());
            self.label_sets.len() - 1
        })
    }

    fn push_pending(&mut self, at: Moment, start: Moment) -> io::Result<()> {
        for (label_set, values) in std::mem::take(&mut self.pending) {
            self.rows.push(WideRow { at, label_set, first: self.values.len() });
            self.values.extend(values);
        }
        if self.rows.len() >= BATCH { self.flush(start) } else { Ok(()) }
    }

    /// Writes the rows of one label set after the other: beside each other their values are alike.
    fn flush(&mut self, start: Moment) -> io::Result<()> {
        let (mut rows, values) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.values));
        rows.sort_by_key(|row| row.label_set);
        let mut times = Times::default();
        for row in &rows {
            times.push(row.at, start);
        }
        let mut columns = times.finish().to_vec();
        let keys = self.label_sets.first().map_or(0, Vec::len);
        columns.extend((0..keys).map(|key| {
            let labels = rows.iter().map(|row| &self.label_sets[row.label_set][key]);
            Arc::new(StringArray::from_iter_values(labels)) as ArrayRef
        }));
        columns.extend((0..self.families.len()).map(|family| {
            let column = rows.iter().map(|row| values[row.first + family]);
            let column: Float64Array = column.map(|v| (!v.is_nan()).then_some(v)).collect();
            Arc::new(column) as ArrayRef
        }));
        self.output.write(columns)
    }
}

/// A row of a wide table.
struct WideRow {
    at: Moment,
    label_set: usize,
    /// Where its values begin.
    first: usize,
}

/// Where the values of a series go.
#[derive(Debug, Clone, Copy)]
struct Place {
    table: Table,
    label_set: usize,
    column: usize,
}

/// Writes the tables of a run while its journal is read.
pub struct Tables {
    directory: PathBuf,
    identity: Identity,
    declared: BTreeMap<Table, Wide>,
    wide: BTreeMap<Table, WideTable>,
    places: Vec<Option<Place>>,
    label_bytes: usize,
    unknown: Vec<String>,
    sampling: SamplingTable,
    marks: MarksTable,
}

impl Tables {
    /// Begins the tables of a run in its directory.
    pub fn create(directory: &Path, identity: Identity) -> io::Result<Self> {
        let output = |name, schema| Output::create(directory, name, schema, &identity);
        Ok(Self {
            sampling: SamplingTable::new(output("sampling", schema::sampling())?),
            marks: MarksTable::new(output("marks", schema::marks())?),
            directory: directory.to_owned(),
            identity,
            declared: schema::wide_tables(),
            wide: BTreeMap::new(),
            places: Vec::new(),
            label_bytes: 0,
            unknown: Vec::new(),
        })
    }

    /// Learns series that ticks name by number.
    pub fn series(&mut self, new: &NewSeries) -> io::Result<()> {
        let first = new.first as usize;
        if first.saturating_add(new.series.len()) > MOST_SERIES {
            let text = format!("the journal has more than {MOST_SERIES} series");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.places.resize(first, None);
        for (name, labels) in &new.series {
            let place = self.place(name, labels)?;
            if place.is_none() && self.unknown.len() < MOST_UNKNOWN {
                self.unknown.push(name.clone());
            }
            self.places.push(place);
        }
        Ok(())
    }

    fn place(&mut self, name: &str, labels: &[String]) -> io::Result<Option<Place>> {
        let of_table = |wide: &&Wide| wide.families.iter().any(|def| def.name == name);
        let Some(wide) = self.declared.values().find(of_table) else { return Ok(None) };
        let bytes: usize = labels.iter().map(String::len).sum();
        let is_fit = labels.iter().all(|label| label.len() <= LONGEST_LABEL)
            && self.label_bytes.saturating_add(bytes) <= MOST_LABELS;
        if wide.labels.len() != labels.len() || !is_fit {
            return Ok(None);
        }
        self.label_bytes += bytes;
        if !self.wide.contains_key(&wide.table) {
            let table = WideTable::new(&self.directory, wide, &self.identity)?;
            self.wide.insert(wide.table, table);
        }
        let Some(table) = self.wide.get_mut(&wide.table) else { return Ok(None) };
        let Some(column) = table.families.iter().position(|def| def.name == name) else {
            return Ok(None);
        };
        Ok(Some(Place { table: wide.table, label_set: table.label_set(labels), column }))
    }

    /// Takes a sample of the machine.
    pub fn tick(&mut self, tick: &Tick) -> io::Result<()> {
        for (series, value) in tick.series.iter().zip(&tick.values) {
            let Some(Some(place)) = self.places.get(*series as usize) else { continue };
            let Some(table) = self.wide.get_mut(&place.table) else { continue };
            let width = table.families.len();
            let row = table.pending.entry(place.label_set).or_insert_with(|| vec![f64::NAN; width]);
            row[place.column] = *value;
        }
        for table in self.wide.values_mut() {
            table.push_pending(tick.at, self.identity.start)?;
        }
        self.sampling.push(tick, self.identity.start)
    }

    /// Takes something that happened.
    pub fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        self.marks.push(mark, self.identity.start)
    }

    /// Writes what is left and makes the files appear. Says which series had no place: a journal
    /// of another version of halo may have some.
    pub fn finish(self, results: &[Row]) -> io::Result<Vec<String>> {
        for mut table in self.wide.into_values() {
            if !table.rows.is_empty() {
                table.flush(self.identity.start)?;
            }
            table.output.finish()?;
        }
        self.sampling.finish()?;
        self.marks.finish()?;
        write_results(&self.directory, &self.identity, results)?;
        super::sync_directory(&self.directory)?;
        Ok(self.unknown)
    }
}

struct SamplingTable {
    output: Output,
    times: Times,
    lateness: UInt64Builder,
    cost: UInt64Builder,
    skipped: UInt64Builder,
    failing: StringBuilder,
    rows: usize,
}

impl SamplingTable {
    fn new(output: Output) -> Self {
        Self {
            output,
            times: Times::default(),
            lateness: UInt64Builder::new(),
            cost: UInt64Builder::new(),
            skipped: UInt64Builder::new(),
            failing: StringBuilder::new(),
            rows: 0,
        }
    }

    fn push(&mut self, tick: &Tick, start: Moment) -> io::Result<()> {
        self.times.push(tick.at, start);
        self.lateness.append_value(tick.late);
        self.cost.append_value(tick.cost);
        self.skipped.append_value(tick.skipped);
        let is_fine = tick.failing.is_empty();
        self.failing.append_option((!is_fine).then(|| tick.failing.join(" ")));
        self.rows += 1;
        let is_full = self.rows >= BATCH || self.failing.values_slice().len() >= MOST_TEXT;
        if is_full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut columns = self.times.finish().to_vec();
        columns.push(Arc::new(self.lateness.finish()));
        columns.push(Arc::new(self.cost.finish()));
        columns.push(Arc::new(self.skipped.finish()));
        columns.push(Arc::new(self.failing.finish()));
        self.rows = 0;
        self.output.write(columns)
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.output.finish()
    }
}

struct MarksTable {
    output: Output,
    times: Times,
    texts: [StringBuilder; 3],
    rows: usize,
}

impl MarksTable {
    fn new(output: Output) -> Self {
        Self { output, times: Times::default(), texts: Default::default(), rows: 0 }
    }

    fn push(&mut self, mark: &Mark, start: Moment) -> io::Result<()> {
        self.times.push(mark.at, start);
        let [by, name, attributes] = &mut self.texts;
        by.append_value(mark.by.as_str());
        name.append_value(&mark.name);
        attributes.append_value(serde_json::to_string(&mark.attributes)?);
        self.rows += 1;
        let bytes: usize = self.texts.iter().map(|text| text.values_slice().len()).sum();
        if self.rows >= BATCH || bytes >= MOST_TEXT { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut columns = self.times.finish().to_vec();
        columns.extend(self.texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef));
        self.rows = 0;
        self.output.write(columns)
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.output.finish()
    }
}

/// Writes `results.parquet`, whole and at once.
pub fn write_results(directory: &Path, identity: &Identity, rows: &[Row]) -> io::Result<()> {
    let text = |of: fn(&Row) -> &str| {
        let column = StringArray::from_iter_values(rows.iter().map(of));
        Arc::new(column) as ArrayRef
    };
    let repetitions: UInt32Array = rows.iter().map(|row| row.repetition).collect();
    let values = Float64Array::from_iter_values(rows.iter().map(|row| row.value));
    let mut output = Output::create(directory, "results", schema::results(), identity)?;
    output.write(vec![
        text(|row| &row.task),
        text(|row| &row.case),
        Arc::new(repetitions),
        text(|row| &row.metric),
        Arc::new(values),
        text(|row| &row.unit),
    ])?;
    output.finish()
}
