//! Any bytes are a bundle or refused, and nothing is written for them. Half of the inputs are packed
//! first, so that what is unpacked is fuzzed too.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let packed = match kind % 2 {
        0 => bytes.to_vec(),
        _ => zstd::encode_all(bytes, 1).unwrap(),
    };
    let file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    std::fs::write(file.path(), packed).unwrap();
    let _ = halo::bundle::verify(file.path());
});
