//! The tables of a run, derived from the declarations of the metrics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::metric::{Def, Table};
use crate::source::SOURCES;

/// The column with the time of a row.
pub const TIME: &str = "time";

/// The column with the time of a row as nanoseconds since the recording began, by a clock that
/// nobody sets.
pub const MONOTONIC: &str = "monotonic_ns";

/// What a stranger may see of a column of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// All: the kernel, a driver or halo chose the words.
    Kept,
    /// What is left after cleaning: a user or a tool wrote it.
    Cleaned,
    /// The same, of each text in a value of JSON.
    CleanedJson,
    /// Whether it is a program that everybody knows.
    Program,
    /// Nothing: halo declares no such column.
    Nothing,
}

/// Labels whose values a user or a server chose.
const CHOSEN: [&str; 4] = ["model", "run", "server", "tool"];

/// The label with the name of a program.
const PROGRAM: &str = "comm";

/// Columns of the tables of their own that a user or a tool fills.
const WRITTEN: [&str; 9] =
    ["by", "case", "error", "failing", "metric", "name", "sample", "task", "unit"];

/// The one of them that has JSON.
const ATTRIBUTES: &str = "attributes";

/// Whether a text is what halo itself says of a column.
pub fn is_declared(about: &str) -> bool {
    static DECLARED: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let tables = wide_tables();
        let schemas = tables.values().map(Wide::schema);
        let about = schemas.flat_map(|schema| {
            let fields = schema.fields().iter();
            fields
                .flat_map(|field| field.metadata().values().cloned().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        });
        about.collect()
    });
    DECLARED.contains(about)
}

/// What a stranger may see of the texts of a column.
pub fn shared(column: &str) -> Shared {
    static LABELS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
        let tables = wide_tables();
        tables.values().flat_map(|table| table.labels.iter().copied()).collect()
    });
    if column == PROGRAM {
        Shared::Program
    } else if column == ATTRIBUTES {
        Shared::CleanedJson
    } else if WRITTEN.contains(&column) || CHOSEN.contains(&column) || column.is_empty() {
        Shared::Cleaned
    } else if LABELS.contains(column) {
        Shared::Kept
    } else {
        Shared::Nothing
    }
}

/// A wide table: a row for each sample and label set, a column for each family.
#[derive(Debug)]
pub struct Wide {
    /// The table.
    pub table: Table,
    /// The name of its file without `.parquet`.
    pub name: &'static str,
    /// The label names, which are its keys.
    pub labels: &'static [&'static str],
    /// The families, by name.
    pub families: Vec<&'static Def>,
}

impl Wide {
    /// Its columns: time, keys, values.
    pub fn schema(&self) -> Arc<Schema> {
        let keys = self.labels.iter().map(|label| Field::new(*label, DataType::Utf8, false));
        let values = self.families.iter().map(|def| {
            let about = [("unit", unit(def)), ("help", def.help), ("from", def.from)];
            let about = about.map(|(key, text)| (key.to_owned(), text.to_owned()));
            Field::new(def.name, DataType::Float64, true).with_metadata(HashMap::from(about))
        });
        Arc::new(Schema::new(times().into_iter().chain(keys).chain(values).collect::<Vec<_>>()))
    }
}

fn unit(def: &Def) -> &'static str {
    def.unit.suffix().map_or("", |suffix| suffix.trim_start_matches('_'))
}

/// The two columns that every table with a time begins with.
pub fn times() -> [Field; 2] {
    [
        Field::new(TIME, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new(MONOTONIC, DataType::Int64, false),
    ]
}

/// The wide tables of everything that the sources declare.
pub fn wide_tables() -> BTreeMap<Table, Wide> {
    let mut tables: BTreeMap<Table, Wide> = BTreeMap::new();
    for def in SOURCES.iter().flat_map(|source| source.metrics.iter().copied()) {
        let Some(name) = def.table.name() else { continue };
        let table = tables.entry(def.table).or_insert_with(|| Wide {
            table: def.table,
            name,
            labels: def.labels,
            families: Vec::new(),
        });
        if !table.families.iter().any(|known| std::ptr::eq(*known, def)) {
            table.families.push(def);
        }
    }
    for table in tables.values_mut() {
        table.families.sort_by_key(|def| def.name);
    }
    tables
}

/// How each tick was taken.
pub fn sampling() -> Arc<Schema> {
    let fields = [
        Field::new("lateness_ns", DataType::UInt64, false),
        Field::new("cost_ns", DataType::UInt64, false),
        Field::new("skipped", DataType::UInt64, false),
        Field::new("failing", DataType::Utf8, true),
    ];
    Arc::new(Schema::new(times().into_iter().chain(fields).collect::<Vec<_>>()))
}

/// What happened.
pub fn marks() -> Arc<Schema> {
    let fields = [
        Field::new("by", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("attributes", DataType::Utf8, false),
    ];
    Arc::new(Schema::new(times().into_iter().chain(fields).collect::<Vec<_>>()))
}

/// The figures that a tool gave.
pub fn results() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("task", DataType::Utf8, false),
        Field::new("case", DataType::Utf8, false),
        Field::new("repetition", DataType::UInt32, true),
        Field::new("metric", DataType::Utf8, false),
        Field::new("value", DataType::Float64, false),
        Field::new("unit", DataType::Utf8, false),
    ]))
}

/// What became of each sample of an eval.
pub fn eval_samples() -> Arc<Schema> {
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("task", DataType::Utf8, false),
        Field::new("sample", DataType::Utf8, false),
        Field::new("epoch", DataType::UInt32, false),
        Field::new("started", time(), true),
        Field::new("ended", time(), true),
        Field::new("score", DataType::Float64, true),
        Field::new("prompt_tokens", DataType::UInt64, true),
        Field::new("generated_tokens", DataType::UInt64, true),
        Field::new("tokens_per_second", DataType::Float64, true),
        Field::new("joules", DataType::Float64, true),
        Field::new("error", DataType::Utf8, true),
    ]))
}
