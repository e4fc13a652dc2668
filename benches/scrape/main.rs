//! Scrapes halo-exporter and `node_exporter` side by side and says which bars halo meets.
//!
//! `docs/measuring.md` says what the figures mean. Nothing here fails a build: a figure is for a
//! reader to judge.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a table and its progress")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Parser};

mod client;
mod contenders;
mod hang;
mod report;
mod server;

use client::{Limit, Mode, load};
use contenders::BareReads;
use report::{Cell, Exporter, Memory, Report, Round};
use server::{Contender, Server};

/// How many scrapes strace counts over.
const TRACED_SCRAPES: usize = 200;

/// Compares halo-exporter with `node_exporter` on one fixture.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench scrape --")]
struct Options {
    /// Scrapes after which memory is compared with that at the start
    #[arg(long, default_value_t = 100_000)]
    scrapes: usize,
    /// Seconds for each exporter in each mode of each round
    #[arg(long, default_value_t = 0.5)]
    duration: f64,
    /// Rounds; an even number runs each exporter as often before as after the others
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Machine whose files are read
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/hosts/strix-halo-desktop-128g"))]
    fixture: PathBuf,
    /// Writes everything that was measured to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Given by cargo
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let fixture = fs::canonicalize(&options.fixture)
        .with_context(|| format!("--fixture {}", options.fixture.display()))?;
    let duration = Duration::try_from_secs_f64(options.duration).context("--duration")?;
    let contenders = contenders::all(&fixture)?;
    let reads = BareReads::learn(&fixture)?;

    let servers: Vec<Server> = contenders.iter().map(Server::start).collect::<Result<_, _>>()?;
    let (cells, bare) = compare(&servers, &reads, options.rounds, duration)?;
    let mut exporters = Vec::new();
    for (contender, server) in contenders.iter().zip(servers) {
        exporters.push(examine(contender, server, options.scrapes)?);
    }
    eprintln!("a source that hangs");
    let program = env!("CARGO_BIN_EXE_halo-exporter");
    let report = Report {
        halo: env!("HALO_VERSION"),
        machine: report::machine(),
        fixture: fixture.display().to_string(),
        rounds: options.rounds,
        duration: options.duration,
        exporters,
        cells,
        bare_reads: report::Bare {
            files: reads.files.len(),
            directories: reads.directories.len(),
            links: reads.links.len(),
            p50: bare,
        },
        hang: hang::measure(&fixture)?,
        binary_bytes: fs::metadata(program)?.len(),
    };
    print!("{report}");
    if let Some(path) = &options.json {
        write_json(&report, path)?;
    }
    Ok(())
}

/// Takes turns, forwards and backwards, so that what disturbs the machine hits all alike.
fn compare(
    servers: &[Server],
    reads: &BareReads,
    rounds: u32,
    duration: Duration,
) -> anyhow::Result<(Vec<Cell>, Vec<f64>)> {
    let mut cells: Vec<Cell> =
        Mode::all().map(|mode| Cell { mode, rounds: vec![Vec::new(); servers.len()] }).collect();
    let mut bare = Vec::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        bare.push(reads.median(duration)?);
        for cell in &mut cells {
            let mut order: Vec<usize> = (0..servers.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let result = measure(&servers[index], cell.mode, duration)?;
                cell.rounds[index].push(result);
            }
        }
    }
    Ok((cells, bare))
}

fn measure(server: &Server, mode: Mode, duration: Duration) -> anyhow::Result<Round> {
    let cpu = server.cpu()?;
    let load = load(&server.target, mode, Limit::Time(duration));
    let cpu = server.cpu()?.saturating_sub(cpu).as_secs_f64() * 1000.0;
    let scrapes = load.latencies.len();
    Ok(Round {
        p50: load.quantile(0.5),
        p99: load.quantile(0.99),
        cpu: cpu / (scrapes + load.failures).max(1) as f64,
        scrapes,
        failures: load.failures,
    })
}

/// What is measured of one exporter alone. The server is the one that served all clients.
fn examine(contender: &Contender, server: Server, scrapes: usize) -> anyhow::Result<Exporter> {
    eprintln!("{}: {scrapes} scrapes", contender.name);
    let text = String::from_utf8(server.body(false)?).context("the exposition is not UTF-8")?;
    let series: Vec<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let own = |line: &&&str| line.starts_with("node_") || line.starts_with("halo_");
    let own_series = series.iter().filter(own).count();
    let compressed_bytes = server.body(true)?.len();
    let peak_bytes = server.resident_peak()?;
    drop(server);

    let fresh = Server::start(contender)?;
    let start_bytes = fresh.resident()?;
    let warm_up = scrapes / 10;
    load(&fresh.target, Mode::PROMETHEUS, Limit::Scrapes(warm_up));
    let warm_bytes = fresh.resident()?;
    load(&fresh.target, Mode::PROMETHEUS, Limit::Scrapes(scrapes - warm_up));
    let end_bytes = fresh.resident()?;
    Ok(Exporter {
        name: contender.name,
        series: series.len(),
        own_series,
        plain_bytes: text.len(),
        compressed_bytes,
        memory: Memory { scrapes, start_bytes, warm_bytes, end_bytes, peak_bytes },
        system_calls: fresh.system_calls(TRACED_SCRAPES).map_err(|error| format!("{error:#}")),
    })
}

fn write_json(report: &Report, path: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("--json {}", path.display()))
}
