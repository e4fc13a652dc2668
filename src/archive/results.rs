//! The figures of a run, from `results.parquet`.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, UInt32Type};

use super::read::{Kept, Rows, Table};
use super::{ArchiveError, RunDirectory};
use crate::run::Row;

/// All figures of a run, in the order in which they were written; none where it has none.
///
/// # Errors
///
/// Where the file is damaged.
pub fn read(run: &RunDirectory) -> Result<Vec<Row>, ArchiveError> {
    if !run.has("results.parquet") {
        return Ok(Vec::new());
    }
    let rows: Rows = Table::open(run, "results")?.rows()?;
    let (mut figures, mut kept) = (Vec::new(), Kept::new());
    for batch in rows {
        let batch = batch?;
        kept.add(batch.num_rows() * size_of::<Row>() + batch.get_array_memory_size())?;
        take(&batch, &mut figures).ok_or_else(|| {
            ArchiveError(format!("{}: results.parquet lacks a column", run.name()))
        })?;
    }
    Ok(figures)
}

fn take(batch: &RecordBatch, figures: &mut Vec<Row>) -> Option<()> {
    let text =
        |name: &str| -> Option<&StringArray> { batch.column_by_name(name)?.as_string_opt::<i32>() };
    let (task, case, metric) = (text("task")?, text("case")?, text("metric")?);
    let unit = text("unit")?;
    let repetition = batch.column_by_name("repetition")?.as_primitive_opt::<UInt32Type>()?;
    let value = batch.column_by_name("value")?.as_primitive_opt::<Float64Type>()?;
    let is_known = |row: &usize| value.is_valid(*row) && value.value(*row).is_finite();
    figures.extend((0..batch.num_rows()).filter(is_known).map(|row| Row {
        task: task.value(row).to_owned(),
        case: case.value(row).to_owned(),
        repetition: repetition.is_valid(row).then(|| repetition.value(row)),
        metric: metric.value(row).to_owned(),
        value: value.value(row),
        unit: unit.value(row).to_owned(),
    }));
    Some(())
}
