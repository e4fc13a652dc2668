//! What was measured, as a table and as JSON. Times are in milliseconds.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs;

use serde::Serialize;

use crate::client::Mode;
use crate::contenders::{HALO, NODE};
use crate::hang::Hang;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) halo: &'static str,
    pub(crate) machine: String,
    pub(crate) fixture: String,
    pub(crate) rounds: u32,
    pub(crate) duration: f64,
    pub(crate) exporters: Vec<Exporter>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) bare_reads: Bare,
    pub(crate) hang: Hang,
    pub(crate) binary_bytes: u64,
}

/// One exporter alone.
#[derive(Debug, Serialize)]
pub(crate) struct Exporter {
    pub(crate) name: &'static str,
    pub(crate) series: usize,
    pub(crate) own_series: usize,
    pub(crate) plain_bytes: usize,
    pub(crate) compressed_bytes: usize,
    pub(crate) memory: Memory,
    /// Calls a scrape by name, or why they were not counted.
    pub(crate) system_calls: Result<BTreeMap<String, f64>, String>,
}

/// Resident memory of an exporter.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) scrapes: usize,
    /// After the first scrape.
    pub(crate) start_bytes: u64,
    /// After a tenth of the scrapes.
    pub(crate) warm_bytes: u64,
    /// After all of them.
    pub(crate) end_bytes: u64,
    /// The most that the server had which answered up to 40 clients at once.
    pub(crate) peak_bytes: u64,
}

/// One mode: the rounds of each exporter.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) mode: Mode,
    pub(crate) rounds: Vec<Vec<Round>>,
}

/// One exporter in one mode in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Round {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Processor time of the server for one scrape.
    pub(crate) cpu: f64,
    pub(crate) scrapes: usize,
    pub(crate) failures: usize,
}

/// The lower bound.
#[derive(Debug, Serialize)]
pub(crate) struct Bare {
    pub(crate) files: usize,
    pub(crate) directories: usize,
    pub(crate) links: usize,
    /// One figure a round.
    pub(crate) p50: Vec<f64>,
}

/// The machine that measured.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cpus} × {}, Linux {}", model.unwrap_or("unknown processor"), kernel.trim())
}

/// Median and extremes of a figure over the rounds.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(values.len() / 2));
        Self { median, least: at(0), most: at(last) }
    }
}

impl Display for Spread {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.3} ({:.3}..{:.3})", self.median, self.least, self.most)
    }
}

impl Cell {
    fn spread(&self, exporter: usize, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds[exporter].iter().map(figure))
    }

    /// A figure of one exporter over one of `node_exporter`, both of the same round.
    fn ratio(
        &self,
        exporter: usize,
        figure: impl Fn(&Round) -> f64,
        of_node: impl Fn(&Round) -> f64,
    ) -> Spread {
        let pairs = self.rounds[exporter].iter().zip(&self.rounds[NODE]);
        Spread::of(pairs.map(|(round, node)| figure(round) / of_node(node)))
    }

    fn failures(&self, exporter: usize) -> usize {
        self.rounds[exporter].iter().map(|round| round.failures).sum()
    }
}

/// A promise about halo, and whether this run keeps it.
struct Bar {
    what: &'static str,
    is_met: bool,
    figure: String,
}

impl Report {
    fn bars(&self) -> Vec<Bar> {
        let node = &self.exporters[NODE];
        let halo = &self.exporters[HALO];
        let memory = self.exporters[HALO..].iter().map(|exporter| &exporter.memory);
        let most = memory.clone().map(|m| m.end_bytes.max(m.peak_bytes)).max().unwrap_or_default();
        let growth = memory.map(|m| megabytes(m.end_bytes) - megabytes(m.warm_bytes));
        let growth = growth.fold(f64::MIN, f64::max);
        let most = megabytes(most);
        let size = megabytes(self.binary_bytes);
        let hang = &self.hang;
        let limits: Vec<f64> = self.bare_reads.p50.iter().map(|bare| 1.5 * bare + 0.1).collect();
        vec![
            self.worst("p50 ≤ 0.3 × node_exporter's", 0.3, |cell| {
                cell.ratio(HALO, |r| r.p50, |r| r.p50)
            }),
            self.worst("p99 < 2 × node_exporter's p50", 2.0, |cell| {
                cell.ratio(HALO, |r| r.p99, |r| r.p50)
            }),
            self.worst("p50 ≤ 1.5 × bare reads + 0.1 ms, as a share of it", 1.0, |cell| {
                Spread::of(cell.rounds[HALO].iter().zip(&limits).map(|(r, limit)| r.p50 / limit))
            }),
            self.worst("CPU ≤ 0.25 ms a scrape", 0.25, |cell| cell.spread(HALO, |r| r.cpu)),
            Bar {
                what: "more halo_* series than node_* ones",
                is_met: halo.own_series > node.own_series,
                figure: format!("{} to {}", halo.own_series, node.own_series),
            },
            Bar {
                what: "more series in all, theirs with those about the exporter itself",
                is_met: halo.series > node.series,
                figure: format!("{} to {}", halo.series, node.series),
            },
            Bar {
                what: "RSS ≤ 10 MB, also the peak under 40 clients with all sources",
                is_met: most <= 10.0,
                figure: format!("{most:.2} MB"),
            },
            Bar {
                what: "RSS flat: the last nine tenths of the scrapes add ≤ 0.1 MB",
                is_met: growth <= 0.1,
                figure: format!("{growth:+.2} MB"),
            },
            Bar {
                what: "scrape ≤ 5 ms while a source hangs (p99)",
                is_met: hang.p99 <= 5.0 && hang.failures == 0,
                figure: format!("{:.3} ms", hang.p99),
            },
            Bar {
                what: "binary ≤ 6 MB stripped",
                is_met: size <= 6.0,
                figure: format!("{size:.2} MB"),
            },
        ]
    }

    /// Judges by the worst of the modes with one client, as one Prometheus is.
    fn worst(&self, what: &'static str, limit: f64, figure: impl Fn(&Cell) -> Spread) -> Bar {
        let one_client = self.cells.iter().filter(|cell| cell.mode.clients == 1);
        let spreads = one_client.map(|cell| (figure(cell), cell.mode));
        let worst = spreads.max_by(|(a, _), (b, _)| a.median.total_cmp(&b.median));
        let Some((spread, mode)) = worst else {
            return Bar { what, is_met: false, figure: "not measured".to_owned() };
        };
        Bar { what, is_met: spread.median <= limit, figure: format!("{spread}, worst in {mode}") }
    }

    fn comparison(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "\nTimes in ms: median over {} rounds (least..most).", self.rounds)?;
        writeln!(out, "Mode: clients, connection for each scrape, encoding.\n")?;
        writeln!(
            out,
            "| mode | exporter | p50 | p50 ÷ node's | p99 | p99 ÷ node's p50 | CPU a scrape | CPU ÷ node's | failed |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
        for cell in &self.cells {
            for (index, exporter) in self.exporters.iter().enumerate() {
                writeln!(
                    out,
                    "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                    cell.mode,
                    exporter.name,
                    cell.spread(index, |r| r.p50),
                    cell.ratio(index, |r| r.p50, |r| r.p50),
                    cell.spread(index, |r| r.p99),
                    cell.ratio(index, |r| r.p99, |r| r.p50),
                    cell.spread(index, |r| r.cpu),
                    cell.ratio(index, |r| r.cpu, |r| r.cpu),
                    cell.failures(index),
                )?;
            }
        }
        Ok(())
    }

    fn alone(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let scrapes = self.exporters[HALO].memory.scrapes;
        writeln!(out, "\nResident memory (RSS) in MB, over {scrapes} scrapes.\n")?;
        writeln!(
            out,
            "| exporter | node_* or halo_* series | all series | bytes | bytes gzip | RSS at start | at a tenth | at the end | peak, 40 clients | system calls a scrape |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
        for exporter in &self.exporters {
            let Exporter { memory, .. } = exporter;
            let calls = match &exporter.system_calls {
                Ok(calls) => format!("{:.1}", calls.values().sum::<f64>()),
                Err(reason) => format!("not measured: {reason}"),
            };
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {calls} |",
                exporter.name,
                exporter.own_series,
                exporter.series,
                exporter.plain_bytes,
                exporter.compressed_bytes,
                megabytes(memory.start_bytes),
                megabytes(memory.warm_bytes),
                megabytes(memory.end_bytes),
                megabytes(memory.peak_bytes),
            )?;
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "halo {} on {}", self.halo, self.machine)?;
        self.comparison(out)?;
        self.alone(out)?;
        let Bare { files, directories, links, p50 } = &self.bare_reads;
        let p50 = Spread::of(p50.iter().copied());
        writeln!(
            out,
            "\nBare reads of amdgpu+hwmon: {files} files, {directories} directories, {links} links: {p50} ms."
        )?;
        let Hang { first, p50, p99, longest, failures } = &self.hang;
        writeln!(
            out,
            "While amdgpu hangs, all sources: first scrape {first:.0} ms, then p50 {p50:.3}, p99 {p99:.3}, longest {longest:.3} ms, {failures} failed."
        )?;
        writeln!(out, "\n| bar | | figure |\n|---|---|---|")?;
        for Bar { what, is_met, figure } in self.bars() {
            writeln!(out, "| {what} | {} | {figure} |", if is_met { "met" } else { "missed" })?;
        }
        Ok(())
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
