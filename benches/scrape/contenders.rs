//! Who is compared: `node_exporter`, halo-exporter, and the reads that no exporter can avoid.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use halo::config::Config;
use halo::metric::Samples;
use halo::root::{Opened, Root};
use halo::source::{Presence, SOURCES};

use crate::client::quantile;
use crate::server::Contender;

/// The sources of halo that cover what `node_exporter`'s drm and hwmon cover.
const SCOPE: [&str; 2] = ["amdgpu", "hwmon"];

/// The position of each contender in [`all`] and in every list of results.
pub(crate) const NODE: usize = 0;
pub(crate) const HALO: usize = 1;

/// The contenders on one fixture.
pub(crate) fn all(fixture: &Path) -> anyhow::Result<[Contender; 3]> {
    let node = Path::new("/usr/bin/prometheus-node-exporter");
    if !node.exists() {
        bail!("{} is missing; `apt-get install prometheus-node-exporter` gives it", node.display());
    }
    let mut node_arguments = paths(fixture);
    let collectors = ["--collector.disable-defaults", "--collector.drm", "--collector.hwmon"];
    node_arguments.extend(collectors.map(str::to_owned));
    Ok([
        Contender {
            name: "node_exporter",
            program: node.to_owned(),
            arguments: node_arguments,
            path: "/metrics",
        },
        Contender {
            path: "/metrics?collect[]=amdgpu&collect[]=hwmon",
            ..halo(fixture, "halo amdgpu+hwmon")
        },
        halo(fixture, "halo all sources"),
    ])
}

/// halo-exporter with all sources.
pub(crate) fn halo(fixture: &Path, name: &'static str) -> Contender {
    Contender {
        name,
        program: env!("CARGO_BIN_EXE_halo-exporter").into(),
        arguments: paths(fixture),
        path: "/metrics",
    }
}

/// Both exporters name these flags alike.
fn paths(fixture: &Path) -> Vec<String> {
    [("procfs", "proc"), ("sysfs", "sys"), ("rootfs", "root")]
        .map(|(flag, part)| format!("--path.{flag}={}", fixture.join(part).display()))
        .into()
}

/// What halo opens for a scrape of [`SCOPE`], and nothing else: the lower bound.
#[derive(Debug)]
pub(crate) struct BareReads {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) links: Vec<PathBuf>,
}

impl BareReads {
    /// Learns them from a second reading, in which nothing is read that is kept.
    pub(crate) fn learn(fixture: &Path) -> anyhow::Result<Self> {
        let root = Root::at(fixture).recording();
        let config = Config::default();
        let mut readers: Vec<_> = SOURCES
            .iter()
            .filter(|source| SCOPE.contains(&source.name))
            .flat_map(|source| (source.open)(&config))
            .collect();
        for _ in 0..2 {
            root.take_opened();
            for reader in &mut readers {
                if reader.read(&root, &mut Samples::default())? == Presence::Absent {
                    bail!("{}: has no amdgpu card or no hwmon", fixture.display());
                }
            }
        }
        let mut reads = Self { files: Vec::new(), directories: Vec::new(), links: Vec::new() };
        for opened in root.take_opened() {
            match opened {
                Opened::File(path, _) => reads.files.push(root.locate(&path)),
                Opened::Directory(path, _) => reads.directories.push(root.locate(&path)),
                Opened::Link(path, _) => reads.links.push(root.locate(&path)),
            }
        }
        Ok(reads)
    }

    /// The median of one pass over them, in milliseconds.
    pub(crate) fn median(&self, duration: Duration) -> anyhow::Result<f64> {
        let mut passes = Vec::new();
        let began = Instant::now();
        while began.elapsed() < duration {
            let pass = Instant::now();
            self.read_all().context("a file of the fixture went away")?;
            passes.push(pass.elapsed());
        }
        passes.sort_unstable();
        Ok(quantile(&passes, 0.5))
    }

    fn read_all(&self) -> std::io::Result<()> {
        let mut buffer = [0; 4097];
        for path in &self.files {
            black_box(File::open(path)?.read(&mut buffer)?);
        }
        for path in &self.directories {
            black_box(fs::read_dir(path)?.count());
        }
        for path in &self.links {
            black_box(fs::read_link(path)?);
        }
        Ok(())
    }
}
