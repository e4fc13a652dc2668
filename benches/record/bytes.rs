//! Bytes of an archived value, beside other ways to keep the same values.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use libdeflater::{CompressionLvl, Compressor};

use crate::long::Interrupted;
use crate::{long, machine, recorder, row};

/// An hour at 4 Hz.
const TICKS: usize = 14_400;

/// Writes the same values in every way.
pub(crate) fn compare() -> anyhow::Result<()> {
    eprintln!("bytes of {TICKS} ticks");
    let recorded = long::write(TICKS, true)?;
    let values: usize = recorded.ticks.iter().map(Vec::len).sum();
    let show = |what: &str, bytes: u64| {
        let each = bytes as f64 / values as f64;
        let figure = format!("{each:.3} bytes a value, {:.2} MB", bytes as f64 / 1e6);
        row(&format!("{what}, {values} values"), &figure, "");
    };
    show("the journal", fs::metadata(recorded.run.join("journal.jsonl"))?.len());
    let recovered =
        recorder(recorded.archive.path()).arg("recover").stdout(Stdio::null()).status()?;
    ensure!(recovered.success());
    show("Parquet", machine::bytes_of(&recorded.run, |name| name.ends_with(".parquet")));

    let csv = csv(&recorded);
    show("CSV, a column a series", csv.len() as u64);
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut packed = vec![0; compressor.gzip_compress_bound(csv.len())];
    show("CSV with gzip", compressor.gzip_compress(csv.as_bytes(), &mut packed)? as u64);
    match performance_co_pilot(&csv)? {
        Some(bytes) => show("pmlogger's archive (PCP), the same values", bytes),
        None => row("pmlogger's archive (PCP)", "not measured: apt-get install python3-pcp", ""),
    }
    match activity()? {
        Some(each) => {
            row("sadc's file (sysstat), its own values", &format!("{each:.3} bytes a value"), "");
        }
        None => row("sadc's file (sysstat)", "not measured: apt-get install sysstat", ""),
    }
    Ok(())
}

fn csv(recorded: &Interrupted) -> String {
    let mut csv = format!("time,{}\n", recorded.names.join(","));
    for (number, tick) in recorded.ticks.iter().enumerate() {
        let _ = write!(csv, "{}", 1_795_000_000_000_u64 + 250 * number as u64);
        let mut cells = vec![String::new(); recorded.names.len()];
        for (series, value) in tick {
            cells[*series as usize] = value.to_string();
        }
        let _ = writeln!(csv, ",{}", cells.join(","));
    }
    csv
}

/// The values as an archive of PCP, written by PCP's own library; pmlogger writes the same format.
fn performance_co_pilot(csv: &str) -> anyhow::Result<Option<u64>> {
    let directory = tempfile::tempdir()?;
    let input = directory.path().join("values.csv");
    fs::write(&input, csv)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/record/pcp_archive.py");
    let archive = directory.path().join("archive");
    // Debian's own Python has the library.
    let output = Command::new("/usr/bin/python3").arg(script).arg(&input).arg(&archive).output();
    if !output.is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    Ok(Some(machine::bytes_of(directory.path(), |name| name.starts_with("archive."))))
}

/// Bytes a value of sadc, which keeps only what it reads itself: ten seconds of everything, and as
/// many values as its own reader shows of them.
fn activity() -> anyhow::Result<Option<f64>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("sa");
    let path = file.to_str().context("a path of text")?;
    let run = Command::new("/usr/lib/sysstat/sadc").args(["-S", "ALL", "1", "11", path]).status();
    if !run.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let shown = Command::new("sadf").args(["-j", path, "--", "-A"]).output()?;
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
    let values = numbers(&shown["sysstat"]["hosts"][0]["statistics"]);
    ensure!(values > 0, "sadf shows no values");
    Ok(Some(fs::metadata(file)?.len() as f64 / values as f64))
}

fn numbers(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Number(_) => 1,
        serde_json::Value::Array(values) => values.iter().map(numbers).sum(),
        serde_json::Value::Object(values) => values.values().map(numbers).sum(),
        _ => 0,
    }
}
