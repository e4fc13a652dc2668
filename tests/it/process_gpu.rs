//! The source `process_gpu`: whose memory and time of the graphics processor is told, and whose
//! files are left alone.

use std::fs;

use halo::capture;
use halo::metric::{Sample, Samples};
use halo::root::{Opened, Root};
use halo::source::process_gpu::{SOURCE, parse, worked_on};
use halo::source::{Presence, Reader};
use rustix::io::Errno;

use crate::machine::{Copy, files_below, fixtures};

const HOST: &str = "apu-and-discrete";
const APU: &str = "0000:bf:00.0";

fn root() -> Root {
    Root::at(fixtures().join("hosts").join(HOST))
}

/// The values of a machine, one a line, and whether the source is there.
fn values(root: &Root) -> (Presence, Vec<String>) {
    let mut samples = Samples::default();
    let mut reader: Box<dyn Reader> = (SOURCE.open)(&halo::config::Config::default()).remove(0);
    let presence = reader.read(root, &mut samples).unwrap();
    assert!(samples.problems().is_empty(), "{:?}", samples.problems());
    (presence, samples.values().iter().map(ToString::to_string).collect())
}

#[test]
fn each_client_of_each_card_counts_once_for_its_process() {
    let (_, values) = values(&root());
    let mut expected = Vec::new();
    let mut add = |family: &str, gpu: &str, process: (&str, &str), rest: &str| {
        let (pid, comm) = process;
        expected.push(format!(
            r#"halo_process_gpu_{family}{{gpu="{gpu}",pid="{pid}",comm="{comm}",{rest}"#
        ));
    };
    let shell = ("881", "gnome-shell");
    // Two clients of 96 and 8 MiB; the second is open twice.
    add("memory_bytes", APU, shell, r#"pool="cpu"} 0"#);
    add("memory_bytes", APU, shell, r#"pool="gtt"} 42991616"#);
    add("memory_bytes", APU, shell, r#"pool="vram"} 109051904"#);
    add("seconds_total", APU, shell, r#"engine="dec"} 0.000055203"#);
    add("seconds_total", APU, shell, r#"engine="gfx"} 91.823217494"#);
    let (bench, discrete) = (("1402", "llama-bench"), "0000:03:00.0");
    add("memory_bytes", discrete, bench, r#"pool="cpu"} 1048576"#);
    add("memory_bytes", discrete, bench, r#"pool="gtt"} 0"#);
    add("memory_bytes", discrete, bench, r#"pool="vram"} 5368709120"#);
    add("seconds_total", discrete, bench, r#"engine="compute"} 7.777777777"#);
    add("memory_bytes", APU, bench, r#"pool="cpu"} 0"#);
    add("memory_bytes", APU, bench, r#"pool="gtt"} 1073741824"#);
    add("memory_bytes", APU, bench, r#"pool="vram"} 0"#);
    add("seconds_total", APU, bench, r#"engine="compute"} 0.00003011"#);
    let (resident, values): (Vec<String>, Vec<String>) =
        values.into_iter().partition(|value| value.starts_with("halo_process_resident_bytes"));
    assert_eq!(values, expected);
    // 88,100 and 140,200 pages.
    let of_process = |pid: u32, comm: &str| {
        let bytes = u64::from(pid) * 100 * rustix::param::page_size() as u64;
        format!(r#"halo_process_resident_bytes{{pid="{pid}",comm="{comm}"}} {bytes}"#)
    };
    assert_eq!(resident, [of_process(881, "gnome-shell"), of_process(1402, "llama-bench")]);
}

#[test]
fn processes_that_may_not_be_looked_at_are_left_out() {
    let (presence, all) = values(&root());
    for errno in [Errno::ACCESS, Errno::PERM, Errno::NOENT] {
        let (_, some) = values(&root().failing("/proc/881/fd", errno));
        let others: Vec<&String> = all.iter().filter(|v| v.contains("llama-bench")).collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), others, "{errno:?}");
        let nobody = root().failing("/proc/881/fd", errno).failing("/proc/1402/fd", errno);
        assert_eq!(values(&nobody), (presence, Vec::new()), "{errno:?}");
    }
    // One that ends between two looks is no failure either.
    let gone = root().failing("/proc/1402/fdinfo/4", Errno::SRCH);
    let gone = gone.failing("/proc/1402/fdinfo/5", Errno::NOENT);
    assert!(values(&gone).1.iter().all(|value| value.contains("gnome-shell")));
    let gone = root().failing("/proc/1402/comm", Errno::NOENT);
    assert!(values(&gone).1.iter().all(|value| value.contains("gnome-shell")));
}

/// The sum of what could be read would be less than what the process uses.
#[test]
fn a_process_of_which_a_part_cannot_be_read_has_no_values() {
    let root = root().failing("/proc/881/fdinfo/11", Errno::IO);
    let mut samples = Samples::default();
    let mut reader: Box<dyn Reader> = (SOURCE.open)(&halo::config::Config::default()).remove(0);
    reader.read(&root, &mut samples).unwrap();
    let is_other = |sample: &Sample| sample.labels.iter().any(|label| &**label == "llama-bench");
    assert!(!samples.values().is_empty() && samples.values().iter().all(is_other));
    assert_eq!(samples.problems().len(), 1);
}

#[test]
fn a_machine_without_render_nodes_is_not_searched() {
    let root = Root::at(fixtures().join("hosts/no-gpu")).recording();
    assert_eq!(values(&root), (Presence::Absent, Vec::new()));
    let is_proc = |opened: &Opened| matches!(opened, Opened::Directory(p, _) if p == "/proc/");
    assert!(!root.take_opened().iter().any(is_proc));
}

/// Which other files a process has open is its user's business, and so is how it was called.
#[test]
fn a_capture_has_the_device_files_alone() {
    let directory = tempfile::tempdir().unwrap();
    let root = root().recording();
    let before = values(&root);
    capture::write(&root, directory.path()).unwrap();
    let mut files = files_below(directory.path());
    files.retain(|file| file.starts_with("proc"));
    let named: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let expected = [
        "proc/1402/comm",
        "proc/1402/fdinfo/4",
        "proc/1402/fdinfo/5",
        "proc/1402/statm",
        "proc/881/comm",
        "proc/881/fdinfo/11",
        "proc/881/fdinfo/12",
        "proc/881/fdinfo/19",
        "proc/881/fdinfo/20",
        "proc/881/statm",
    ];
    assert_eq!(named, expected);
    let links = fs::read_dir(directory.path().join("proc/1402/fd")).unwrap();
    assert_eq!(links.count(), 2);
    assert_eq!(values(&Root::at(directory.path())), before);
}

#[test]
fn units_and_keys_of_every_kernel_are_understood() {
    let client = |rows: &str| {
        let text = format!(
            "pos:\t0\nflags:\t02\ndrm-driver:\tamdgpu\ndrm-client-id:\t7\ndrm-pdev:\t{APU}\n{rows}"
        );
        parse(&text).unwrap().unwrap().usage
    };
    let memory = |rows: &str| client(rows).memory.into_iter().collect::<Vec<_>>();
    assert_eq!(memory("drm-memory-gtt: \t12 KiB\n"), [("gtt", 12 << 10)]);
    assert_eq!(memory("drm-resident-vram:\t3 MiB\ndrm-memory-vram:\t9 KiB\n"), [("vram", 3 << 20)]);
    assert_eq!(memory("drm-resident-vram:\t0\n"), [("vram", 0)]);
    for unknown in ["1 GiB", "-1 KiB", "18446744073709551615 KiB", "2251799813685248", "KiB", ""] {
        assert_eq!(memory(&format!("drm-memory-gtt:\t{unknown}\n")), [], "{unknown}");
    }
    let engines = |rows: &str| client(rows).engines.into_iter().collect::<Vec<_>>();
    assert_eq!(engines("drm-engine-enc_1:\t5 ns\n"), [("enc_1".to_owned(), 5)]);
    for unknown in ["capacity-gfx:\t4", "gfx:\t5", "gfx:\t-5 ns", ":\t5 ns", "G X:\t5 ns"] {
        assert_eq!(engines(&format!("drm-engine-{unknown}\n")), [], "{unknown}");
    }
}

#[test]
fn what_is_no_client_of_amdgpu_is_told_from_what_is_none_of_the_kernels() {
    assert_eq!(parse("pos:\t0\nflags:\t02\n"), Ok(None));
    assert_eq!(parse("flags:\t02\ndrm-driver:\ti915\ndrm-client-id:\t7\n"), Ok(None));
    assert!(parse("").is_err());
    assert!(parse("flags:\t02\ndrm-driver:\tamdgpu\ndrm-client-id:\t7\n").is_err());
    assert!(parse("flags:\t02\ndrm-driver:\tamdgpu\ndrm-pdev:\t0000:c5:00.0\n").is_err());
}

#[test]
fn a_recording_has_the_processes_where_the_source_is_on() {
    let archive = crate::record::Archive::new();
    let copy = Copy::of(HOST);
    let config = copy.path().join("halo.toml");
    fs::write(&config, "[collector]\nprocess_gpu = true\n").unwrap();
    let mut command = archive.program(&["run", "--lead", "0", "--config.file"]);
    command.arg(&config).args(crate::program::machine_flags(copy.path())).args(["--", "true"]);
    assert!(command.status().unwrap().success());
    let values = crate::record::archive_values(&archive.only_run());
    let of_bench = values.iter().any(|((_, family, labels), value)| {
        family == "halo_process_gpu_memory_bytes"
            && *labels == [APU, "1402", "llama-bench", "gtt"]
            && *value == f64::from(1 << 30)
    });
    assert!(of_bench, "{:?}", values.keys().map(|(_, name, _)| name).collect::<Vec<_>>());
}

/// It opened both cards to see what they are, and a desktop draws on the APU.
#[test]
fn the_gpus_that_a_process_worked_on_are_told_from_those_that_it_looked_at() {
    let on = |copy: &Root, pid: &str| worked_on(copy, pid).into_iter().collect::<Vec<_>>();
    assert_eq!(on(&root(), "881"), [APU]);
    assert_eq!(on(&root(), "1402"), ["0000:03:00.0", APU], "a GiB is what a model has");
    assert!(on(&root(), "1").is_empty());
    // The same process before it loaded anything.
    let copy = Copy::of(HOST);
    for (file, gpu, time) in [("4", APU, 30_110), ("5", "0000:03:00.0", 1_000_000)] {
        let text = format!(
            "pos:\t0\nflags:\t02100002\ndrm-driver:\tamdgpu\ndrm-client-id:\t{file}\n\
             drm-pdev:\t{gpu}\ndrm-memory-vram:\t2048 KiB\ndrm-engine-compute:\t{time} ns\n"
        );
        let path = format!("proc/1402/fdinfo/{file}");
        fs::write(copy.clear(path.as_ref()), text).unwrap();
    }
    assert!(on(&copy.root(), "1402").is_empty());
}
