//! The queries of `docs/archive.md`, run by DuckDB, Polars, pandas and `PyArrow`.
//!
//! The machine changes while the runs are recorded, so that means and rates are no constants. What
//! is expected comes from halo's own export, the manifest, and what the command did to the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::process::{output, said};
use crate::machine::fixtures;
use crate::program::machine_flags;
use crate::record::{Archive, manifest, text};

type Row = Map<String, Value>;

/// What the command adds to the counters of the machine, step by step.
const STEPS: u32 = 5;
const JOULES: f64 = 40.0;
const TICKS: f64 = 150.0;

/// A machine that a command changes, and llama-bench on it.
struct Scene {
    archive: Archive,
    directory: tempfile::TempDir,
}

impl Scene {
    fn record() -> Self {
        let scene = Self { archive: Archive::new(), directory: tempfile::tempdir().unwrap() };
        let fixture = super::hosts().join("strix-halo-desktop-128g");
        let copied = output(Command::new("cp").arg("-r").arg(fixture).arg(scene.machine()));
        assert!(copied.status.success(), "{}", said(&copied));
        let printed = fixtures().join("tools/llama-bench/jsonl/stdout");
        let printed = fs::read_to_string(printed).unwrap();
        let bench = scene.write_bench(&printed);
        scene.run(&bench);
        let faster = printed.replace("6121.92, 6132.87, 6029", "7121.92, 7132.87, 7029");
        assert_ne!(faster, printed);
        let bench = scene.write_bench(&faster);
        scene.run(&bench);
        // One that was never finished is in nobody's way.
        let unfinished = scene.archive.path().join("20990101T000000.000Z-x");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("journal.jsonl"), "").unwrap();
        scene
    }

    fn machine(&self) -> PathBuf {
        self.directory.path().join("machine")
    }

    /// A program that changes power, residency and energy, and prints what llama-bench does.
    fn write_bench(&self, printed: &str) -> PathBuf {
        let metrics = self.machine().join("sys/class/drm/card1/device/gpu_metrics");
        let energy = self.machine().join("sys/class/powercap/intel-rapl:0/energy_uj");
        let (mut table, mut joules) = (fs::read(&metrics).unwrap(), number(&energy));
        // halo asks for its flags first.
        let mut script = "#!/bin/sh\nset -e\n[ \"$1\" != --help ] || exit 0\n".to_owned();
        for step in 0..STEPS {
            // average_socket_power in mW and throttle_residency_spl of struct gpu_metrics_v3_0.
            table[112..116].copy_from_slice(&(30_000 + step * 20_000).to_le_bytes());
            let residency = u32::from_le_bytes(table[232..236].try_into().unwrap());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole one"
            )]
            let residency = residency + (TICKS as u32);
            table[232..236].copy_from_slice(&residency.to_le_bytes());
            let part = self.directory.path().join(format!("gpu_metrics-{step}"));
            fs::write(&part, &table).unwrap();
            joules += JOULES;
            let (part, metrics, energy) = (part.display(), metrics.display(), energy.display());
            // Renamed, because halo must never see half a table.
            _ = writeln!(script, "cp {part} {metrics}.new; mv {metrics}.new {metrics}");
            _ = writeln!(
                script,
                "echo {:.0} > {energy}.new; mv {energy}.new {energy}",
                joules * 1e6
            );
            script += "sleep 0.35\n";
        }
        _ = write!(script, "cat <<'END'\n{printed}END\n");
        let path = self.directory.path().join("llama-bench");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn run(&self, bench: &Path) {
        let mut program =
            self.archive.program(&["benchmark", "--lead", "300ms", "--interval", "50ms"]);
        program.args(machine_flags(&self.machine())).arg("--").arg(bench);
        program.args(["-m", "models/tiny.gguf", "-p", "64", "-n", "32", "-r", "3", "-o", "jsonl"]);
        let done = program.output().unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
    }

    /// The finished runs.
    fn runs(&self) -> Vec<PathBuf> {
        let mut runs = self.archive.runs();
        runs.retain(|run| run.join("results.parquet").exists());
        runs
    }

    /// The rows of a table of the first run, as halo exports them.
    fn rows(&self, table: &str) -> Vec<Row> {
        let runs = self.runs();
        let run = runs[0].file_name().unwrap().to_str().unwrap();
        let text = self.archive.print(&["export", run, "--format", "json", "--table", table]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn number(path: &Path) -> f64 {
    fs::read_to_string(path).unwrap().trim().parse::<f64>().unwrap() / 1e6
}

/// A query of the document.
struct Block {
    section: String,
    language: &'static str,
    code: String,
}

fn blocks(run: &str) -> Vec<Block> {
    let path = super::repository().join("docs/archive.md");
    let text = fs::read_to_string(path).unwrap();
    let (mut section, mut blocks) = (String::new(), Vec::new());
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line) {
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) => block.code += &(line.replace("RUN", run) + "\n"),
            (None, "```sql" | "```python") => {
                let language = if line == "```sql" { "sql" } else { "python" };
                open = Some(Block { section: section.clone(), language, code: String::new() });
            }
            (None, line) => {
                if let Some(title) = line.strip_prefix("### ") {
                    title.clone_into(&mut section);
                }
            }
        }
    }
    blocks
}

/// What the readers answer to the queries, in the order of the document.
fn answers(archive: &Path, blocks: &[Block]) -> Vec<Vec<Row>> {
    let python = std::env::var_os("HALO_TEST_PYTHON").expect(
        "HALO_TEST_PYTHON names a Python with duckdb, polars, pandas and pyarrow; .ci/run makes one",
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/real/readers.py");
    let mut child = Command::new(python)
        .arg(script)
        .current_dir(archive)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked: Vec<Value> =
        blocks.iter().map(|b| json!({"language": b.language, "code": b.code})).collect();
    let mut input = child.stdin.take().unwrap();
    input.write_all(Value::from(asked).to_string().as_bytes()).unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Readers add in different orders, so that the last digits of a mean differ.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(right.abs()),
        _ => left == right,
    }
}

fn assert_same(found: &[Row], expected: &[Row], place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}: rows");
    for (found, expected) in found.iter().zip(expected) {
        let names = |row: &Row| row.keys().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(found), names(expected), "{place}");
        for (name, value) in found {
            assert!(is_same(value, &expected[name]), "{place}: {found:?} is not {expected:?}");
        }
    }
}

#[test]
fn the_queries_of_the_document_give_what_was_recorded() {
    let scene = Scene::record();
    let runs = scene.runs();
    assert_eq!(runs.len(), 2);
    let blocks = blocks(runs[0].file_name().unwrap().to_str().unwrap());
    let answers = answers(scene.archive.path(), &blocks);
    let expected = BTreeMap::from([
        ("Mean power during the command", mean_power(&scene)),
        ("Tokens per second of several runs", tokens(&runs)),
        ("The same with a column a run", tokens_by_run(&runs)),
        ("A curve with a value a second", curve(&scene)),
        ("From counters to rates", rates(&scene)),
        ("Power from the energy counters", energy(&scene)),
        ("One value a row", long(&scene)),
    ]);
    let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
    for (block, answer) in blocks.iter().zip(&answers) {
        let place = format!("{} ({}):\n{}", block.section, block.language, block.code);
        assert_same(answer, &expected[block.section.as_str()], &place);
        for reader in ["polars", "pandas", "pyarrow"] {
            *readers.entry(reader).or_default() += usize::from(block.code.contains(reader));
        }
        *readers.entry("duckdb").or_default() += usize::from(block.language == "sql");
    }
    assert_eq!(answers.len(), blocks.len());
    assert_eq!(readers["duckdb"], expected.len(), "DuckDB answers every question");
    assert!(readers.values().all(|count| *count >= 2), "{readers:?}");
}

fn row(cells: &[(&str, Value)]) -> Row {
    cells.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn text_of<'a>(row: &'a Row, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean_power(scene: &Scene) -> Vec<Row> {
    let marks = scene.rows("marks");
    let at = |name: &str| {
        marks.iter().find(|mark| mark["name"] == name).unwrap()["monotonic_ns"].as_i64().unwrap()
    };
    let command = at("command started")..=at("command ended");
    let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for row in scene.rows("power") {
        let key = (text_of(&row, "device").to_owned(), text_of(&row, "domain").to_owned());
        if command.contains(&row["monotonic_ns"].as_i64().unwrap()) {
            values.entry(key).or_default().push(row["halo_power_watts"].as_f64().unwrap());
        }
    }
    let socket = &values[&("0000:c5:00.0".to_owned(), "socket".to_owned())];
    // The command's own steps, 30 W to 110 W, are seen for about the same time each.
    assert!((60.0..80.0).contains(&mean(socket)), "{socket:?}");
    let rows = values.iter().map(|((device, domain), values)| {
        row(&[("device", json!(device)), ("domain", json!(domain)), ("watts", json!(mean(values)))])
    });
    rows.collect()
}

/// Case, run and tokens per second, as the manifests say.
fn figures(runs: &[PathBuf]) -> Vec<(String, String, f64)> {
    let mut figures = Vec::new();
    for path in runs {
        let manifest = manifest(path);
        for figure in manifest.summary.iter().filter(|f| f.metric == "tokens_per_second") {
            figures.push((figure.case.clone(), manifest.name.clone(), figure.mean));
        }
    }
    figures.sort_by(|left, right| (&left.0, &left.1).cmp(&(&right.0, &right.1)));
    assert_eq!(figures.len(), 4);
    figures
}

fn tokens(runs: &[PathBuf]) -> Vec<Row> {
    let rows = figures(runs).into_iter().map(|(case, run, mean)| {
        row(&[("case", json!(case)), ("run", json!(run)), ("tokens_per_second", json!(mean))])
    });
    rows.collect()
}

fn tokens_by_run(runs: &[PathBuf]) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (case, run, mean) in figures(runs) {
        let row = rows.entry(case.clone()).or_insert_with(|| row(&[("case", json!(case))]));
        row.insert(run, json!(mean));
    }
    rows.into_values().collect()
}

fn curve(scene: &Scene) -> Vec<Row> {
    let mut seconds: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for row in scene.rows("power").iter().filter(|row| row["domain"] == "socket") {
        let second = row["monotonic_ns"].as_i64().unwrap() / 1_000_000_000;
        seconds.entry(second).or_default().push(row["halo_power_watts"].as_f64().unwrap());
    }
    let rows = seconds
        .iter()
        .map(|(second, values)| row(&[("second", json!(second)), ("watts", json!(mean(values)))]));
    rows.collect()
}

/// The readings of a counter by a label, in the order of time: nanoseconds and values.
fn counter(scene: &Scene, table: &str, label: &str, family: &str) -> Readings {
    let mut series = Readings::new();
    for row in scene.rows(table) {
        // What was not read anew has no key.
        let Some(value) = row.get(family) else { continue };
        let reading = (row["monotonic_ns"].as_i64().unwrap(), value.as_f64().unwrap());
        series.entry(text_of(&row, label).to_owned()).or_default().push(reading);
    }
    series
}

type Readings = BTreeMap<String, Vec<(i64, f64)>>;

fn rates(scene: &Scene) -> Vec<Row> {
    let series = counter(scene, "throttle", "limiter", "halo_throttle_residency_total");
    let spl = &series["spl"];
    let engaged = spl.last().unwrap().1 - spl[0].1;
    assert_eq!(engaged, TICKS * f64::from(STEPS), "what the command added");
    let mut rows = Vec::new();
    for (limiter, readings) in series {
        for pair in readings.windows(2) {
            let seconds = (pair[1].0 - pair[0].0) as f64 / 1e9;
            rows.push(row(&[
                ("limiter", json!(limiter)),
                ("monotonic_ns", json!(pair[1].0)),
                ("per_second", json!((pair[1].1 - pair[0].1) / seconds)),
            ]));
        }
    }
    rows
}

fn energy(scene: &Scene) -> Vec<Row> {
    let series = counter(scene, "energy", "domain", "halo_energy_joules_total");
    let rows = series.into_iter().map(|(domain, readings)| {
        let (first, last) = (readings[0], *readings.last().unwrap());
        let joules = last.1 - first.1;
        if domain == "package" {
            assert!((joules - JOULES * f64::from(STEPS)).abs() < 1e-3, "{joules}");
        }
        let watts = joules / ((last.0 - first.0) as f64 / 1e9);
        row(&[("domain", json!(domain)), ("watts", json!(watts))])
    });
    rows.collect()
}

fn long(scene: &Scene) -> Vec<Row> {
    let mut rows = Vec::new();
    for found in scene.rows("gpu_clock") {
        for (family, value) in found.iter().filter(|(name, _)| name.starts_with("halo_")) {
            rows.push(row(&[
                ("monotonic_ns", found["monotonic_ns"].clone()),
                ("gpu", found["gpu"].clone()),
                ("domain", found["domain"].clone()),
                ("family", json!(family)),
                ("value", value.clone()),
            ]));
        }
    }
    rows.sort_by_key(|row| {
        let text = |name: &str| text_of(row, name).to_owned();
        (row["monotonic_ns"].as_i64().unwrap(), text("gpu"), text("domain"), text("family"))
    });
    rows
}
