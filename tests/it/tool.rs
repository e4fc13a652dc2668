//! The tools whose output halo reads, on captured output: `fixtures/tools/<tool>/<case>`.
//!
//! A case is `about.toml` (the command line, and where the output is from), `stdout`, `stderr`,
//! `files/` with what the tool wrote, and `parsed.json`, which this test writes.

mod chance;
mod devices;
mod documents;
mod files;
mod older;
mod sequences;

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use halo::command_line::model::NamedModel;
use halo::run::manifest::Case;
use halo::tool::{self, OutputFile, Outputs, ParseError, Parsed, Plan, Row, TOOLS};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::machine::{directories, ensure_contents, fixtures, name};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    argv: Vec<String>,
    origin: String,
    by_hand: bool,
}

/// Output of a tool.
pub(crate) struct Fixture {
    argv: Vec<OsString>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    files: Vec<OutputFile>,
}

/// The files below a directory, as the archive names them.
fn output_files(directory: &Path, name: &str, found: &mut Vec<OutputFile>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            output_files(&path, &name, found);
        } else {
            found.push(OutputFile { path: name, bytes: fs::read(&path).unwrap() });
        }
    }
}

impl Fixture {
    fn read(case: &Path) -> Self {
        let about = fs::read_to_string(case.join("about.toml")).unwrap();
        let about: About = toml::from_str(&about).unwrap();
        assert_eq!(about.by_hand, about.origin.starts_with("written by hand"), "{}", name(case));
        let stream = |name| fs::read(case.join(name)).unwrap_or_default();
        let argv = about.argv.into_iter().map(OsString::from).collect();
        let mut files = Vec::new();
        output_files(&case.join("files"), "raw/files", &mut files);
        Self { argv, stdout: stream("stdout"), stderr: stream("stderr"), files }
    }

    fn of(case: &str) -> Self {
        Self::read(&fixtures().join("tools/llama-bench").join(case))
    }

    fn parse(&self) -> Result<Parsed, ParseError> {
        let (tool, program) = tool::recognize(&self.argv).unwrap();
        let Self { argv, stdout, stderr, files } = self;
        tool.parse(&Outputs { argv, program, stdout, stderr, files })
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

/// A figure a line, so that a difference shows which one changed.
fn golden(parsed: &Result<Parsed, ParseError>) -> String {
    let lines = |values: Vec<Value>| {
        let lines: Vec<String> = values.iter().map(|value| format!("\n    {value}")).collect();
        lines.join(",")
    };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return format!("{{\n  \"error\": {}\n}}\n", json!(error.to_string())),
    };
    let row = |row: &Row| json!([row.case, row.repetition, row.metric, row.value, row.unit]);
    let case = |case: &Case| json!({"case": case.case, "parameters": case.parameters});
    let mut text = String::from("{\n");
    let heads =
        [("version", &parsed.version), ("backend", &parsed.backend), ("failure", &parsed.failure)];
    for (key, value) in heads {
        writeln!(text, "  \"{key}\": {},", json!(value)).unwrap();
    }
    let rows = lines(parsed.rows.iter().map(row).collect());
    let cases = lines(parsed.cases.iter().map(case).collect());
    write!(text, "  \"rows\": [{rows}\n  ],\n  \"cases\": [{cases}\n  ]").unwrap();
    text.push_str(&files::golden(parsed));
    text.push_str("\n}\n");
    text
}

#[test]
fn captured_output_is_read_as_the_fixtures_say() {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for tool in TOOLS {
        for case in directories(&format!("tools/{}", tool.name())) {
            let fixture = Fixture::read(&case);
            assert_eq!(tool::recognize(&fixture.argv).unwrap().0.name(), tool.name());
            let parsed = fixture.parse();
            let rows = parsed.iter().flat_map(|parsed| &parsed.rows);
            assert!(rows.clone().all(|row| row.task == tool.name() && row.value.is_finite()));
            let mut keys: Vec<_> =
                rows.map(|row| (&row.case, row.repetition, &row.metric)).collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), count, "{}: two figures of one name", name(&case));
            files.push((case.join("parsed.json"), golden(&parsed)));
        }
    }
    ensure_contents(files);
}

#[test]
fn every_repetition_is_kept_exactly() {
    let parsed = Fixture::of("jsonl").parse().unwrap();
    let of = |metric: &str, case: &str| -> Vec<f64> {
        let rows = parsed.rows.iter().filter(|row| row.metric == metric && row.case == case);
        rows.map(|row| row.value).collect()
    };
    assert_eq!(of("tokens_per_second", "pp64"), [17581.4, 17197.8, 17096.5]);
    assert_eq!(of("duration", "pp64"), [0.003_640_213, 0.003_721_404, 0.003_743_456]);
    assert_eq!(of("tokens_per_second_mean", "tg32"), [6_094.593_679]);
    assert_eq!(of("tokens_per_second_standard_deviation", "tg32"), [57.070_512]);
    assert_eq!(parsed.version.as_deref(), Some("b11434"));
    assert_eq!(parsed.backend.as_deref(), Some("CPU"));
}

#[test]
fn keys_that_are_missing_are_named_with_their_place() {
    let error = Fixture::of("key-missing").parse().unwrap_err();
    assert_eq!(error.to_string(), "raw/stderr line 2: avg_ts is missing");
    let error = Fixture::of("torn-inside").parse().unwrap_err();
    assert_eq!(error.to_string(), "raw/stderr line 1: no JSON: expected value");
}

#[test]
fn a_damaged_test_is_never_passed_over_in_silence() {
    let mut fixture = Fixture::of("json");
    let at = fixture.stdout.windows(7).position(|bytes| bytes == b"n_batch").unwrap() - 1;
    fixture.stdout[at] = 0xff;
    assert_eq!(fixture.parse().unwrap_err().place, "raw/stdout line 12");

    let mut fixture = Fixture::of("jsonl");
    fixture.stdout.splice(..0, *b"........");
    assert_eq!(fixture.parse().unwrap(), Fixture::of("jsonl").parse().unwrap());
}

#[test]
fn rows_that_do_not_fit_their_columns_are_refused_with_their_place() {
    let insert = "INSERT INTO llama_bench (n_gen, avg_ts) VALUES";
    let head = "| test | t/s |\n| ---: | ---: |\n";
    let refused = [
        ("csv", "n_gen,avg_ts\n\"1\",\"2\"\n\"1\"\n".to_owned(), "line 3: 1 values for 2 columns"),
        ("csv", "n_gen,avg_ts\n\"1\",\"x\"\n".to_owned(), "line 2: n_prompt is missing"),
        ("sql", format!("{insert} ('1');\n"), "line 1: 1 values for 2 columns"),
        ("sql", format!("{insert} nothing;\n"), "line 1: an INSERT without values"),
        ("md", format!("{head}| pp1 |\n"), "line 3: 1 cells for 2 columns"),
        ("md", format!("{head}| pp | 1.0 ± 0.1 |\n"), "line 3: test is pp, not as pp512 or tg128"),
        ("md", format!("{head}| pp1 | fast |\n"), "line 3: t/s is fast, not as 57.0 ± 0.2"),
    ];
    for (format, stdout, expected) in refused {
        let argv = words(&format!("llama-bench -o {format}"));
        let fixture =
            Fixture { argv, stdout: stdout.into_bytes(), stderr: Vec::new(), files: Vec::new() };
        assert_eq!(fixture.parse().unwrap_err().to_string(), format!("raw/stdout {expected}"));
    }
}

#[test]
fn a_terminal_changes_no_figure() {
    for format in ["csv", "json", "jsonl", "md", "sql"] {
        let mut fixture = Fixture::of(format);
        let plain = fixture.parse().unwrap();
        let text = String::from_utf8(fixture.stdout).unwrap();
        fixture.stdout = text.replace('\n', "\r\n").into_bytes();
        assert_eq!(fixture.parse().unwrap(), plain, "{format}");
    }
}

/// One run, written in each format as llama-bench writes it.
fn formats(tests: &[serde_json::Map<String, Value>]) -> Vec<(&'static str, String)> {
    let text = |value: &Value| match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let columns = || tests[0].iter().map(|(name, _)| name.as_str());
    let columns: Vec<&str> = columns().filter(|name| !name.starts_with("samples_")).collect();
    let (mut csv, mut sql, mut lines) = (columns.join(",") + "\n", String::new(), String::new());
    let mut markdown = "| model | test | t/s |\n| --- | ---: | ---: |\n".to_owned();
    for test in tests {
        let values: Vec<String> = columns.iter().map(|name| text(&test[*name])).collect();
        let quoted: Vec<String> =
            values.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
        writeln!(csv, "{}", quoted.join(",")).unwrap();
        let (names, values) = (columns.join(", "), values.join("', '"));
        writeln!(sql, "INSERT INTO llama_bench ({names}) VALUES ('{values}');").unwrap();
        writeln!(lines, "{}", Value::from(test.clone())).unwrap();
        let label = match (test["n_prompt"].as_u64().unwrap(), test["n_gen"].as_u64().unwrap()) {
            (prompt, 0) => format!("pp{prompt}"),
            (_, generated) => format!("tg{generated}"),
        };
        let [mean, deviation] = ["avg_ts", "stddev_ts"].map(|name| test[name].as_f64().unwrap());
        writeln!(markdown, "| m | {label} | {mean:.2} ± {deviation:.2} |").unwrap();
    }
    writeln!(markdown, "\nbuild: b11434 (11434)").unwrap();
    let array = serde_json::to_string_pretty(tests).unwrap() + "\n";
    vec![("csv", csv), ("sql", sql), ("jsonl", lines), ("md", markdown), ("json", array)]
}

#[test]
fn all_formats_of_one_run_agree() {
    let mut tests: Vec<serde_json::Map<String, Value>> =
        serde_json::from_slice(&Fixture::of("json").stdout).unwrap();
    for test in &mut tests {
        test["model_filename"] = "models/a \"quoted\", name.gguf".into();
    }
    let mut all = Vec::new();
    for (format, stdout) in formats(&tests) {
        let argv = words(&format!("llama-bench -o {format}"));
        let fixture =
            Fixture { argv, stdout: stdout.into_bytes(), stderr: Vec::new(), files: Vec::new() };
        let parsed = fixture.parse().unwrap_or_else(|error| panic!("{format}: {error}"));
        all.push((format, parsed));
    }
    let (_, whole) = all.last().unwrap();
    for (format, parsed) in &all {
        assert_eq!((&parsed.version, parsed.rows.is_empty()), (&whole.version, false), "{format}");
        for row in &parsed.rows {
            let same = |other: &&Row| {
                (&other.case, &other.metric, other.repetition)
                    == (&row.case, &row.metric, row.repetition)
            };
            let other = whole.rows.iter().find(same).unwrap();
            let rounding = if *format == "md" { 0.005_001 } else { 0.0 };
            assert!((other.value - row.value).abs() <= rounding, "{format}: {row:?} {other:?}");
        }
        if *format != "md" {
            let is_sum = |row: &&Row| row.repetition.is_none();
            let sums = |parsed: &Parsed| parsed.rows.iter().filter(is_sum).count();
            assert_eq!(sums(parsed), sums(whole), "{format}");
            assert_eq!(parsed.cases, whole.cases, "{format}");
        }
    }
}

#[test]
fn the_table_and_the_json_of_one_run_agree() {
    let both = Fixture::of("both");
    let table = Fixture { argv: words("llama-bench"), stderr: Vec::new(), ..Fixture::of("both") };
    let (both, table) = (both.parse().unwrap(), table.parse().unwrap());
    assert_eq!(table.rows.len(), 4);
    for row in &table.rows {
        let same = |other: &&Row| (&other.case, &other.metric) == (&row.case, &row.metric);
        let other = both.rows.iter().find(same).unwrap();
        assert!((other.value - row.value).abs() <= 0.005_001, "{row:?} {other:?}");
    }
}

#[test]
fn the_program_is_found_behind_what_starts_it() {
    let found = [
        ("llama-bench -m x", 0),
        ("./build/bin/llama-bench", 0),
        ("/opt/llama-bench-vulkan -m x", 0),
        ("llama bench -m x", 1),
        ("env -u FOO A=b C=d llama-bench", 5),
        ("/usr/bin/env llama-bench", 1),
        ("taskset -c 0-7 llama-bench -m x", 3),
        ("taskset ff nice -n 5 llama-bench", 5),
        ("numactl --cpunodebind=0 -m 0 llama-bench", 4),
        ("stdbuf -oL time -v llama-bench", 4),
        ("timeout -k 5 60 llama-bench", 4),
        ("toolbox run -c vulkan llama-bench -m x", 4),
        ("toolbox run llama-bench", 2),
        ("podman exec -it box llama-bench", 4),
        ("podman run --rm --device /dev/dri -v /m:/m image /app/llama-bench -m x", 8),
        ("docker run --rm image env A=b llama-bench", 6),
        ("distrobox enter box -- llama-bench", 4),
        ("distrobox-enter -n box -e llama-bench", 4),
        ("sudo -u ai env -- llama-bench", 5),
    ];
    for (line, program) in found {
        let at = tool::recognize(&words(line)).map(|(tool, at)| (tool.name(), at));
        assert_eq!(at, Some(("llama-bench", program)), "{line}");
    }
    let others = [
        "echo llama-bench",
        "sh -c llama-bench",
        "llama-server -m llama-bench",
        "llama-imatrix",
        "my-llama-bench",
        "llama cli bench",
        "env A=b",
        "taskset llama-bench",
        "podman ps llama-bench",
        "podman exec llama-bench ls",
        "toolbox enter llama-bench",
        "distrobox list -- llama-bench",
        "ssh box llama-bench",
        "time",
    ];
    for line in others {
        assert!(tool::recognize(&words(line)).is_none(), "{line}");
    }
    assert!(tool::recognize(&[]).is_none());
}

fn prepared(line: &str, help: Option<&str>) -> Plan {
    let argv = words(line);
    let (tool, program) = tool::recognize(&argv).unwrap();
    let mut plan = Plan { argv, program, hidden: Vec::new(), notes: Vec::new() };
    tool.prepare(&mut plan, help);
    plan
}

#[test]
fn repetitions_are_asked_for_where_the_program_can_give_them() {
    let help =
        "  -o, --output <csv|json|jsonl|md|sql>   output\n  -oe, --output-err <FORMATS>   x\n";
    let current = help.replace("FORMATS", "csv|json|jsonl|md|sql");
    let plan = prepared("nice llama-bench -m x -o csv", Some(&current));
    assert_eq!(plan.argv, words("nice llama-bench -m x -o csv -oe jsonl"));
    assert_eq!(plan.hidden, ["{\"build_commit\""]);
    let jsonl = String::from_utf8(Fixture::of("jsonl").stdout).unwrap();
    assert!(jsonl.lines().all(|line| line.starts_with(plan.hidden[0])));
    assert!(plan.notes.concat().contains("-oe jsonl"));

    let without_lines = help.replace("FORMATS", "csv|json|md|sql");
    let plan = prepared("llama-bench", Some(&without_lines));
    assert_eq!((plan.argv, plan.hidden), (words("llama-bench -oe json"), vec![]));
    assert!(plan.notes.concat().contains("-oe json"));

    for help in [None, Some(""), Some("  -o, --output <csv|json|jsonl|md|sql>")] {
        let plan = prepared("llama-bench -m x", help);
        assert_eq!((plan.argv, plan.hidden), (words("llama-bench -m x"), vec![]), "{help:?}");
        assert!(!plan.notes.is_empty(), "{help:?}");
    }
    let nothing_to_add = [
        "llama-bench -o jsonl",
        "llama-bench --output json",
        "llama-bench -oe json",
        "llama-bench --output_err jsonl",
        "llama-bench -oe md",
        "llama-bench --list-devices",
        "llama-bench --help",
    ];
    for line in nothing_to_add {
        let plan = prepared(line, Some(&current));
        assert_eq!(plan.argv, words(line), "{line}");
        assert!(plan.notes.is_empty() && plan.hidden.is_empty(), "{line}");
    }
}

#[test]
fn progress_is_asked_for_where_the_program_can_tell_it() {
    let help = "  --progress      print test progress indicators\n";
    let plan = prepared("llama-bench -o jsonl", Some(help));
    assert_eq!(plan.argv, words("llama-bench -o jsonl --progress"));
    let progress = String::from_utf8(Fixture::of("progress").stderr).unwrap();
    assert!(progress.lines().any(|line| line.starts_with(plan.hidden[0])));
    assert!(plan.notes[0].contains("--progress"));
    for (line, help) in [("llama-bench -o jsonl --progress", help), ("llama-bench -o jsonl", "")] {
        let plan = prepared(line, Some(help));
        assert_eq!((plan.argv, plan.hidden), (words(line), vec![]), "{line}");
    }
}

#[test]
fn progress_lines_are_phases_and_other_lines_are_none() {
    let llama_bench = TOOLS.iter().find(|tool| tool.name() == "llama-bench").unwrap();
    let shown = |line: &str| {
        llama_bench
            .phase(line.as_bytes())
            .map(|phase| format!("{} {:?}", phase.name, phase.attributes))
    };
    let begin = "llama-bench: benchmark 3/128:";
    let of_test = r#""test": "3", "tests": "128"}"#;
    for (line, phase) in [
        (format!("{begin} starting"), format!("test started {{{of_test}")),
        (format!("..{begin} warmup prompt run"), format!("warm-up prompt {{{of_test}")),
        (format!("{begin} warmup generation run"), format!("warm-up generation {{{of_test}")),
        (
            format!("{begin} depth run 2/2 (cached)"),
            format!(
                r#"depth fill {{"cached": "true", "repetition": "2", "repetitions": "2", {of_test}"#
            ),
        ),
        (
            format!("{begin} generation run 1/5"),
            format!(r#"generation {{"repetition": "1", "repetitions": "5", {of_test}"#),
        ),
    ] {
        assert_eq!(shown(&line), Some(phase), "{line}");
    }
    let result = String::from_utf8(Fixture::of("jsonl").stdout).unwrap();
    let ended = r#"test ended {"case": "pp64", "tokens_per_second": "17291.90009"}"#;
    assert_eq!(shown(result.lines().next().unwrap()).as_deref(), Some(ended));
    for line in [
        "",
        "llama-bench: benchmark",
        "llama-bench: benchmark x/y: starting",
        "{\"build_commit\": 1",
        "| llama ?B Q8_0",
    ] {
        assert_eq!(shown(line), None, "{line}");
    }
    // Every line that real runs printed.
    let printed = String::from_utf8(Fixture::of("progress").stderr).unwrap();
    let told = printed
        .lines()
        .filter(|line| line.starts_with("llama-bench: ") || line.starts_with("{\"build"));
    for line in told {
        assert!(shown(line).is_some(), "{line}");
    }
}

#[test]
fn flags_that_end_a_matrix_in_its_middle_are_found() {
    let found = |line: &str| {
        let argv = words(line);
        tool::recognize(&argv).unwrap().0.contradiction(&argv)
    };
    for line in [
        "llama-bench -ctv q8_0 -fa 0",
        "nice llama-bench -fa 1,0 -m x --cache-type-v f16,q4_0",
        "llama-bench -ctv q8_0 --flash-attn off",
    ] {
        let told = found(line).unwrap();
        assert!(told.contains("llama-bench gives up there"), "{line}: {told}");
    }
    for line in [
        "llama-bench -ctv q8_0",
        "llama-bench -ctv q8_0 -fa 1",
        "llama-bench -ctv f16 -fa 0",
        "llama-bench -ctk q8_0 -fa 0",
        "llama-bench -ctv q8_0 -fa auto",
    ] {
        assert_eq!(found(line), None, "{line}");
    }
}

#[test]
fn models_are_those_that_the_command_line_names() {
    let models = |line: &str| -> Vec<NamedModel> {
        let argv = words(line);
        tool::recognize(&argv).unwrap().0.models(&argv)
    };
    let files = |names: &[&str]| -> Vec<NamedModel> {
        names.iter().map(|name| NamedModel::File(name.into())).collect()
    };
    assert_eq!(
        models("nice llama-bench -m a.gguf,b/c.gguf -p 1 --model d"),
        files(&["a.gguf", "b/c.gguf", "d"])
    );
    let reference = |name: &str| NamedModel::Reference(name.to_owned());
    assert_eq!(models("llama-bench -hf ggml-org/x:Q4_0"), [reference("ggml-org/x:Q4_0")]);
    assert_eq!(models("llama-bench -m"), []);
}

/// What stays the same where a name is made longer because another test needs it.
fn figures(parsed: &Parsed) -> Vec<(String, Option<u32>, String, u64)> {
    let figure = |row: &Row| {
        let words = row.case.split(' ').filter(|word| !word.contains('='));
        let kind = words.collect::<Vec<_>>().join(" ");
        (kind, row.repetition, row.metric.clone(), row.value.to_bits())
    };
    parsed.rows.iter().map(figure).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        format in prop::sample::select(vec!["csv", "json", "jsonl", "md", "sql"]),
    ) {
        let argv = words(&format!("llama-bench -o {format}"));
        let _ = Fixture { argv, stdout: bytes, stderr: Vec::new(), files: Vec::new() }.parse();
    }

    #[test]
    fn a_truncation_gives_what_is_whole(at in 0.0_f64..1.0, case in 0_usize..100) {
        let cases = directories("tools/llama-bench");
        let case = &cases[case % cases.len()];
        let mut fixture = Fixture::read(case);
        let Ok(whole) = fixture.parse() else { return Ok(()) };
        for stream in [&mut fixture.stdout, &mut fixture.stderr] {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss,
                    reason = "a share of a short length")]
            stream.truncate((stream.len() as f64 * at) as usize);
        }
        let part = fixture.parse();
        prop_assert!(part.is_ok(), "{}: {part:?}", name(case));
        let (part, whole) = (figures(&part.unwrap()), figures(&whole));
        prop_assert!(whole.starts_with(&part), "{}: {part:?}", name(case));
    }

    #[test]
    fn a_damaged_byte_never_panics(at in any::<prop::sample::Index>(), byte: u8, case in 0_usize..100) {
        let cases = directories("tools/llama-bench");
        let mut fixture = Fixture::read(&cases[case % cases.len()]);
        for stream in [&mut fixture.stdout, &mut fixture.stderr] {
            if !stream.is_empty() {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
        }
        let _ = fixture.parse();
    }
}
