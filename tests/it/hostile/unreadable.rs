//! A run that cannot be read is one line with its reason, and hides no other.

use std::fs;
use std::path::Path;

use halo::run::Manifest;
use serde_json::{Value, json};

use super::{add, manifest_of, write_manifest};
use crate::campaign::code;
use crate::program;
use crate::record::{Archive, manifest, text};

const GOOD: [&str; 2] =
    ["20261124T050050.723Z-llama-bench-one", "20261124T050052.723Z-llama-bench-other"];

/// A run between the good ones.
const BAD: &str = "20261124T050051.723Z-llama-bench-bad";

/// An archive with two good runs and one in which something was done.
fn with_bad(damage: impl Fn(&Path)) -> Archive {
    let archive = Archive::new();
    for name in GOOD {
        let run = add(&archive, name);
        let mut manifest = manifest_of(&run);
        manifest["id"] = json!(name);
        write_manifest(&run, &manifest);
    }
    damage(&add(&archive, BAD));
    archive
}

fn change(run: &Path, how: impl Fn(&mut Value)) {
    let mut manifest = manifest_of(run);
    how(&mut manifest);
    write_manifest(run, &manifest);
}

type Damage = (&'static str, fn(&Path));

/// Manifests that nothing can be made of.
const LOST: [Damage; 9] = [
    ("empty", |run| fs::write(run.join("manifest.json"), "").unwrap()),
    ("zeros", |run| fs::write(run.join("manifest.json"), [0; 4096]).unwrap()),
    ("torn", |run| {
        let whole = fs::read(run.join("manifest.json")).unwrap();
        fs::write(run.join("manifest.json"), &whole[..whole.len() / 2]).unwrap();
    }),
    ("no UTF-8", |run| fs::write(run.join("manifest.json"), b"{\"\xff\xfe\": 1}").unwrap()),
    ("a directory", |run| {
        fs::remove_file(run.join("manifest.json")).unwrap();
        fs::create_dir(run.join("manifest.json")).unwrap();
    }),
    ("a link to nothing", |run| {
        fs::remove_file(run.join("manifest.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", run.join("manifest.json")).unwrap();
    }),
    ("deep", |run| fs::write(run.join("manifest.json"), "[".repeat(100_000)).unwrap()),
    ("no state", |run| {
        change(run, |manifest| _ = manifest.as_object_mut().unwrap().remove("state"));
    }),
    ("a command that is none", |run| change(run, |manifest| manifest["command"] = json!(7))),
];

/// Of these, those whose damage a list does not see.
const UNLISTED: [&str; 3] =
    ["a command that is none", "energy that is none", "files that are none"];

/// Manifests with something that follows from the rest.
const MENDED: [Damage; 6] = [
    ("a mean that is a text", |run| {
        change(run, |manifest| manifest["summary"][0]["mean"] = json!("fast"));
    }),
    ("a mean that is no number", |run| {
        let text = fs::read_to_string(run.join("manifest.json")).unwrap();
        let at = text.find("\"mean\"").unwrap();
        let end = at + text[at..].find(',').unwrap();
        let text = format!("{}\"mean\":1e400{}", &text[..at], &text[end..]);
        fs::write(run.join("manifest.json"), text).unwrap();
    }),
    ("energy that is none", |run| change(run, |manifest| manifest["energy"] = json!("much"))),
    ("a verdict that is none", |run| change(run, |manifest| manifest["verdict"] = json!(1))),
    ("unknown results", |run| change(run, |manifest| manifest["results"] = json!("many"))),
    ("files that are none", |run| change(run, |manifest| manifest["files"] = json!({}))),
];

#[test]
fn one_bad_run_is_one_line_and_hides_no_other() {
    for (what, damage) in LOST.into_iter().chain(MENDED) {
        let archive = with_bad(damage);
        assert_show_and_verify_say_why(&archive, what);
        assert_others_are_there(&archive, what);
        // A list reads less of a manifest than is wrong with these.
        if UNLISTED.contains(&what) {
            assert!(!archive.print(&["list"]).contains("unreadable"), "{what}");
            continue;
        }
        let listed = archive.run(&["list"]);
        assert_eq!((code(&listed), text(&listed.stderr)), (0, String::new()), "{what}");
        let listed = text(&listed.stdout);
        assert_eq!(listed.lines().count(), 4, "{what}: {listed}");
        assert_eq!(listed.lines().filter(|line| line.contains("complete")).count(), 2, "{what}");
        let line = listed.lines().find(|line| line.starts_with(BAD)).unwrap();
        assert!(line.contains("unreadable: ") && line.contains("halo-record r"), "{what}: {line}");

        // Programs expect runs alone.
        let json = archive.run(&["list", "--json"]);
        assert!(text(&json.stderr).contains(&format!("{BAD}: unreadable: ")), "{what}");
        let entries: Value = serde_json::from_slice(&json.stdout).unwrap();
        let names: Vec<&str> = entries
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["state"] == "complete")
            .map(|entry| entry["run"].as_str().unwrap())
            .collect();
        assert_eq!(names, GOOD, "{what}");
        let filtered = archive.run(&["list", "--tool", "llama-bench"]);
        assert!(!text(&filtered.stdout).contains(BAD), "{what}: nobody knows its tool");
        assert!(text(&filtered.stderr).contains(BAD), "{what}");

        let removed = archive.run(&["rm", "--yes", BAD]);
        assert_eq!(code(&removed), 0, "{what}: {}", text(&removed.stderr));
    }
}

fn assert_show_and_verify_say_why(archive: &Archive, what: &str) {
    for command in ["show", "tag", "note", "export", "bundle"] {
        let more: &[&str] = match command {
            "tag" | "note" => &["t"],
            "export" => &["--format", "openmetrics"],
            _ => &[],
        };
        let refused = archive.run(&[&[command, BAD], more].concat());
        assert_eq!((code(&refused), text(&refused.stdout)), (1, String::new()), "{what} {command}");
        let why = text(&refused.stderr);
        assert!(why.contains("unreadable: ") && why.contains("halo-record r"), "{what}: {why}");
    }
    let verified = archive.run(&["verify"]);
    assert_eq!(code(&verified), 1, "{what}");
    let verified = text(&verified.stdout);
    assert_eq!(verified.lines().filter(|line| line.ends_with("as archived")).count(), 2);
    assert!(verified.lines().any(|line| line.starts_with(BAD)), "{what}: {verified}");
}

fn assert_others_are_there(archive: &Archive, what: &str) {
    let compared = archive.run(&["compare", GOOD[0], GOOD[1]]);
    assert_eq!(code(&compared), 0, "{what}: {}", text(&compared.stderr));
    let report = archive.run(&["report", "--format", "md", GOOD[0], BAD, GOOD[1]]);
    assert_eq!(code(&report), 0, "{what}: {}", text(&report.stderr));
    assert!(text(&report.stderr).contains("it is left out"), "{what}");
    for name in GOOD {
        assert!(text(&report.stdout).contains(name), "{what}");
    }

    let surplus = archive.run(&["prune", "--keep", "1", "--dry-run"]);
    assert_eq!(text(&surplus.stdout).lines().count(), 2, "{what}");
    let place = archive.path().to_str().unwrap();
    let scraped = program::run(&["--once", "--archive", place]);
    let scraped = text(&scraped.stdout);
    for name in GOOD {
        assert!(scraped.contains(&format!("halo_run_info{{run=\"{name}\"")), "{what}");
    }
}

#[test]
fn reparse_mends_what_follows_from_the_output() {
    let whole = with_bad(|_| {});
    whole.print(&["reparse", BAD]);
    let expected = manifest(&whole.path().join(BAD));
    assert!(!expected.summary.is_empty() && !expected.energy.is_empty());
    for (what, damage) in MENDED {
        let archive = with_bad(damage);
        let shown = text(&archive.run(&["show", BAD]).stderr);
        assert!(
            shown.contains(&format!("`halo-record reparse {BAD}` mends it")),
            "{what}: {shown}"
        );
        assert!(archive.print(&["reparse", BAD]).contains("results parsed"), "{what}");
        let mended = manifest(&archive.path().join(BAD));
        assert_eq!(mended, expected, "{what}");
        assert_eq!(code(&archive.run(&["verify"])), 0, "{what}");
    }
    for (what, damage) in LOST {
        let archive = with_bad(damage);
        let both = archive.run(&["reparse", BAD, GOOD[0]]);
        assert_eq!(code(&both), 1, "{what}");
        assert!(text(&both.stdout).contains(GOOD[0]), "{what}: the other one is read");
    }
    // What does not follow is lost, and the run says so.
    let archive = with_bad(|run| change(run, |manifest| manifest["notes"] = json!(["n"])));
    archive.print(&["reparse", BAD]);
    let problem = "the manifest was damaged: what it said of notes is lost";
    assert_eq!(manifest(&archive.path().join(BAD)).problems.last().unwrap(), problem);
}

#[test]
fn a_newer_manifest_is_not_to_be_removed() {
    let archive = with_bad(|run| change(run, |manifest| manifest["schema_version"] = json!(99)));
    let list = archive.print(&["list"]);
    let line = list.lines().find(|line| line.starts_with(BAD)).unwrap();
    assert!(line.ends_with("is newer than this halo; update halo"), "{line}");
}

#[test]
fn a_damaged_table_is_about_its_run_alone() {
    let damaged = |table: &'static str| {
        let archive = with_bad(|run| fs::write(run.join(table), "PAR1 no more").unwrap());
        for run in archive.runs() {
            change(&run, |manifest| manifest["tags"] = json!({ "same": null }));
        }
        archive
    };
    let archive = damaged("results.parquet");
    let compared = archive.run(&["compare", "tag=same", GOOD[0]]);
    assert_eq!(code(&compared), 0, "{}", text(&compared.stderr));
    let told = text(&compared.stderr);
    assert!(told.contains(BAD) && told.contains("it is left out"), "{told}");
    let alone = archive.run(&["compare", BAD, GOOD[0]]);
    assert_eq!((code(&alone), text(&alone.stdout)), (125, String::new()));
    archive.print(&["reparse", BAD]);
    let compared = archive.run(&["compare", BAD, GOOD[0]]);
    assert_eq!((code(&compared), text(&compared.stderr)), (0, String::new()));

    for table in ["sampling.parquet", "power.parquet", "marks.parquet"] {
        let archive = damaged(table);
        let report = archive.run(&["report", "--format", "md", "tag=same"]);
        assert_eq!(code(&report), 0, "{table}: {}", text(&report.stderr));
        let told = text(&report.stderr);
        assert!(told.contains(table) && told.contains("it is left out"), "{table}: {told}");
        assert!(text(&report.stdout).contains(GOOD[1]), "{table}");
    }
}

/// An earlier halo wrote what was larger than any number as null.
#[test]
fn null_in_place_of_a_number_is_an_unknown_one() {
    let nothing = |value: &mut Value| *value = Value::Null;
    let archive = with_bad(|run| {
        change(run, |manifest| {
            nothing(&mut manifest["summary"][0]["mean"]);
            nothing(&mut manifest["summary"][1]["standard_deviation"]);
            manifest["scores"] = json!([{"task": "t", "metric": "m", "value": null}]);
            manifest["energy"] = json!([{
                "work": "command", "source": "s", "seconds": 1.0, "coverage": 1.0, "joules": null,
            }, {
                "work": "command", "source": "s", "seconds": null, "coverage": 1.0,
            }]);
            manifest["processes"] = json!([{"pid": 1, "name": "n", "cores": null, "bytes": 1}]);
            nothing(&mut manifest["sampling"]["mean_cost_seconds"]);
            manifest["verdict"] = json!({
                "label": "flagged",
                "reasons": [{"reason": "r", "evidence": "e", "figures": {"a": null, "b": 1.0}}],
            });
            manifest["environment_at_start"]["values"]["halo_x"] = Value::Null;
        });
    });
    let figures = |manifest: &Manifest| manifest.summary.len();
    let run = archive.path().join(BAD);
    let (bad, good) = (manifest(&run), manifest(&archive.path().join(GOOD[0])));
    assert_eq!(figures(&bad), figures(&good) - 1);
    assert_eq!(bad.summary[0].standard_deviation, None);
    assert_eq!((bad.scores.len(), bad.energy.len(), bad.sampling.is_none()), (0, 1, true));
    assert_eq!(bad.processes.as_deref(), Some(&[][..]));
    assert_eq!(bad.verdict.unwrap().reasons[0].figures.len(), 1);
    for command in [&["list"][..], &["show", BAD], &["list", "--json"], &["show", BAD, "--json"]] {
        let output = archive.run(command);
        assert_eq!((code(&output), text(&output.stderr)), (0, String::new()), "{command:?}");
        assert!(!text(&output.stdout).contains("NaN"), "{command:?}");
    }
    archive.print(&["tag", BAD, "again"]);
    archive.print(&["reparse", BAD]);
    assert_eq!(figures(&manifest(&run)), figures(&good), "it is computed again");
}

/// What a tool says becomes a figure only where it can be one, and no mean is larger than any number.
#[test]
fn impossible_figures_never_reach_a_manifest() {
    for speeds in ["1e308", "1e400", "-1e400", "NaN", "inf", "-0.0", "-5", "null", "\"1e400\""] {
        let archive = with_bad(|run| {
            let output = fs::read_to_string(run.join("raw/stdout")).unwrap()
                + &fs::read_to_string(run.join("raw/stderr")).unwrap();
            assert!(output.contains("\"avg_ts\": "), "{output}");
            for name in ["stdout", "stderr"] {
                let file = run.join("raw").join(name);
                let said = fs::read_to_string(&file).unwrap();
                let lines = said.lines().map(|line| replaced(line, speeds) + "\n");
                fs::write(&file, lines.collect::<String>()).unwrap();
            }
        });
        archive.run(&["reparse", BAD]);
        let run = archive.path().join(BAD);
        let written = fs::read_to_string(run.join("manifest.json")).unwrap();
        let manifest = manifest(&run);
        let of_speed = manifest.summary.iter().filter(|one| one.metric == "tokens_per_second");
        let means: Vec<f64> = of_speed.map(|one| one.mean).collect();
        if speeds == "1e308" {
            assert!(!means.is_empty() && means.iter().all(|mean| *mean == 1e308), "{means:?}");
        } else {
            assert_eq!(means, [0.0; 0], "{speeds}");
        }
        assert!(!written.contains("\"mean\": null"), "{speeds}");
        for command in [&["list"][..], &["show", BAD], &["compare", BAD, GOOD[0], "--json"]] {
            let output = archive.run(command);
            assert!([0, 2].contains(&code(&output)), "{speeds}: {}", text(&output.stderr));
            let said = text(&output.stdout);
            assert!(!said.contains("inf") && !said.contains("NaN"), "{speeds}: {said}");
        }
        assert_eq!(code(&archive.run(&["verify"])), 0, "{speeds}");
    }
}

/// The line of llama-bench's JSON with other speeds.
fn replaced(line: &str, speeds: &str) -> String {
    let Ok(mut test) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let Some(test) = test.as_object_mut().filter(|test| test.contains_key("avg_ts")) else {
        return line.to_owned();
    };
    for name in ["avg_ts", "stddev_ts"] {
        test.insert(name.to_owned(), json!("SPEED"));
    }
    test.insert("samples_ts".to_owned(), json!(["SPEED", "SPEED", "SPEED"]));
    json!(test).to_string().replace("\"SPEED\"", speeds)
}
