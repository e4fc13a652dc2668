//! The recorder as a program: commands that it wraps, runs that it archives.

mod archive;
mod devices;
pub(crate) mod environment;
pub(crate) mod interrupted;
mod models;
mod naming;
mod refusals;
mod sampling;
pub(crate) mod terminal;
mod tools;
mod wrapping;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use halo::run::Manifest;
use serde_json::Value;

use crate::program::host_flags;

/// The machine that the runs of these tests are recorded on.
const HOST: &str = "strix-halo-desktop-128g";

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// An archive of a test.
pub(crate) struct Archive {
    directory: tempfile::TempDir,
    /// Where hashes of models are kept.
    cache: tempfile::TempDir,
}

impl Archive {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), cache: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `halo-record` without the variables of whoever runs the test.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halo-record"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HALO_")) {
            command.env_remove(name);
        }
        command.env("HALO_ARCHIVE", self.path()).env("XDG_CACHE_HOME", self.cache.path());
        command.stdin(Stdio::null()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    /// What a subcommand that must succeed prints.
    pub(crate) fn print(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.print(arguments)).unwrap()
    }

    /// A recording of a command on the fixture machine, without time to be spent on an idle one.
    pub(crate) fn recording(&self, flags: &[&str], command: &[&str]) -> Command {
        let mut program = self.program(&["run", "--lead", "0", "--interval", "20ms"]);
        program.args(host_flags(HOST)).args(flags).arg("--").args(command);
        program
    }

    pub(crate) fn record(&self, flags: &[&str], command: &[&str]) -> Output {
        self.recording(flags, command).output().unwrap()
    }

    /// The run directories, the oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut runs: Vec<PathBuf> = entries.collect();
        runs.sort();
        runs
    }

    /// The only run.
    pub(crate) fn only_run(&self) -> PathBuf {
        let mut runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }
}

pub(crate) fn manifest(run: &Path) -> Manifest {
    serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap()
}

pub(crate) fn raw(run: &Path, name: &str) -> String {
    fs::read_to_string(run.join("raw").join(name)).unwrap()
}

/// Writes a program: a stand-in for one that cannot be had here.
///
/// Another process writes it: a test beside this one that starts a program in that moment would hold
/// the file open for writing, and the kernel starts no such file (`ETXTBSY`).
pub(crate) fn write_program(path: &Path, script: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    input.write_all(format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success());
}

/// The search path with a directory of stand-ins first.
pub(crate) fn path_with(directory: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    let directories = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(directories).unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    wait_at_most(PATIENCE, what, is_so);
}

pub(crate) fn wait_at_most(limit: Duration, what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "not after {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every value in the Parquet files of a run, by time, family and labels.
pub(crate) fn archive_values(run: &Path) -> BTreeMap<(i64, String, Vec<String>), f64> {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, TimestampNanosecondType};
    let mut values = BTreeMap::new();
    for wide in halo::archive::schema::wide_tables().values() {
        let Ok(file) = fs::File::open(run.join(format!("{}.parquet", wide.name))) else { continue };
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
        for batch in reader.unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let times = batch["time"].as_primitive::<TimestampNanosecondType>();
            for family in &wide.families {
                let column = batch[family.name].as_primitive::<Float64Type>();
                for row in (0..batch.num_rows()).filter(|row| column.is_valid(*row)) {
                    let label =
                        |label: &&str| batch[*label].as_string::<i32>().value(row).to_owned();
                    let labels = wide.labels.iter().map(label).collect();
                    let key = (times.value(row), family.name.to_owned(), labels);
                    values.insert(key, column.value(row));
                }
            }
        }
    }
    values
}

/// The figures of a run.
pub(crate) fn results(run: &Path) -> Vec<halo::tool::Row> {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, UInt32Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let file = fs::File::open(run.join("results.parquet")).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in batches.map(Result::unwrap) {
        let repetitions = batch["repetition"].as_primitive::<UInt32Type>();
        let values = batch["value"].as_primitive::<Float64Type>();
        rows.extend((0..batch.num_rows()).map(|row| {
            let text = |column: &str| batch[column].as_string::<i32>().value(row).to_owned();
            halo::tool::Row {
                task: text("task"),
                case: text("case"),
                repetition: repetitions.is_valid(row).then(|| repetitions.value(row)),
                metric: text("metric"),
                value: values.value(row),
                unit: text("unit"),
            }
        }));
    }
    rows
}
