//! What goes into an archive comes out of it: journals, tables, and archives of every version.

mod document;
mod export;
mod journal;
pub(crate) mod openmetrics;
mod versions;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use arrow::datatypes::Schema;
use halo::archive::RunDirectory;
use halo::archive::convert::{Converted, convert};
use halo::archive::journal::Writer;
use halo::archive::schema;
use halo::run::JOURNAL;
use halo::run::journal::Line;
use halo::tool::Row;
use jiff::Timestamp;
use serde_json::json;

use crate::machine::{ensure_contents, fixtures};

/// A run directory with nothing but the tables that a journal gives.
pub(crate) struct Tables {
    pub(crate) run: RunDirectory,
    converted: Converted,
    _directory: tempfile::TempDir,
}

impl Tables {
    pub(crate) fn of(lines: &[Line], results: &[Row]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("20261124T035512.123Z-test");
        std::fs::create_dir(&path).unwrap();
        let mut journal = Writer::create(&path.join(JOURNAL)).unwrap();
        for line in lines {
            journal.append(line).unwrap();
        }
        drop(journal);
        let run = RunDirectory::at(path);
        let converted = convert(&run, results).unwrap().unwrap();
        std::fs::remove_file(run.join(JOURNAL)).unwrap();
        Self { run, converted, _directory: directory }
    }

    /// A manifest that says no more than it must.
    pub(crate) fn write_manifest(&self, started: Timestamp, ended: Option<Timestamp>) {
        let manifest = json!({
            "schema_version": 1, "id": "id", "name": self.run.name(), "kind": "run",
            "origin": "recorded", "state": "complete", "results": "none", "started": started,
            "ended": ended, "tags": {}, "tool": {"name": "t"},
            "command": {"asked": [], "executed": [], "directory": "/"},
            "recorder": {"version": "0", "revision": ""},
        });
        std::fs::write(self.path().join("manifest.json"), manifest.to_string()).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.run.path()
    }
}

/// The columns of every table. A test reads them for ever, and so do others without halo: a column
/// may be added, and none may change or go.
#[test]
fn the_tables_are_those_that_were_promised() {
    let mut tables: BTreeMap<&str, _> =
        schema::wide_tables().values().map(|wide| (wide.name, wide.schema())).collect();
    tables.insert("marks", schema::marks());
    tables.insert("eval_samples", schema::eval_samples());
    tables.insert("results", schema::results());
    tables.insert("sampling", schema::sampling());
    let mut text = String::new();
    for (name, schema) in tables {
        writeln!(text, "{name}.parquet").unwrap();
        text.push_str(&columns(&schema));
    }
    ensure_contents([(fixtures().join("archive/schema.txt"), text)]);
}

fn columns(schema: &Schema) -> String {
    let line = |field: &arrow::datatypes::FieldRef| {
        let null = if field.is_nullable() { "null" } else { "not null" };
        let unit = field.metadata().get("unit").map_or("", String::as_str);
        format!("  {} {} {null} {unit}", field.name(), field.data_type()).trim_end().to_owned()
            + "\n"
    };
    schema.fields().iter().map(line).collect()
}
