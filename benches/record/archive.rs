//! The list of a large archive.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use anyhow::ensure;

use crate::{fixture_flags, only_run, recorder, row, spread};

/// Rounds of each list.
const ROUNDS: usize = 7;

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
        let directory = archive.path().join(format!(
            "20260101T{:06}.{:03}Z-true",
            number / 1000,
            number % 1000
        ));
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
