//! Any text is a clock list or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = halo::source::amdgpu::dpm::parse(text);
});
