//! The tables of a run as what `analyze` looks at.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};

use super::read::{self, Kept, Table};
use super::schema::MONOTONIC;
use super::{ArchiveError, RunDirectory};
use crate::analyze::Telemetry;
use crate::analyze::telemetry::{Event, Point, Series, Tick, Unreadable};
use crate::json;
use crate::metric::Def;

/// A family of a run has no more series: processes come and go, but not so many.
pub(super) const MOST_SERIES: usize = 4096;

/// Times lie nearer than this to the beginning, in nanoseconds: 36 years. So differences are numbers,
/// whatever a file says.
const FARTHEST: i64 = 1 << 60;

/// What a series and a text take beside what they hold, in bytes.
const OF_SERIES: usize = 256;
const OF_TEXT: usize = 64;

impl From<ArchiveError> for Unreadable {
    fn from(error: ArchiveError) -> Self {
        Self(error.to_string())
    }
}

impl Telemetry for RunDirectory {
    fn series(&self, family: &Def) -> Result<Vec<Series>, Unreadable> {
        let Some(table) = family.table.name().map(|name| find(self, name)).transpose()?.flatten()
        else {
            return Ok(Vec::new());
        };
        // The archive may be older than the family.
        let Ok(value) = table.schema().index_of(family.name) else { return Ok(Vec::new()) };
        let mut wanted = vec![column(&table, MONOTONIC)?, value];
        for label in family.labels {
            wanted.push(column(&table, label)?);
        }
        let mut found: BTreeMap<Vec<String>, Vec<Point>> = BTreeMap::new();
        let mut kept = Kept::new();
        for batch in table.columns(&wanted)? {
            take_values(&batch?, family, &mut found, &mut kept)?;
        }
        let series = found.into_iter().map(|(labels, mut points)| {
            points.sort_by_key(|point| point.at);
            Series { labels, points }
        });
        Ok(series.collect())
    }

    fn events(&self) -> Result<Vec<Event>, Unreadable> {
        let (mut events, mut kept) = (Vec::new(), Kept::new());
        let Some(table) = find(self, "marks")? else { return Ok(events) };
        for batch in table.rows()? {
            let batch = batch?;
            kept.add(batch.num_rows() * size_of::<Event>() + batch.get_array_memory_size())?;
            let at = numbers(&batch)?;
            let (by, name) = (texts(&batch, "by")?, texts(&batch, "name")?);
            let attributes = texts(&batch, "attributes")?;
            for row in 0..batch.num_rows() {
                let attributes = json::from_str(attributes.value(row))
                    .map_err(|error| Unreadable(format!("{}: marks: {error}", self.name())))?;
                events.push(Event {
                    at: time(at, row),
                    by: by.value(row).to_owned(),
                    name: name.value(row).to_owned(),
                    attributes,
                });
            }
        }
        events.sort_by_key(|event| event.at);
        Ok(events)
    }

    fn ticks(&self) -> Result<Vec<Tick>, Unreadable> {
        let (mut ticks, mut kept) = (Vec::new(), Kept::new());
        let Some(table) = find(self, "sampling")? else { return Ok(ticks) };
        for batch in table.rows()? {
            let batch = batch?;
            let failing = batch.column_by_name("failing");
            let failing = failing.map_or(0, Array::get_array_memory_size);
            kept.add(batch.num_rows() * size_of::<Tick>() + failing)?;
            let at = numbers(&batch)?;
            let unsigned = |name: &str| {
                let column = batch.column_by_name(name);
                column
                    .and_then(|column| column.as_primitive_opt::<UInt64Type>())
                    .ok_or_else(|| other_type(name))
            };
            let (late, cost) = (unsigned("lateness_ns")?, unsigned("cost_ns")?);
            let skipped = unsigned("skipped")?;
            let failing = texts(&batch, "failing")?;
            for row in 0..batch.num_rows() {
                let failing = failing.is_valid(row).then(|| failing.value(row).to_owned());
                ticks.push(Tick {
                    at: time(at, row),
                    late: late.value(row),
                    cost: cost.value(row),
                    skipped: skipped.value(row),
                    failing,
                });
            }
        }
        Ok(ticks)
    }
}

fn find(run: &RunDirectory, name: &str) -> Result<Option<Table>, ArchiveError> {
    let is_there = read::names(run)?.iter().any(|known| known == name);
    is_there.then(|| Table::open(run, name)).transpose()
}

fn column(table: &Table, name: &str) -> Result<usize, Unreadable> {
    let index = table.schema().index_of(name);
    index.map_err(|_| Unreadable(format!("{}: has no column {name}", table.path().display())))
}

fn take_values(
    batch: &RecordBatch,
    family: &Def,
    found: &mut BTreeMap<Vec<String>, Vec<Point>>,
    kept: &mut Kept,
) -> Result<(), Unreadable> {
    let at = numbers(batch)?;
    let values = batch
        .column_by_name(family.name)
        .and_then(|column| column.as_primitive_opt::<Float64Type>())
        .ok_or_else(|| other_type(family.name))?;
    let labels = family.labels.iter().map(|label| texts(batch, label));
    let labels = labels.collect::<Result<Vec<_>, _>>()?;
    // Rows of one set of labels stand together, so that looking it up once is mostly enough.
    let mut current: Option<(Vec<&str>, Vec<Point>)> = None;
    let is_known = |row: &usize| values.is_valid(*row) && values.value(*row).is_finite();
    for row in (0..batch.num_rows()).filter(is_known) {
        let point = Point { at: time(at, row), value: values.value(row) };
        let is_same = |(known, _): &&mut (Vec<&str>, Vec<Point>)| {
            known.iter().zip(&labels).all(|(known, label)| *known == label.value(row))
        };
        if let Some((_, points)) = current.as_mut().filter(is_same) {
            points.push(point);
            continue;
        }
        if let Some((labels, points)) = current.take() {
            add(found, &labels, points, kept)?;
        }
        let labels = labels.iter().map(|label| label.value(row)).collect();
        current = Some((labels, vec![point]));
    }
    if let Some((labels, points)) = current {
        add(found, &labels, points, kept)?;
    }
    Ok(())
}

fn add(
    found: &mut BTreeMap<Vec<String>, Vec<Point>>,
    labels: &[&str],
    points: Vec<Point>,
    kept: &mut Kept,
) -> Result<(), ArchiveError> {
    let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
    if !found.contains_key(&labels) {
        if found.len() == MOST_SERIES {
            return Err(ArchiveError(format!("has more than {MOST_SERIES} series of a family")));
        }
        kept.add(OF_SERIES + labels.iter().map(|label| label.len() + OF_TEXT).sum::<usize>())?;
    }
    kept.add(points.len() * size_of::<Point>())?;
    found.entry(labels).or_default().extend(points);
    Ok(())
}

fn numbers(batch: &RecordBatch) -> Result<&arrow::array::Int64Array, Unreadable> {
    let column = batch.column_by_name(MONOTONIC);
    column
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| other_type(MONOTONIC))
}

fn time(at: &arrow::array::Int64Array, row: usize) -> i64 {
    at.value(row).clamp(-FARTHEST, FARTHEST)
}

fn texts<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::StringArray, Unreadable> {
    let column = batch.column_by_name(name);
    column.and_then(|column| column.as_string_opt::<i32>()).ok_or_else(|| other_type(name))
}

fn other_type(name: &str) -> Unreadable {
    Unreadable(format!("the column {name} is missing or of another type"))
}
