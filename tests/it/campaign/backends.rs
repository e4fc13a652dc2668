//! Where llama-bench is reached through a container, with stand-ins for the clients that run the
//! rest of the command line here.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use halo::plan::backend::{self, Flags};
use halo::{command_line::container, tool};

use super::{User, code, config, write};
use crate::machine::fixtures;
use crate::record::{path_with, text, write_program};

#[test]
fn every_shipped_backend_is_a_command_that_halo_understands() {
    for backend in backend::load(None).unwrap() {
        let command = backend.command(Some(Path::new("/m/x.gguf")), &["-m".into(), "x".into()]);
        let argv: Vec<OsString> = command.iter().map(OsString::from).collect();
        let (tool, program) = tool::recognize(&argv).unwrap();
        assert_eq!(
            (tool.name(), argv[program].to_str()),
            ("llama-bench", Some(&*backend.llama_bench))
        );
        let container = container::recognize(&argv).and_then(|container| container.name);
        assert_eq!(container, backend.container, "{command:?}");
    }
}

const OWN: &str = r#"
[[backend]]
name = "box"
kind = "toolbox"
container = "llama"
llama_bench = "llama-bench"
environment = { ROCBLAS_USE_HIPBLASLT = "1" }
ubatch_long_context = 2048
[[backend]]
name = "exec"
kind = "podman-exec"
container = "llama"
llama_bench = "llama-bench"
environment = { ROCBLAS_USE_HIPBLASLT = "1" }
[[backend]]
name = "image"
kind = "podman-run"
container = "ghcr.io/llama:latest"
llama_bench = "llama-bench"
[[backend]]
name = "distro"
kind = "distrobox"
container = "llama"
llama_bench = "llama-bench"
"#;

/// Takes the client's words away and runs what is left, with what `--env` set.
const CLIENT: &str = r#"
echo "$(basename "$0") $*" >> "$STAND_IN_CLIENTS"
shift
while [ $# -gt 0 ]; do
    case "$1" in
        --env) export "$2"; shift 2 ;;
        -c|--device|-v) shift 2 ;;
        --rm) shift ;;
        --) shift; break ;;
        *) name=$1; shift; [ "$1" = "--" ] && shift; break ;;
    esac
done
exec "$@"
"#;

#[test]
fn a_campaign_goes_through_toolbox_podman_and_distrobox() {
    let user = User::with_models(&["ok.gguf"]);
    write(&config(&user).join("backends.toml"), OWN);
    let clients = user.home.path().join("bin");
    fs::create_dir(&clients).unwrap();
    for name in ["toolbox", "podman", "distrobox"] {
        write_program(&clients.join(name), CLIENT);
    }
    fs::copy(fixtures().join("bin/llama-bench"), clients.join("llama-bench")).unwrap();
    let log = user.home.path().join("clients");
    let output = user
        .campaign(&["ok.gguf"], &["--context", "1024", "--backends", "box,exec,image,distro"])
        .env("PATH", path_with(&clients))
        .env("STAND_IN_CLIENTS", &log)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(user.states(), ["done"; 8]);
    let commands = user.commands();
    assert!(commands[1].contains("-ub 2048"), "the backend's own: {commands:?}");
    assert!(!commands[0].contains("-ub") && !commands[3].contains("-ub"), "{commands:?}");

    let log = fs::read_to_string(log).unwrap();
    let count = |begin: &str| log.lines().filter(|line| line.starts_with(begin)).count();
    assert!(count("toolbox run -c llama -- env ") >= 2, "{log}");
    assert!(count("podman exec ") >= 2 && log.contains("--env ROCBLAS_USE_HIPBLASLT=1"), "{log}");
    let mounted = format!("-v {0}:{0}:ro", user.home.path().join("models").display());
    assert!(count("podman run ") >= 2 && log.contains(&mounted), "{log}");
    assert!(count("distrobox enter llama -- ") >= 2, "{log}");
    // Which run it is reaches the command in the container.
    assert!(log.contains("HALO_RUN_ID="), "{log}");
}

#[test]
fn paths_outside_home_get_the_prefix() {
    let backends = backend::load(None).unwrap();
    let toolbox = backends.iter().find(|backend| backend.name == "llama-vulkan-radv").unwrap();
    let inside = |path: &str| toolbox.path_inside(Path::new(path)).display().to_string();
    assert_eq!(inside("/data/models/x.gguf"), "/run/host/data/models/x.gguf");
    assert_eq!(inside("/home/me/x.gguf"), "/home/me/x.gguf");
    assert_eq!(inside("/homeless/x.gguf"), "/run/host/homeless/x.gguf");
    let native = backends.iter().find(|backend| backend.name == "native").unwrap();
    assert_eq!(native.path_inside(Path::new("/data/x")), Path::new("/data/x"));
}

#[test]
fn flags_are_translated_for_the_version_that_is_there() {
    let help = fs::read_to_string(fixtures().join("tools/llama-bench-help/b11434.txt")).unwrap();
    let flags = Flags::of_help(&help);
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let translated =
        flags.translate("x", &words("-ngl 99 -mmp 0 -fa 1 -ub 512 -ctk q8_0")).unwrap();
    assert_eq!(translated, words("-ngl 99 -lm none -fa 1 -ub 512 -ctk q8_0"));
    assert!(flags.knows("--progress") && flags.knows("-oe") && !flags.knows("-mmp"));
    // `mmap` stands in prose and values of that help, and is no flag of it.
    let wrong = flags.translate("x", &words("-mmp 7 --mmap 1")).unwrap_err();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].0.contains("backend x: its llama-bench does not know -mmp 7"));
}

#[test]
fn backends_that_are_there_are_told_from_those_that_are_not() {
    let user = User::with_models(&[]);
    let output = user.program(&["backends", "--json"]).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["available"]), (&"native".into(), &true.into()));
    assert_eq!(listed[1]["available"], false);
    assert!(listed[1]["reason"].as_str().unwrap().contains("toolbox: no such program"));
}

#[test]
fn a_damaged_file_of_backends_is_refused_with_its_line_and_key() {
    let cases = [
        ("[[backend]]\nnane = \"x\"", "line 2: unknown field `nane`"),
        ("[[backend]]\nname = \"x\"\nkind = \"docker\"", "line 3: unknown variant `docker`"),
        ("[[backend]]\nname = \"x\"\nkind = \"native\"", "missing field `llama_bench`"),
        (
            "[[backend]]\nname = \"x\"\nkind = \"toolbox\"\nllama_bench = \"l\"",
            "backend \"x\": native has no container, and every other kind has one",
        ),
        ("[[backend]", "line 1"),
    ];
    let user = User::with_models(&["ok.gguf"]);
    for (contents, expected) in cases {
        write(&config(&user).join("backends.toml"), contents);
        let output = user.run(&["ok.gguf"], &[]);
        let told = text(&output.stderr);
        assert_eq!(code(&output), 2, "{told}");
        assert!(told.contains("backends.toml") && told.contains(expected), "{contents}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
