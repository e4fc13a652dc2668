//! A long run whose values change as those of a machine at work, written without waiting.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use halo::archive::journal::Writer;
use halo::metric::Kind;
use halo::run::journal::{Line, Moment, Tick};
use halo::source::SOURCES;

use crate::overhead::Random;
use crate::{fixture_flags, machine, only_run, recorder, row};

/// What a tick of four a second is apart, in nanoseconds.
const INTERVAL: i64 = 250_000_000;

/// A run that was interrupted: its journal is all that there is of its samples.
pub(crate) struct Interrupted {
    pub(crate) archive: tempfile::TempDir,
    pub(crate) run: PathBuf,
    /// The series, named as a query would name them.
    pub(crate) names: Vec<String>,
    /// The values of each tick.
    pub(crate) ticks: Vec<Vec<(u32, f64)>>,
}

/// Writes a run of so many ticks. The series and the first values are those of the fixture machine,
/// recorded; from tick to tick counters grow and three quarters of the gauges move by up to a
/// hundredth, in steps of their own resolution. `keep` says whether the values are kept.
pub(crate) fn write(ticks: usize, keep: bool) -> anyhow::Result<Interrupted> {
    let archive = tempfile::tempdir()?;
    let mut command = recorder(archive.path());
    command.args(["run", "--lead", "0"]).args(fixture_flags());
    let copy = archive.path().join("copy");
    let script = format!("sleep 0.6; cp $HALO_RUN_DIR/journal.jsonl {}", copy.display());
    ensure!(command.args(["--", "sh", "-c", &script]).stderr(Stdio::null()).status()?.success());
    let recorded = BufReader::new(File::open(&copy)?).lines();
    fs::remove_file(&copy)?;
    let run = only_run(archive.path())?;

    let (mut header, mut series, mut first) = (None, Vec::new(), Vec::<(u32, f64)>::new());
    for line in recorded {
        match serde_json::from_str(&line?)? {
            Line::Header(line) => header = Some(line),
            Line::Series(new) => series.extend(new.series),
            Line::Tick(tick) if first.is_empty() => {
                first = tick.series.into_iter().zip(tick.values).collect();
            }
            Line::Tick(_) | Line::Mark(_) => {}
        }
    }
    let header = header.context("the journal has no header")?;
    unfinish(&run)?;
    let mut writer = Writer::create(&run.join("journal.jsonl"))?;
    writer.append(&Line::Header(header.clone()))?;
    let new = halo::run::journal::NewSeries { first: 0, series: series.clone() };
    writer.append(&Line::Series(new))?;

    let mut random = Random(7);
    let (mut at, mut values, mut kept) = (header.at, first, Vec::new());
    let counters: Vec<bool> = series.iter().map(|(name, _)| is_counter(name)).collect();
    let slow: Vec<bool> = series.iter().map(|(name, _)| name.starts_with("halo_tuning_")).collect();
    for number in 0..ticks {
        at = step(at, &mut random);
        for (series, value) in &mut values {
            change(value, counters[*series as usize], &mut random);
        }
        // Settings are read every ten seconds.
        let read = values.iter().filter(|(series, _)| number % 40 == 0 || !slow[*series as usize]);
        let (numbers, read): (Vec<u32>, Vec<f64>) = read.copied().unzip();
        let tick = Tick {
            at,
            late: random.next() % 200_000,
            cost: 900_000 + random.next() % 300_000,
            series: numbers,
            values: read,
            ..Tick::default()
        };
        writer.append(&Line::Tick(tick))?;
        if keep {
            kept.push(values.clone());
        }
    }
    drop(writer.close()?);
    let names =
        series.iter().map(|(name, labels)| format!("{name} {}", labels.join(" "))).collect();
    Ok(Interrupted { archive, run, names, ticks: kept })
}

/// Makes a finished run one whose halo was killed.
fn unfinish(run: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(run)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            fs::remove_file(path)?;
        }
    }
    let path = run.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    manifest["state"] = "running".into();
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.remove("sampling");
    }
    Ok(fs::write(path, serde_json::to_vec_pretty(&manifest)?)?)
}

fn is_counter(name: &str) -> bool {
    let mut defs = SOURCES.iter().flat_map(|source| source.metrics.iter());
    defs.any(|def| def.name == name && def.kind == Kind::Counter)
}

fn step(at: Moment, random: &mut Random) -> Moment {
    let jitter = i64::try_from(random.next() % 100 * 1000).unwrap_or(0);
    Moment { monotonic: at.monotonic + INTERVAL + jitter, unix: at.unix + INTERVAL + jitter }
}

fn change(value: &mut f64, is_counter: bool, random: &mut Random) {
    let resolution = if value.fract() == 0.0 { 1.0 } else { 0.001 };
    let change = if is_counter {
        (random.next() % 250) as f64 * resolution
    } else if random.below(4) == 0 {
        0.0
    } else {
        (*value * 0.01 * random.unit() / resolution).round() * resolution
    };
    *value = ((*value + change) / resolution).round() * resolution;
}

/// Writes the journal of a long run, and has halo turn it into Parquet, as at the end of a run.
pub(crate) fn simulate(hours: f64, seconds: u64) -> anyhow::Result<()> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hours of a run")]
    let ticks = (hours * 3600.0 * 4.0) as usize;
    eprintln!("{ticks} ticks");
    let interrupted = write(ticks, false)?;
    let journal = fs::metadata(interrupted.run.join("journal.jsonl"))?.len();
    let began = Instant::now();
    let mut child =
        recorder(interrupted.archive.path()).args(["recover"]).stdout(Stdio::null()).spawn()?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = machine::status(child.id(), "VmHWM").unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = began.elapsed().as_secs_f64();
    let parquet = machine::bytes_of(&interrupted.run, |name| name.ends_with(".parquet"));
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    row(
        &format!("memory of the conversion of {hours} h at 4 Hz, peak"),
        &format!("{:.1} MB", peak as f64 / 1000.0),
        "≤ 40 MB",
    );
    row("time of that conversion", &format!("{took:.2} s"), "");
    row(
        "its journal and its Parquet",
        &format!("{}, {}", megabytes(journal), megabytes(parquet)),
        "",
    );

    eprintln!("memory of a recording");
    let archive = tempfile::tempdir()?;
    let mut command = recorder(archive.path());
    command.args(["run", "--lead", "0", "--interval", "20ms"]).args(fixture_flags());
    command.args(["--", "sleep", &(seconds + 4).to_string()]);
    let mut child = command.stderr(Stdio::null()).spawn()?;
    let mut sizes = Vec::new();
    for seconds in [3, seconds] {
        std::thread::sleep(Duration::from_secs(seconds));
        sizes.push(machine::status(child.id(), "VmRSS").context("no VmRSS")? as f64 / 1000.0);
    }
    child.wait()?;
    let figure = format!(
        "{:.2} MB after 3 s, {:.2} MB after {} s, 50 ticks each",
        sizes[0],
        sizes[1],
        seconds + 3
    );
    row("memory of a recording", &figure, "flat");
    Ok(())
}
