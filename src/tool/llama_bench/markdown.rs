//! `-o md`, the table that users see: rounded averages, and those parameters that differ from
//! their defaults.

use serde_json::Value;

use super::output::{Fields, Output, Test, typed};
use crate::tool::ParseError;

/// What the table calls differently from the other formats. `size` and `params` stay as they
/// are: they are rounded.
const COLUMNS: &[(&str, &str)] = &[
    ("model", "model_type"),
    ("backend", "backends"),
    ("ngl", "n_gpu_layers"),
    ("sm", "split_mode"),
    ("threads", "n_threads"),
    ("nkvo", "no_kv_offload"),
    ("fa", "flash_attn"),
    ("lm", "load_mode"),
    ("mmap", "use_mmap"),
    ("dio", "use_direct_io"),
    ("embd", "embeddings"),
    ("nopo", "no_op_offload"),
    ("noh", "no_host"),
    ("rpk", "repack"),
    ("dev", "devices"),
    ("ts", "tensor_split"),
    ("ot", "tensor_buft_overrides"),
    ("fitt", "fit_target"),
    ("fitc", "fit_min_ctx"),
];

/// Reads the rows of the table, and the version below it.
pub(super) fn tests(output: &Output<'_>) -> Result<Vec<Test>, ParseError> {
    let mut columns: Option<Vec<&str>> = None;
    let mut tests = Vec::new();
    let mut build = Fields::new();
    for (line, text) in output.whole_lines() {
        if let Some(version) = text.strip_prefix("build: ") {
            build = build_of(version);
        }
        let Some(cells) = cells(text) else { continue };
        let Some(columns) = &columns else {
            columns = cells.contains(&"t/s").then_some(cells);
            continue;
        };
        if cells.iter().all(|cell| cell.trim_matches(['-', ':']).is_empty()) {
            continue;
        }
        if cells.len() != columns.len() {
            let detail = format!("{} cells for {} columns", cells.len(), columns.len());
            return Err(output.error(line, detail));
        }
        let mut fields = Fields::new();
        for (column, cell) in columns.iter().zip(cells) {
            match *column {
                "test" => fields.extend(tokens(cell).ok_or_else(|| {
                    output.error(line, format!("test is {cell}, not as pp512 or tg128"))
                })?),
                "t/s" => fields.extend(speed(cell).ok_or_else(|| {
                    output.error(line, format!("t/s is {cell}, not as 57.0 ± 0.2"))
                })?),
                name => {
                    let known = COLUMNS.iter().find(|(shown, _)| *shown == name);
                    let field = known.map_or(name, |(_, field)| field);
                    fields.insert(field.to_owned(), typed(field, cell));
                }
            }
        }
        tests.push(output.test(line, fields));
    }
    for test in &mut tests {
        test.fields.extend(build.clone());
    }
    Ok(tests)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.trim_end().strip_suffix(" |")?;
    Some(inner.split(" |").map(str::trim).collect())
}

/// `b11434 (11434)`: the commit and the number.
fn build_of(version: &str) -> Fields {
    let version = version.trim_end();
    let (commit, number) = version.split_once(" (").unwrap_or((version, ""));
    let number = number.trim_end_matches(')');
    let fields = [("build_commit", commit), ("build_number", number)];
    fields.into_iter().map(|(name, value)| (name.to_owned(), typed(name, value))).collect()
}

/// The numbers of tokens in `pp64+tg16 @ d256`.
pub(super) fn tokens(label: &str) -> Option<Fields> {
    let (kinds, depth) = label.split_once(" @ d").unwrap_or((label, "0"));
    let (prompt, generated) = match kinds.split_once("+tg") {
        Some((prompt, generated)) => (prompt.strip_prefix("pp")?, generated),
        None => match kinds.strip_prefix("pp") {
            Some(prompt) => (prompt, "0"),
            None => ("0", kinds.strip_prefix("tg")?),
        },
    };
    let numbers = [("n_prompt", prompt), ("n_gen", generated), ("n_depth", depth)];
    numbers
        .into_iter()
        .map(|(name, text)| Some((name.to_owned(), Value::from(text.parse::<u64>().ok()?))))
        .collect()
}

/// The mean and the standard deviation in `21569.16 ± 1529.63`.
fn speed(cell: &str) -> Option<Fields> {
    let (mean, deviation) = cell.split_once('±')?;
    let numbers = [("avg_ts", mean), ("stddev_ts", deviation)];
    numbers
        .into_iter()
        .map(|(name, text)| Some((name.to_owned(), Value::from(text.trim().parse::<f64>().ok()?))))
        .collect()
}
