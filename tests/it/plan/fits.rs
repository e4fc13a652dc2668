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
    let last = table.lines().last().unwrap();
    assert!(last.contains("2.0 GiB") && last.contains("124.5 GiB"), "{last}");
    assert!(last.ends_with("in what is free of it: 49.5 GiB"), "{last}");
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
