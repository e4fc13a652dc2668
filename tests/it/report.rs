//! Reports of recorded runs: what they say, and that nothing in them can do anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

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
    refused(&["before", "-o", "/nowhere/x.html"], "/nowhere/x.html");
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
