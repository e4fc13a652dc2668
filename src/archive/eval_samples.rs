//! `eval_samples.parquet`: a row for each sample of an eval.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::{Float64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use jiff::Timestamp;

use super::read::{Kept, Table};
use super::schema;
use super::write::{Identity, Output};
use super::{ArchiveError, RunDirectory};
use crate::run::EvalSample;

/// The name of the table.
const NAME: &str = "eval_samples";

/// Writes the table, whole and at once; a run without samples has none.
///
/// # Errors
///
/// Where it cannot be written.
pub fn write(directory: &Path, identity: &Identity, samples: &[EvalSample]) -> io::Result<()> {
    if samples.is_empty() {
        return RunDirectory::at(directory).remove_file(&format!("{NAME}.parquet"));
    }
    let text = |of: fn(&EvalSample) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(samples.iter().map(of)))
    };
    let time = |of: fn(&EvalSample) -> Option<Timestamp>| -> ArrayRef {
        let times = samples.iter().map(|sample| i64::try_from(of(sample)?.as_nanosecond()).ok());
        Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
    };
    let number = |of: fn(&EvalSample) -> Option<f64>| -> ArrayRef {
        Arc::new(samples.iter().map(of).collect::<Float64Array>())
    };
    let count = |of: fn(&EvalSample) -> Option<u64>| -> ArrayRef {
        Arc::new(samples.iter().map(of).collect::<UInt64Array>())
    };
    let errors: StringArray = samples.iter().map(|sample| sample.error.as_deref()).collect();
    let mut output = Output::create(directory, NAME, schema::eval_samples(), identity)?;
    output.write(vec![
        text(|sample| &sample.task),
        text(|sample| &sample.sample),
        Arc::new(UInt32Array::from_iter_values(samples.iter().map(|sample| sample.epoch))),
        time(|sample| sample.started),
        time(|sample| sample.ended),
        number(|sample| sample.score),
        count(|sample| sample.prompt_tokens),
        count(|sample| sample.generated_tokens),
        number(EvalSample::tokens_per_second),
        number(|sample| sample.joules),
        Arc::new(errors),
    ])?;
    output.finish()
}

/// All samples of a run, in the order in which they were written; none where it has none.
///
/// # Errors
///
/// Where the file is damaged.
pub fn read(run: &RunDirectory) -> Result<Vec<EvalSample>, ArchiveError> {
    if !run.has(&format!("{NAME}.parquet")) {
        return Ok(Vec::new());
    }
    let (mut samples, mut kept) = (Vec::new(), Kept::new());
    for batch in Table::open(run, NAME)?.rows()? {
        let batch = batch?;
        kept.add(batch.num_rows() * size_of::<EvalSample>() + batch.get_array_memory_size())?;
        take(&batch, &mut samples).ok_or_else(|| {
            ArchiveError(format!("{}: {NAME}.parquet lacks a column", run.name()))
        })?;
    }
    Ok(samples)
}

fn take(batch: &RecordBatch, samples: &mut Vec<EvalSample>) -> Option<()> {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let time =
        |name: &str| batch.column_by_name(name)?.as_primitive_opt::<TimestampNanosecondType>();
    let number = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Float64Type>();
    let count = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>();
    let (task, sample, error) = (text("task")?, text("sample")?, text("error")?);
    let epoch = batch.column_by_name("epoch")?.as_primitive_opt::<UInt32Type>()?;
    let (started, ended) = (time("started")?, time("ended")?);
    let (score, joules) = (number("score")?, number("joules")?);
    let (prompt, generated) = (count("prompt_tokens")?, count("generated_tokens")?);
    let at = |times: &TimestampNanosecondArray, row: usize| {
        times.is_valid(row).then(|| Timestamp::from_nanosecond(times.value(row).into()).ok())?
    };
    let known = |numbers: &Float64Array, row: usize| {
        numbers.is_valid(row).then(|| numbers.value(row)).filter(|number| number.is_finite())
    };
    samples.extend((0..batch.num_rows()).map(|row| EvalSample {
        task: task.value(row).to_owned(),
        answer_of: None,
        sample: sample.value(row).to_owned(),
        epoch: epoch.value(row),
        started: at(started, row),
        ended: at(ended, row),
        score: known(score, row),
        prompt_tokens: prompt.is_valid(row).then(|| prompt.value(row)),
        generated_tokens: generated.is_valid(row).then(|| generated.value(row)),
        joules: known(joules, row),
        error: error.is_valid(row).then(|| error.value(row).to_owned()),
    }));
    Some(())
}
