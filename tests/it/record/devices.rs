//! The energy of commands on machines with several GPUs, from the recorder to what it shows.

use std::fs;
use std::path::Path;

use halo::run::Manifest;
use halo::run::manifest::Energy;

use super::{Archive, manifest, text, write_program};
use crate::machine::{Copy, fixtures};
use crate::program::machine_flags;

/// A machine with an APU at 9.377 W and a discrete card, made so by a hazard.
fn machine(hazard: &str) -> Copy {
    let hazard = fixtures().join("hazards").join(hazard);
    let copy = Copy::of(&crate::machine::about(&hazard).base);
    copy.apply(&hazard);
    copy
}

/// A stand-in for llama-bench that computes half a second on a device.
fn stand_in(directory: &Path, backend: &str, gpu_info: &str, devices: &str) -> String {
    let program = directory.join("llama-bench");
    let row = format!(
        r#"{{"build_commit": "abc", "build_number": 11434, "backends": "{backend}", "gpu_info": "{gpu_info}", "devices": "{devices}", "n_prompt": 0, "n_gen": 128, "avg_ts": 250.0, "samples_ts": [250.0]}}"#
    );
    let script = format!(
        "[ \"$1\" = --help ] && {{ echo '  -oe, --output-err <csv|json|jsonl|md|sql>'; echo '  --progress'; exit 0; }}\n\
         echo 'llama-bench: benchmark 1/1: starting' >&2\n\
         echo 'llama-bench: benchmark 1/1: generation run 1/1' >&2\nsleep 0.6\n\
         echo '{row}' >&2\necho '| test | t/s |'"
    );
    write_program(&program, &script);
    program.to_str().unwrap().to_owned()
}

struct Run {
    archive: Archive,
    manifest: Manifest,
    _directory: tempfile::TempDir,
}

impl Run {
    fn of(machine: &Copy, backend: &str, gpu_info: &str, devices: &str) -> Self {
        let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
        let program = stand_in(directory.path(), backend, gpu_info, devices);
        let config = directory.path().join("halo.toml");
        fs::write(&config, "[verdict]\nshortest_phase = 0.1\ncoverage = 0.5\n").unwrap();
        let mut command = archive.program(&["benchmark", "--lead", "300ms", "--interval", "50ms"]);
        command.arg("--config.file").arg(&config).args(machine_flags(machine.path()));
        let output = command.args(["--", &program, "-m", "none.gguf"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let manifest = manifest(&archive.only_run());
        Self { archive, manifest, _directory: directory }
    }

    fn energy(&self, work: &str) -> &Energy {
        let all = &self.manifest.energy;
        all.iter().find(|part| part.work == work).unwrap_or_else(|| panic!("{all:?}"))
    }

    #[track_caller]
    fn draws(&self, watts: f64) {
        for work in ["command", "generation"] {
            let energy = self.energy(work);
            let found = energy.mean_watts.unwrap_or_else(|| panic!("{energy:?}"));
            assert!((found - watts).abs() < 0.01, "{energy:?}");
        }
        let energy = self.energy("generation");
        let per_token = energy.joules_per_token.unwrap();
        assert!(
            (per_token - watts * energy.seconds / 128.0).abs() < 1e-3 * per_token,
            "{energy:?}"
        );
    }
}

const NAVI: &str = "AMD Radeon RX 7900 XTX (RADV NAVI31)";
const APU: &str = "Radeon 8060S Graphics (RADV GFX1151)";

#[test]
fn a_command_on_the_discrete_card_takes_its_power_and_the_sockets() {
    for hazard in ["discrete-card-awake", "discrete-card-first"] {
        let run = Run::of(&machine(hazard), "Vulkan", NAVI, "Vulkan1");
        run.draws(9.377 + 277.0);
        let source = &run.energy("generation").source;
        assert!(
            source.contains("socket of 0000:bf:00.0") && source.contains("card of 0000:03:00.0"),
            "{source}"
        );
    }
}

#[test]
fn a_command_on_the_apu_takes_the_power_of_its_socket_whichever_card_comes_first() {
    for hazard in
        ["discrete-card-awake", "discrete-card-first", "discrete-card-without-gpu-metrics"]
    {
        let run = Run::of(&machine(hazard), "ROCm", APU, "auto");
        run.draws(9.377);
    }
    // One that sleeps did nothing, whatever is said.
    let asleep = Copy::of("apu-and-discrete");
    Run::of(&asleep, "Vulkan", APU, "auto").draws(9.377);
}

#[test]
fn a_card_of_which_nobody_knows_whether_it_worked_leaves_a_reason_in_place_of_a_figure() {
    let run = Run::of(&machine("discrete-card-awake"), "Vulkan", "", "auto");
    let energy = run.energy("generation");
    assert_eq!((energy.joules, energy.joules_per_token), (None, None));
    assert!(energy.absent.as_deref().unwrap().contains("0000:03:00.0 was busy 77 % of the time"));
    let shown = run.archive.print(&["show", "latest"]);
    assert!(shown.contains("nothing tells whether the command used it"), "{shown}");
}

#[test]
fn a_card_of_another_maker_that_worked_leaves_a_reason_everywhere() {
    let geforce = "NVIDIA GeForce RTX 4090";
    for hazard in ["foreign-driver-card", "nvidia-card-without-drm"] {
        let run = Run::of(&machine(hazard), "CUDA", geforce, "auto");
        let facts = &run.manifest.environment_at_start.facts;
        assert!(facts.contains_key("gpu.0000:01:00.0.driver"), "{facts:?}");
        let energy = run.energy("generation");
        assert_eq!((energy.joules, energy.joules_per_token), (None, None), "{hazard}");
        let no_figure =
            run.manifest.summary.iter().all(|one| !one.metric.ends_with("joules_per_token"));
        assert!(no_figure, "{:?}", run.manifest.summary);
        for arguments in [&["show", "latest"][..], &["report", "--format", "md", "latest"]] {
            let shown =
                run.archive.print(arguments).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(shown.contains("halo does not read the power of such a card"), "{shown}");
        }
    }
}
