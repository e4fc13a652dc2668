//! Command lines as people write them.

use std::ffi::OsString;

use super::{Client, recognize, with_environment};

fn argv(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

/// What is found in a line: client, container, image, and the inner command.
type Found = (Client, Option<String>, Option<String>, Option<String>);

fn found(line: &str) -> Option<Found> {
    let argv = argv(line);
    let container = recognize(&argv)?;
    let program = container.program_index.map(|index| argv[index].to_str().unwrap().to_owned());
    Some((container.client, container.name, container.image, program))
}

fn check(line: &str, client: Client, name: &str, image: &str, program: &str) {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    assert_eq!(found(line), Some((client, text(name), text(image), text(program))), "{line}");
}

#[test]
fn containers_are_recognized() {
    use Client::{Distrobox, Docker, Podman, Toolbox};
    for (line, client, name, program) in [
        (
            "toolbox run -c llama-vulkan-radv llama-bench -m x",
            Toolbox,
            "llama-vulkan-radv",
            "llama-bench",
        ),
        ("toolbox run -c r -- llama-bench -ngl 99", Toolbox, "r", "llama-bench"),
        ("toolbox run -c r -- env ROCBLAS_USE_HIPBLASLT=1 llama-bench", Toolbox, "r", "env"),
        ("toolbox run --container=r llama-bench -c 5", Toolbox, "r", "llama-bench"),
        ("toolbox -y --log-level debug -v run --container r ls -la", Toolbox, "r", "ls"),
        ("toolbox run --distro fedora --release f43 emacs", Toolbox, "", "emacs"),
        ("toolbox run llama-bench", Toolbox, "", "llama-bench"),
        ("toolbox run -c r", Toolbox, "r", ""),
        ("toolbox run --new-flag x -c r llama-bench", Toolbox, "", ""),
        ("/usr/bin/toolbox run -cr llama-bench", Toolbox, "r", "llama-bench"),
        ("podman exec box llama-bench -t 4", Podman, "box", "llama-bench"),
        ("podman exec -it box bash", Podman, "box", "bash"),
        ("podman exec -itw /tmp box pwd", Podman, "box", "pwd"),
        ("podman exec -w/tmp --env A=B -eC=D box pwd", Podman, "box", "pwd"),
        ("podman exec --tty=false -u root box pwd", Podman, "box", "pwd"),
        ("podman exec -l llama-bench", Podman, "", "llama-bench"),
        ("podman container exec box pwd", Podman, "box", "pwd"),
        ("podman --log-level debug --root /x exec box pwd", Podman, "box", "pwd"),
        ("podman exec --not-known yet box pwd", Podman, "", ""),
        ("podman exec -z box pwd", Podman, "", ""),
        ("podman exec box", Podman, "box", ""),
        ("docker exec --privileged box pwd", Docker, "box", "pwd"),
        ("docker --context far exec box pwd", Docker, "box", "pwd"),
        ("sudo -u me podman exec box pwd", Podman, "box", "pwd"),
        ("env -u X RADV_PERFTEST=nogttspill podman exec box pwd", Podman, "box", "pwd"),
        ("taskset -c 0-15 nice -n 5 podman exec box pwd", Podman, "box", "pwd"),
        ("timeout -k 5 10m numactl --membind=0 toolbox run -c r pwd", Toolbox, "r", "pwd"),
        ("flatpak-spawn --host podman exec box pwd", Podman, "box", "pwd"),
        ("distrobox enter box -- llama-bench -m x", Distrobox, "box", "llama-bench"),
        ("distrobox-enter -n box -- llama-bench", Distrobox, "box", "llama-bench"),
        ("distrobox enter -nw --root box -e llama-bench", Distrobox, "box", "llama-bench"),
        ("distrobox enter -a --cpus=4 box -- pwd", Distrobox, "box", "pwd"),
        ("distrobox enter box", Distrobox, "box", ""),
        ("distrobox enter --unheard box -- pwd", Distrobox, "", ""),
    ] {
        check(line, client, name, "", program);
    }
}

#[test]
fn containers_that_a_command_makes_are_recognized() {
    use Client::{Docker, Podman};
    for (line, client, name, image, program) in [
        (
            "podman run --rm -it --device /dev/kfd --device=/dev/dri --group-add video \
             --security-opt seccomp=unconfined -v /models:/models docker.io/kyuz0/tools:rocm-7.2 \
             llama-bench -m /models/x.gguf",
            Podman,
            "",
            "docker.io/kyuz0/tools:rocm-7.2",
            "llama-bench",
        ),
        ("podman run --name job -e A=B img sh -c true", Podman, "job", "img", "sh"),
        (
            "docker run --gpus all --ipc=host --shm-size 8g img python x.py",
            Docker,
            "",
            "img",
            "python",
        ),
        ("docker container run -v /m:/m -p 8080:8080 img run", Docker, "", "img", "run"),
        (
            "docker run --rm ghcr.io/ggml-org/llama.cpp:full --bench -m /x",
            Docker,
            "",
            "ghcr.io/ggml-org/llama.cpp:full",
            "",
        ),
        ("docker run --entrypoint llama-bench img -m x", Docker, "", "img", ""),
        ("docker run --entrypoint /bin/sh img script", Docker, "", "img", ""),
        ("docker run --entrypoint= img pwd", Docker, "", "img", "pwd"),
        ("docker run img", Docker, "", "img", ""),
        ("podman run --invented 3 img pwd", Podman, "", "", ""),
    ] {
        check(line, client, name, image, program);
    }
}

#[test]
fn other_commands_are_in_no_container() {
    for line in [
        "",
        "llama-bench -m x",
        "podman",
        "podman ps",
        "podman --invented exec box pwd",
        "docker compose exec service pwd",
        "toolbox",
        "toolbox enter box",
        "toolbox list",
        "distrobox create box",
        "env",
        "env -S toolbox run pwd",
        "echo podman exec box pwd",
        "taskset -p 123",
    ] {
        assert_eq!(found(line), None, "{line}");
    }
}

#[test]
fn variables_reach_the_command_in_the_container() {
    for (line, expected) in [
        ("podman exec -it box pwd", "podman exec --env A=1 --env B=2 -it box pwd"),
        (
            "podman exec --not-known x box pwd",
            "podman exec --env A=1 --env B=2 --not-known x box pwd",
        ),
        (
            "sudo docker container run img pwd",
            "sudo docker container run --env A=1 --env B=2 img pwd",
        ),
        ("docker run img", "docker run --env A=1 --env B=2 img"),
        ("toolbox run -c r -- pwd -P", "toolbox run -c r -- env A=1 B=2 pwd -P"),
        ("toolbox run -c r env C=3 pwd", "toolbox run -c r env A=1 B=2 env C=3 pwd"),
        ("toolbox run --not-known x pwd", "toolbox run --not-known x pwd"),
        ("distrobox enter box -- pwd", "distrobox enter box -- env A=1 B=2 pwd"),
        ("distrobox enter box", "distrobox enter box"),
        ("llama-bench", "llama-bench"),
    ] {
        let result = with_environment(&argv(line), &[("A", "1"), ("B", "2")]);
        assert_eq!(result, argv(expected), "{line}");
        assert_eq!(with_environment(&argv(line), &[]), argv(line), "{line}");
    }
}

#[test]
fn words_that_are_not_text_are_passed_over() {
    use std::os::unix::ffi::OsStringExt;
    let mut argv = argv("podman exec -w");
    argv.push(OsString::from_vec(vec![b'/', 0xff]));
    argv.extend(["box", "pwd"].map(OsString::from));
    assert_eq!(recognize(&argv).unwrap().program_index, Some(5));
}
