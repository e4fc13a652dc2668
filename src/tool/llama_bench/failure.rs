//! Why a run has no result, or not all of them, in llama-bench's own words where it has any.
//!
//! Its exit code does not tell: runs that ended with 0 and printed no row have been seen.

/// What ends a run whatever was printed before it, and what llama.cpp prints then
/// (ggml/src/ggml.c, ggml-vulkan.cpp, ggml-cuda.cu).
const FATAL: [(&str, &str); 6] = [
    ("ErrorDeviceLost", "the GPU was lost"),
    ("DeviceLostError", "the GPU was lost"),
    ("ROCm error", "the ROCm driver failed"),
    ("CUDA error", "the driver failed"),
    ("GGML_ASSERT(", "llama.cpp found a fault of its own"),
    ("ggml_abort", "llama.cpp found a fault of its own"),
];

/// What says why memory did not suffice; llama-bench may go on with other tests.
const MEMORY: [&str; 4] =
    ["ErrorOutOfDeviceMemory", "ErrorOutOfHostMemory", "out of memory", "failed to allocate"];

/// Why a run failed that printed results or did not.
pub(super) fn of(stderr: &[u8], has_results: bool) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let lines = || text.lines().map(str::trim);
    let fatal = FATAL.iter().find_map(|(sign, cause)| {
        lines().find(|line| line.contains(sign)).map(|line| (*cause, line))
    });
    if has_results {
        return fatal.map(|(cause, line)| format!("llama-bench broke off, {cause}: {line}"));
    }
    let memory = || {
        let line = lines().find(|line| MEMORY.iter().any(|sign| line.contains(sign)))?;
        Some(("memory did not suffice", line))
    };
    let says = || lines().rfind(|line| line.contains("error:")).map(|line| ("it said", line));
    Some(match fatal.or_else(memory).or_else(says) {
        Some((cause, line)) => format!("llama-bench printed no result; {cause}: {line}"),
        None => "llama-bench printed no result".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_cause_is_found_whatever_else_is_printed() {
        let lost = "vk::Queue::submit: ErrorDeviceLost";
        let text = format!("load\n{lost}\nmain: error: x\n");
        let none = "llama-bench printed no result; the GPU was lost: ";
        assert_eq!(of(text.as_bytes(), false), Some(format!("{none}{lost}")));
        let some = "llama-bench broke off, the GPU was lost: ";
        assert_eq!(of(text.as_bytes(), true), Some(format!("{some}{lost}")));
        let memory = b"ggml_vulkan: Device memory allocation failed: ErrorOutOfDeviceMemory";
        assert!(of(memory, false).is_some_and(|why| why.contains("memory did not suffice")));
        assert_eq!(of(memory, true), None, "another test may have had enough");
        assert_eq!(of(b"", true), None);
        assert_eq!(of(b"", false).as_deref(), Some("llama-bench printed no result"));
    }
}
