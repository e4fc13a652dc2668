//! Bundles runs for others.

use std::path::Path;
use std::process::ExitCode;

use halo::archive::Archive;
use halo::bundle;
use halo::cli::record::Bundled;

use super::{print, tell};

/// Writes a run as one file, or shows what would be in it.
pub(super) fn bundle(archive: &Archive, asked: Bundled) -> anyhow::Result<ExitCode> {
    let Bundled { run, output, what, is_trial, is_forced } = asked;
    let run = super::readable(archive, &run)?;
    let file = output.unwrap_or_else(|| format!("{}{}", run.name(), bundle::ENDING).into());
    if !is_trial {
        super::ensure_writable(&file, is_forced)?;
    }
    let bundled = bundle::write(&run, &file, what, is_forced, is_trial)?;
    if is_trial {
        return print(&halo::report::bundle::contents(&bundled));
    }
    tell(&format!("replaced {}", halo::report::bundle::counts(&bundled)));
    tell(&format!(
        "look at it before you give it away: `tar --zstd -xOf {0} | less`, or `halo-record bundle {1} --dry-run`",
        file.display(),
        run.name()
    ));
    print(&format!("{}\n", file.display()))
}

/// Compares the files of a bundle with its hashes; whether all are as they were.
pub(super) fn verify(file: &Path) -> anyhow::Result<bool> {
    let verified = bundle::verify(file)?;
    for fault in &verified.faults {
        print(&format!("{}: {}\n", verified.run, super::one_line(&fault.to_string())))?;
    }
    if verified.faults.is_empty() {
        print(&format!("{}: {} files as bundled\n", verified.run, verified.files))?;
    }
    Ok(verified.faults.is_empty())
}
