//! halo beside the real programs of others: Prometheus scrapes it, promtool reads its text and
//! configuration, systemd runs its unit, llama-bench measures.
//!
//! Behind the feature `real-tests`, because plain `cargo test` must need nothing. `.ci/run`
//! installs the programs; without them these tests fail and say which one is missing.

mod alerts;
mod backfill;
mod campaign;
mod compose;
mod dashboards;
mod evals;
mod helper;
mod kills;
mod llama;
mod llama_server;
mod process;
mod prometheus;
mod promtool;
mod readers;
mod report;
mod rules;
mod statistics;
mod systemd;
mod unit;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn hosts() -> PathBuf {
    repository().join("tests/fixtures/hosts")
}

/// Writes `NAME.crt` and `NAME.key` for localhost.
fn write_certificate(directory: &Path, name: &str) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |ending, text| fs::write(directory.join(format!("{name}.{ending}")), text).unwrap();
    write("crt", identity.cert.pem());
    write("key", identity.signing_key.serialize_pem());
}
