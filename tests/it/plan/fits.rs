//! What is shown of models: which are there, which fit into the memory of a machine.

use std::fs;

use halo::plan::memory::{Bounds, Memory};
use serde_json::{Value, json};

use super::{Room, display};
use crate::machine::Copy;
use crate::program::machine_flags;
use crate::record::text;

const GIB: u64 = 1 << 30;

/// The fixture has 124.5 GiB of GTT and VRAM, and 49.5 GiB of that are free.
#[test]
fn size_decides_with_room_for_context() {
    let fits = |bytes: u64| {
        let room = Room::new();
        room.model("models/GLM-4.7-Flash-UD-Q6_K_XL.gguf", bytes);
        let model =
            room.listed(&["models", "--json", "--models-dir", "models"], "glm-4.7-flash-q6");
        assert_eq!((&model["state"], &model["bytes"]), (&json!("present"), &json!(bytes)));
        [model["fits"].clone(), model["fits_now"].clone()]
    };
    assert_eq!(fits(20 * GIB), [json!(true), json!(true)]);
    assert_eq!(fits(47 * GIB), [json!(true), json!(true)]);
    assert_eq!(fits(48 * GIB), [json!(true), json!(false)]);
    assert_eq!(fits(122 * GIB), [json!(true), json!(false)]);
    assert_eq!(fits(123 * GIB), [json!(false), json!(false)]);
}

#[test]
fn what_is_unknown_of_the_machine_is_unknown() {
    let room = Room::new();
    room.model("models/GLM-4.7-Flash-UD-Q6_K_XL.gguf", 20 * GIB);
    let arguments = ["models", "glm", "--json", "--models-dir", "models"];
    let fits = |mut command: std::process::Command| {
        let output = command.output().unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        [list[0]["fits"].clone(), list[0]["fits_now"].clone()]
    };
    assert_eq!(fits(room.command("no-gpu", &arguments)), [Value::Null, Value::Null]);

    let copy = Copy::of("strix-halo-desktop-128g");
    let machine = machine_flags(copy.path());
    let on_copy = || {
        let mut command = room.command("no-gpu", &arguments);
        command.args(&machine);
        command
    };
    assert_eq!(fits(on_copy()), [json!(true), json!(true)]);
    let meminfo = copy.path().join("proc/meminfo");
    let lines = fs::read_to_string(&meminfo).unwrap();
    let lines: Vec<&str> = lines.lines().filter(|l| !l.starts_with("MemAvailable")).collect();
    fs::write(copy.clear("proc/meminfo".as_ref()), lines.join("\n") + "\n").unwrap();
    assert_eq!(fits(on_copy()), [json!(true), Value::Null]);
    let device = "sys/class/drm/card1/device/mem_info_vram_total";
    fs::write(copy.clear(device.as_ref()), "garbage\n").unwrap();
    assert_eq!(fits(on_copy()), [Value::Null, Value::Null]);
}

/// A machine with other files, and what it has for a model in GiB: all and free, least and most.
fn sizes(base: &str, hazard: Option<&str>, files: &[(&str, &str)]) -> ([Option<f64>; 4], Memory) {
    let copy = Copy::of(base);
    if let Some(hazard) = hazard {
        copy.apply(&crate::machine::fixtures().join("hazards").join(hazard));
    }
    for (path, content) in files {
        fs::write(copy.clear(path.as_ref()), format!("{content}\n")).unwrap();
    }
    let memory = Memory::of(crate::machine::snapshot(copy.root()).values(), &copy.root());
    let gib = |bytes: Option<f64>| bytes.map(|bytes| (bytes / GIB as f64 * 10.0).round() / 10.0);
    let bounds = [&memory.size.least, &memory.size.most, &memory.free.least, &memory.free.most];
    (bounds.map(|bound| gib(*bound)), memory)
}

const DESKTOP: &str = "strix-halo-desktop-128g";

#[test]
fn vram_and_gtt_are_no_more_than_there_is() {
    let of = |hazard| {
        let (bounds, memory) = sizes(DESKTOP, Some(hazard), &[]);
        (bounds, memory.size.evidence)
    };
    for (hazard, size, part) in [
        (
            "carve-out-and-gtt-overlap",
            126.9,
            "30.9 GiB of Linux's memory (MemTotal of /proc/meminfo)",
        ),
        ("gtt-all-of-memory", 125.5, "125.0 GiB of Linux's memory (MemTotal of /proc/meminfo)"),
        ("gtt-beyond-memory", 125.5, "less than the 192.0 GiB of GTT (mem_info_gtt_total)"),
        ("carve-out-64-gib", 94.7, "30.7 GiB of GTT (mem_info_gtt_total)"),
        ("large-carve-out", 110.8, "96.0 GiB of VRAM (mem_info_vram_total)"),
    ] {
        let (bounds, evidence) = of(hazard);
        assert_eq!(bounds[..2], [Some(size), Some(size)], "{hazard}");
        assert!(evidence.contains(part), "{hazard}: {evidence}");
        assert!(bounds[2].is_some() && bounds[2] == bounds[3], "{hazard}: {bounds:?}");
    }
    for (hazard, gib) in
        [("carve-out-and-gtt-overlap", 190), ("gtt-all-of-memory", 125), ("gtt-beyond-memory", 150)]
    {
        let (_, memory) = sizes(DESKTOP, Some(hazard), &[]);
        assert_eq!(memory.fits(gib * GIB).alone, Some(false), "{hazard}");
        assert_eq!(memory.fits(100 * GIB).alone, Some(true), "{hazard}");
    }
}

#[test]
fn in_a_container_the_memory_is_the_machines_or_unknown() {
    let (bounds, memory) = sizes(DESKTOP, Some("lxc-meminfo"), &[]);
    assert_eq!(bounds[..2], [Some(124.5), Some(124.5)], "the node tells");
    // 23 GiB are free, and what could be freed is not known.
    assert_eq!(bounds[2..], [Some(23.1), Some(58.1)]);
    assert_eq!(memory.fits(20 * GIB).now, Some(true));
    assert_eq!((memory.fits(40 * GIB).now, memory.fits(60 * GIB).now), (None, Some(false)));
    for (hazard, why) in [
        ("lxc-meminfo-mounted-over", "a file is mounted over it"),
        ("lxc-meminfo-mountinfo", "a file is mounted over it"),
        ("lxc-meminfo-cgroup-limit", "the limit of /sys/fs/cgroup/user.slice/memory.max"),
        ("lxc-meminfo-nothing-else", "more GTT than MemTotal"),
    ] {
        let (bounds, memory) = sizes(DESKTOP, Some(hazard), &[]);
        assert_eq!(bounds[..2], [Some(16.5), Some(124.5)], "{hazard}");
        assert!(memory.size.evidence.contains(why), "{hazard}: {}", memory.size.evidence);
        assert_eq!(memory.fits(10 * GIB).alone, Some(true), "{hazard}");
        assert_eq!(memory.fits(60 * GIB).alone, None, "{hazard}");
        assert_eq!(memory.fits(130 * GIB).alone, Some(false), "{hazard}");
        assert_eq!(memory.fits(10 * GIB).now, None, "{hazard}");
    }
}

/// Each way to tell that `/proc/meminfo` is not the machine's, with its counterpart that tells
/// nothing.
#[test]
fn only_what_tells_takes_the_memory_away() {
    let meminfo = |kib: u64| {
        let copy = Copy::of(DESKTOP);
        let text = fs::read_to_string(copy.path().join("proc/meminfo")).unwrap();
        let rest = text.split_once('\n').unwrap().1;
        format!("MemTotal: {kib} kB\n{rest}")
    };
    let is_known = |kib: u64, files: &[(&str, &str)]| {
        let meminfo = meminfo(kib);
        let mut all = vec![("proc/meminfo", meminfo.as_str())];
        all.extend(files);
        let (bounds, _) = sizes(DESKTOP, None, &all);
        bounds[0] == bounds[1]
    };
    let whole = 131_087_380;
    let block = "sys/devices/system/memory/block_size_bytes";
    let blocks: Vec<String> =
        (0..64).map(|n| format!("sys/devices/system/memory/memory{n}/state")).collect();
    let mut of_128: Vec<(&str, &str)> =
        blocks.iter().map(|path| (path.as_str(), "online")).collect();
    of_128.push((block, "80000000"));
    assert!(is_known(whole, &of_128), "128 GiB of blocks, as there should be");
    assert!(!is_known(64 << 20, &of_128), "64 GiB of 128");
    // 62 GiB may be a machine of 64 whose owner asked for more GTT than it has.
    let used = "sys/class/drm/card1/device/mem_info_gtt_used";
    let of_64 = |path: &str, content: &str| is_known(65_074_108, &[(used, "0"), (path, content)]);
    let mounts = "proc/self/mounts";
    assert!(of_64(mounts, "lxcfs /proc/cpuinfo fuse.lxcfs rw 0 0"));
    assert!(!of_64(mounts, "tmpfs /proc/meminfo tmpfs rw 0 0"));
    let limit = (65_074_108_u64 << 10).to_string();
    assert!(of_64("sys/fs/cgroup/memory.max", "max"));
    assert!(!of_64("sys/fs/cgroup/memory.max", &limit));
    // 31 GiB beside 96 of VRAM are a machine of 128; beside half a GiB they are one of 32.
    assert!(!is_known(8 << 20, &[]) && !is_known(16 << 20, &[]) && !is_known(64 << 20, &[]));
    // A model that has more of the memory than there is.
    let limit = "sys/class/drm/card1/device/mem_info_gtt_total";
    let of_32 = 32_400_000;
    let (small, large) = ((30_u64 << 30).to_string(), (31_u64 << 30).to_string());
    assert!(is_known(of_32, &[(limit, &large), (used, "0")]));
    assert!(is_known(of_32, &[(limit, &large), (used, &small)]));
    assert!(!is_known(of_32, &[(limit, &large), (used, &large)]));
}

#[test]
fn the_limit_of_a_control_group_makes_more_unknown() {
    let of = |files: &[(&str, &str)]| sizes(DESKTOP, None, files);
    let (bounds, memory) = sizes(DESKTOP, Some("cgroup-limit"), &[]);
    assert_eq!(bounds[..2], [Some(16.5), Some(124.5)]);
    assert!(memory.size.evidence.contains("/sys/fs/cgroup/memory.max is 16.0 GiB"), "{memory:?}");
    assert_eq!(memory.fits(60 * GIB).alone, None);
    let limit = (40 * GIB).to_string();
    // The lowest of nested ones, of either version; none is none.
    for (files, least) in [
        (
            vec![
                ("proc/self/cgroup", "0::/a/b"),
                ("sys/fs/cgroup/a/memory.max", limit.as_str()),
                ("sys/fs/cgroup/a/b/memory.max", "max"),
            ],
            40.5,
        ),
        (
            vec![
                ("proc/self/cgroup", "4:memory:/a"),
                ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", &limit),
            ],
            40.5,
        ),
        (vec![("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")], 124.5),
        (vec![("sys/fs/cgroup/memory.max", "nonsense")], 124.5),
    ] {
        assert_eq!(of(&files).0[..2], [Some(least), Some(124.5)], "{files:?}");
    }
}

#[test]
fn the_table_and_the_refusal_say_what_bounds_a_model() {
    let room = Room::new();
    let model = room.model("models/m.gguf", 190 * GIB);
    let copy = Copy::of(DESKTOP);
    copy.apply(&crate::machine::fixtures().join("hazards/carve-out-and-gtt-overlap"));
    let mut command = room.command("no-gpu", &["models", model.to_str().unwrap()]);
    let output = command.args(machine_flags(copy.path())).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("GTT and VRAM: 126.9 GiB"), "{shown}");
    assert!(shown.contains("all: 96.0 GiB of VRAM (mem_info_vram_total) and 30.9 GiB"), "{shown}");
    let arguments = ["check", "--model", model.to_str().unwrap()];
    let output =
        room.command("no-gpu", &arguments).args(machine_flags(copy.path())).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("30.9 GiB of Linux's memory (MemTotal of /proc/meminfo)"), "{shown}");
}

#[test]
fn a_listed_size_may_be_either_unit() {
    let gib = |count: f64| Bounds::exactly(count * GIB as f64);
    let memory = Memory { size: gib(100.0), free: gib(40.0) };
    let fit = |size| memory.fits_listed(size);
    assert_eq!((fit(37.0).alone, fit(37.0).now), (Some(true), Some(true)));
    // 40 GB and 2 GiB are 39.3 GiB, and 40 GiB and 2 GiB are more than there are.
    assert_eq!((fit(40.0).alone, fit(40.0).now), (Some(true), None));
    assert_eq!((fit(100.0).alone, fit(100.0).now), (None, Some(false)));
    assert_eq!((fit(200.0).alone, fit(200.0).now), (Some(false), Some(false)));
    assert_eq!(Memory::default().fits_listed(1.0).alone, None);
}

#[test]
fn the_table_says_what_is_there_and_how_to_get_the_rest() {
    let room = Room::new();
    let file = room.model("models/Qwen3.5-9B-Q4_K_S.gguf", 5 * GIB);
    room.file("own.toml", include_str!("own.toml"));
    room.model("models/big-00001-of-00002.gguf", 9);
    room.file("models/pointer.gguf", "version https://git-lfs");
    let flags = ["--catalog", "own.toml", "--models-dir", "models"];
    let table =
        room.print(&[&["models", "qwen3.5-9b", "big", "pointer", "glm"], &flags[..]].concat());
    let line = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let here = format!("qwen3.5-9b-q4 dense present 5.00 GiB yes yes {}", display(&file));
    assert_eq!(line("qwen3.5-9b"), here);
    let directory = display(&room.path("models"));
    assert_eq!(
        line("glm"),
        format!(
            "glm-4.7-flash-q6 moe missing listed 24 GB yes yes hf download \
             unsloth/GLM-4.7-Flash-GGUF GLM-4.7-Flash-UD-Q6_K_XL.gguf --local-dir \
             {directory}/unsloth/GLM-4.7-Flash-GGUF"
        )
    );
    let big = line("big");
    assert!(
        big.contains("parts missing listed 200 GB no no 1 of 2 parts are missing; hf"),
        "{big}"
    );
    assert!(line("pointer").contains("broken listed 1 GB yes yes"), "{}", line("pointer"));
    let fits = table.lines().find(|line| line.starts_with("fits: ")).unwrap();
    assert!(fits.contains("2.0 GiB") && fits.contains("124.5 GiB"), "{fits}");
    assert!(fits.ends_with("in what is free of it: 49.5 GiB"), "{fits}");
}

#[test]
fn the_largest_size_is_that_of_the_file_where_it_is_there() {
    let room = Room::new();
    // The catalog lists 24.
    room.model("models/GLM-4.7-Flash-UD-Q6_K_XL.gguf", 19_000_000_000);
    let names = |most: &str| {
        let list = room.print(&[
            "models",
            "glm",
            "gemma-4-26b",
            "--max-size",
            most,
            "--json",
            "--models-dir",
            "models",
        ]);
        let list: Value = serde_json::from_str(&list).unwrap();
        list.as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect()
    };
    let found: Vec<String> = names("20");
    assert_eq!(found, ["glm-4.7-flash-q6", "gemma-4-26b-a4b-q4s"]);
    let found: Vec<String> = names("18");
    assert_eq!(found, ["gemma-4-26b-a4b-q4s"]);
}

#[test]
fn refusals_are_told_all_at_once_with_exit_code_2() {
    let room = Room::new();
    let output = room.run(&["models", "qwen9", "nothing-such", "--category", "moe"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 2), "{said}");
    for (arguments, expected) in [
        (&["models", "--category", "huge"][..], "expected smoke, dense, moe, draft"),
        (&["models", "--max-size", "0"], "--max-size"),
        (&["models", "--max-size", "nan"], "--max-size"),
    ] {
        let output = room.run(arguments);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
    }
}

/// The card beside it has 24 GiB of its own and maps as much of the machine's memory as the APU, so
/// that it has more of both together.
#[test]
fn models_lie_in_the_memory_of_the_apu_whatever_a_card_beside_it_has() {
    let hazard = crate::machine::fixtures().join("hazards/discrete-card-awake");
    let copy = Copy::of(&crate::machine::about(&hazard).base);
    copy.apply(&hazard);
    let mut config = halo::config::Config::default();
    config.path.procfs = copy.path().join("proc");
    config.path.sysfs = copy.path().join("sys");
    config.path.rootfs = copy.path().join("root");
    let memory = Memory::read(&config).unwrap();
    assert!(memory.never_holds(140_000_000_000).is_some(), "{memory:?}");
    assert!(memory.never_holds(120_000_000_000).is_none(), "{memory:?}");
}
