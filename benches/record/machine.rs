//! What the kernel says of a process, and of this machine.

use std::fs;

/// This machine and how busy it is.
pub(crate) fn about() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let name = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{}, {cores} cores, load {load}", name.trim_matches(['\t', ':', ' ']))
}

/// Processor time of all threads of a process, in nanoseconds.
pub(crate) fn processor_time(process: u32) -> anyhow::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path().join("schedstat");
        // A thread may end in this moment.
        let text = fs::read_to_string(path).unwrap_or_default();
        sum += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// A line of a process' status in kB, as `VmHWM`.
pub(crate) fn status(process: u32, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim_matches([':', '\t', ' ']).split(' ').next()?.parse().ok()
}

/// Bytes of the files directly in a directory that are wanted.
pub(crate) fn bytes_of(directory: &std::path::Path, wanted: impl Fn(&str) -> bool) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_name().to_str().is_some_and(&wanted));
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}
