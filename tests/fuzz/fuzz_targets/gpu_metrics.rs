//! Any bytes are parsed or refused. Seeds: `tests/fixtures/gpu_metrics`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = halo::source::amdgpu::gpu_metrics::parse(bytes);
});
