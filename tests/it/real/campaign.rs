//! A campaign of a real llama-bench: killed in the middle and resumed, it comes to the matrix of
//! one that was not, and its phases agree with llama-bench's own times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::llama::llama_bench;
use crate::machine::fixtures;
use crate::record::{Archive, path_with, text};

/// Models that take long enough for their phases to be told from the time that a line takes.
const LAYERS: &str = "12";

struct Setting {
    archive: Archive,
    home: tempfile::TempDir,
}

impl Setting {
    fn new(models: &[PathBuf]) -> Self {
        let setting = Self { archive: Archive::new(), home: tempfile::tempdir().unwrap() };
        let directory = setting.home.path().join("models");
        std::fs::create_dir(&directory).unwrap();
        for model in models {
            std::fs::copy(model, directory.join(model.file_name().unwrap())).unwrap();
        }
        setting
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = self.archive.program(arguments);
        let bin = Path::new(&llama_bench()).parent().unwrap().to_owned();
        program.env("HOME", self.home.path()).env("PATH", path_with(&bin));
        program
    }

    fn campaign(&self) -> Command {
        let models: Vec<String> = ["one", "two"]
            .iter()
            .map(|name| self.home.path().join(format!("models/{name}.gguf")).display().to_string())
            .collect();
        let mut program = self.program(&["benchmark", "--models", &models.join(",")]);
        program.args(["--backends", "native", "--lead", "0", "--interval", "20ms"]);
        program.args(["--kv-types", "f16,q8_0", "--context", "256", "--pp", "512", "--tg", "64"]);
        program.args(["--reps", "2"]);
        program
    }

    fn show(&self) -> Value {
        let campaigns = std::fs::read_dir(self.archive.path().join("campaigns")).unwrap();
        let name = campaigns.last().unwrap().unwrap().file_name().into_string().unwrap();
        self.archive.json(&["show", name.trim_end_matches(".json"), "--json"])
    }

    /// The cells with the cases that were measured in them.
    fn matrix(&self) -> Vec<(Value, Value, Vec<String>)> {
        let cells = self.show()["cells"].as_array().unwrap().clone();
        let case = |figure: &Value| figure["case"].as_str().unwrap().to_owned();
        cells
            .iter()
            .map(|cell| {
                let figures = cell["summary"].as_array().unwrap().iter();
                (cell["cell"].clone(), cell["state"].clone(), figures.map(case).collect())
            })
            .collect()
    }
}

fn models(directory: &Path) -> Vec<PathBuf> {
    let write = |name: &str| {
        let model = directory.join(format!("{name}.gguf"));
        let script = fixtures().join("tiny_gguf.py");
        let status =
            Command::new("python3").arg(script).args(["--layers", LAYERS]).arg(&model).status();
        assert!(status.unwrap().success());
        model
    };
    ["one", "two"].map(write).into()
}

#[test]
fn a_killed_campaign_comes_to_the_matrix_of_one_that_was_not() {
    let directory = tempfile::tempdir().unwrap();
    let models = models(directory.path());
    let whole = Setting::new(&models);
    let output = whole.campaign().output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));

    let killed = Setting::new(&models);
    let mut child = killed.campaign().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    let done = || {
        let list = killed.archive.run(&["list", "--json", "--state", "complete"]);
        serde_json::from_slice(&list.stdout).map_or(0, |list: Vec<Value>| list.len())
    };
    while done() < 3 {
        assert!(begin.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(killed.matrix_states().contains(&"open".to_owned()));
    let output = killed.program(&["benchmark", "--resume", "latest"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));

    assert_eq!(killed.matrix(), whole.matrix());
    assert_eq!(whole.matrix().len(), 8);
    for (cell, state, cases) in whole.matrix() {
        let depth = if cell["depth"] == 0 { "" } else { " @ d256" };
        assert_eq!(state, "done");
        assert_eq!(cases.iter().filter(|case| **case == format!("pp512{depth}")).count(), 2);
        assert_eq!(cases.iter().filter(|case| **case == format!("tg64{depth}")).count(), 2);
    }
    let mut deviations = Vec::new();
    for setting in [&whole, &killed] {
        for cell in setting.show()["cells"].as_array().unwrap() {
            deviations.extend(deviations_of(&setting.archive, cell["run"].as_str().unwrap()));
        }
    }
    // On the machine where this was written the median was below a millisecond.
    deviations.sort_by(f64::total_cmp);
    assert_eq!(deviations.len(), 64);
    assert!(deviations[32] < 5e6, "{deviations:?}");
}

impl Setting {
    fn matrix_states(&self) -> Vec<String> {
        let cells = self.show()["cells"].as_array().unwrap().clone();
        cells.iter().map(|cell| cell["state"].as_str().unwrap().to_owned()).collect()
    }
}

/// By how many nanoseconds each phase lasts longer or shorter by the marks than by llama-bench.
fn deviations_of(archive: &Archive, run: &str) -> Vec<f64> {
    let rows = |table: &str| -> Vec<Value> {
        let text = archive.print(&["export", run, "--format", "json", "--table", table]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    // What llama-bench measured, in nanoseconds, by kind and repetition.
    let mut measured: BTreeMap<(String, u64), f64> = BTreeMap::new();
    for row in rows("results").iter().filter(|row| row["metric"] == "duration") {
        if let Some(repetition) = row["repetition"].as_u64() {
            let case = row["case"].as_str().unwrap();
            let kind = if case.starts_with("pp") { "prompt" } else { "generation" };
            let duration = row["value"].as_f64().unwrap() * 1e9;
            measured.insert((kind.to_owned(), repetition), duration);
        }
    }
    assert_eq!(measured.len(), 4);
    let marks: Vec<Value> = rows("marks").into_iter().filter(|mark| mark["by"] == "tool").collect();
    let mut deviations = Vec::new();
    for pair in marks.windows(2) {
        let attributes: Value =
            serde_json::from_str(pair[0]["attributes"].as_str().unwrap()).unwrap();
        let repetition = attributes["repetition"].as_str().map(|text| text.parse().unwrap());
        let name = pair[0]["name"].as_str().unwrap().to_owned();
        let Some(expected) = repetition.and_then(|number| measured.get(&(name.clone(), number)))
        else {
            continue;
        };
        let at = |mark: &Value| mark["monotonic_ns"].as_i64().unwrap();
        let lasted = (at(&pair[1]) - at(&pair[0])) as f64;
        // A line is seen when halo's thread runs, which on a busy machine may be some ms late.
        let tolerance = 0.1 * expected + 30e6;
        assert!((lasted - expected).abs() <= tolerance, "{run} {name}: {lasted} {expected}");
        deviations.push((lasted - expected).abs());
    }
    assert_eq!(deviations.len(), 4);
    deviations
}
