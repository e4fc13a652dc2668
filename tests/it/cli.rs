//! What users type: good and bad.

use std::fs;
use std::net::TcpListener;

use crate::machine::{directories, fixtures, name, stable};
use crate::program::{command, host_flags, run};

/// One line on standard error that names the thing, exit code 2, nothing on standard output.
fn refused(output: &std::process::Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty());
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("halo-exporter: ") && !error.contains('\u{1b}'), "{error}");
    error
}

#[test]
fn wrong_flags_and_values_are_refused_in_one_line() {
    let cases: [(&[&str], &[&str]); 18] = [
        (&["--web.listen-adress=x"], &["--web.listen-adress", "did you mean"]),
        (&["--nonsense"], &["--nonsense", "--help"]),
        (&["positional"], &["positional", "--help"]),
        (&["--web.max-requests=many"], &["--web.max-requests", "many"]),
        (&["--log.level=loud"], &["loud", "expected debug, info, warn, error"]),
        (&["--log.format=xml"], &["xml", "expected logfmt, json"]),
        (&["--web.listen-address=nonsense"], &["--web.listen-address nonsense", "HOST:PORT"]),
        (&["--web.listen-address=nonsense", "--check-config"], &["nonsense", "HOST:PORT"]),
        (&["--web.max-requests=-1"], &["--web.max-requests", "whole number"]),
        (&["--web.telemetry-path=/a/../b"], &["--web.telemetry-path", "/metrics"]),
        (&["--power.ryzenadj-command=/nowhere"], &["--power.ryzenadj-command /nowhere"]),
        (&["--web.listen-address=:99999"], &["--web.listen-address :99999", "port"]),
        (&["--web.telemetry-path=metrics"], &["--web.telemetry-path", "/metrics"]),
        (&["--web.telemetry-path=/-/ready"], &["--web.telemetry-path", "/-/ready"]),
        (&["--path.sysfs=/nowhere"], &["--path.sysfs /nowhere", "no such directory"]),
        (&["--config.file=/nowhere.toml"], &["/nowhere.toml", "--config.file"]),
        (&["--once", "--doctor"], &["--once", "--doctor"]),
        (&["--web.config.file=/nowhere.yml", "--check-config"], &["/nowhere.yml"]),
    ];
    for (arguments, expected) in cases {
        let error = refused(&run(arguments));
        for part in expected {
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    }
}

#[test]
fn a_wrong_configuration_file_is_refused_by_line() {
    let directory = fixtures().join("configs/halo/invalid");
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let expected = text.lines().next().unwrap().trim_start_matches("# ");
        let error = refused(&run(&["--check-config", "--config.file", file.to_str().unwrap()]));
        assert!(error.contains(expected), "{}: {error}", name(&file));
    }
}

#[test]
fn a_port_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = refused(&run(&["--web.listen-address", &address]));
    assert!(error.contains(&address) && error.contains("in use"), "{error}");
}

/// Each setting is taken from flags, then variables, then the file, then the default.
#[test]
fn flags_come_before_variables_and_variables_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("halo.toml");
    fs::write(&file, "[collector]\ncpu = false\nmemory = false\nhost = false\n").unwrap();
    let output = command()
        .args(host_flags("no-gpu"))
        .args(["--once", "--collector.cpu", "--config.file"])
        .arg(&file)
        .env("HALO_COLLECTOR_CPU", "false")
        .env("HALO_COLLECTOR_MEMORY", "true")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("halo_cpu_seconds_total"), "the flag comes first");
    assert!(text.contains("halo_memory_size_bytes"), "then the variable");
    assert!(!text.contains("halo_host_info"), "then the file");
    assert!(text.contains("halo_pressure_stalled_seconds_total"), "then the default");
    let error = refused(&command().env("HALO_COLLECTOR_CPU", "maybe").output().unwrap());
    assert!(error.contains("HALO_COLLECTOR_CPU=maybe"), "{error}");
    let last = command()
        .args(host_flags("no-gpu"))
        .args(["--once", "--collector.cpu", "--no-collector.cpu"])
        .output()
        .unwrap();
    assert!(!String::from_utf8(last.stdout).unwrap().contains("halo_cpu_"), "the last flag wins");
}

#[test]
fn variables_that_nobody_reads_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("halo.toml");
    let server = "[[llama]]\nurl = \"http://127.0.0.1:1\"\napi_key_variable = \"HALO_MY_KEY\"\n";
    fs::write(&file, server).unwrap();
    let output = command()
        .args(["--check-config", "--config.file"])
        .arg(&file)
        .env("HALO_MY_KEY", "secret")
        .env("HALO_WEB_LISTEN_ADRESS", "127.0.0.1:1")
        .env("HALO_COLLECTOR_TUNNING", "false")
        .env("HALO_RUN_DIR", "x")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "halo-exporter: HALO_COLLECTOR_TUNNING: no such variable, ignored; \
             did you mean HALO_COLLECTOR_TUNING?",
            "halo-exporter: HALO_WEB_LISTEN_ADRESS: no such variable, ignored; \
             did you mean HALO_WEB_LISTEN_ADDRESS?",
        ]
    );
}

/// The archive is where it is named, as `halo-record` takes the same flag and variable; only that
/// of a whole machine is looked for below its root.
#[test]
fn a_named_archive_is_where_it_is_named() {
    let archive = fixtures().join("hosts/strix-halo-desktop-128g/root/var/lib/halo");
    let runs = |host: &str, variable: Option<&str>, flags: &[&str]| {
        let mut program = command();
        program.args(host_flags(host)).arg("--once").args(flags);
        program.envs(variable.map(|value| ("HALO_ARCHIVE", value)));
        let output = program.output().unwrap();
        String::from_utf8(output.stdout).unwrap().matches("\nhalo_run_info{").count()
    };
    let all = runs("strix-halo-desktop-128g", None, &[]);
    assert!(all > 0);
    let named = archive.to_str().unwrap();
    assert_eq!(runs("no-gpu", None, &["--archive", named]), all);
    assert_eq!(runs("no-gpu", Some(named), &[]), all);
    assert_eq!(runs("no-gpu", None, &[]), 0);
    assert_eq!(runs("strix-halo-desktop-128g", None, &["--archive", "/nowhere"]), 0);
    let empty = tempfile::tempdir().unwrap();
    let below = empty.path().to_str().unwrap();
    assert_eq!(runs("strix-halo-desktop-128g", Some(below), &[]), 0);
}

#[test]
fn once_prints_the_golden_exposition_without_the_process() {
    for host in directories("hosts") {
        let output = command().args(host_flags(name(&host))).arg("--once").output().unwrap();
        assert!(output.status.success());
        let golden = fs::read_to_string(host.join("expected.prom")).unwrap();
        assert_eq!(stable(&String::from_utf8(output.stdout).unwrap()), golden);
    }
}

#[test]
fn once_reads_this_machine_whatever_it_has() {
    let output = run(&["--once"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("halo_source_up{source=\"memory\"} 1"), "{text}");
}

#[test]
fn doctor_says_what_is_missing_and_how_to_get_it() {
    let output = command().args(host_flags("no-gpu")).arg("--doctor").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("amdgpu      absent   No card of the driver amdgpu"), "{text}");
    assert!(text.contains("memory      ok       5 series"), "{text}");
    let copy = crate::machine::Copy::of("strix-halo-zbook-64g");
    fs::write(copy.clear("proc/meminfo".as_ref()), "garbage\n").unwrap();
    let flags = crate::program::machine_flags(copy.path());
    let output = command().args(flags).args(["--doctor", "--no-collector.npu"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("memory      fails"), "{text}");
    assert!(text.contains("meminfo: is not a list of memory sizes: \"garbage\""), "{text}");
    assert!(text.contains("npu         off      --collector.npu reads it"), "{text}");
}

#[test]
fn capture_writes_a_machine_that_can_be_shown() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("machine");
    let arguments = ["--capture", target.to_str().unwrap()];
    let capture = || command().args(host_flags("phoenix-780m-32g")).args(arguments).output();
    let output = capture().unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown =
        command().args(crate::program::machine_flags(&target)).arg("--once").output().unwrap();
    let golden = fixtures().join("hosts/phoenix-780m-32g/expected.prom");
    let shown = stable(&String::from_utf8(shown.stdout).unwrap());
    assert_eq!(shown, fs::read_to_string(golden).unwrap());
    let error = refused(&capture().unwrap());
    assert!(error.contains("not empty"), "{error}");
}

#[test]
fn help_version_and_completions_go_to_standard_output() {
    let version = run(&["--version"]);
    assert!(version.status.success());
    let text = String::from_utf8(version.stdout).unwrap();
    assert!(text.starts_with(concat!("halo-exporter ", env!("CARGO_PKG_VERSION"))), "{text}");
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for part in ["--web.config.file", "HALO_WEB_LISTEN_ADDRESS", "--no-collector.npu", "Examples:"]
    {
        assert!(help.contains(part), "{part}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["--completions", shell]);
        assert!(script.status.success());
        assert!(String::from_utf8(script.stdout).unwrap().contains("collector.amdgpu"), "{shell}");
    }
}

#[test]
fn the_log_has_one_line_a_change_of_state() {
    let copy = crate::machine::Copy::of("strix-halo-zbook-64g");
    let served = crate::program::Served::start(crate::program::machine_flags(copy.path()));
    let relative = "sys/class/drm/card1/device/mem_info_gtt_used";
    fs::write(copy.clear(relative.as_ref()), "garbage\n").unwrap();
    (0..5).for_each(|_| drop(served.get("/metrics")));
    copy.restore("strix-halo-zbook-64g", relative.as_ref());
    (0..5).for_each(|_| drop(served.get("/metrics")));
    let log: Vec<String> = served.logged().into_iter().filter(|l| l.contains("gtt_used")).collect();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].contains("level=warn") && log[0].contains("reason=garbage"), "{log:?}");
    assert!(log[1].contains("level=info") && log[1].contains("can be read again"), "{log:?}");
}
