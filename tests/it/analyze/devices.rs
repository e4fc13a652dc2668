//! Whose power is counted: on machines with several GPUs, by what is known of the command.

use std::collections::BTreeMap;

use halo::analyze::consumption::{self, Consumption};
use halo::analyze::devices::named::named;
use halo::analyze::devices::{Evidence, Usage};
use halo::analyze::phase::{Phase, Window, Work};
use halo::run::manifest::{Case, Energy};
use halo::run::{Environment, Thresholds};
use serde_json::json;

use super::{Recording, nanoseconds};

const APU: &str = "0000:c5:00.0";
const CARD: &str = "0000:03:00.0";
const NVIDIA: &str = "0000:01:00.0";

/// The facts of a machine with an APU that draws 9 W, and what else a test wants.
fn machine(more: &[(&str, &str, &str)]) -> Environment {
    let apu =
        [(APU, "kind", "apu"), (APU, "gfx", "gfx1151"), (APU, "name", "AMD Radeon 8060S Graphics")];
    let facts = apu
        .iter()
        .chain(more)
        .map(|(gpu, what, value)| (format!("gpu.{gpu}.{what}"), (*value).to_owned()));
    Environment { facts: facts.collect(), ..Environment::default() }
}

const NAVI: [(&str, &str, &str); 3] = [
    (CARD, "kind", "discrete"),
    (CARD, "gfx", "gfx1100"),
    (CARD, "name", "AMD Radeon RX 7900 XTX"),
];

/// Twenty seconds, of which a command has ten; the card is as busy as is said and draws 290 W.
fn recording(card_busy: Option<f64>) -> Recording {
    let mut recording = Recording::new(20.0, 5.0, 15.0);
    recording.shows("halo_power_watts", &[APU, "socket"], |_| 9.0);
    recording.shows("halo_gpu_busy_ratio", &[APU, "gfx"], |_| 0.0);
    if let Some(busy) = card_busy {
        recording.shows("halo_power_watts", &[CARD, "card"], |_| 290.0);
        recording.shows("halo_gpu_busy_ratio", &[CARD, "gfx"], move |_| busy);
    }
    recording
}

fn command() -> Window {
    Window { from: nanoseconds(5.0), to: nanoseconds(15.0) }
}

fn case(name: &str, fields: &[(&str, &str)]) -> Case {
    let parameters =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    Case { task: "llama-bench".to_owned(), case: name.to_owned(), parameters }
}

fn phase(case: &str, from: f64, to: f64) -> Phase {
    Phase {
        task: "llama-bench".to_owned(),
        case: case.to_owned(),
        work: Work::Generation,
        repetition: Some(1),
        tokens: Some(100),
        window: Window { from: nanoseconds(from), to: nanoseconds(to) },
    }
}

fn consumed(evidence: &Evidence<'_>, recording: &Recording, phases: &[Phase]) -> Consumption {
    let usage = Usage::of(evidence, recording, command()).unwrap();
    let thresholds = Thresholds::default();
    consumption::of(recording, command(), phases, 0.25, &usage, &thresholds).unwrap().unwrap()
}

fn whole(evidence: &Evidence<'_>, recording: &Recording) -> Energy {
    consumed(evidence, recording, &[]).parts.remove(0)
}

#[track_caller]
fn draws(energy: &Energy, watts: f64) {
    let found = energy.mean_watts.unwrap_or_else(|| panic!("{energy:?}"));
    assert!((found - watts).abs() < 1e-6, "{energy:?}");
    let joules = energy.joules.unwrap();
    assert!((joules - 10.0 * watts).abs() < 1e-3, "{energy:?}");
}

#[test]
fn a_card_that_sleeps_or_idles_is_not_counted() {
    let environment = machine(&NAVI);
    let evidence = Evidence { environment: Some(&environment), ..Evidence::default() };
    for busy in [None, Some(0.0), Some(0.04)] {
        let energy = whole(&evidence, &recording(busy));
        draws(&energy, 9.0);
        assert_eq!(energy.source, format!("halo_power_watts, domain socket of {APU}"));
    }
}

#[test]
fn energy_is_absent_where_nobody_knows_for_whom_a_card_worked() {
    let environment = machine(&NAVI);
    let evidence = Evidence { environment: Some(&environment), ..Evidence::default() };
    let energy = whole(&evidence, &recording(Some(0.77)));
    assert_eq!((energy.joules, energy.mean_watts, energy.joules_per_token), (None, None, None));
    let reason = energy.absent.unwrap();
    assert_eq!(
        reason,
        format!("{CARD} was busy 77 % of the time, and nothing tells whether the command used it")
    );
}

/// Every way in which a command tells that it used the card, or the APU alone, beside a card that
/// somebody keeps busy.
#[test]
fn what_a_command_says_of_its_devices_decides() {
    const LISTED: &str = "ggml_vulkan: 0 = AMD Radeon 8060S Graphics (RADV GFX1151) (radv) | uma: 1 | fp16: 1\n\
        ggml_vulkan: 1 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0 | fp16: 1\n";
    const HIP: &str = "ggml_cuda_init: found 1 ROCm devices:\n  Device 0: AMD Radeon Graphics, gfx1151 (0x1151), VMM: no\n";
    let environment = machine(&NAVI);
    let both = 9.0 + 290.0;
    for (arguments, output, counted, watts) in [
        ("llama-bench -dev Vulkan1", LISTED, None, both),
        ("llama-bench -dev Vulkan0", LISTED, None, 9.0),
        ("llama-bench --device=Vulkan0,Vulkan1", LISTED, None, both),
        ("llama-bench -sm none -mg 0", LISTED, None, 9.0),
        ("llama-bench -sm none -mg 1", LISTED, None, both),
        ("llama-bench -ts 1/0", LISTED, None, 9.0),
        ("llama-bench -dev none", LISTED, None, 9.0),
        // It uses all that there are.
        ("llama-bench", LISTED, None, both),
        ("llama-bench", HIP, None, 9.0),
        (
            "llama-server",
            "load_tensors:      Vulkan1 model buffer size =  1918.35 MiB\n\
            llama_prepare_model_devices: using device Vulkan1 (AMD Radeon RX 7900 XTX (RADV NAVI31)) (0000:03:00.0) - 24000 MiB free\n",
            None,
            both,
        ),
        ("python benchmark.py", "", Some(CARD), both),
        ("python benchmark.py", "", Some(APU), 9.0),
        // What the kernel counted says more than what could have been used.
        ("llama-bench", LISTED, Some(APU), 9.0),
    ] {
        let words: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        let counted: Vec<String> = counted.iter().map(|gpu| (*gpu).to_owned()).collect();
        let evidence = Evidence {
            environment: Some(&environment),
            arguments: &words[1..],
            named: named(output),
            counted: &counted,
            ..Evidence::default()
        };
        let energy = whole(&evidence, &recording(Some(0.77)));
        assert!(energy.absent.is_none(), "{arguments}: {energy:?}");
        draws(&energy, watts);
        assert_eq!(energy.source.contains(CARD), watts > 9.0, "{}", energy.source);
    }
}

#[test]
fn cases_on_different_devices_have_the_energy_of_theirs() {
    let environment = machine(&NAVI);
    let info = "AMD Radeon 8060S Graphics (RADV GFX1151), AMD Radeon RX 7900 XTX (RADV NAVI31)";
    let fields =
        |device: &'static str| [("backends", "Vulkan"), ("gpu_info", info), ("devices", device)];
    let cases = [
        case("tg128 devices=Vulkan0", &fields("Vulkan0")),
        case("tg128 devices=Vulkan1", &fields("Vulkan1")),
    ];
    let evidence =
        Evidence { environment: Some(&environment), cases: &cases, ..Evidence::default() };
    let phases =
        [phase("tg128 devices=Vulkan0", 5.0, 10.0), phase("tg128 devices=Vulkan1", 10.0, 15.0)];
    let found = consumed(&evidence, &recording(Some(0.5)), &phases);
    let watts: Vec<f64> = found.parts.iter().map(|part| part.mean_watts.unwrap().round()).collect();
    assert_eq!(watts, [299.0, 9.0, 299.0], "the command used both");
    let per_token = |part: &Energy| part.joules_per_token.unwrap();
    assert!((per_token(&found.parts[1]) - 9.0 * 5.0 / 100.0).abs() < 1e-6);
    assert!((per_token(&found.parts[2]) - 299.0 * 5.0 / 100.0).abs() < 1e-6);
    assert_eq!(found.repetitions.len(), 2);
}

#[test]
fn a_row_of_llama_bench_tells_its_devices() {
    let environment = machine(&NAVI);
    let navi = "AMD Radeon RX 7900 XTX (RADV NAVI31)";
    for (fields, watts) in [
        (vec![("backends", "Vulkan"), ("gpu_info", navi), ("devices", "Vulkan1")], 299.0),
        (vec![("backends", "Vulkan"), ("gpu_info", navi), ("devices", "auto")], 299.0),
        (
            vec![("backends", "ROCm"), ("gpu_info", "Radeon 8060S Graphics"), ("devices", "auto")],
            9.0,
        ),
        (vec![("backends", "CPU"), ("gpu_info", ""), ("devices", "auto")], 9.0),
        (vec![("backends", "Vulkan"), ("gpu_info", navi), ("devices", "none")], 9.0),
    ] {
        let cases = [case("tg128", &fields)];
        let evidence =
            Evidence { environment: Some(&environment), cases: &cases, ..Evidence::default() };
        draws(&whole(&evidence, &recording(Some(0.77))), watts);
    }
}

#[test]
fn a_card_whose_power_nobody_reads_leaves_no_figure_where_it_worked() {
    let foreign = [(NVIDIA, "driver", "nvidia"), (NVIDIA, "pci_id", "10de:2684")];
    let environment = machine(&foreign);
    let geforce = "NVIDIA GeForce RTX 4090";
    for fields in [
        vec![("backends", "CUDA"), ("gpu_info", geforce)],
        vec![("backends", "Vulkan"), ("gpu_info", geforce), ("devices", "Vulkan0")],
        vec![
            ("backends", "CUDA,Vulkan"),
            ("gpu_info", "AMD Radeon 8060S Graphics, NVIDIA GeForce RTX 4090"),
        ],
    ] {
        let cases = [case("tg128", &fields)];
        let evidence =
            Evidence { environment: Some(&environment), cases: &cases, ..Evidence::default() };
        let found = consumed(&evidence, &recording(None), &[phase("tg128", 5.0, 15.0)]);
        for part in &found.parts {
            assert_eq!((part.joules, part.joules_per_token), (None, None), "{fields:?}");
            let reason = part.absent.as_deref().unwrap();
            assert!(reason.contains(geforce) && reason.contains("does not read"), "{reason}");
        }
        assert!(found.repetitions.is_empty());
    }
    // A command that used the APU alone is not touched by it.
    let cases = [case(
        "tg128",
        &[("backends", "Vulkan"), ("gpu_info", "Radeon 8060S Graphics (RADV GFX1151)")],
    )];
    let evidence =
        Evidence { environment: Some(&environment), cases: &cases, ..Evidence::default() };
    let energy = whole(&evidence, &recording(None));
    draws(&energy, 9.0);
    assert!(!energy.source.contains(NVIDIA), "{}", energy.source);
    // And of one that says nothing it is not known.
    let evidence = Evidence { environment: Some(&environment), ..Evidence::default() };
    let energy = whole(&evidence, &recording(None));
    draws(&energy, 9.0);
    assert!(
        energy.source.contains("whether 0000:01:00.0 (driver nvidia) worked is not known"),
        "{}",
        energy.source
    );
}

#[test]
fn the_first_or_the_highest_card_is_not_taken_for_the_apu() {
    // As a halo wrote it that took every card for an APU: the Vega stands first, and is no socket.
    let facts = [("0000:0b:00.0", "0x687f"), ("0000:c1:00.0", "0x150e")];
    let facts: BTreeMap<String, String> = facts
        .iter()
        .map(|(gpu, device)| (format!("gpu.{gpu}.device_id"), (*device).to_owned()))
        .collect();
    let environment = Environment { facts, ..Environment::default() };
    let mut recording = Recording::new(20.0, 5.0, 15.0);
    recording.shows("halo_power_watts", &["0000:0b:00.0", "socket"], |_| 8.0);
    recording.shows("halo_gpu_busy_ratio", &["0000:0b:00.0", "gfx"], |_| 0.0);
    recording.shows("halo_power_watts", &["0000:c1:00.0", "socket"], |_| 9.85);
    let evidence = Evidence { environment: Some(&environment), ..Evidence::default() };
    draws(&whole(&evidence, &recording), 9.85);
}

#[test]
fn without_a_known_apu_no_socket_is_taken_for_one() {
    // A card of which nothing tells what it is, and the processor's own counter.
    let facts = BTreeMap::from([(format!("gpu.{CARD}.device_id"), "0x2ffe".to_owned())]);
    let environment = Environment { facts, ..Environment::default() };
    let mut recording = Recording::new(20.0, 5.0, 15.0);
    recording.shows("halo_power_watts", &[CARD, "ppt"], |_| 277.0);
    recording.shows("halo_gpu_busy_ratio", &[CARD, "gfx"], |_| 0.0);
    recording.shows("halo_energy_joules_total", &["package"], |time| 20.0 * time);
    let evidence = Evidence { environment: Some(&environment), ..Evidence::default() };
    let energy = whole(&evidence, &recording);
    assert!((energy.mean_watts.unwrap() - 20.0).abs() < 1e-6, "{energy:?}");
    // Where the command worked on it, nobody knows what its power covers.
    let counted = [CARD.to_owned()];
    let evidence = Evidence { counted: &counted, ..evidence };
    let reason = whole(&evidence, &recording).absent.unwrap();
    assert!(reason.contains("an APU or a card"), "{reason}");
}

#[test]
fn a_discrete_card_alone_counts_with_what_is_known_of_the_processor() {
    let environment = Environment {
        facts: NAVI
            .iter()
            .map(|(gpu, what, value)| (format!("gpu.{gpu}.{what}"), (*value).to_owned()))
            .collect(),
        ..Environment::default()
    };
    let counted = [CARD.to_owned()];
    let evidence =
        Evidence { environment: Some(&environment), counted: &counted, ..Evidence::default() };
    let mut recording = Recording::new(20.0, 5.0, 15.0);
    recording.shows("halo_power_watts", &[CARD, "card"], |_| 290.0);
    let energy = whole(&evidence, &recording);
    draws(&energy, 290.0);
    assert!(energy.source.contains("without the processor"), "{}", energy.source);
    recording.shows("halo_energy_joules_total", &["package"], |time| 20.0 * time);
    let energy = whole(&evidence, &recording);
    assert!((energy.mean_watts.unwrap() - 310.0).abs() < 1e-6, "{energy:?}");
    assert!(energy.source.contains("package") && energy.source.contains(CARD), "{}", energy.source);
}
