//! Files that cannot be executed, and what is said of each.

use std::fs;

use super::*;

/// A file of this content and mode.
fn file(directory: &Path, name: &str, content: &[u8], mode: u32) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// This test's own program, with some bytes of it replaced.
fn elf(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut content = fs::read(std::env::current_exe().unwrap()).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    content.truncate(usize::try_from(HEAD).unwrap());
    content
}

fn text(path: &Path) -> String {
    let judged = if is_executable(path) { check_format(path, false) } else { Err(fault_of(path)) };
    judged.map_or_else(|fault| fault.to_string(), |()| "fine".to_owned())
}

#[test]
fn each_reason_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str, content: &[u8], mode| text(&file(directory.path(), name, content, mode));
    let cases: [(String, &str); 16] = [
        (at("a", b"#!/bin/sh\n", 0o644), "not executable; `chmod +x"),
        (at("b", b"", 0o755), "an empty file"),
        (at("c", b"echo hello\n", 0o755), "neither a program nor a script"),
        (at("d", b"MZ\x90\0", 0o755), "a program for Windows"),
        (at("e", b"#!/no/python\n", 0o755), "a script for /no/python, which cannot be executed"),
        (at("f", b"#! /usr/bin/env no-python\n", 0o755), "a script for no-python"),
        (at("g", b"#!/bin/sh\r\necho\r\n", 0o755), "lines end as on Windows"),
        (at("h", b"#!/tmp\n", 0o755), "/tmp: a directory"),
        (at("i", b"#!\n", 0o755), "neither a program nor a script"),
        (at("j", b"#!/bin/sh -e\n", 0o755), "fine"),
        (at("k", b"#!/usr/bin/env -S sh -e\n", 0o755), "fine"),
        (at("l", b"#!/usr/bin/env sh", 0o755), "fine"),
        (text(directory.path()), "a directory, not a program"),
        (text(&directory.path().join("none")), "no such program"),
        (text(Path::new("/dev/null")), "not a regular file"),
        (text(&file(directory.path(), "m", b"", 0o755).join("below")), "no such program"),
    ];
    for (text, expected) in cases {
        assert!(text.contains(expected), "{text} lacks {expected}");
        assert!(!text.contains('\n'), "{text}");
    }
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("gone", &link).unwrap();
    assert!(text(&link).contains("a link to gone, which is not there"), "{}", text(&link));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn programs_for_other_machines_and_systems_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str, content: &[u8]| text(&file(directory.path(), name, content, 0o755));
    for (name, machine) in [("aarch64", 183_u16), ("riscv64", 243), ("s390x", 22)] {
        let said = at(name, &elf(18, &machine.to_le_bytes()));
        assert!(said.contains(&format!("built for {name}, and this machine is x86_64")), "{said}");
    }
    // What a handler may be registered for is not judged.
    let foreign = file(directory.path(), "foreign", &elf(18, &183_u16.to_le_bytes()), 0o755);
    assert!(check_format(&foreign, true).is_ok());
    let own = elf(0, b"\x7fELF");
    assert_eq!(at("own", &own), "fine");
    if let Some(loader) = loader(&own) {
        let name = loader.as_os_str().as_bytes();
        let begin = own.windows(name.len()).position(|bytes| bytes == name).unwrap();
        let said = at("loader", &elf(begin, b"/no"));
        assert!(said.contains("needs the loader /no"), "{said}");
    }
    assert_eq!(at("cut", &own[..30]), "fine");
}
