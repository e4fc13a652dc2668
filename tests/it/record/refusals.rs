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
    let cases: [(&[&str], &[&str]); 16] = [
        (&["run"], &["no command", "--"]),
        (&["benchmark", "--"], &["no command"]),
        (&["run", "--", "no-such-program"], &["no-such-program", "no such program"]),
        (&["run", "--", "./Cargo.toml"], &["./Cargo.toml", "no such program"]),
        (&["run", "--tag", "", "--", "true"], &["--tag", "KEY=VALUE"]),
        (&["run", "--tag", "a b", "--", "true"], &["--tag", "letters"]),
        (&["run", "--tag", "a=b\nc", "--", "true"], &["one line"]),
        (&["run", "--interval", "19ms", "--", "true"], &["--interval", "20ms"]),
        (&["run", "--interval", "2h", "--", "true"], &["--interval", "60s"]),
        (&["run", "--interval", "250", "--", "true"], &["--interval", "unit"]),
        (&["run", "--interval", "-1s", "--", "true"], &["--interval"]),
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
            &["rm", name],
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
