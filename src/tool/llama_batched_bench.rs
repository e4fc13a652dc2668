//! llama-batched-bench of llama.cpp, which measures several sequences at once, and llama-sweep-bench
//! of `ik_llama.cpp`, which measures one at growing depths. Both print one table, as Markdown or as
//! JSON Lines (tools/batched-bench/batched-bench.cpp, examples/sweep-bench/sweep-bench.cpp).

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::{Map, Value};

use super::llama_bench::failure;
use super::{Imported, Outputs, ParseError, Parsed, Row, Tool, text, words};
use crate::command_line;
use crate::run::manifest::Case;

/// llama-batched-bench.
#[derive(Debug)]
pub struct LlamaBatchedBench;

/// llama-sweep-bench.
#[derive(Debug)]
pub struct LlamaSweepBench;

const BATCHED: &str = "llama-batched-bench";
const SWEEP: &str = "llama-sweep-bench";

/// The columns of the table, as JSON Lines calls them.
const COLUMNS: [(&str, &str); 10] = [
    ("PP", "pp"),
    ("TG", "tg"),
    ("B", "pl"),
    ("N_KV", "n_kv"),
    ("T_PP s", "t_pp"),
    ("S_PP t/s", "speed_pp"),
    ("T_TG s", "t_tg"),
    ("S_TG t/s", "speed_tg"),
    ("T s", "t"),
    ("S t/s", "speed"),
];

/// What all tests were measured with, in the line above the table or in each object.
const SETTINGS: [&str; 8] = [
    "n_kv_max",
    "n_batch",
    "n_ubatch",
    "flash_attn",
    "is_pp_shared",
    "n_gpu_layers",
    "n_threads",
    "n_threads_batch",
];

type Fields = Map<String, Value>;

impl Tool for LlamaBatchedBench {
    fn name(&self) -> &'static str {
        BATCHED
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = command_line::program(argv)?;
        // What follows `llama batched-bench` are its arguments.
        if name == "llama" && argv.get(program + 1).is_some_and(|word| word == "batched-bench") {
            return Some(program + 1);
        }
        is_named(name, BATCHED).then_some(program)
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        parse(BATCHED, outputs)
    }
}

impl Tool for LlamaSweepBench {
    fn name(&self) -> &'static str {
        SWEEP
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = command_line::program(argv)?;
        is_named(name, SWEEP).then_some(program)
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        parse(SWEEP, outputs)
    }
}

/// Several builds beside each other are told apart so: llama-batched-bench-vulkan.
fn is_named(name: &str, tool: &str) -> bool {
    name.strip_prefix(tool).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// One test: a prompt for each of `pl` sequences, and tokens generated for all of them together.
struct Test {
    place: String,
    fields: Fields,
}

fn parse(tool: &str, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
    let streams = [("raw/stdout", outputs.stdout), ("raw/stderr", outputs.stderr)];
    let printed = streams.map(|(place, bytes)| (place, text::decode(bytes)));
    // Which output its log goes to differs from version to version.
    let found = printed.iter().map(|(place, text)| read(tool, place, text));
    let tests = found.max_by_key(Vec::len).unwrap_or_default();
    let mut parsed = Parsed::default();
    for test in &tests {
        test.take(tool, &mut parsed)?;
    }
    let said = printed.map(|(_, text)| text.into_owned()).join("\n");
    parsed.version = said.lines().find_map(version);
    let asks_for_help = words::has(outputs.argv, &["-h", "--help", "--usage", "--version"]);
    if !asks_for_help {
        parsed.failure = failure::of(tool, &said, !parsed.rows.is_empty());
    }
    Ok(parsed)
}

/// What a file says that one of them printed; none where it has no such table.
pub(super) fn import(bytes: &[u8]) -> Option<Imported> {
    let text = text::decode(bytes);
    [BATCHED, SWEEP].into_iter().find_map(|tool| {
        let mut parsed = Parsed::default();
        for test in read(tool, "raw/stdout", &text) {
            if let Err(error) = test.take(tool, &mut parsed) {
                parsed.problems.push(error.to_string());
            }
        }
        parsed.version = text.lines().find_map(version);
        let is_empty = parsed.rows.is_empty();
        (!is_empty).then_some(Imported { tool, parsed, started: None, models: Vec::new() })
    })
}

/// The tests in a text. A last line without its end may have been cut and is left out.
fn read(tool: &str, place: &str, text: &str) -> Vec<Test> {
    let mut settings = Fields::new();
    let mut columns: Option<Vec<&str>> = None;
    let mut tests = Vec::new();
    let whole = text.split_inclusive('\n').zip(1..).filter(|(line, _)| line.ends_with('\n'));
    for (line, number) in whole {
        let line = line.trim();
        let mut push = |fields: Fields| {
            let all = settings.iter().map(|(name, value)| (name.clone(), value.clone()));
            let fields = all.chain(fields).collect();
            tests.push(Test { place: format!("{place} line {number}"), fields });
        };
        if line.contains("n_kv_max = ") {
            settings = settings_of(line);
        } else if let Some(begin) = line.find("{\"n_kv_max\"") {
            if let Ok(fields) = crate::json::from_str(&super::document::without_nan(&line[begin..]))
            {
                push(fields);
            }
        } else if let Some(cells) = cells(line) {
            if cells.contains(&"S_PP t/s") {
                // One of them has sequences, the other has depths.
                let is_own = cells.contains(&"B") == (tool == BATCHED);
                columns = is_own.then(|| {
                    let key = |cell: &&str| COLUMNS.iter().find(|(name, _)| name == cell);
                    cells.iter().map(|cell| key(cell).map_or(*cell, |(_, key)| key)).collect()
                });
            } else if let Some(columns) = columns.as_ref().filter(|all| all.len() == cells.len()) {
                let values: Option<Fields> = columns
                    .iter()
                    .zip(cells)
                    .map(|(name, cell)| Some(((*name).to_owned(), number_of(cell)?)))
                    .collect();
                if let Some(fields) = values {
                    push(fields);
                }
            }
        }
    }
    tests
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// A number; null where the table has nan.
fn number_of(cell: &str) -> Option<Value> {
    let whole = cell.parse::<u64>().ok().map(Value::from);
    whole.or_else(|| cell.parse::<f64>().ok().map(Value::from))
}

/// `main: n_kv_max = 4096, n_batch = 2048, ...`.
fn settings_of(line: &str) -> Fields {
    let parts = line.split([',', ':']).filter_map(|part| part.split_once(" = "));
    let known = parts.filter(|(name, _)| SETTINGS.contains(&name.trim()));
    known
        .filter_map(|(name, value)| {
            Some((name.trim().to_owned(), value.trim().parse::<i64>().ok()?.into()))
        })
        .collect()
}

/// `build: 11434 (0a1b2c3) with cc ...`: the number and the commit.
fn version(line: &str) -> Option<String> {
    let (number, rest) = line.trim().strip_prefix("build: ")?.split_once(" (")?;
    let (commit, rest) = rest.split_once(')')?;
    let number: u64 = number.parse().ok()?;
    rest.starts_with(" with ").then(|| format!("b{number} ({commit})"))
}

impl Test {
    fn count(&self, name: &str) -> Result<u64, ParseError> {
        self.fields.get(name).and_then(Value::as_u64).ok_or_else(|| ParseError {
            place: self.place.clone(),
            detail: format!("{name} is missing or not a number of tokens"),
        })
    }

    /// The speeds of both kinds of work. Generation begins behind the prompt, as llama-bench says
    /// `tg128 @ d512`.
    fn take(&self, tool: &str, parsed: &mut Parsed) -> Result<(), ParseError> {
        let (prompt, generated) = (self.count("pp")?, self.count("tg")?);
        let (depths, concurrency, end) = if tool == BATCHED {
            let concurrency = self.count("pl")?;
            ((0, prompt), concurrency, format!(" B={concurrency}"))
        } else {
            // Both kinds are measured at the same depth.
            let depth = self.count("n_kv")?;
            ((depth, depth), 1, String::new())
        };
        let work = [
            ("pp", prompt, depths.0, "speed_pp", "t_pp"),
            ("tg", generated, depths.1, "speed_tg", "t_tg"),
        ];
        for (kind, tokens, depth, speed, duration) in work {
            // Nothing was measured of what was not asked for.
            let number = |name: &str| self.fields.get(name).and_then(Value::as_f64);
            let Some(speed) = number(speed).filter(|_| tokens > 0) else { continue };
            let at = if depth > 0 { format!(" @ d{depth}") } else { String::new() };
            let case = numbered(&parsed.cases, format!("{kind}{tokens}{at}{end}"));
            let mut push = |metric: &str, value: f64, unit: &str| {
                parsed.rows.push(Row {
                    task: tool.to_owned(),
                    case: case.clone(),
                    repetition: None,
                    metric: metric.to_owned(),
                    value,
                    unit: unit.to_owned(),
                });
            };
            push("tokens_per_second", speed, "1/s");
            if let Some(seconds) = number(duration) {
                push("duration", seconds, "s");
            }
            let is_setting = |(name, _): &(&String, &Value)| SETTINGS.contains(&name.as_str());
            let settings = self.fields.iter().filter(is_setting);
            let mut parameters: BTreeMap<String, Value> =
                settings.map(|(name, value)| (name.clone(), value.clone())).collect();
            let of_kind = |wanted: &str| if kind == wanted { tokens } else { 0 };
            parameters.insert("n_prompt".to_owned(), of_kind("pp").into());
            parameters.insert("n_gen".to_owned(), of_kind("tg").into());
            parameters.insert("n_depth".to_owned(), depth.into());
            parameters.insert("concurrency".to_owned(), concurrency.into());
            parsed.cases.push(Case { task: tool.to_owned(), case, parameters });
        }
        Ok(())
    }
}

/// A name that no other case has: the same prompt is measured before each number of tokens.
fn numbered(cases: &[Case], name: String) -> String {
    let is_known = |name: &str| cases.iter().any(|case| case.case == name);
    if !is_known(&name) {
        return name;
    }
    let numbers = 2..=cases.len() + 2;
    let free = numbers.map(|number| format!("{name} #{number}")).find(|name| !is_known(name));
    free.unwrap_or(name)
}
