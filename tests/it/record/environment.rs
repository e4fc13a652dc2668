//! What is archived of the machine and the place, and what never is.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::json;

use super::{Archive, HOST, manifest, path_with, text, wait_until, write_program};
use crate::machine::{ensure_contents, fixtures};

/// What differs from one builder's machine to the next.
fn is_of_the_builder(name: &str) -> bool {
    ["git.", "variable.", "sleep."].iter().any(|start| name.starts_with(start))
}

#[test]
fn the_machine_is_described() {
    let archive = Archive::new();
    archive.record(&[], &["true"]);
    let about = manifest(&archive.only_run());
    let mut start = about.environment_at_start;
    start.facts.retain(|name, _| !is_of_the_builder(name));
    let golden = json!({ "facts": &start.facts, "values": &start.values });
    let golden = serde_json::to_string_pretty(&golden).unwrap() + "\n";
    ensure_contents([(fixtures().join("hosts").join(HOST).join("environment.json"), golden)]);

    // The machine of the fixture does not change.
    let end = about.environment_at_end.unwrap();
    assert_eq!(end.values, start.values);
    assert!(end.facts.iter().all(|(name, value)| start.facts[name] == *value));
    for name in ["host.kernel", "host.bios", "kernel.command_line", "tuning.cpu.governor"] {
        assert!(end.facts.contains_key(name), "{name}");
    }
    assert!(end.values.keys().any(|name| name.starts_with("halo_power_limit_watts")));
}

#[test]
fn keys_and_foreign_variables_are_never_archived() {
    let archive = Archive::new();
    let secret = "hunter2-hunter2";
    let mut recording = archive.recording(&[], &["true", "--api-key", secret, "-c", "4096"]);
    for name in ["LLAMA_API_KEY", "LLAMA_ARG_HF_TOKEN", "OPENAI_API_KEY", "HOME_PAGE"] {
        recording.env(name, secret);
    }
    recording.env("LLAMA_ARG_CTX_SIZE", "4096").env("RADV_PERFTEST", "nogttspill");
    recording.env("GGML_URL", format!("http://me:{secret}@host/"));
    assert!(recording.status().unwrap().success());
    let run = archive.only_run();
    let text = fs::read_to_string(run.join("manifest.json")).unwrap();
    assert!(!text.contains(secret), "{text}");
    let about = manifest(&run);
    assert_eq!(about.command.asked, ["true", "--api-key", "(hidden)", "-c", "4096"]);
    let facts = about.environment_at_start.facts;
    let variables: BTreeMap<&str, &str> = facts
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("variable.")?, value.as_str())))
        .collect();
    assert_eq!(variables["LLAMA_ARG_CTX_SIZE"], "4096");
    assert_eq!(variables["RADV_PERFTEST"], "nogttspill");
    assert_eq!(variables["GGML_URL"], "http://(hidden)@host/");
    assert_eq!(variables.len(), 3);
}

#[test]
fn a_variable_that_is_no_text_stops_nothing() {
    use std::os::unix::ffi::OsStrExt;
    let archive = Archive::new();
    let mut recording = archive.recording(&[], &["true"]);
    recording.env("ODD", std::ffi::OsStr::from_bytes(b"\xff"));
    assert!(recording.status().unwrap().success());
    assert!(archive.only_run().join("power.parquet").exists());
}

#[test]
fn the_state_of_the_working_directory_is_known() {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments);
        let output = git.current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    let facts = || {
        let mut recording = archive.recording(&[], &["true"]);
        assert!(recording.current_dir(directory.path()).status().unwrap().success());
        let run = archive.runs().pop().unwrap();
        manifest(&run).environment_at_start.facts
    };
    assert!(!facts().contains_key("git.commit"));
    git(&["init", "--quiet"]);
    fs::write(directory.path().join("file"), "a").unwrap();
    git(&["add", "file"]);
    git(&["commit", "--quiet", "-m", "x"]);
    let clean = facts();
    assert_eq!(clean["git.commit"], git(&["rev-parse", "HEAD"]));
    assert_eq!(clean["git.dirty"], "false");
    fs::write(directory.path().join("file"), "b").unwrap();
    assert_eq!(facts()["git.dirty"], "true");
}

/// A stand-in for podman, because containers cannot be had here: what it runs goes on when its
/// client is ended, as in a real one, and it passes on only the variables that it is told.
pub(crate) const PODMAN: &str = r#"
[ "$1 $2" = "container inspect" ] && { echo registry/image:1; exit 0; }
[ "$1" = exec ] || exit 125
shift
set -- "$@" end
variables=""
while [ "$1" = --env ]; do variables="$variables $2"; shift 2; done
shift
inner=""
while [ "$1" != end ]; do inner="$inner '$1'"; shift; done
eval "env -u HALO_RUN_ID -u HALO_RUN_DIR $variables setsid $inner" &
wait $!"#;

#[test]
fn a_command_in_a_container_is_known_and_ended_inside_it() {
    let (archive, programs) = (Archive::new(), tempfile::tempdir().unwrap());
    write_program(&programs.path().join("podman"), PODMAN);
    let inside = programs.path().join("inside");
    let script = format!("echo $HALO_RUN_ID $$ > {}; exec sleep 60", inside.display());
    let mut recording = archive.recording(&[], &["podman", "exec", "box", "sh", "-c", &script]);
    let mut child = recording.env("PATH", path_with(programs.path())).spawn().unwrap();
    let said = || fs::read_to_string(&inside).unwrap_or_default();
    wait_until("the command runs", || said().ends_with('\n'));
    let run = archive.only_run();
    let (id, process) =
        said().trim().split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(id, manifest(&run).id);
    let is_there = || fs::read(format!("/proc/{process}/environ")).is_ok_and(|e| !e.is_empty());
    assert!(is_there());

    let halo = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(halo, rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap();
    assert!(!is_there(), "it lives on in the container");
    let about = manifest(&run);
    assert_eq!(about.environment_at_start.facts["container.image"], "registry/image:1");
    assert!(about.problems.iter().any(|problem| problem.contains("in the container were ended")));
    assert!(about.command.executed.contains(&format!("HALO_RUN_ID={id}")), "{:?}", about.command);
}

#[test]
fn variables_are_those_that_the_command_sees() {
    let (archive, programs) = (Archive::new(), tempfile::tempdir().unwrap());
    write_program(&programs.path().join("podman"), "exit 0");
    let variables = |command: &[&str]| -> Vec<String> {
        let mut recording = archive.recording(&[], command);
        recording.env("PATH", path_with(programs.path())).env("RADV_DEBUG", "host");
        assert!(recording.status().unwrap().success());
        let facts = manifest(archive.runs().last().unwrap()).environment_at_start.facts;
        let variables = facts.iter().filter(|(name, _)| name.starts_with("variable."));
        variables.map(|(name, value)| format!("{}={value}", &name[9..])).collect()
    };
    assert_eq!(variables(&["true"]), ["RADV_DEBUG=host"]);
    assert_eq!(variables(&["env", "RADV_DEBUG=own", "true"]), ["RADV_DEBUG=own"]);
    // The host's variables do not reach a container.
    assert_eq!(
        variables(&["podman", "exec", "--env", "RADV_PERFTEST=a", "box", "env", "HSA_X=b", "c"]),
        ["HSA_X=b", "RADV_PERFTEST=a"]
    );
}

/// Stand-ins that never answer, as a daemon that hangs or a repository on a network that is gone.
#[test]
fn programs_that_hang_are_waited_for_once_and_not_each() {
    let (archive, programs) = (Archive::new(), tempfile::tempdir().unwrap());
    for name in ["git", "podman"] {
        write_program(&programs.path().join(name), "[ \"$1\" = exec ] || exec sleep 60");
    }
    let mut recording = archive.recording(&[], &["podman", "exec", "box", "true"]);
    let output = recording.env("PATH", path_with(programs.path())).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let about = manifest(&archive.only_run());
    let facts = about.environment_at_start.facts;
    assert!(!facts.contains_key("git.commit") && !facts.contains_key("container.image"));
    // Two that are asked for git and one for the image would each have taken the whole time.
    let before = about.command.started.unwrap().duration_since(about.started).as_secs_f64();
    assert!(before < 4.0, "{before} s");
}
