//! What recording costs: processor time, the benchmark's own speed, bytes, memory, and the list of
//! a large archive.
//!
//! `docs/measuring.md` says what the figures mean. Nothing here fails a build: a figure is for a
//! reader to judge.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures and their progress")]

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{ArgAction, Parser};

mod archive;
mod bytes;
mod long;
mod machine;
mod overhead;

/// Measures what recording costs.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench record --")]
struct Options {
    /// Seconds of each recording whose processor time is measured
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Rounds of each of them
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Blocks of llama-bench without, with, with and without halo; 0 leaves them out
    #[arg(long, default_value_t = 10)]
    blocks: usize,
    /// Directory of llama-bench, as .ci/build-llama fills it
    #[arg(long, env = "HALO_TEST_LLAMA_BIN")]
    llama: Option<PathBuf>,
    /// Hours of the simulated run
    #[arg(long, default_value_t = 8.0)]
    hours: f64,
    /// Runs of the archive that is listed
    #[arg(long, default_value_t = 5000)]
    runs: usize,
    /// Given by cargo
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    println!("halo {}, {}\n", env!("HALO_VERSION"), machine::about());
    println!("| what | figure | bar |\n|---|---|---|");
    overhead::processor(options.seconds, options.rounds)?;
    if options.blocks > 0 {
        overhead::speed(options.llama.as_deref(), options.blocks)?;
    }
    bytes::compare()?;
    archive::list(options.runs)?;
    archive::compare(1000)?;
    long::simulate(options.hours, options.seconds)?;
    Ok(())
}

/// One line of the table.
fn row(what: &str, figure: &str, bar: &str) {
    println!("| {what} | {figure} | {bar} |");
}

/// The recorder, with an archive of its own.
fn recorder(archive: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halo-record"));
    command.env("HALO_ARCHIVE", archive);
    command
}

/// The flags that show the fixture machine.
fn fixture_flags() -> [String; 3] {
    let host =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts/strix-halo-desktop-128g");
    [("procfs", "proc"), ("sysfs", "sys"), ("rootfs", "root")]
        .map(|(flag, part)| format!("--path.{flag}={}", host.join(part).display()))
}

/// The only run of an archive.
fn only_run(archive: &Path) -> anyhow::Result<PathBuf> {
    let entry = std::fs::read_dir(archive)?.next();
    Ok(entry.ok_or_else(|| anyhow::anyhow!("no run in {}", archive.display()))??.path())
}

/// The middle of some figures, with the least and the most.
fn spread(mut figures: Vec<f64>, unit: &str) -> String {
    figures.sort_by(f64::total_cmp);
    let (least, most) = (figures[0], figures[figures.len() - 1]);
    format!("{:.3} {unit} ({least:.3} to {most:.3})", figures[figures.len() / 2])
}
