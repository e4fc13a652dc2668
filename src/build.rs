//! Tells the program which revision of its source it was built from, where that is a checkout.

use std::process::Command;

fn main() {
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let long = if revision.is_empty() { version } else { format!("{version} ({revision})") };
    println!("cargo::rustc-env=HALO_REVISION={revision}");
    println!("cargo::rustc-env=HALO_VERSION={long}");
    println!("cargo::rerun-if-changed=src/build.rs");
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
