//! Flags as each llama-bench calls them: `b11434.txt` is what that build said,
//! `mmap.txt` stands in for one of 2025, which had `-mmp`, and no `-oe`.

use std::fs;

use halo::plan::backend::Capabilities;
use proptest::prelude::*;

use super::{assert_says, strings};
use crate::machine::fixtures;

fn known_to(build: &str) -> Capabilities {
    let path = fixtures().join("tools/llama-bench-help").join(format!("{build}.txt"));
    Capabilities::of_help("mine", &fs::read_to_string(path).unwrap()).unwrap()
}

fn translated(build: &str, flags: &str) -> Result<String, Vec<halo::plan::Refusal>> {
    known_to(build).translate(&strings(flags.split_whitespace())).map(|flags| flags.join(" "))
}

#[test]
fn the_help_says_which_flags_there_are() {
    for flag in ["-oe", "--output-err", "--progress", "-lm", "-hfr", "-ot", "-pg", "--cache_type_k"]
    {
        assert!(known_to("b11434").knows(flag), "{flag}");
    }
    for flag in ["-mmp", "--mmap", "-dio", "-", "--", "", "usage:", "<n>", "first-last", "-1"] {
        assert!(!known_to("b11434").knows(flag), "{flag}");
    }
    assert!(known_to("mmap").knows("-mmp") && !known_to("mmap").knows("--progress"));
    for help in ["", "usage: other [options]\n  -x  something", "- m\n--model"] {
        assert_eq!(Capabilities::of_help("mine", help), None);
    }
}

#[test]
fn memory_mapping_and_flash_attention_are_called_as_they_are_here() {
    let same = "-ngl 99 -m /x.gguf -p 512 -n 128 -r 5";
    for (build, given, expected) in [
        ("b11434", "-mmp 0", "-lm none"),
        ("b11434", "--mmap 0", "-lm none"),
        ("b11434", "-mmp 1", "-lm mmap"),
        ("b11434", "-mmp 0,1", "-lm none,mmap"),
        ("mmap", "-mmp 0", "-mmp 0"),
        ("b11434", "-fa 1", "-fa on"),
        ("b11434", "--flash_attn 0,1", "--flash-attn off,on"),
        ("b11434", "-fa auto", "-fa auto"),
        ("mmap", "-fa 1", "-fa 1"),
        ("mmap", "-fa on,off", "-fa 1,0"),
        ("b11434", "-ngl -1", "-ngl -1"),
        ("b11434", "--progress -oe jsonl -v -r 2", "--progress -oe jsonl -v -r 2"),
        ("b11434", same, same),
        ("mmap", same, same),
        ("mmap", "", ""),
    ] {
        let found = translated(build, given);
        assert_eq!(found.unwrap(), expected, "{build} {given}");
    }
}

#[test]
fn what_it_does_not_know_is_refused_by_name_all_at_once() {
    for (build, given, expected) in [
        ("b11434", "-mmp 2", "knows no -mmp 2, and -lm has nothing alike"),
        ("b11434", "-dio 1", "does not know -dio 1"),
        ("b11434", "-fa maybe", "knows no -fa maybe, only -fa <on|off|auto>"),
        ("b11434", "-fa", "needs a value behind -fa"),
        ("mmap", "-fa auto", "knows no -fa auto, only -fa <0|1>"),
        ("mmap", "-lm none", "does not know -lm none"),
        ("mmap", "--progress -r 2", "does not know --progress;"),
        ("mmap", "-oe jsonl", "does not know -oe jsonl"),
        ("mmap", "-xyz -1", "does not know -xyz -1"),
    ] {
        let refusals = translated(build, given).unwrap_err();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert_says(&refusals, &[expected, "backend mine", "`halo-record backends`"]);
    }
    assert_eq!(translated("mmap", "-d 32768 --progress -p 1 -oe jsonl").unwrap_err().len(), 3);
    let neither = Capabilities::of_help("mine", "  -m, --model <filename>").unwrap();
    let refusals = neither.translate(&strings(["-mmp", "0"])).unwrap_err();
    assert_says(&refusals, &["knows neither -mmp 0 nor -lm"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_help_is_read(help in "([ -~\n]|-m <|, --|\\|){0,60}") {
        let _ = Capabilities::of_help("mine", &help);
    }

    #[test]
    fn what_was_translated_is_known_and_stays(
        flags in prop::collection::vec(
            prop_oneof![
                Just("-mmp"), Just("-fa"), Just("--progress"), Just("-ngl"), Just("0"), Just("1"),
                Just("on"), Just("-1"), Just("-dio"), Just(""), Just("-r"),
            ],
            0..8,
        ),
        build in prop::sample::select(vec!["b11434", "mmap"]),
    ) {
        let known = known_to(build);
        if let Ok(once) = known.translate(&strings(flags)) {
            prop_assert_eq!(known.translate(&once).unwrap(), once);
        }
    }
}
