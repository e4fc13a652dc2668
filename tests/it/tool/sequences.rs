//! llama-batched-bench and llama-sweep-bench, whose tables have no test but numbers of tokens.

use halo::tool::{self, Parsed};

use super::{Fixture, words};

const HEAD: &str = "\
main: n_kv_max = 131072, n_batch = 2048, n_ubatch = 512, flash_attn = 1, is_pp_shared = 0, n_gpu_layers = 99, n_threads = 16, n_threads_batch = 16

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
";
const ROWS: &str = "\
|   512 |    128 |    1 |    640 |    0.740 |   692.36 |    3.444 |    37.17 |    4.184 |   152.98 |
|   512 |    128 |    4 |   2560 |    3.042 |   673.24 |    6.010 |    85.19 |    9.052 |   282.81 |
";

fn parse(line: &str, stdout: &str, stderr: &str) -> Parsed {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Fixture { argv: words(line), stdout: bytes(stdout), stderr: bytes(stderr), files: Vec::new() }
        .parse()
        .unwrap()
}

fn speeds(parsed: &Parsed) -> Vec<(&str, f64)> {
    let speeds = parsed.rows.iter().filter(|row| row.metric == "tokens_per_second");
    speeds.map(|row| (row.case.as_str(), row.value)).collect()
}

const EXPECTED: [(&str, f64); 4] = [
    ("pp512 B=1", 692.36),
    ("tg128 @ d512 B=1", 37.17),
    ("pp512 B=4", 673.24),
    ("tg128 @ d512 B=4", 85.19),
];

#[test]
fn speeds_are_told_for_each_number_of_sequences() {
    let log = "build: 6264 (043fb27d) with cc for x86_64\nggml_vulkan: Found 1 Vulkan devices:\n";
    let table = format!("{HEAD}{ROWS}\n");
    let line = "toolbox run llama-batched-bench -m a.gguf -npp 512 -ntg 128 -npl 1,4";
    let parsed = parse(line, &table, log);
    assert_eq!(speeds(&parsed), EXPECTED);
    assert_eq!(
        (parsed.version.as_deref(), parsed.failure.as_deref()),
        (Some("b6264 (043fb27d)"), None)
    );
    let last = parsed.cases.last().unwrap();
    assert_eq!(
        (&last.parameters["concurrency"], &last.parameters["n_gen"]),
        (&4.into(), &128.into())
    );
    assert_eq!(
        (&last.parameters["n_ubatch"], &last.parameters["n_depth"]),
        (&512.into(), &512.into())
    );
    let seconds = |case: &str| {
        parsed.rows.iter().find(|row| row.case == case && row.unit == "s").unwrap().value
    };
    assert_eq!((seconds("pp512 B=4"), seconds("tg128 @ d512 B=4")), (3.042, 6.010));
    // At a terminal, on the other output, and in lines of JSON.
    let same = |other: &Parsed| {
        assert_eq!((speeds(other), &other.cases), (speeds(&parsed), &parsed.cases));
    };
    same(&parse(line, &(log.to_owned() + &table).replace('\n', "\r\n"), ""));
    same(&parse(line, "", &(log.to_owned() + &table)));
    let object = |pl: u32, n_kv: u32, t_pp: f64, pp: f64, t_tg: f64, tg: f64| {
        format!(
            r#"{{"n_kv_max": 131072, "n_batch": 2048, "n_ubatch": 512, "flash_attn": 1, "is_pp_shared": 0, "n_gpu_layers": 99, "n_threads": 16, "n_threads_batch": 16, "pp": 512, "tg": 128, "pl": {pl}, "n_kv": {n_kv}, "t_pp": {t_pp}, "speed_pp": {pp}, "t_tg": {t_tg}, "speed_tg": {tg}, "t": 1.0, "speed": -nan}}"#
        )
    };
    let lines =
        [object(1, 640, 0.74, 692.36, 3.444, 37.17), object(4, 2560, 3.042, 673.24, 6.01, 85.19)];
    same(&parse(line, &format!("\u{1b}[0m{}\n....{}\n", lines[0], lines[1]), log));
}

#[test]
fn what_was_not_measured_has_no_speed_and_repeated_prompts_have_numbers() {
    let row = |pp: u32, tg: u32, s_pp: &str, s_tg: &str| {
        format!("| {pp} | {tg} | 2 | 0 | 0.5 | {s_pp} | 0.000 | {s_tg} | 1.0 | 1.0 |\n")
    };
    let rows = row(512, 0, "100.00", "0.00")
        + &row(0, 32, "-nan", "20.00")
        + &row(512, 64, "110.00", "inf");
    let parsed = parse("llama-batched-bench -m a", &format!("{HEAD}{rows}"), "");
    assert_eq!(
        speeds(&parsed),
        [("pp512 B=2", 100.0), ("tg32 B=2", 20.0), ("pp512 B=2 #2", 110.0)]
    );
}

#[test]
fn a_run_that_printed_no_row_has_failed_with_its_reason() {
    let parsed = parse("llama-batched-bench -m a", HEAD, "ggml_vulkan: ErrorOutOfDeviceMemory\n");
    let why = "llama-batched-bench printed no result; memory did not suffice: ggml_vulkan: ErrorOutOfDeviceMemory";
    assert_eq!(parsed.failure.as_deref(), Some(why));
    assert_eq!(parse("llama-batched-bench --help", "usage", "").failure, None);
    // Rows that are cut are left out at every place.
    let whole = format!("{HEAD}{ROWS}");
    for at in 0..whole.len() {
        let part = parse("llama-batched-bench -m a", &whole[..at], "");
        assert!(EXPECTED.starts_with(&speeds(&part)), "cut at {at}");
    }
}

#[test]
fn a_sweep_over_depths_is_named_as_llama_bench_names_it() {
    let table = "\
|    PP |     TG |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |
|-------|--------|--------|----------|----------|----------|----------|
|   512 |    128 |      0 |    0.740 |   692.36 |    3.444 |    37.17 |
|   512 |    128 |    512 |    0.760 |   673.68 |    3.500 |    36.57 |
";
    let parsed = parse("llama-sweep-bench -m a.gguf -c 4096", table, "");
    let expected =
        [("pp512", 692.36), ("tg128", 37.17), ("pp512 @ d512", 673.68), ("tg128 @ d512", 36.57)];
    assert_eq!(speeds(&parsed), expected);
    // Each program reads its own table alone.
    assert!(speeds(&parse("llama-batched-bench -m a", table, "")).is_empty());
    for (line, name) in [
        ("llama batched-bench -m x", Some("llama-batched-bench")),
        ("nice ./llama-batched-bench-vulkan -m x", Some("llama-batched-bench")),
        ("podman exec -it box llama-sweep-bench", Some("llama-sweep-bench")),
        ("llama-batched", None),
        ("llama-batched-benchmark", None),
    ] {
        let found = tool::recognize(&words(line)).map(|(tool, _)| tool.name());
        assert_eq!(found, name, "{line}");
    }
}
