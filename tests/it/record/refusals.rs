//! What is refused before anything runs: one line that says what to do, exit code 2, no trace.

use std::fs;

use super::{Archive, text};

fn refused(archive: &Archive, arguments: &[&str]) -> String {
    let output = archive.run(arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{arguments:?}: {message}");
    assert!(message.starts_with("halo-record: "), "{message}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    message
}

#[test]
fn wrong_flags_and_commands() {
    let archive = Archive::new();
    let cases: [(&[&str], &[&str]); 20] = [
        (&["run"], &["no command", "--"]),
        (&["benchmark", "--"], &["no command"]),
        (&["run", "--", "no-such-program"], &["no-such-program", "no such program"]),
        (&["run", "--", "./Cargo.toml"], &["./Cargo.toml", "not executable", "chmod +x"]),
        (&["run", "--", "./tests"], &["./tests", "a directory"]),
        (&["run", "--", "./tests/none"], &["./tests/none", "no such program"]),
        (&["run", "--", ""], &["no such program"]),
        (&["run", "--tag", "", "--", "true"], &["--tag", "KEY=VALUE"]),
        (&["run", "--tag", "a b", "--", "true"], &["--tag", "letters"]),
        (&["run", "--tag", "a=b\nc", "--", "true"], &["one line"]),
        (&["run", "--interval", "19ms", "--", "true"], &["--interval", "20ms"]),
        (&["run", "--interval", "2h", "--", "true"], &["--interval", "60s"]),
        (&["run", "--interval", "250", "--", "true"], &["--interval", "unit"]),
        (&["run", "--interval=-1s", "--", "true"], &["--interval", "not negative"]),
        (&["run", "--interval", "-1s", "--", "true"], &["'-1'"]),
        (&["run", "--lead", "1h", "--", "true"], &["--lead", "600s"]),
        (&["run", "--config.file", "/no/file", "--", "true"], &["/no/file", "--config.file"]),
        (&["list", "--since", "soon"], &["--since", "2026-11-24"]),
        (&["list", "--state", "done"], &["--state", "complete"]),
        (&["unknown"], &["unknown", "--help"]),
    ];
    for (arguments, expected) in cases {
        let message = refused(&archive, arguments);
        for part in expected {
            assert!(message.contains(part), "{arguments:?}: {message} lacks {part}");
        }
    }
    assert!(archive.runs().is_empty());
}

/// What stands before a command is a flag, and never the program.
#[test]
fn a_mistyped_flag_is_no_program() {
    let archive = Archive::new();
    let cases: [(&[&str], &str); 13] = [
        (&["run", "--tgas", "x", "--", "true"], "--tgas' found; did you mean --tag"),
        (&["run", "--tgas=x", "--", "true"], "--tgas' found; did you mean --tag"),
        (&["run", "--tgas", "x", "true"], "--tgas' found; did you mean --tag"),
        (&["run", "--tag", "x", "--intervall", "1s", "true"], "did you mean --interval"),
        (&["run", "-x", "--", "true"], "'-x' found"),
        (&["run", "-tag", "x", "--", "true"], "'-t' found"),
        (&["eval", "--sute", "quick"], "--sute' found; did you mean --suite"),
        (&["eval", "--server-timout", "1m", "--", "true"], "did you mean --server-timeout"),
        (&["benchmark", "--tga", "x", "llama-bench", "-m", "x"], "did you mean --tag or --tg"),
        (&["benchmark", "--model", "qwen3.5"], "did you mean --models"),
        (&["benchmark", "--models", "qwen3.5", "--kv-type", "f16"], "did you mean --kv-types"),
        (&["benchmark", "--resume", "latest", "--retry-faild"], "did you mean --retry-failed"),
        (&["benchmark", "--resume", "latest", "true"], "--resume and a command, true"),
    ];
    for (arguments, expected) in cases {
        let message = refused(&archive, arguments);
        assert!(message.contains(expected), "{arguments:?}: {message} lacks {expected}");
    }
    assert!(archive.runs().is_empty());
}

#[test]
fn flags_behind_a_command_are_its_own() {
    let echo: [&[&str]; 3] =
        [&["echo", "--tag", "-n"], &["--", "echo", "--tag", "-n"], &["echo", "--tag", "-n"]];
    for words in echo {
        let archive = Archive::new();
        let output = archive.run(&[&["run", "--lead", "0", "--tag", "a"], words].concat());
        assert_eq!(text(&output.stdout), "--tag -n\n", "{}", text(&output.stderr));
        assert_eq!(super::manifest(&archive.only_run()).command.asked, ["echo", "--tag", "-n"]);
    }
    // A second -- is the command's.
    let archive = Archive::new();
    let output = archive.run(&["run", "--lead", "0", "echo", "--", "--tgas"]);
    assert_eq!(text(&output.stdout), "-- --tgas\n");
}

#[test]
fn a_file_that_cannot_be_executed_is_not_called_missing() {
    use std::os::unix::fs::PermissionsExt;
    let archive = Archive::new();
    let directory = tempfile::tempdir().unwrap();
    let cases: [(&str, &str, u32, &str); 4] = [
        ("plain", "#!/bin/sh\n", 0o644, "not executable; `chmod +x"),
        ("python", "#!/no/such/python3\n", 0o755, "a script for /no/such/python3"),
        ("env", "#!/usr/bin/env no-such-python\n", 0o755, "no-such-python: no such program"),
        ("windows", "#!/bin/sh\r\necho\r\n", 0o755, "lines end as on Windows"),
    ];
    for (name, content, mode, expected) in cases {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        // By its path, and by its name on PATH.
        let search = super::path_with(directory.path());
        for named in [path.to_str().unwrap(), name] {
            let mut program = archive.program(&["run", "--", named]);
            let output = program.env("PATH", &search).output().unwrap();
            let message = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{message}");
            assert!(message.contains(expected), "{named}: {message}");
        }
    }
    let mut here = archive.program(&["run", "--", "ended"]);
    super::write_program(&directory.path().join("ended"), "exit 0");
    let output = here.current_dir(directory.path()).output().unwrap();
    assert!(text(&output.stderr).contains("say ./ended"), "{}", text(&output.stderr));
    assert!(archive.runs().is_empty());
}

#[test]
fn variables_that_nobody_reads_are_named() {
    let archive = Archive::new();
    let warnings = |variables: &[(&str, &str)]| {
        let mut program = archive.program(&["list"]);
        let output = program.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success());
        let lines = text(&output.stderr);
        let lines = lines.lines().filter(|line| line.contains("no such variable"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for (variable, meant) in [
        ("HALO_ARCHIV", "did you mean HALO_ARCHIVE?"),
        ("HALO_CONFIGFILE", "did you mean HALO_CONFIG_FILE?"),
        ("HALO_PATH_ROOTSF", "did you mean HALO_PATH_ROOTFS?"),
        ("HALO_COLECTOR_CPU", "did you mean HALO_COLLECTOR_CPU?"),
        ("HALO_NONSENSE", "--help lists"),
    ] {
        let lines = warnings(&[(variable, "x")]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("halo-record: {variable}: ")), "{lines:?}");
        assert!(lines[0].contains(meant), "{lines:?}");
    }
    // Those of the exporter, of a command that is recorded, and of the tests are known.
    let known = [
        ("HALO_WEB_LISTEN_ADDRESS", ":1"),
        ("HALO_COLLECTOR_CPU", "true"),
        ("HALO_RUN_ID", "x"),
        ("HALO_API_KEY", "x"),
        ("HALO_TEST_ANYTHING", "x"),
    ];
    assert_eq!(warnings(&known), [""; 0]);
}

#[test]
fn an_archive_that_cannot_be_written() {
    let archive = Archive::new();
    let file = archive.path().join("file");
    fs::write(&file, "").unwrap();
    let message = refused(&archive, &["run", "--archive", file.to_str().unwrap(), "--", "true"]);
    assert!(message.contains("--archive"), "{message}");
    // A file system that takes no files, even from root.
    let message = refused(&archive, &["run", "--archive", "/proc/halo", "--", "true"]);
    assert!(message.contains("/proc/halo"), "{message}");
}

#[test]
fn runs_that_are_not_there_or_not_clear() {
    let archive = Archive::new();
    for _ in 0..2 {
        assert!(archive.record(&[], &["true"]).status.success());
    }
    for (name, expected) in [("nothing", "no such run"), ("true", "2 runs are called so")] {
        for subcommand in [
            &["show", name][..],
            &["tag", name, "a"],
            &["note", name, "a"],
            &["rm", "--yes", name],
            &["verify", name],
            &["recover", name],
            &["reparse", name],
        ] {
            let output = archive.run(subcommand);
            assert_eq!(output.status.code(), Some(1), "{subcommand:?}");
            assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        }
    }
    assert_eq!(archive.runs().len(), 2);
}
