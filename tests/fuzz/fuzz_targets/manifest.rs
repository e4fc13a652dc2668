//! Any bytes are a manifest or refused; one that is read is shared, written and read again.

#![no_main]

use halo::archive::RunDirectory;
use halo::redact::Redactor;
use halo::run::Share;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let run = RunDirectory::at(directory.path());
    std::fs::write(run.join("manifest.json"), bytes).unwrap();
    let Ok(manifest) = run.manifest() else { return };
    let shared = manifest.share(&mut Redactor::default());
    run.write_manifest(&shared).unwrap();
    run.manifest().unwrap();
});
