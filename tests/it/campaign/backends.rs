//! Where llama-bench is reached through a container, with stand-ins for the clients that run the
//! rest of the command line here.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use halo::plan::backend;
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
image = "ghcr.io/llama:latest"
llama_bench = "llama-bench"
[[backend]]
name = "distro"
kind = "distrobox"
container = "llama"
llama_bench = "llama-bench"
"#;

/// Takes the client's words away and runs what is left, with what `--env` set.
const CLIENT: &str = r#"
case "$1 $2" in "container exists"|"container inspect"|"image exists") exit 0 ;; esac
echo "$(basename "$0") $*" >> "$STAND_IN_CLIENTS"
shift
while [ $# -gt 0 ]; do
    case "$1" in
        --env) export "$2"; shift 2 ;;
        -c|--device|-v|--pull|--security-opt) shift 2 ;;
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
fn backends_that_are_there_are_told_from_those_that_are_not() {
    let user = User::with_models(&[]);
    let output = user.program(&["backends", "--json"]).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["available"]), (&"native".into(), &true.into()));
    assert_eq!(listed[1]["available"], false);
    assert!(listed[1]["reason"].as_str().unwrap().contains("toolbox: no such program"));
}
