//! A source that hangs: a scrape must not wait for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::client::{Limit, Mode, load};
use crate::contenders;
use crate::server::Server;

const SCRAPES: usize = 1000;

/// How scrapes behave while the source amdgpu hangs, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Hang {
    /// The scrape that waits for the deadline.
    pub(crate) first: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
    pub(crate) failures: usize,
}

/// Puts a pipe that nobody writes to in the place of `gpu_metrics` of a copy of the fixture.
pub(crate) fn measure(fixture: &Path) -> anyhow::Result<Hang> {
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("fixture");
    run(Command::new("cp").arg("-a").arg(fixture).arg(&copy))?;
    let server = Server::start(&contenders::halo(&copy, "halo, one source hangs"))?;
    let pipe = directory.path().join("pipe");
    run(Command::new("mkfifo").arg(&pipe))?;
    fs::rename(&pipe, copy.join("sys/class/drm/card1/device/gpu_metrics"))?;

    let mode = Mode { gzip: false, ..Mode::PROMETHEUS };
    let first = load(&server.target, mode, Limit::Scrapes(1)).quantile(1.0);
    let load = load(&server.target, mode, Limit::Scrapes(SCRAPES));
    let body = server.body(false)?;
    let hangs = br#"halo_source_failure{source="amdgpu",reason="timeout"} 1"#;
    ensure!(body.windows(hangs.len()).any(|part| part == hangs), "the source does not hang");
    Ok(Hang {
        first,
        p50: load.quantile(0.5),
        p99: load.quantile(0.99),
        longest: load.quantile(1.0),
        failures: load.failures,
    })
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
