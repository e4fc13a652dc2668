//! What tools printed elsewhere.

use std::ffi::OsString;

use halo::tool::{self, OutputFile, Outputs, Parsed, Row, import};

use super::case;

/// A file of others.
fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(case(name)).unwrap()
}

/// What a tool's reader says of a file, as if its command had written or printed it.
fn read(line: &str, printed: &[u8], written: Option<(&str, &str)>) -> Parsed {
    let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let (tool, program) = tool::recognize(&argv).unwrap();
    let file = |(path, name): (&str, &str)| OutputFile {
        path: format!("raw/files/{path}"),
        bytes: bytes(name),
    };
    let files: Vec<OutputFile> = written.map(file).into_iter().collect();
    let outputs = Outputs { argv: &argv, program, stdout: printed, stderr: b"", files: &files };
    tool.parse(&outputs).unwrap()
}

fn figures<'a>(rows: &'a [Row], metric: &str) -> Vec<(&'a str, f64)> {
    let wanted = rows.iter().filter(|row| row.metric == metric);
    wanted.map(|row| (row.case.as_str(), row.value)).collect()
}

fn speeds(name: &str) -> Vec<(String, f64)> {
    let imported = import(&bytes(name)).unwrap();
    assert_eq!((imported.parsed.failure, imported.parsed.problems), (None, Vec::new()), "{name}");
    figures(&imported.parsed.rows, "tokens_per_second_mean")
        .into_iter()
        .map(|(case, speed)| (case.to_owned(), speed))
        .collect()
}

#[test]
fn files_of_llama_bench_are_read_whole() {
    let told = |name: &str| speeds(name);
    let expected = |all: &[(&str, f64)]| -> Vec<(String, f64)> {
        all.iter().map(|(case, speed)| ((*case).to_owned(), *speed)).collect()
    };
    assert_eq!(
        told("peers/llama-bench/readme_2023_md.md"),
        expected(&[("pp512", 2368.8), ("tg128", 131.42)])
    );
    assert_eq!(
        told("peers/llama-bench/readme_2025.sql"),
        expected(&[("pp512", 7_324.546_977), ("tg128", 120.346_696)])
    );
    assert_eq!(
        told("peers/llama-bench/two_logs.log"),
        expected(&[("pp512", 929.42), ("tg128", 33.78), ("pp512 #2", 913.36), ("tg128 #2", 35.5)])
    );
    assert_eq!(
        told("import-two-tables/two-tables.md"),
        expected(&[("pp512", 374.82), ("tg128", 28.87), ("pp512 #2", 380.1)])
    );
    assert_eq!(
        told("import-json-behind-log-lines/logs-in-json.json"),
        expected(&[("pp512", 330.5), ("tg128", 28.1)])
    );
    let nulls = import(&bytes("gap-null-rows/nulls.jsonl")).unwrap().parsed;
    assert_eq!(figures(&nulls.rows, "tokens_per_second_mean").len(), 2);
    assert_eq!((nulls.problems.len(), nulls.failure), (1, None));
}

#[test]
fn devices_of_clpeak_are_cases_of_their_own() {
    let parsed =
        read("clpeak --json-file c.json", b"", Some(("c.json", "peers/clpeak/real2.json")));
    let single = "fp_compute single_precision_compute";
    let global = "bandwidth global_memory_bandwidth";
    assert_eq!(
        figures(&parsed.rows, "float2"),
        [
            (&*format!("{single}, OpenCL gfx1151"), 20962.3),
            (&*format!("{single}, CPU AMD RYZEN"), 1077.5)
        ]
    );
    assert_eq!(
        figures(&parsed.rows, "float4"),
        [
            (&*format!("{global}, OpenCL gfx1151"), 417.8),
            (&*format!("{global}, Vulkan gfx1151"), 200.0)
        ]
    );
    let text = read("clpeak", &bytes("peers/clpeak/two.txt"), None);
    let begin = "Global memory bandwidth";
    let (old, new) = ("AMD Radeon RX 550 / 550 Series", "gfx1103");
    assert_eq!(
        figures(&text.rows, "throughput"),
        [
            (&*format!("{begin} float, {old}"), 5.73),
            (&*format!("{begin} float2, {old}"), 5.6),
            (&*format!("{begin} float, {new}"), 29.04),
            (&*format!("{begin} float2, {new}"), 30.82),
        ]
    );
    assert_eq!(text.rows.len(), 6, "no compute units among them");
}

#[test]
fn logs_of_inspect_ai_have_their_figures() {
    let line = "inspect eval x.py --model m";
    let cancelled = read(line, b"", Some(("logs/a.json", "peers/inspect/no-samples.json")));
    let score = &cancelled.scores[0];
    assert_eq!((score.value, score.samples, score.solved), (2.0 / 3.0, Some(3), Some(2)));
    assert!(cancelled.failure.unwrap().contains("was cancelled after 3 of 3 samples"));
    let streamed = read(line, b"", Some(("logs/a.eval", "peers/inspect/log_streaming.eval")));
    let score = &streamed.scores[0];
    assert_eq!((score.value, score.samples, score.solved), (0.75, Some(4), Some(3)));
    let completion = streamed.completion.unwrap();
    assert_eq!((completion.done, completion.of, streamed.failure), (4, Some(4), None));
    assert_eq!(streamed.version.as_deref(), Some("0.3.42.dev228+g349eca8e.d20241022"));
}

#[test]
fn results_of_lm_eval_before_0_4_have_their_figures() {
    let name = "results_arc_easy.json";
    let file = (name, "peers/lm_eval/results_arc_easy.json");
    let parsed = read("lm_eval --tasks arc_easy --output_path out", b"", Some(file));
    let scores: Vec<_> = parsed.scores.iter().map(|s| (&*s.metric, s.value, s.samples)).collect();
    let expected =
        [("acc", 0.247_474_747_474_747_5, None), ("acc_norm", 0.240_740_740_740_740_73, None)];
    assert_eq!(scores, expected);
    assert_eq!((parsed.completion, parsed.failure), (None, None));
    assert_eq!(parsed.version.as_deref(), Some("before 0.4"));
}
