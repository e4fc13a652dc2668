//! Reports of recorded runs: what they say, and that nothing in them can do anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use halo::quantity;
use halo::report::charts::thin;
use proptest::prelude::*;
use serde_json::Value;

use crate::campaign::{User, code, write};
use crate::program::host_flags;
use crate::record::text;

/// Words that would do harm where they are not escaped.
const HOSTILE: &str = "<script>alert('1')</script>\"&|`";

/// A user with two runs of the stand-in for llama-bench.
pub(crate) fn two_runs() -> User {
    let user = User::with_models(&["slow.gguf"]);
    let model = user.model("slow.gguf").display().to_string();
    let config = user.home.path().join("halo.toml");
    write(&config, "[verdict]\ncontended_share = 1.0\nshortest_phase = 0.2\nevidence = []\n");
    for (tag, more) in [("before", &[][..]), ("after", &["-ctk", "q8_0"])] {
        let mut program = user.program(&["benchmark", "--tag", tag, "--interval", "50ms"]);
        program.arg(format!("--config.file={}", config.display())).args(["--lead", "200ms"]);
        program.args(host_flags("strix-halo-desktop-128g")).args(["--tag", "why=<b>&|"]);
        program.args(["--", "env", &format!("HOSTILE={HOSTILE}"), "llama-bench", "-m", &model]);
        program.args(["-p", "512", "-n", "128", "-r", "6"]).args(more);
        let output = program.output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    }
    user
}

pub(crate) fn written(user: &User, runs: &[&str], name: &str) -> PathBuf {
    let file = user.home.path().join(name);
    let output = user.program(&["report"]).args(runs).arg("-o").arg(&file).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), format!("halo-record: wrote {}\n", file.display()));
    file
}

fn printed(user: &User, runs: &[&str], format: &str) -> String {
    let output = user.program(&["report", "--format", format]).args(runs).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The values of an attribute in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!(" {name}=\"");
    page.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_page_says_everything_and_loads_nothing() {
    let user = two_runs();
    let page = fs::read_to_string(written(&user, &["before", "after"], "two.html")).unwrap();
    for part in ["Verdict", "Difference", "Results", "Energy", "Series", "Environment", "pp512"] {
        assert!(page.contains(part), "{part}");
    }
    for word in ["<script", "<b>&", "http://", "https://", " src=", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("&lt;script&gt;alert"), "the command is shown as it was");
    let ids = attributes(&page, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for reference in
        attributes(&page, "aria-labelledby").into_iter().flat_map(str::split_whitespace)
    {
        assert!(ids.contains(&reference), "{reference}");
    }
    for anchor in attributes(&page, "href") {
        assert!(ids.contains(&anchor.trim_start_matches('#')), "{anchor}");
    }
    let levels: Vec<u32> = page
        .match_indices("<h")
        .filter_map(|(at, _)| page[at + 2..].chars().next().and_then(|c| c.to_digit(10)))
        .collect();
    assert_eq!(levels[0], 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1 && pair[1] > 1), "{levels:?}");
    // Each picture has words, and a table behind it.
    let pictures = page.matches("<svg role=\"img\"").count();
    assert!(pictures >= 5, "{pictures}");
    assert_eq!(page.matches("<summary>Figures of").count(), pictures);
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
}

#[test]
fn markdown_and_json_say_what_the_manifest_says() {
    let user = two_runs();
    let markdown = printed(&user, &["before"], "md");
    assert!(markdown.contains("Verdict: **clean**"), "{markdown}");
    assert!(markdown.contains("| llama-bench | pp512 | tokens_per_second |"), "{markdown}");
    assert!(markdown.contains("| generation of tg128 | "), "{markdown}");
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let tables = markdown.lines().collect::<Vec<_>>();
    for pair in tables.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
        assert_eq!(columns(pair[0]), columns(pair[1]), "{pair:?}");
    }
    let both = printed(&user, &["before", "after"], "md");
    assert!(both.contains("## Difference") && both.contains("worse"), "{both}");

    let report: Value =
        serde_json::from_str(&printed(&user, &["before", "after"], "json")).unwrap();
    assert_eq!(report["runs"].as_array().unwrap().len(), 2);
    assert_eq!(report["runs"][0]["phases"].as_array().unwrap().len(), 12);
    assert_eq!(report["comparison"]["by"], serde_json::json!(["kv"]));
    let power = &report["charts"][0];
    assert_eq!((&power["title"], &power["unit"]), (&"Power".into(), &"W".into()));
    let socket = power["lines"].as_array().unwrap().iter().find(|line| line["name"] == "socket");
    assert!((socket.unwrap()["range"][1].as_f64().unwrap() - 119.846).abs() < 1e-6);
    let speeds = report["charts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|chart| chart["title"] == "Tokens per second of the benchmark");
    let lines = speeds.unwrap()["lines"].as_array().unwrap();
    let names: Vec<String> =
        lines.iter().map(|line| format!("{} {}", line["run"], line["name"])).collect();
    let expected = ["0 \"prompt\"", "0 \"generation\"", "1 \"prompt\"", "1 \"generation\""];
    assert_eq!(names, expected);
    let phase = &report["runs"][0]["phases"][0];
    let number = |name: &str| phase[name].as_f64().unwrap();
    let tokens = number("tokens_per_second") * (number("to") - number("from"));
    assert!((tokens - 512.0).abs() < 1e-6, "{phase}");
    assert_eq!(lines[0]["stretches"][0][0][1], phase["tokens_per_second"]);
    assert_eq!(lines[0]["stretches"].as_array().unwrap().len(), 6);
    let limit = power["lines"].as_array().unwrap().iter().find(|line| line["is_limit"] == true);
    assert!(limit.is_some(), "{power}");
}

#[test]
fn show_has_the_reasons_the_energy_and_small_charts() {
    let user = two_runs();
    let shown = text(&user.program(&["show", "latest"]).output().unwrap().stdout);
    for part in ["verdict     clean", "generation of tg128", "Power [W]", "  socket       ▇"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// Speeds of 50 runs of a model say nothing about a type of the cache, and those of two models less.
#[test]
fn a_campaign_is_compared_within_each_model() {
    let user = User::with_models(&["ok.gguf", "other.gguf"]);
    let models = ["ok.gguf", "other.gguf"];
    let flags = ["--kv-types", "f16,q8_0", "--skip-longctx", "--reps", "3"];
    assert_eq!(code(&user.run(&models, &flags)), 0);
    let report: Value = serde_json::from_str(&printed(&user, &[&user.name()], "json")).unwrap();
    let compared = &report["comparison"];
    assert_eq!(compared["by"], serde_json::json!(["kv"]));
    let names: Vec<&str> =
        compared["sides"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["kv=f16", "kv=q8_0"]);
    let rows = compared["rows"].as_array().unwrap();
    let speeds: Vec<&Value> =
        rows.iter().filter(|row| row["metric"] == "tokens_per_second").collect();
    // Prompt and generation of each model.
    assert_eq!(speeds.len(), 4, "{speeds:?}");
    assert!(speeds.iter().all(|row| row["cell"][0][0] == "model"), "{speeds:?}");

    // Who asks for it compares the models.
    let name = user.name();
    let asked = [format!("campaign={name},model=ok"), format!("campaign={name},model=other")];
    let report: Value =
        serde_json::from_str(&printed(&user, &[&asked[0], &asked[1]], "json")).unwrap();
    assert_eq!(report["comparison"]["by"], serde_json::json!(["model"]));

    // A campaign of models alone has nothing to compare within one.
    let other = User::with_models(&["ok.gguf", "other.gguf"]);
    assert_eq!(code(&other.run(&models, &["--skip-longctx", "--reps", "2"])), 0);
    let mut program = other.program(&["report", &other.name(), "--format", "json"]);
    let output = program.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["comparison"].is_null() && report["runs"].as_array().unwrap().len() == 2);
    let said = text(&output.stderr);
    assert!(said.contains("without a difference") && said.contains("--by model"), "{said}");
}

#[test]
fn digits_fit_the_uncertainty() {
    for (value, uncertainty, expected) in [
        (28.20, 0.068_831, ("28.200", "0.069")),
        (1.544, 0.003_768, ("1.5440", "0.0038")),
        // As an imported table has it: it knows no third decimal.
        (28.33, 0.07, ("28.33", "0.07")),
        (812.5, 3.25, ("812.5", "3.2")),
        (1004.5, 3.027_65, ("1004.5", "3.0")),
        (0.099_94, 0.099_6, ("0.10", "0.10")),
        (12_345.6, 678.9, ("12350", "680")),
        (5.0, 12.0, ("5", "12")),
        (45.12, 0.0, ("45.12", "0")),
        (28.1, 4.351e-15, ("28.10", "0")),
        (-0.02, 0.3, ("-0.02", "0.30")),
        (-0.001, 0.3, ("0.00", "0.30")),
        (0.000_123_456, 0.000_001_9, ("0.0001235", "0.0000019")),
    ] {
        let (shown, off) = quantity::uncertain(value, uncertainty);
        assert_eq!((shown.as_str(), off.as_str()), expected, "{value} {uncertainty}");
    }
    for (difference, interval, expected) in [
        (-0.090_34, Some((-0.0941, -0.0865)), "-9.03 % (-9.41 to -8.65)"),
        (-0.0903, Some((-0.152, -0.028)), "-9.0 % (-15.2 to -2.8)"),
        (0.5, Some((-0.6, 1.9)), "+50 % (-60 to +190)"),
        (0.0, Some((0.0, 0.0)), "+0.00 % (+0.00 to +0.00)"),
        (-0.000_001, Some((-0.001, 0.001)), "+0.00 % (-0.10 to +0.10)"),
        (0.02, None, "+2.00 %"),
    ] {
        assert_eq!(quantity::relative(difference, interval), expected);
    }
    // What has no uncertainty keeps four digits, and nothing that is there is shown as 0.
    for (value, expected) in [
        (0.0, "0.000"),
        (0.000_000_123_4, "1.234e-7"),
        (0.068_831, "0.06883"),
        (0.5, "0.500"),
        (1.5444, "1.544"),
        (57.123, "57.12"),
        (5712.3, "5712"),
    ] {
        assert_eq!(quantity::number(value), expected);
    }
}

/// Everywhere: in `show`, `list`, the report and the summary of a campaign.
#[test]
fn every_table_rounds_to_the_deviation() {
    // Ten speeds from 1000 to 1009 and from 500 to 509: their deviation is 3.0277.
    let user = User::with_models(&["ok.gguf"]);
    let model = user.model("ok.gguf").display().to_string();
    let mut program = user.program(&["benchmark", "--interval", "50ms", "--tag", "one"]);
    program.args(host_flags("strix-halo-desktop-128g")).args(["--lead", "200ms"]);
    program.args(["--", "llama-bench", "-m", &model, "-p", "512", "-n", "128", "-r", "10"]);
    assert_eq!(code(&program.output().unwrap()), 0);
    let shown = text(&user.program(&["show", "latest"]).output().unwrap().stdout);
    let row = |text: &str, begin: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.contains(begin) && line.contains("tokens_per"));
        let line = line.unwrap_or_else(|| panic!("{begin}: {text}"));
        line.replace('|', " ").split_whitespace().map(str::to_owned).collect()
    };
    for (case, mean) in [("pp512", "1004.5"), ("tg128", "504.5")] {
        let words = row(&shown, &format!(" {case} "));
        assert_eq!(words[3..6], [mean, "3.0", "10"], "{shown}");
        let words = row(&printed(&user, &["one"], "md"), &format!(" {case} "));
        assert_eq!(words[3..6], [mean, "3.0", "10"], "{words:?}");
    }
    let page = fs::read_to_string(written(&user, &["one"], "one.html")).unwrap();
    assert!(page.contains(">1004.5<") && page.contains(">3.0<"));
    let list = text(&user.program(&["list"]).output().unwrap().stdout);
    assert!(list.contains("pp512 1004.5 ± 3.0, tg128 504.5 ± 3.0"), "{list}");

    // Why there is no energy stands below the table, whose columns stay as narrow as their numbers.
    let reason = "too short for the sensor: ";
    let lines: Vec<&str> = shown.lines().filter(|line| line.contains(reason)).collect();
    assert!(!lines.is_empty(), "{shown}");
    assert!(lines.iter().all(|line| line.starts_with("no energy of ")), "{lines:?}");
    let head = shown.lines().find(|line| line.starts_with("part ")).unwrap();
    assert!(head.len() <= 100, "{head}");
}

/// An eval whose samples are not there has the interval of its standard error, not the error.
#[test]
fn a_standard_error_is_shown_as_an_interval() {
    let user = two_runs();
    for (value, error, samples, expected) in [
        // 7 of 10: Wilson's. A mean of shares, and a perplexity: 1.96 errors to both sides.
        (0.7, 0.152_753, 10, "0.397 to 0.892"),
        (0.62, 0.05, 100, "0.522 to 0.718"),
        (8.5, 0.1, 62, "8.304 to 8.696"),
    ] {
        let run = &user.archive.runs()[0];
        let file = run.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        manifest["scores"] = serde_json::json!([{
            "task": "gsm8k", "metric": "exact_match", "value": value, "samples": samples,
            "standard_error": error,
        }]);
        fs::write(&file, manifest.to_string()).unwrap();
        let name = run.file_name().unwrap().to_str().unwrap().to_owned();
        let shown = text(&user.program(&["show", &name]).output().unwrap().stdout);
        assert!(shown.contains(expected), "{expected}: {shown}");
        for text in [shown, printed(&user, &[&name], "md")] {
            assert!(text.contains(expected) && !text.contains("standard error"), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_reported_is_refused() {
    let user = two_runs();
    let refused = |arguments: &[&str], part: &str| {
        let output = user.program(&["report"]).args(arguments).output().unwrap();
        let said = text(&output.stderr);
        assert_ne!(code(&output), 0, "{said}");
        assert!(said.contains(part) && said.trim().lines().count() == 1, "{said}");
    };
    refused(&["nothing"], "nothing: no such run");
    refused(&["before", "-o", "/nowhere/x.html"], "/nowhere: no such directory");
    let file = user.home.path().join("there.html");
    fs::write(&file, "mine").unwrap();
    let named = file.to_str().unwrap();
    refused(&["before", "-o", named], "is there already; --force replaces it");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    refused(&["before", "-o", user.home.path().to_str().unwrap()], "is a directory");
    let replaced = user.program(&["report", "before", "--force", "-o", named]).output().unwrap();
    assert_eq!(code(&replaced), 0, "{}", text(&replaced.stderr));
    assert!(fs::read_to_string(&file).unwrap().starts_with("<!DOCTYPE html>"));
    refused(&["before", "--format", "pdf"], "pdf");
    refused(&[], "RUN");
}

proptest! {
    /// Thinning invents nothing, loses no spike and bridges no gap.
    #[test]
    fn thinning_keeps_the_extremes_and_the_gaps(
        steps in prop::collection::vec((0.01_f64..3.0, -100.0_f64..100.0), 1..2000),
        gap in 1.0_f64..3.0,
    ) {
        let mut time = 0.0;
        let points: Vec<(f64, f64)> =
            steps.iter().map(|(step, value)| { time += step; (time, *value) }).collect();
        let stretches = thin(&points, gap);
        let kept: Vec<(f64, f64)> = stretches.iter().flatten().copied().collect();
        prop_assert!(kept.iter().all(|point| points.contains(point)));
        prop_assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let most = |points: &[(f64, f64)]| points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
        let least = |points: &[(f64, f64)]| points.iter().map(|p| p.1).fold(f64::MAX, f64::min);
        prop_assert_eq!((most(&points), least(&points)), (most(&kept), least(&kept)));
        prop_assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[points.len() - 1]));
        let gaps = points.windows(2).filter(|pair| pair[1].0 - pair[0].0 > gap).count();
        prop_assert_eq!(stretches.len(), gaps + 1);
    }
}

/// A server that idles beside a benchmark draws no line of 0: nothing of it was measured.
#[test]
fn a_server_that_never_worked_is_no_line() {
    use halo::run::journal::{By, Header, Line, Mark, Moment, NewSeries, Tick, VERSION};
    let at =
        |second: i64| Moment { monotonic: second * 1_000_000_000, unix: second * 1_000_000_000 };
    let mark = |second, name: &str| {
        let attributes = std::collections::BTreeMap::new();
        Line::Mark(Mark { at: at(second), by: By::Halo, name: name.to_owned(), attributes })
    };
    for (speeds, is_drawn) in [([0.0, 0.0, 0.0], false), ([0.0, 12.5, 0.0], true)] {
        let header = Header {
            version: VERSION,
            run: "id".to_owned(),
            interval: 1_000_000_000,
            sources: Vec::new(),
            at: at(0),
        };
        let labels = ["s", "m"].map(str::to_owned).to_vec();
        let series = ("halo_llama_generated_tokens_per_second".to_owned(), labels);
        let mut lines = vec![
            Line::Header(header),
            mark(0, "command started"),
            Line::Series(NewSeries { first: 0, series: vec![series] }),
        ];
        for (second, speed) in (1..).zip(speeds) {
            let values = vec![speed];
            lines.push(Line::Tick(Tick {
                at: at(second),
                series: vec![0],
                values,
                ..Tick::default()
            }));
        }
        lines.push(mark(4, "command ended"));
        let tables = crate::archive::Tables::of(&lines, &[]);
        let start = jiff::Timestamp::UNIX_EPOCH;
        tables.write_manifest(start, Some(start + jiff::SignedDuration::from_secs(4)));
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_halo-record"));
        program.arg("report").arg(tables.run.name()).args(["--format", "json", "--archive"]);
        let output = program.arg(tables.path().parent().unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let drawn = text(&output.stdout).contains("Tokens per second of llama-server");
        assert_eq!(drawn, is_drawn, "{speeds:?}");
    }
}
