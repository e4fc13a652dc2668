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

/// Why a run of a program failed that printed results or did not, by all that it said.
pub(in crate::tool) fn of(program: &str, text: &str, has_results: bool) -> Option<String> {
    let lines = || text.lines().map(str::trim);
    let fatal = FATAL.iter().find_map(|(sign, cause)| {
        lines().find(|line| line.contains(sign)).map(|line| (*cause, line))
    });
    if has_results {
        return fatal.map(|(cause, line)| format!("{program} broke off, {cause}: {line}"));
    }
    let memory = || {
        let line = lines().find(|line| MEMORY.iter().any(|sign| line.contains(sign)))?;
        Some(("memory did not suffice", line))
    };
    let says = || lines().rfind(|line| line.contains("error:")).map(|line| ("it said", line));
    Some(match fatal.or_else(memory).or_else(says) {
        Some((cause, line)) => format!("{program} printed no result; {cause}: {line}"),
        None => format!("{program} printed no result"),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cause_is_found_whatever_else_is_printed() {
        let lost = "vk::Queue::submit: ErrorDeviceLost";
        let text = format!("load\n{lost}\nmain: error: x\n");
        let none = "llama-bench printed no result; the GPU was lost: ";
        let of = |text: &str, has_results| super::of("llama-bench", text, has_results);
        assert_eq!(of(&text, false), Some(format!("{none}{lost}")));
        let some = "llama-bench broke off, the GPU was lost: ";
        assert_eq!(of(&text, true), Some(format!("{some}{lost}")));
        let memory = "ggml_vulkan: Device memory allocation failed: ErrorOutOfDeviceMemory";
        assert!(of(memory, false).is_some_and(|why| why.contains("memory did not suffice")));
        assert_eq!(of(memory, true), None, "another test may have had enough");
        assert_eq!(of("", true), None);
        assert_eq!(of("", false).as_deref(), Some("llama-bench printed no result"));
    }
}
