//! Any bytes are a journal or the beginning of one, and become tables or are refused.

#![no_main]

use halo::archive::{RunDirectory, convert};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let run = RunDirectory::at(directory.path());
    std::fs::write(run.join("journal.jsonl"), bytes).unwrap();
    let _ = convert::convert(&run, &[]);
});
