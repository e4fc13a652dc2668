//! The list of a large archive.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use anyhow::ensure;

use crate::{fixture_flags, only_run, recorder, row, spread};

/// Rounds of each list.
const ROUNDS: usize = 7;

/// The name of one of many run directories.
fn name(number: usize, what: &str) -> String {
    format!("20260101T{:06}.{:03}Z-{what}", number / 1000, number % 1000)
}

/// Lists many runs, each a copy of one that was recorded.
pub(crate) fn list(runs: usize) -> anyhow::Result<()> {
    eprintln!("an archive of {runs} runs");
    let archive = tempfile::tempdir()?;
    let mut command = recorder(archive.path());
    command.args(["run", "--lead", "0"]).args(fixture_flags()).args(["--", "true"]);
    ensure!(command.stderr(Stdio::null()).status()?.success());
    let first = only_run(archive.path())?;
    let manifest = fs::read(first.join("manifest.json"))?;
    let mut paths = vec![first.join("manifest.json")];
    for number in 1..runs {
        let directory = archive.path().join(name(number, "true"));
        fs::create_dir(&directory)?;
        paths.push(directory.join("manifest.json"));
        fs::write(directory.join("manifest.json"), &manifest)?;
    }
    let mut figures: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for path in &paths {
            ensure!(fs::read(path)?.len() == manifest.len());
        }
        figures[0].push(began.elapsed().as_secs_f64());
        for (index, flags) in [(1, &["list"][..]), (2, &["list", "--json"])] {
            let began = Instant::now();
            let output = recorder(archive.path()).args(flags).output()?;
            figures[index].push(began.elapsed().as_secs_f64());
            ensure!(output.status.success() && output.stdout.len() > runs * 20);
        }
    }
    let [bare, text, json] = figures;
    let size = manifest.len();
    row(
        &format!("bare reads of {runs} manifests of {size} bytes, one thread"),
        &spread(bare, "s"),
        "",
    );
    row(&format!("`list` of {runs} runs"), &spread(text, "s"), "≤ 0.3 s");
    row(&format!("`list --json` of {runs} runs"), &spread(json, "s"), "≤ 0.3 s");
    Ok(())
}

/// Compares many runs, each a copy of one of the stand-in for llama-bench.
pub(crate) fn compare(runs: usize) -> anyhow::Result<()> {
    eprintln!("a comparison of {runs} runs");
    let archive = tempfile::tempdir()?;
    let model = archive.path().join("ok.gguf");
    fs::write(&model, "GGUF")?;
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/bin/llama-bench");
    let mut command = recorder(archive.path());
    command.args(["benchmark", "--lead", "0"]).args(fixture_flags()).args(["--", stand_in, "-m"]);
    command.arg(&model).args(["-p", "512", "-n", "128", "-r", "5"]);
    ensure!(command.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success());
    let first = only_run(archive.path())?;
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(first.join("manifest.json"))?)?;
    let results = fs::read(first.join("results.parquet"))?;
    fs::remove_dir_all(&first)?;
    let mut paths = Vec::new();
    for number in 0..runs {
        let directory = archive.path().join(name(number, "llama-bench-ok"));
        fs::create_dir(&directory)?;
        let mut manifest = manifest.clone();
        manifest["id"] = format!("{number:032}").into();
        manifest["tags"] = serde_json::json!({ "half": (number % 2).to_string() });
        fs::write(directory.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;
        fs::write(directory.join("results.parquet"), &results)?;
        paths.extend(["manifest.json", "results.parquet"].map(|name| directory.join(name)));
    }
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for path in &paths {
            ensure!(!fs::read(path)?.is_empty());
        }
        figures[0].push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        let output =
            recorder(archive.path()).args(["compare", "half=0", "half=1", "--json"]).output()?;
        figures[1].push(began.elapsed().as_secs_f64());
        let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let compared = told["comparison"]["rows"][0]["figures"][0]["values"].as_array();
        ensure!(compared.is_some_and(|values| values.len() == runs / 2), "not all were compared");
    }
    let [bare, whole] = figures;
    row(&format!("bare reads of the files of {runs} runs, one thread"), &spread(bare, "s"), "");
    row(&format!("`compare` over {runs} runs"), &spread(whole, "s"), "≤ 1 s");
    Ok(())
}
