//! `--capture`: what it copies works as a machine, and says nothing about its owner.

use std::fs;
use std::sync::Arc;

use halo::capture;
use halo::config::Config;
use halo::root::Root;
use halo::sample::Sampler;

use crate::machine::{Copy, about, block_on, directories, exposition, files_below, fixtures, name};
use crate::outgoing::planted::{self, Planted, USER};

fn captured(host: &std::path::Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = Arc::new(Root::at(host).recording());
    let sampler = Sampler::start(&Config::default(), &root).unwrap();
    block_on(sampler.snapshot(capture::wants));
    let written = capture::write(&root, directory.path()).unwrap();
    assert!(written.files > 20, "{}: {written:?}", name(host));
    directory
}

#[test]
fn a_captured_machine_gives_the_same_exposition() {
    for host in directories("hosts") {
        let copy = captured(&host);
        let captured = exposition(Root::at(copy.path()));
        assert_eq!(captured, without_runs(&exposition(Root::at(&host))), "{}", name(&host));
    }
}

/// Files behind links, lists of names and what only a container shows: what tells of the machine is
/// captured with it.
#[test]
fn a_captured_hazard_gives_the_same_exposition() {
    for hazard in [
        "amdttm",
        "amdttm-not-used",
        "axb35-board",
        "cmdline-behind-two-dashes",
        "cmdline-iommu-no-such-word",
        "cmdline-iommu-taken-back",
        "cmdline-misspelt-modules",
        "iommu-group-link-of-the-card",
        "iommu-groups-of-the-gpu",
        "lxc-meminfo",
        "names-of-guix",
        "names-of-nixos",
        "os-release-absolute-link",
        "ryzen-smu-without-table",
    ] {
        let hazard = fixtures().join("hazards").join(hazard);
        let machine = Copy::of(&about(&hazard).base);
        machine.apply(&hazard);
        let copy = captured(machine.path());
        let expected = without_runs(&exposition(machine.root()));
        assert_eq!(exposition(Root::at(copy.path())), expected, "{}", name(&hazard));
    }
}

/// The archive is not captured: it tells of the user.
fn without_runs(exposition: &str) -> String {
    let is_other = |line: &&str| !line.contains("halo_run_") && !line.contains(r#"source="runs""#);
    exposition.lines().filter(is_other).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn a_capture_has_only_what_was_read_and_nothing_of_the_owner() {
    for host in directories("hosts") {
        let copy = captured(&host);
        let host_name = fs::read_to_string(host.join("proc/sys/kernel/hostname")).unwrap();
        let command_line = fs::read_to_string(host.join("proc/cmdline")).unwrap();
        let secrets: Vec<&str> = command_line
            .split_whitespace()
            .filter_map(|token| token.split_once("UUID=").or(token.split_once("uuid=")))
            .map(|(_, uuid)| uuid)
            .chain([host_name.trim(), "HALO-FIXTURE-SERIAL"])
            .collect();
        assert!(secrets.len() > 2, "{}: {secrets:?}", name(&host));
        let files = files_below(copy.path());
        assert!(!files.iter().any(|file| file.ends_with("board_serial")), "{files:?}");
        assert!(!files.iter().any(|file| file.ends_with("product_uuid")), "{files:?}");
        assert!(!files.iter().any(|file| file.ends_with("manifest.json")), "{files:?}");
        for file in files {
            let content = fs::read(copy.path().join(&file)).unwrap();
            let content = String::from_utf8_lossy(&content).to_lowercase();
            for secret in &secrets {
                assert!(
                    !content.contains(&secret.to_lowercase()),
                    "{}: {secret} in {}",
                    name(&host),
                    file.display()
                );
            }
        }
    }
}

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(capture::prepare(&directory.path().join("new")), Ok(()));
    let refusal = capture::prepare(directory.path()).unwrap_err();
    assert!(refusal.contains("not empty"), "{refusal}");
}

/// What is planted in a file of the system and in one of the kernel is in no capture.
#[test]
fn nothing_that_was_planted_is_in_a_capture() {
    let machine = Copy::of("strix-halo-desktop-128g");
    let all = planted::all(7);
    let is_path = |planted: &Planted| planted.secret.starts_with("Zq");
    let all: Vec<Planted> = all.into_iter().filter(|planted| !is_path(planted)).collect();
    let lines = |texts: &[&str]| texts.join("\n") + "\n";
    let texts: Vec<&str> = all.iter().map(|planted| planted.text.as_str()).collect();
    let about = fs::read_to_string(machine.path().join("root/etc/os-release")).unwrap();
    // The copy may share its files with the fixture.
    let write = |path: &str, text: String| {
        let path = machine.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
    };
    write("root/etc/os-release", about + &lines(&texts));
    let accounts = format!("{USER}:x:1000:1000:Zqfirst Zqlast,,,:/home/{USER}:/bin/sh\n");
    write("root/etc/passwd", accounts);
    write("proc/sys/kernel/hostname", "zqbox.example.org\n".to_owned());
    let copy = captured(machine.path());
    let said: String = files_below(copy.path())
        .iter()
        .map(|file| {
            String::from_utf8_lossy(&fs::read(copy.path().join(file)).unwrap()).into_owned()
        })
        .collect();
    assert!(said.contains("hello user there"), "the file is in it");
    // Of a capture alone hosts of others and addresses of mail are not looked for.
    let left: Vec<&Planted> = all
        .iter()
        .filter(|planted| !["host", "account", "user"].contains(&planted.kind))
        .filter(|planted| said.contains(&planted.secret))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    for private in ["hello xq", "XQ's model", "zqbox", "Zqfirst", "Zqlast"] {
        assert!(!said.contains(private), "{private}");
    }
}
