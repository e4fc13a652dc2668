//! What a recording takes from the machine, and from the speed of what it records.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::{fixture_flags, machine, recorder, row, spread};

/// Processor time while nothing else happens than sampling.
pub(crate) fn processor(seconds: u64, rounds: usize) -> anyhow::Result<()> {
    let live: Vec<String> = Vec::new();
    for (name, flags) in [("fixture machine", fixture_flags().to_vec()), ("this machine", live)] {
        for (interval, bar) in [("250ms", "≤ 0.5 %"), ("20ms", "")] {
            let mut shares = Vec::new();
            for round in 0..rounds {
                eprintln!("processor time, {name}, {interval}, round {}", round + 1);
                shares.push(share(&flags, interval, seconds)?);
            }
            row(&format!("CPU, {name}, every {interval}"), &spread(shares, "% of a core"), bar);
        }
    }
    Ok(())
}

fn share(flags: &[String], interval: &str, seconds: u64) -> anyhow::Result<f64> {
    let archive = tempfile::tempdir()?;
    let mut command = recorder(archive.path());
    command.args(["run", "--lead", "0", "--interval", interval]).args(flags);
    command.args(["--", "sleep", &(seconds + 3).to_string()]).stderr(Stdio::null());
    let mut child = command.spawn()?;
    // The beginning is not what lasts.
    sleep(Duration::from_secs(2));
    let (began, before) = (Instant::now(), machine::processor_time(child.id())?);
    sleep(Duration::from_secs(seconds));
    let spent = machine::processor_time(child.id())? - before;
    let share = spent as f64 / began.elapsed().as_nanos() as f64 * 100.0;
    child.wait()?;
    Ok(share)
}

/// Tokens per second of a real llama-bench without and with halo around it, in the order without,
/// with, with, without, so that a machine that gets slower or faster favours neither.
pub(crate) fn speed(llama: Option<&Path>, blocks: usize) -> anyhow::Result<()> {
    let Some(llama) = llama else {
        row("llama-bench with halo", "not measured: name its directory with --llama", "");
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let model = directory.path().join("tiny.gguf");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny_gguf.py");
    let written =
        Command::new("python3").arg(script).arg(&model).args(["--layers", "8"]).status()?;
    ensure!(written.success(), "tiny_gguf.py failed");
    let argv =
        [llama.join("llama-bench").display().to_string(), "-m".into(), model.display().to_string()];
    let more = ["-p", "0", "-n", "256", "-r", "8", "-t", "1", "-o", "jsonl"];
    let mut changes: [Vec<f64>; 2] = Default::default();
    for block in 0..blocks {
        eprintln!("llama-bench, block {} of {blocks}", block + 1);
        for (changes, wrapper) in changes.iter_mut().zip([Wrapper::Halo, Wrapper::Env]) {
            let mut speeds = [0.0; 2];
            for is_wrapped in [false, true, true, false] {
                let mut command = match (is_wrapped, wrapper) {
                    (false, _) => Command::new(&argv[0]),
                    (true, Wrapper::Env) => {
                        let mut command = Command::new("env");
                        command.arg(&argv[0]);
                        command
                    }
                    (true, Wrapper::Halo) => {
                        let mut command = recorder(&directory.path().join("archive"));
                        command.args(["run", "--lead", "0"]).args(fixture_flags());
                        command.arg("--").arg(&argv[0]);
                        command
                    }
                };
                let output = command.args(&argv[1..]).args(more).output()?;
                let line: serde_json::Value = serde_json::from_slice(&output.stdout)
                    .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
                speeds[usize::from(is_wrapped)] += line["avg_ts"].as_f64().context("no avg_ts")?;
            }
            changes.push((speeds[1] / speeds[0]).ln());
        }
    }
    let names = ["with halo", "with env, as a control: it changes nothing"];
    for (changes, name) in changes.iter().zip(names) {
        let (low, middle, high) = interval(changes);
        let percent = |logarithm: f64| logarithm.exp_m1() * 100.0;
        let figure = format!(
            "{:+.2} % (95 % interval {:+.2} to {:+.2} %, {blocks} blocks)",
            percent(middle),
            percent(low),
            percent(high)
        );
        row(&format!("tokens per second of llama-bench {name}"), &figure, "interval holds 0");
    }
    Ok(())
}

/// What stands around llama-bench.
#[derive(Clone, Copy)]
enum Wrapper {
    Halo,
    Env,
}

/// The mean with its 95 % interval, by drawing the blocks again and again.
fn interval(changes: &[f64]) -> (f64, f64, f64) {
    const DRAWS: usize = 10_000;
    let mut random = Random(42);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn: Vec<f64> =
                changes.iter().map(|_| changes[random.below(changes.len())]).collect();
            mean(&drawn)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (means[DRAWS / 40], mean(changes), means[DRAWS - DRAWS / 40 - 1])
}

/// Numbers that look random and are the same in every run (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    /// From -1 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() % 2001) as f64 / 1000.0 - 1.0
    }
}
