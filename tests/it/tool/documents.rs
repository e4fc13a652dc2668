//! Output of llama-bench as people keep it: several tables or documents in one file and in several
//! formats, with other text around them, old forms, and tests that failed.

use std::fmt::Write;

use halo::tool::{Imported, Row, import};
use proptest::prelude::*;

use super::{Fixture, words};

/// A test as `-o jsonl` prints it.
fn json(model: &str, prompt: u32, generated: u32, speed: f64) -> String {
    let samples = [speed - 1.0, speed + 1.0];
    format!(
        r#"{{"build_commit": "043fb27d", "build_number": 6264, "backends": "Vulkan", "model_filename": "/m/{model}.gguf", "model_type": "qwen3 4B", "n_ubatch": 512, "n_prompt": {prompt}, "n_gen": {generated}, "n_depth": 0, "test_time": "2025-08-25T10:00:00Z", "avg_ns": 1000000000, "stddev_ns": 7000, "avg_ts": {speed}, "stddev_ts": 1.4142, "samples_ns": [1000000000, 1000000000], "samples_ts": {samples:?}}}"#
    )
}

/// A test that failed, as `--continue-after-failure` prints it.
fn failed(prompt: u32) -> String {
    format!(
        r#"{{"build_commit": "043fb27d", "build_number": 6264, "backends": "Vulkan", "model_filename": "/m/a.gguf", "n_ubatch": 8192, "n_prompt": {prompt}, "n_gen": 0, "n_depth": 0, "avg_ns": null, "stddev_ns": null, "avg_ts": null, "stddev_ts": null, "samples_ns": [], "samples_ts": []}}"#
    )
}

/// As `-o json` prints it.
fn array(tests: &[String]) -> String {
    let pretty = |test: &String| {
        let value: serde_json::Value = serde_json::from_str(test).unwrap();
        serde_json::to_string_pretty(&value).unwrap().replace('\n', "\n  ")
    };
    let tests: Vec<String> = tests.iter().map(pretty).collect();
    format!("[\n  {}\n]\n", tests.join(",\n  "))
}

const HEAD: &str = "\
| model                          |       size |     params | backend    | ngl |            test |                  t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | --------------: | -------------------: |
";

fn row(test: &str, speed: &str) -> String {
    format!(
        "| gpt-oss ?B F16                 |  60.87 GiB |   116.83 B | Vulkan,RPC |  99 | {test:>15} | {speed:>20} |\n"
    )
}

fn table(rows: &[(&str, &str)], build: &str) -> String {
    let rows: String = rows.iter().map(|(test, speed)| row(test, speed)).collect();
    format!("{HEAD}{rows}\nbuild: {build}\n")
}

/// Speeds as they are summed up, by case.
fn means(rows: &[Row]) -> Vec<(&str, f64)> {
    let means = rows.iter().filter(|row| row.metric == "tokens_per_second_mean");
    means.map(|row| (row.case.as_str(), row.value)).collect()
}

fn read(text: &str) -> Imported {
    import(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A file: what it is, its bytes, and the speeds that it must give, by case.
type File = (&'static str, Vec<u8>, Vec<(&'static str, f64)>);

const LOG: &str =
    "ggml_vulkan: Found 1 Vulkan devices:\nggml_vulkan: 0 = Radeon 8060S (radv) | uma: 1\n";
const BUILD: &str = "9515c613 (6097)";
const ONE: [(&str, &str); 2] = [("pp512", "374.82 ± 3.68"), ("tg128", "28.87 ± 0.11")];
const TWO: [(&str, &str); 1] = [("pp512", "380.10 ± 2.00")];
const CSV: &str = "build_commit,backends,n_prompt,n_gen,avg_ns,stddev_ns,avg_ts,stddev_ts\n\
                   \"abc\",\"ROCm\",\"512\",\"0\",\"1000\",\"10\",\"512.5\",\"1.5\"\n";

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// As Windows writes it.
fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// Two tables, as they come into files.
fn tables() -> Vec<File> {
    let both = table(&ONE, BUILD) + "\n" + &table(&TWO, BUILD);
    let quoted: String = both.lines().fold(String::new(), |mut all, line| {
        writeln!(all, "> {line}").unwrap();
        all
    });
    let issue = format!(
        "### What I see\nSpeed is | bad |. Here:\n\n<details>\n\n```\n{LOG}{}```\n\n| GPU | VRAM |\n\
         |---|---|\n| 8060S | 96 GB |\n\nand since the update `t/s` fell:\n\n{}\nbuild: with make\n",
        table(&ONE, BUILD),
        table(&TWO, BUILD).replace("\nbuild: 9515c613 (6097)\n", "")
    );
    let tabs: String = both
        .lines()
        .filter(|line| !line.contains("---"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            cells.join("\t") + "\n"
        })
        .collect();
    let tabs = format!("a\tb\n{tabs}\tc\n");
    let latin = |char: char| if char == '±' { 0xb1 } else { u8::try_from(char).unwrap() };
    let windows = both.replace('\n', "\r\n");
    let files = [
        ("two tables", bytes(&both)),
        ("the same in a mail", bytes(&quoted)),
        ("an issue with prose and a table of something else", bytes(&issue)),
        ("a list", bytes(&both.replace("| gpt", "  * | gpt").replace("| mod", "  - | mod"))),
        ("copied from a page", bytes(&tabs)),
        ("a file of Windows", bytes(&windows)),
        ("what PowerShell redirects", utf_16(&windows, u16::to_le_bytes)),
        ("the other order of bytes", utf_16(&both, u16::to_be_bytes)),
        ("a mark of the encoding", bytes(&format!("\u{feff}{both}"))),
        ("a garbled sign", bytes(&both.replace('±', "┬▒"))),
        ("Latin-1", both.chars().map(latin).collect()),
        (
            "without the last end of a line",
            bytes(
                &(both.clone() + "\n" + &row("tg32", "1.00 ± 0.10"))
                    .trim_end()
                    .replace("tg32", "pp64"),
            ),
        ),
    ];
    let expected = vec![("pp512", 374.82), ("tg128", 28.87), ("pp512 #2", 380.1)];
    let mut files: Vec<File> =
        files.into_iter().map(|(name, bytes)| (name, bytes, expected.clone())).collect();
    if let Some((.., speeds)) = files.last_mut() {
        speeds.push(("pp64", 1.0));
    }
    files
}

/// Documents of JSON, alone and with what stands around them.
fn documents() -> Vec<File> {
    let a = [json("a", 512, 0, 330.5), json("a", 0, 128, 28.1)];
    let b = [json("b", 512, 0, 99.5)];
    let colored = a.iter().fold(String::new(), |mut all, test| {
        let test = test.replace(':', "\u{1b}[0m:\u{1b}[34m");
        writeln!(all, "\u{1b}[1;39m{test}\u{1b}[0m").unwrap();
        all
    });
    let (one, two) = (array(&a), array(&b));
    let value: serde_json::Value = serde_json::from_str(&one).unwrap();
    let minified = value.to_string();
    let alone = [
        ("an array behind a log", format!("{LOG}{one}")),
        ("an array between logs", format!("{LOG}{one}{LOG}done.\n")),
        ("on one line", minified.clone()),
        ("without an end", one.replace("\n]\n", "")),
        ("in colours", colored),
        ("in a document of somebody", format!("{{\"host\": \"x\", \"results\": {minified}}}")),
    ];
    let several = [
        ("two arrays", format!("{one}{two}")),
        ("two arrays with logs", format!("{LOG}{one}{LOG}{two}")),
        ("two arrays on a line", format!("{minified}[{}]\n", b[0])),
        ("an array and lines", format!("{one}{}\n", b[0])),
    ];
    let speeds = vec![("pp512", 330.5), ("tg128", 28.1)];
    let of_both = vec![
        ("pp512 model=a.gguf", 330.5),
        ("tg128 model=a.gguf", 28.1),
        ("pp512 model=b.gguf", 99.5),
    ];
    let alone = alone.into_iter().map(|(name, text)| (name, bytes(&text), speeds.clone()));
    let several = several.into_iter().map(|(name, text)| (name, bytes(&text), of_both.clone()));
    alone.chain(several).collect()
}

/// Several formats in one file, and old forms.
fn mixtures() -> Vec<File> {
    let a = [json("a", 512, 0, 330.5), json("a", 0, 128, 28.1)];
    let sql = "INSERT INTO test (build_commit, n_prompt, n_gen, model_filename, avg_ts, stddev_ts) VALUES \
               ('8cf427ff', '512', '0', 'it''s, mine.gguf', '7324.546977', '54.032613');\n";
    let dump = "CREATE TABLE llama_bench (\n  build_commit TEXT,\n  n_prompt INTEGER,\n  n_gen INTEGER,\n  \
                avg_ts REAL\n);\nINSERT INTO llama_bench VALUES('8cf427ff',0,128,120.5);\n\
                INSERT INTO llama_bench VALUES('8cf427ff',512,0,NULL);\n";
    let both = format!(
        "{HEAD}{}{}\n{}{}\n\nbuild: 043fb27d (6264)\n",
        row("pp512", "330.50 ± 1.41"),
        a[0],
        row("tg128", "28.10 ± 1.41"),
        a[1]
    );
    let old =
        format!("{HEAD}{}{}", row("pp 512", "2368.80 ± 93.24"), row("tg 128", "131.42 ± 0.59"));
    let forms = format!(
        "{HEAD}{}{}{}{}",
        row("pp512+tg128", "1.00 ± 0.10"),
        row("pp512 @ d4096", "2.00"),
        row("tg128@pp512", "3.00 ± 0.10"),
        row("**tg64**", "`4.00 ± 0.10`")
    );
    let table_of_two = table(&TWO, BUILD);
    vec![
        ("a log of both outputs", bytes(&both), vec![("pp512", 330.5), ("tg128", 28.1)]),
        (
            "lines and then a table",
            bytes(&format!("{}\n{table_of_two}", a[1])),
            vec![("tg128", 28.1), ("pp512", 380.1)],
        ),
        (
            "lines and a table of another model",
            bytes(&format!("{}\n{table_of_two}", a[0])),
            vec![("pp512 model_type=qwen3 4B", 330.5), ("pp512 model_type=gpt-oss ?B F16", 380.1)],
        ),
        (
            "CSV twice",
            bytes(&format!("{CSV}{CSV}").replacen("512.5", "500.5", 1)),
            vec![("pp512", 500.5), ("pp512 #2", 512.5)],
        ),
        (
            "CSV and a table",
            bytes(&format!("{CSV}\n{}", table(&ONE[1..], BUILD))),
            vec![("pp512", 512.5), ("tg128", 28.87)],
        ),
        ("CSV without quotes", bytes(&CSV.replace('"', "")), vec![("pp512", 512.5)]),
        (
            "CSV of a spreadsheet",
            bytes(&CSV.replace('"', "").replace(',', ";")),
            vec![("pp512", 512.5)],
        ),
        (
            "SQL of 2025 and a dump",
            bytes(&format!("{sql}{dump}")),
            vec![("pp512 model=it's, mine.gguf", 7_324.546_977), ("tg128", 120.5)],
        ),
        ("a table of 2023", bytes(&old), vec![("pp512", 2368.8), ("tg128", 131.42)]),
        (
            "every form of a test",
            bytes(&forms),
            vec![
                ("pp512+tg128", 1.0),
                ("pp512 @ d4096", 2.0),
                ("tg128 @ d512", 3.0),
                ("tg64", 4.0),
            ],
        ),
    ]
}

/// Files in which tests failed.
fn failures() -> Vec<File> {
    let a = [json("a", 512, 0, 330.5), json("a", 0, 128, 28.1)];
    let failing = "\"abc\",\"ROCm\",\"0\",\"128\",\"NA\",\"NA\",\"NA\",\"NA\"\n";
    vec![
        (
            "in lines",
            bytes(&format!("{}\n{}\n{}\n", a[0], failed(512), a[1])),
            vec![("pp512 n_ubatch=512", 330.5), ("tg128 n_ubatch=512", 28.1)],
        ),
        (
            "in a table",
            bytes(&format!("{HEAD}{}{}", row("pp512", "NA"), row("tg128", "28.87 ± 0.11"))),
            vec![("tg128", 28.87)],
        ),
        ("in CSV", bytes(&(CSV.to_owned() + failing)), vec![("pp512", 512.5)]),
        (
            "no number",
            bytes(&format!("{}\n{}\n", a[0], a[1].replace("28.1,", "-nan,"))),
            vec![("pp512", 330.5)],
        ),
    ]
}

fn files() -> Vec<File> {
    [tables(), documents(), mixtures(), failures()].concat()
}

#[test]
fn every_document_of_a_file_is_read() {
    for (name, bytes, expected) in files() {
        let imported = import(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = means(&imported.parsed.rows);
        assert_eq!(found, expected, "{name}: {:?}", imported.parsed.problems);
        assert_eq!(imported.parsed.failure, None, "{name}");
    }
}

#[test]
fn a_test_that_failed_is_told_and_keeps_the_others() {
    let told = |text: &str| read(text).parsed.problems;
    let lines = format!("{}\n{}\n", json("a", 512, 0, 330.5), failed(512));
    let says = "raw/stdout line 2: pp512 n_ubatch=8192 failed: llama-bench gives no speed for it";
    assert_eq!(told(&lines), [says]);
    let markdown = format!("{HEAD}{}{}", row("pp512", "NA"), row("tg128", "28.87 ± 0.11"));
    let says = "raw/stdout line 3: pp512 failed: llama-bench gives no speed for it";
    assert_eq!(told(&markdown), [says]);
    let sql = "INSERT INTO llama_bench (n_prompt, n_gen, avg_ts) VALUES ('1', '0', '2.5');\n\
               INSERT INTO llama_bench (n_prompt, n_gen, avg_ts) VALUES ('8', '0', NULL);\n";
    let says = "raw/stdout line 2: pp8 failed: llama-bench gives no speed for it";
    assert_eq!(told(sql), [says]);

    // The tool counts it among its tests, so that it keeps its place.
    let recorded = Fixture {
        argv: words("llama-bench -oe jsonl"),
        stdout: Vec::new(),
        stderr: format!("{}\n{lines}", failed(64)).into_bytes(),
        files: Vec::new(),
    };
    let parsed = recorded.parse().unwrap();
    let cases: Vec<&str> = parsed.cases.iter().map(|case| case.case.as_str()).collect();
    assert_eq!(cases, ["pp64 n_ubatch=8192", "pp512 n_ubatch=512", "pp512 n_ubatch=8192"]);
    assert_eq!((parsed.problems.len(), parsed.failure.as_deref()), (2, None));
    assert_eq!(means(&parsed.rows), [("pp512 n_ubatch=512", 330.5)]);

    let nothing = Fixture { stderr: (failed(64) + "\n").into_bytes(), ..recorded }.parse().unwrap();
    assert_eq!(nothing.failure.as_deref(), Some("llama-bench printed no result"));
}

#[test]
fn a_speed_that_is_not_above_0_is_no_result() {
    for speed in [-28.1, 0.0] {
        let text = json("a.gguf", 512, 0, 330.5) + "\n" + &json("a.gguf", 0, 128, speed) + "\n";
        let imported = read(&text);
        assert_eq!(means(&imported.parsed.rows), [("pp512", 330.5)], "{speed}");
        let problems = &imported.parsed.problems;
        assert!(problems.iter().any(|it| it.contains("tg128 failed")), "{problems:?}");
    }
}

#[test]
fn each_table_has_the_version_below_it() {
    let first = table(&[("pp512", "1.00 ± 0.10")], "aaaa1111 (6097)");
    let last = table(&[("tg128", "2.00 ± 0.10")], "bbbb2222 (7001)");
    let without = format!("{HEAD}{}\nbuild: 7001 (bbbb2222) with cc\n", row("tg64", "3.00 ± 0.10"));
    let imported = read(&format!("{first}\n{without}\n{last}"));
    let builds: Vec<Option<&str>> = imported
        .parsed
        .cases
        .iter()
        .map(|case| case.parameters.get("build_commit").and_then(|commit| commit.as_str()))
        .collect();
    assert_eq!(builds, [Some("aaaa1111"), None, Some("bbbb2222")]);
    assert_eq!(imported.parsed.version.as_deref(), Some("b6097 (aaaa1111), b7001 (bbbb2222)"));
}

#[test]
fn every_model_of_a_file_is_named_and_what_computes_where_it_is_one() {
    let other = json("b", 512, 0, 9.0).replace("Vulkan", "ROCm");
    let imported = read(&format!("{}\n{other}\n", json("a", 512, 0, 330.5)));
    let names: Vec<&str> = imported.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!((names, imported.parsed.backend), (vec!["a", "b"], None));
    let one = read(&(json("a", 512, 0, 330.5) + "\n"));
    assert_eq!((one.models.len(), one.parsed.backend.as_deref()), (1, Some("Vulkan")));
}

#[test]
fn what_is_damaged_or_cut_costs_only_itself_and_is_told() {
    let good = json("a", 512, 0, 330.5);
    let torn =
        json("a", 0, 128, 28.1).replace("\"avg_ns\": 1000000000,", "\"avg_ns\": ggml_vulkan");
    let imported = read(&format!("{torn}\n{good}\n{}", &good[..90]));
    assert_eq!(means(&imported.parsed.rows), [("pp512", 330.5)]);
    let problems =
        ["raw/stdout line 1: no JSON: expected ident", "raw/stdout line 3: a test is cut off here"];
    assert_eq!(imported.parsed.problems.len(), 2, "{:?}", imported.parsed.problems);
    assert!(imported.parsed.problems[0].starts_with("raw/stdout line 1: no JSON: "));
    assert_eq!(imported.parsed.problems[1], problems[1]);
    let cut =
        format!("{HEAD}{}{}", row("pp512", "1.00 ± 0.10"), &row("tg128", "28.87 ± 0.11")[..120]);
    assert_eq!(read(&cut).parsed.problems, ["raw/stdout line 4: a test is cut off here"]);
    assert!(import(torn.as_bytes()).is_err(), "nothing is left");
    // Tables of other tools are none of llama-bench.
    let other =
        "| model | test | t/s | peak t/s |\n| :-- | --: | --: | --: |\n| m | pp512 | 1 ± 1 | 2 |\n";
    assert!(read(other).parsed.rows.is_empty());
}

/// What a terminal of a container makes of both outputs: one, with ends of lines of its own.
fn terminal(stdout: &str, stderr: &[&str]) -> String {
    let mut screen = stderr[0].to_owned();
    let mut more = stderr[1..].iter();
    for line in stdout.lines() {
        writeln!(screen, "{line}").unwrap();
        if line.contains('±') {
            screen += more.next().unwrap();
        }
    }
    screen.replace('\n', "\r\n")
}

#[test]
fn one_output_for_both_changes_no_figure() {
    let tests = [json("a", 512, 0, 330.5) + "\n", json("a", 0, 128, 28.1) + "\n"];
    let progress = "ggml_vulkan: Found 1 Vulkan devices:\nllama-bench: benchmark 1/2: starting\n";
    let stdout = table(&[("pp512", "330.50 ± 1.41"), ("tg128", "28.10 ± 1.41")], "043fb27d (6264)");
    let fixture = |stdout: &str, stderr: &str| Fixture {
        argv: words("toolbox run -c x llama-bench -m a.gguf --progress -oe jsonl"),
        stdout: stdout.as_bytes().to_vec(),
        stderr: stderr.as_bytes().to_vec(),
        files: Vec::new(),
    };
    let mut apart =
        fixture(&stdout, &format!("{progress}{}{}", tests[0], tests[1])).parse().unwrap();
    assert_eq!(apart.rows.len(), 2 * (4 + 4));
    let one = terminal(&stdout, &[progress, &tests[0], &tests[1]]);
    let colored = one.replace("{\"build_commit\"", "\u{1b}[0m\r{\"build_commit\"");
    let dotted = one.replacen("{\"build_commit\"", "......{\"build_commit\"", 1);
    for one in [&one, &colored, &dotted] {
        assert_eq!(fixture(one, "").parse().unwrap(), apart, "{one}");
        // On the other one, as `2>&1 1>&2` would have it.
        assert_eq!(fixture("", one).parse().unwrap(), apart, "{one}");
    }
    // A llama-bench that could not be asked gives its table, wherever it is.
    apart = fixture(&stdout, progress).parse().unwrap();
    assert_eq!(apart.rows.len(), 4);
    assert_eq!(fixture("", &terminal(&stdout, &[progress, "", ""])).parse().unwrap(), apart);
    // What it said of a failure is found as well.
    let lost = fixture("load\r\nvk::Queue::submit: ErrorDeviceLost\r\n", "").parse().unwrap();
    assert!(lost.failure.unwrap().contains("the GPU was lost"));
}

/// Cut anywhere, a file gives no figure that the whole file does not have.
fn holds_when_cut(name: &str, bytes: &[u8], at: usize) {
    let whole = import(bytes).unwrap().parsed.rows;
    let Ok(part) = import(&bytes[..at]) else { return };
    let base = |case: &str| {
        case.split(' ').take_while(|word| !word.contains(['=', '#'])).collect::<Vec<_>>().join(" ")
    };
    for row in &part.parsed.rows {
        // The table's rounded speed stands for a test whose JSON is cut off.
        let is_same = |other: &&Row| {
            base(&other.case) == base(&row.case)
                && other.metric == row.metric
                && (other.value - row.value).abs() < 0.006
        };
        assert!(whole.iter().any(|other| is_same(&other)), "{name} cut at {at}: {row:?}");
    }
}

#[test]
fn a_file_that_is_cut_gives_nothing_that_is_not_in_it() {
    for (name, bytes, _) in files() {
        // Every place in the short files, and those around the ends of lines in all.
        let is_end = |at: &usize| bytes[at.saturating_sub(2)..*at].contains(&b'\n');
        let step = 1 + bytes.len() / 400;
        for at in (0..=bytes.len()).filter(|at| at % step == 0 || is_end(at)) {
            holds_when_cut(name, &bytes, at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_imported_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = import(&bytes);
    }

    #[test]
    fn pieces_of_files_are_imported_or_refused(
        which in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let files = files();
        let one = &which.get(&files).1;
        let mut bytes = one[..from.index(one.len())].to_vec();
        bytes.push(byte);
        bytes.extend(&other.get(&files).1);
        let _ = import(&bytes);
    }
}
