//! Backends: what is shipped, the user's own, their command lines, and which are there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use halo::command_line::container::{recognize, with_environment};
use halo::plan::backend::{self, Backend, Kind};
use halo::tool;
use proptest::prelude::*;
use serde_json::Value;

use super::{Room, assert_says, display, strings};
use crate::machine::fixtures;

fn backend(kind: Kind) -> Backend {
    let (container, image) = match kind {
        Kind::Native => (None, None),
        Kind::PodmanRun => (None, Some("registry/image:1".to_owned())),
        _ => (Some("box".to_owned()), None),
    };
    Backend {
        name: "mine".to_owned(),
        kind,
        container,
        image,
        llama_bench: "/usr/bin/llama-bench".to_owned(),
        environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
        ubatch_long_context: None,
        path_prefix: None,
        description: String::new(),
    }
}

const KINDS: [Kind; 5] =
    [Kind::Native, Kind::Toolbox, Kind::PodmanExec, Kind::PodmanRun, Kind::Distrobox];

#[test]
fn the_shipped_backends_are_the_toolkits() {
    let room = Room::new();
    let shipped = backend::load(Some(&room.file("own.toml", ""))).unwrap();
    let line = |backend: &Backend| {
        let command = backend.command(None, &strings(["-m", "x"])).join(" ");
        (command, backend.ubatch_long_context)
    };
    let on_vulkan =
        |name: &str| (format!("toolbox run -c {name} -- /usr/sbin/llama-bench -m x"), Some(512));
    let on_rocm = |name: &str| {
        let variable = "ROCBLAS_USE_HIPBLASLT=1";
        let command =
            format!("toolbox run -c {name} -- env {variable} /usr/local/bin/llama-bench -m x");
        (command, Some(2048))
    };
    assert_eq!(
        shipped.iter().map(line).collect::<Vec<_>>(),
        [
            ("llama-bench -m x".to_owned(), None),
            on_vulkan("llama-vulkan-radv"),
            on_vulkan("llama-vulkan-amdvlk"),
            on_rocm("llama-rocm-6.4.4"),
            on_rocm("llama-rocm-7.2"),
            on_rocm("llama-rocm-7.2.1"),
            on_rocm("llama-rocm7-nightlies"),
        ]
    );
    assert!(shipped[1..].iter().all(|b| b.container.as_ref() == Some(&b.name)));
    assert!(shipped.iter().all(|b| !b.description.is_empty()));
}

#[test]
fn names_match_exactly() {
    let room = Room::new();
    let shipped = backend::load(Some(&room.file("own.toml", ""))).unwrap();
    let choose = |names: &[&str]| backend::choose(&shipped, &strings(names.iter().copied()));
    let found = choose(&["llama-rocm-7.2", "native", "llama-rocm-7.2"]).unwrap();
    let names: Vec<&str> = found.iter().map(|backend| backend.name.as_str()).collect();
    assert_eq!(names, ["llama-rocm-7.2", "native"]);
    let refusals = choose(&["llama-rocm-7", "LLAMA-VULKAN-RADV", "native", ""]).unwrap_err();
    assert_eq!(refusals.len(), 3);
    assert_says(
        &refusals,
        &["\"llama-rocm-7\"", "did you mean llama-rocm-7.2?", "llama-vulkan-amdvlk"],
    );
}

#[test]
fn damage_is_refused_with_the_file_the_entry_and_the_key() {
    let room = Room::new();
    let good = "name = \"mine\"\nllama_bench = \"llama-bench\"\n";
    for (text, expected) in [
        ("kind = \"native\"\ncolour = 1", "unknown field `colour`"),
        ("kind = \"docker\"", "kind: unknown variant `docker`, expected one of `native`"),
        ("", "missing field `kind`"),
        ("kind = \"native\"\ncontainer = \"box\"", "no container and no image"),
        ("kind = \"toolbox\"", "container: name the container"),
        ("kind = \"toolbox\"\nimage = \"x\"", "container: name the container"),
        ("kind = \"podman-run\"\ncontainer = \"x\"", "name its image"),
        ("kind = \"podman-run\"\nimage = \"\"", "expected a name"),
        ("kind = \"podman-exec\"\ncontainer = \"--privileged\"", "not beginning with -"),
        ("kind = \"native\"\nubatch_long_context = 0", "ubatch_long_context: expected"),
        ("kind = \"native\"\nubatch_long_context = -1", "ubatch_long_context: invalid value"),
        ("kind = \"native\"\nubatch_long_context = \"1\"", "ubatch_long_context: invalid type"),
        ("kind = \"native\"\npath_prefix = \"run\"", "path_prefix: expected"),
        ("kind = \"native\"\nenvironment = { A = 1 }", "environment.A: invalid type"),
        ("kind = \"native\"\nenvironment = { \"A=B\" = \"1\" }", "environment: expected"),
        ("kind = \"native\"\nenvironment = { \"-i\" = \"1\" }", "environment: expected"),
    ] {
        let file = room.file("own.toml", &format!("[[backend]]\n{good}{text}\n"));
        let refusals = backend::load(Some(&file)).unwrap_err();
        assert_says(&refusals, &[expected, &display(&file), "\"mine\""]);
    }
    for (text, expected) in [
        ("name = \"all\"\nllama_bench = \"llama-bench\"", "name: all stands for"),
        ("name = \"a,b\"\nllama_bench = \"llama-bench\"", "name: expected a word"),
        ("name = \"a\"\nllama_bench = \"bench\"", "llama_bench: expected"),
        ("name = \"a\"\nllama_bench = \"/bin/\"", "llama_bench: expected"),
    ] {
        let file = room.file("own.toml", &format!("[[backend]]\nkind = \"native\"\n{text}\n"));
        assert_says(&backend::load(Some(&file)).unwrap_err(), &[expected]);
    }
    let one = format!("[[backend]]\nkind = \"native\"\n{good}");
    let file = room.file("own.toml", &one.repeat(2));
    assert_says(&backend::load(Some(&file)).unwrap_err(), &["stands there twice"]);
    assert_eq!(room.run(&["backends", "--backends-file", "own.toml"]).status.code(), Some(2));
}

#[test]
fn each_kind_has_its_command_line() {
    let room = Room::new();
    let model = room.model("models/x.gguf", 9);
    let line = |kind| backend(kind).command(Some(&model), &strings(["-p", "1"])).join(" ");
    let models = display(&room.path("models"));
    assert_eq!(
        KINDS.map(line),
        [
            "env A=1 /usr/bin/llama-bench -p 1".to_owned(),
            "toolbox run -c box -- env A=1 /usr/bin/llama-bench -p 1".to_owned(),
            "podman exec --env A=1 box /usr/bin/llama-bench -p 1".to_owned(),
            format!(
                "podman run --rm --pull never --device /dev/kfd --device /dev/dri --security-opt \
             label=disable -v {models}:{models}:ro --env A=1 registry/image:1 \
             /usr/bin/llama-bench -p 1"
            ),
            "distrobox enter box -- env A=1 /usr/bin/llama-bench -p 1".to_owned(),
        ]
    );
}

#[test]
fn podman_run_is_shown_what_a_link_leads_to() {
    let room = Room::new();
    room.model("hub/blobs/0a", 9);
    fs::create_dir_all(room.path("hub/snapshots/1")).unwrap();
    let link = room.path("hub/snapshots/1/x.gguf");
    symlink("../../blobs/0a", &link).unwrap();
    let command = backend(Kind::PodmanRun).command(Some(&link), &[]).join(" ");
    for directory in ["hub/blobs", "hub/snapshots/1"] {
        let directory = display(&fs::canonicalize(room.path(directory)).unwrap());
        assert!(command.contains(&format!("-v {directory}:{directory}:ro")), "{command}");
    }
}

#[test]
fn paths_outside_home_get_the_prefix() {
    let with = Backend { path_prefix: Some("/run/host".to_owned()), ..backend(Kind::Toolbox) };
    let inside = |backend: &Backend, path: &str| display(&backend.path_inside(path.as_ref()));
    assert_eq!(inside(&with, "/homes/x.gguf"), "/run/host/homes/x.gguf");
    assert_eq!(inside(&with, "x.gguf"), "x.gguf");
    assert_eq!(inside(&backend(Kind::Toolbox), "/data/x.gguf"), "/data/x.gguf");
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_/:.][a-zA-Z0-9_/:.-]{0,8}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// What halo runs it must recognize, or nothing of it would be read and no variable would
    /// reach the container.
    #[test]
    fn every_command_line_is_understood(
        kind in prop::sample::select(&KINDS[..]),
        name in word(),
        directory in word(),
        build in "(-[a-z]{1,6})?",
        environment in prop::collection::btree_map("[A-Z_]{1,5}", "[ -~]{0,6}", 0..3),
        flags in prop::collection::vec("[ -~]{0,6}", 0..5),
    ) {
        let mut mine = backend(kind);
        mine.container = mine.container.map(|_| name.clone());
        mine.image = mine.image.map(|_| name.clone());
        mine.environment = environment;
        mine.llama_bench = format!("/{directory}/llama-bench{build}");
        let model = Path::new("/models/x.gguf");
        let words = mine.command(Some(model), &flags);
        let argv: Vec<_> = words.iter().map(Into::into).collect();
        let (tool, program) = tool::recognize(&argv).expect("a tool");
        prop_assert_eq!(tool.name(), "llama-bench");
        prop_assert_eq!(&words[program], &mine.llama_bench);
        prop_assert_eq!(&words[program + 1..], &flags[..]);
        let container = recognize(&argv);
        prop_assert_eq!(container.is_some(), kind != Kind::Native);
        if let Some(container) = container {
            let named = container.name.or(container.image);
            prop_assert_eq!(named.as_deref(), Some(name.as_str()));
            let more = with_environment(&argv, &[("HALO", "1")]);
            prop_assert!(more.iter().any(|word| word == "HALO=1"));
            prop_assert!(tool::recognize(&more).is_some());
        }
    }
}

/// Stand-ins for what cannot be had here: they run the rest of their command line, in containers
/// and images that are files.
const TOOLBOX: &str = r#"
[ "$1 $2 $4" = "run -c --" ] || exit 125
[ -e "$ROOM/containers/$3" ] || { echo "Error: container $3 not found" >&2; exit 1; }
shift 4
exec "$@""#;

const PODMAN: &str = r#"
case "$1 $2" in
"container exists") [ -e "$ROOM/containers/$3" ]; exit ;;
"image exists") [ -e "$ROOM/images/$3" ]; exit ;;
"container inspect") exec cat "$ROOM/containers/$5" ;;
"exec "*) shift ;;
"run --rm") shift 2; [ "$1 $2" = "--pull never" ] || exit 125 ;;
*) exit 125 ;;
esac
while :; do
    case "$1" in
    --env) export "$2"; shift 2 ;;
    --pull | --device | --security-opt | -v) shift 2 ;;
    *) break ;;
    esac
done
shift
exec "$@""#;

/// As the real one, it makes a container that is not there when nobody answers its question.
const DISTROBOX: &str = r#"
[ "$1 $3" = "enter --" ] || exit 125
[ -e "$ROOM/containers/$2" ] || { echo true > "$ROOM/containers/$2"; }
shift 3
exec "$@""#;

const DOCKER: &str = r#"[ "$1 $2" = "container inspect" ] && [ -e "$ROOM/containers/$3" ]"#;

/// A backend of each kind, with the stand-in of llama-bench that it reaches.
const BACKENDS: &str = r#"
[[backend]]
name = "mine-native"
kind = "native"
llama_bench = "llama-bench-mine"
environment = { HALO_TEST = "1" }

[[backend]]
name = "mine-toolbox"
kind = "toolbox"
container = "box"
llama_bench = "llama-bench-mine"
environment = { HALO_TEST = "1" }

[[backend]]
name = "mine-exec"
kind = "podman-exec"
container = "box"
llama_bench = "llama-bench-mine"
environment = { HALO_TEST = "1" }

[[backend]]
name = "mine-run"
kind = "podman-run"
image = "image"
llama_bench = "llama-bench-mine"
environment = { HALO_TEST = "1" }

[[backend]]
name = "mine-distrobox"
kind = "distrobox"
container = "box"
llama_bench = "llama-bench-mine"
environment = { HALO_TEST = "1" }
"#;

const ALL: [&str; 5] = ["mine-native", "mine-toolbox", "mine-exec", "mine-run", "mine-distrobox"];

/// A room with all that they need.
fn equipped() -> Room {
    let room = Room::new();
    room.file("own.toml", BACKENDS);
    room.program("toolbox", TOOLBOX);
    room.program("podman", PODMAN);
    room.program("distrobox", DISTROBOX);
    let help = fixtures().join("tools/llama-bench-help/b11434.txt");
    let script = format!("[ \"$1 $HALO_TEST\" = '--help 1' ] && exec cat '{}'", help.display());
    room.program("llama-bench-mine", &script);
    room.file("containers/box", "true\n");
    room.file("images/image", "");
    room
}

/// Why each of the backends is not there.
fn reasons(room: &Room) -> [Option<String>; 5] {
    let list = room.print(&["backends", "--backends-file", "own.toml", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    ALL.map(|name| {
        let backend =
            list.as_array().unwrap().iter().find(|backend| backend["name"] == name).unwrap();
        assert_eq!(backend["available"] == true, backend["reason"].is_null());
        backend["reason"].as_str().map(str::to_owned)
    })
}

#[track_caller]
fn assert_reasons(room: &Room, expected: [&str; 5]) {
    for ((reason, expected), name) in reasons(room).into_iter().zip(expected).zip(ALL) {
        let reason = reason.unwrap_or_default();
        let is_as_expected = reason.contains(expected) && expected.is_empty() == reason.is_empty();
        assert!(is_as_expected, "{name}: {reason:?}, expected {expected:?}");
        assert!(!reason.contains('\n'));
    }
}

#[test]
fn what_is_there_answers() {
    let room = equipped();
    assert_reasons(&room, [""; 5]);
    let table = room.print(&["backends", "--backends-file", "own.toml"]);
    assert!(table.lines().any(|line| line.starts_with("mine-toolbox") && line.contains(" yes")));
    let radv = table.lines().find(|line| line.starts_with("llama-vulkan-radv")).unwrap();
    assert!(radv.contains(" no ") && radv.contains("container llama-vulkan-radv is not there"));
}

#[test]
fn a_client_that_is_missing_is_named() {
    let room = Room::new();
    room.file("own.toml", BACKENDS);
    assert_reasons(
        &room,
        [
            "llama-bench-mine: no such program",
            "toolbox: no such program",
            "podman: no such program",
            "podman: no such program",
            "distrobox: no such program",
        ],
    );
}

#[test]
fn a_container_or_image_that_is_missing_is_named_and_none_is_made() {
    let room = equipped();
    fs::remove_file(room.path("containers/box")).unwrap();
    fs::remove_file(room.path("images/image")).unwrap();
    let expected = [
        "",
        "`toolbox create`",
        "`podman ps --all`",
        "`podman pull image`",
        "container box is not there; `distrobox list`",
    ];
    assert_reasons(&room, expected);
    assert_eq!(fs::read_dir(room.path("containers")).unwrap().count(), 0);
    // Without podman, toolbox is asked itself, and distrobox has its containers in docker.
    fs::remove_file(room.path("bin/podman")).unwrap();
    let [_, toolbox, .., distrobox] = reasons(&room);
    assert!(toolbox.unwrap().contains("Error: container box not found"));
    assert!(distrobox.unwrap().contains("neither podman nor docker"));
    room.program("docker", DOCKER);
    assert!(reasons(&room)[4].as_ref().unwrap().contains("is not there"));
    assert_eq!(fs::read_dir(room.path("containers")).unwrap().count(), 0);
    room.file("containers/box", "true\n");
    assert_eq!(reasons(&room)[4], None);
}

#[test]
fn a_container_that_does_not_run_is_told() {
    let room = equipped();
    room.file("containers/box", "false\n");
    assert_reasons(&room, ["", "", "`podman start box`", "", ""]);
}

#[test]
fn a_llama_bench_that_fails_or_is_another_program_is_told() {
    let room = equipped();
    room.program("llama-bench-mine", "echo loading; echo 'Error: no libvulkan' >&2; exit 127");
    let failed = "--help` failed: Error: no libvulkan; correct";
    assert_reasons(&room, [failed; 5]);
    room.program("llama-bench-mine", "exit 3");
    assert_reasons(&room, ["exit status: 3"; 5]);
    room.program("llama-bench-mine", "echo 'usage: other [-x]'");
    assert_reasons(&room, ["does not answer as llama-bench"; 5]);
    // An engine that itself fails does not say that a container is missing.
    let room = equipped();
    room.program("podman", "echo 'Error: no storage' >&2; exit 125");
    let failed = "failed: Error: no storage";
    assert_reasons(&room, ["", failed, failed, failed, failed]);
}
