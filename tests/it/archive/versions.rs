//! Archives of every version of the format, which halo reads for ever: `fixtures/archive/v<N>`.
//!
//! Such a directory is an archive with one run. `about.toml` says how it came about; `expected/`
//! is what halo says of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use halo::archive::openmetrics::{INSTANCE, JOB};
use serde_json::Value;

use super::openmetrics;
use crate::machine::{directories, ensure_contents, name};
use crate::record::{manifest, text};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    schema_version: u32,
    halo: String,
    commands: Vec<String>,
}

fn run_of(archive: &Path) -> PathBuf {
    let runs = halo::archive::Archive::at(archive).runs().unwrap();
    assert_eq!(runs.len(), 1, "{}", archive.display());
    runs[0].path().to_owned()
}

fn print(archive: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halo-record"));
    let output = command.args(arguments).arg("--archive").arg(archive).stdin(Stdio::null());
    let output = output.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    text(&output.stdout)
}

/// Everything that the archive says is in what halo says, with the same meaning; more may be.
fn assert_holds(whole: &Value, part: &Value, place: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                let found = whole.get(key).unwrap_or_else(|| panic!("{place}.{key} is lost"));
                assert_holds(found, value, &format!("{place}.{key}"));
            }
        }
        (Value::Array(whole), Value::Array(part)) => {
            assert_eq!(whole.len(), part.len(), "{place}");
            for (number, (whole, part)) in whole.iter().zip(part).enumerate() {
                assert_holds(whole, part, &format!("{place}[{number}]"));
            }
        }
        _ => assert_eq!(whole, part, "{place}"),
    }
}

#[test]
fn archives_of_every_version_are_read() {
    for archive in directories("archive") {
        let about = fs::read_to_string(archive.join("about.toml")).unwrap();
        let about: About = toml::from_str(&about).unwrap();
        assert!(!about.commands.is_empty() && !about.halo.is_empty());
        let run = run_of(&archive);
        let archived = fs::read_to_string(run.join("manifest.json")).unwrap();
        let archived: Value = serde_json::from_str(&archived).unwrap();
        assert_eq!(archived["schema_version"], about.schema_version);
        assert_eq!(name(&archive), format!("v{}", about.schema_version));

        let shown: Value =
            serde_json::from_str(&print(&archive, &["show", "latest", "--json"])).unwrap();
        assert_holds(&shown, &archived, "manifest");
        let listed: Value = serde_json::from_str(&print(&archive, &["list", "--json"])).unwrap();
        for key in ["id", "kind", "state", "results", "started", "ended", "tags", "summary"] {
            assert_eq!(listed[0][key], archived[key], "{key}");
        }
        assert!(print(&archive, &["show", "latest"]).contains(archived["id"].as_str().unwrap()));
        assert!(print(&archive, &["list"]).contains(name(&run)));
        assert!(print(&archive, &["verify"]).contains("files as archived"));

        let tables = ["gpu_clock", "marks", "power", "results", "sampling", "throttle"];
        ensure_contents(tables.map(|table| {
            let csv = print(&archive, &["export", "latest", "--format", "csv", "--table", table]);
            (archive.join("expected").join(format!("{table}.csv")), csv)
        }));
        let openmetrics = print(&archive, &["export", "latest", "--format", "openmetrics"]);
        let mut found = openmetrics::parse(&openmetrics);
        found.retain(|(name, _), _| !name.starts_with("halo_run_"));
        assert_eq!(found, openmetrics::expected(&run, &[("job", JOB), ("instance", INSTANCE)]));
        assert!(found.len() > 50);
    }
}

/// Nobody's machine and nobody's home is in the repository.
#[test]
fn archives_in_the_repository_are_neutral() {
    for archive in directories("archive") {
        let manifest = manifest(&run_of(&archive));
        assert_eq!(manifest.command.directory, "/tmp");
        let environments =
            [Some(&manifest.environment_at_start), manifest.environment_at_end.as_ref()];
        let facts = environments.into_iter().flatten().flat_map(|environment| &environment.facts);
        let words = manifest.command.asked.iter().chain(&manifest.command.executed);
        for text in words.chain(facts.map(|(_, value)| value)) {
            let is_home = text.split(['/', ' ', '=']).any(|part| matches!(part, "home" | "work"));
            assert!(!is_home && !text.contains(&["/ro", "ot/"].concat()), "{text}");
        }
    }
}
