//! A stream of output while it is read, and the tests that are found in it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::markdown;
use crate::tool::{ParseError, text};

/// The fields of a test as llama-bench names them, in its order.
pub(super) type Fields = Map<String, Value>;

/// A test that llama-bench printed.
#[derive(Debug)]
pub(super) struct Test {
    /// Where it stands, as `raw/stderr line 3`.
    pub(super) place: String,
    /// The line.
    pub(super) line: usize,
    pub(super) fields: Fields,
}

/// What stands in an output in one of the formats.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The tests that are whole.
    pub(super) tests: Vec<Test>,
    /// What is of a test and cannot be understood.
    pub(super) damages: Vec<ParseError>,
    /// The test that the end of the output cuts off.
    pub(super) cut: Option<ParseError>,
}

/// A line of an output, without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    pub(super) text: &'a str,
    /// Whether it has an end: the last one may have been cut.
    pub(super) is_ended: bool,
}

/// What one stream got. Bytes that are no UTF-8, as those of a file name, are replaced: they
/// must not cost the figures beside them.
pub(super) struct Output<'a> {
    name: &'static str,
    pub(super) text: Cow<'a, str>,
}

impl<'a> Output<'a> {
    pub(super) fn new(name: &'static str, bytes: &'a [u8]) -> Self {
        Self { name, text: text::decode(bytes) }
    }

    /// The lines. Where a program went back to the beginning of a line, as one that shows its
    /// progress does, another begins with the same number.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let lines = self.text.split_inclusive('\n').zip(1..);
        lines.flat_map(|(line, number)| {
            let is_ended = line.ends_with('\n');
            let line = line.trim_end_matches(['\r', '\n']);
            line.split('\r').map(move |text| Line { number, text, is_ended })
        })
    }

    pub(super) fn test(&self, line: usize, mut fields: Fields) -> Test {
        // ik_llama.cpp says so what the numbers of tokens leave open.
        let named = fields.get("test").and_then(Value::as_str).and_then(markdown::tokens);
        if let Some(tokens) = named {
            fields.remove("test");
            fields.extend(tokens);
        }
        Test { place: self.place(line), line, fields }
    }

    pub(super) fn place(&self, line: usize) -> String {
        format!("{} line {line}", self.name)
    }

    pub(super) fn error(&self, line: usize, detail: impl Into<String>) -> ParseError {
        ParseError { place: self.place(line), detail: detail.into() }
    }

    /// A test that ends with the output before it is whole.
    pub(super) fn cut(&self, line: usize) -> ParseError {
        self.error(line, "a test is cut off here")
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

/// What stands in the place of a figure that there is none of, in small letters.
const NO_FIGURE: &[&str] = &["", "na", "n/a", "null", "none", "nan", "-nan", "inf", "-inf", "-"];

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
    let is_figure = FRACTIONS.contains(&field) || field.ends_with("_ns");
    match value {
        Some(value) => value,
        None if is_figure && is_no_figure(text) => Value::Null,
        None => Value::from(text),
    }
}

/// Whether a text stands in the place of a figure that there is none of: of a test that failed.
pub(super) fn is_no_figure(text: &str) -> bool {
    NO_FIGURE.contains(&text.trim().to_ascii_lowercase().as_str())
}
