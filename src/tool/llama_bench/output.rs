//! A stream of output while it is read, and the tests that are found in it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::tool::ParseError;

/// The fields of a test as llama-bench names them, in its order.
pub(super) type Fields = Map<String, Value>;

/// A test that llama-bench printed.
#[derive(Debug)]
pub(super) struct Test {
    /// Where it stands, as `raw/stderr line 3`.
    pub(super) place: String,
    pub(super) fields: Fields,
}

/// What one stream got. Bytes that are no UTF-8, as those of a file name, are replaced: they
/// must not cost the figures beside them.
pub(super) struct Output<'a> {
    name: &'static str,
    pub(super) text: Cow<'a, str>,
}

impl<'a> Output<'a> {
    pub(super) fn new(name: &'static str, bytes: &'a [u8]) -> Self {
        Self { name, text: String::from_utf8_lossy(bytes) }
    }

    /// The lines with their numbers, from 1. What a terminal adds to their ends is taken off; a
    /// last line that was not ended is left out, since its figures may have been cut.
    pub(super) fn whole_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.split_inclusive('\n');
        let whole = lines.filter_map(|line| line.strip_suffix('\n'));
        whole.map(|line| line.trim_end_matches('\r')).enumerate().map(|(i, line)| (i + 1, line))
    }

    pub(super) fn test(&self, line: usize, fields: Fields) -> Test {
        Test { place: self.place(line), fields }
    }

    pub(super) fn place(&self, line: usize) -> String {
        format!("{} line {line}", self.name)
    }

    pub(super) fn error(&self, line: usize, detail: impl Into<String>) -> ParseError {
        ParseError { place: self.place(line), detail: detail.into() }
    }
}

/// Fields that are whole numbers, truths and fractions where a format says all as text. The rest
/// is text: a commit may consist of digits.
const WHOLE: &[&str] = &[
    "build_number",
    "model_size",
    "model_n_params",
    "n_batch",
    "n_ubatch",
    "n_threads",
    "poll",
    "n_gpu_layers",
    "n_cpu_moe",
    "main_gpu",
    "flash_attn",
    "no_op_offload",
    "fit_target",
    "fit_min_ctx",
    "n_prompt",
    "n_gen",
    "n_depth",
    "avg_ns",
    "stddev_ns",
];
const TRUTHS: &[&str] = &[
    "cpu_strict",
    "no_kv_offload",
    "embeddings",
    "no_host",
    "repack",
    "use_mmap",
    "use_direct_io",
];
const FRACTIONS: &[&str] = &["avg_ts", "stddev_ts"];

/// A value of a text format as the JSON formats have it.
pub(super) fn typed(field: &str, text: &str) -> Value {
    let value = if WHOLE.contains(&field) {
        text.parse().ok().map(|whole: i64| Value::from(whole))
    } else if FRACTIONS.contains(&field) {
        text.parse().ok().map(|fraction: f64| Value::from(fraction))
    } else if TRUTHS.contains(&field) {
        match text {
            "0" => Some(Value::from(false)),
            "1" => Some(Value::from(true)),
            _ => None,
        }
    } else {
        None
    };
    value.unwrap_or_else(|| Value::from(text))
}
