//! The dashboards are whole: their form, their links, and that every query names only metrics and
//! labels that halo has. dashboards/make.py writes them.

mod families;
mod form;
mod links;
pub(crate) mod promql;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// A dashboard as its file has it.
pub(crate) struct Dashboard {
    /// The name of the file, without `.json`.
    pub(crate) name: String,
    pub(crate) json: Value,
}

/// One query of a panel.
pub(crate) struct Query<'a> {
    pub(crate) panel: &'a Value,
    pub(crate) target: &'a Value,
    pub(crate) expression: &'a str,
}

impl Dashboard {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    /// Everything that stands in the grid, rows too.
    fn entries(&self) -> &[Value] {
        self.json["panels"].as_array().unwrap()
    }

    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        self.entries().iter().filter(|panel| panel["type"] != "row")
    }

    pub(crate) fn variables(&self) -> &[Value] {
        self.json["templating"]["list"].as_array().unwrap()
    }

    fn variable(&self, name: &str) -> Option<&Value> {
        self.variables().iter().find(|variable| variable["name"] == name)
    }

    pub(crate) fn queries(&self) -> impl Iterator<Item = Query<'_>> {
        self.panels().flat_map(|panel| {
            let targets = panel["targets"].as_array().unwrap().iter();
            targets.map(move |target| Query {
                panel,
                target,
                expression: target["expr"].as_str().unwrap(),
            })
        })
    }

    /// Where something stands, for messages.
    pub(crate) fn place(&self, panel: &Value) -> String {
        format!("{} panel {} ({})", self.name, panel["id"], panel["title"])
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn dashboards() -> Vec<Dashboard> {
    let mut found: Vec<Dashboard> = fs::read_dir(repository().join("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let json = serde_json::from_str(&fs::read_to_string(&path).unwrap());
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            Dashboard { json: json.unwrap_or_else(|error| panic!("{name}: {error}")), name }
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    let expected = ["fleet", "llama", "overview", "power", "run-comparison", "runs", "tuning"];
    assert_eq!(names, expected);
    found
}

/// What differs from the rules, each with its reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exceptions {
    /// Families that no panel shows.
    not_shown: BTreeMap<String, String>,
    /// `FAMILY LABEL` of labels that a selector names although the family lacks them.
    labels: BTreeMap<String, String>,
    /// `DASHBOARD PANEL` of ranges in `rate()` that are not `$__rate_interval`.
    ranges: BTreeMap<String, String>,
    /// `DASHBOARD PANEL LETTER` of queries that give nothing on the machine of the real test.
    pub(crate) no_data: BTreeMap<String, String>,
}

pub(crate) fn exceptions() -> Exceptions {
    let path = repository().join("tests/fixtures/dashboards/exceptions.toml");
    let exceptions: Exceptions = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let Exceptions { not_shown, labels, ranges, no_data } = &exceptions;
    for (name, reason) in [not_shown, labels, ranges, no_data].into_iter().flatten() {
        assert!(reason.ends_with('.') && reason.contains(' '), "{name}: a sentence with a reason");
    }
    exceptions
}

/// Every exception is needed.
fn assert_all_used(listed: &BTreeMap<String, String>, used: &BTreeSet<String>) {
    for name in listed.keys() {
        assert!(used.contains(name), "{name} needs no exception");
    }
}
