//! The archive as the exporter shows it.

use std::fs::{self, File};
use std::path::Path;

use halo::config::Config;
use halo::metric::Samples;
use halo::root::{Reason, Root};
use halo::run::Manifest;
use halo::source::{Presence, Reader, runs};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};

use crate::machine::fixtures;

const HOST: &str = "hosts/strix-halo-desktop-128g";

/// The reader of an archive that holds nothing else.
struct Archive {
    directory: tempfile::TempDir,
    reader: Box<dyn Reader>,
}

impl Archive {
    fn new(newest: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("archive");
        fs::create_dir(&archive).unwrap();
        let mut config = Config { archive: Some(archive), ..Config::default() };
        config.runs.newest = newest;
        Self { directory, reader: (runs::SOURCE.open)(&config).remove(0) }
    }

    fn run(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("archive").join(name)
    }

    fn write(&self, name: &str, manifest: &str) {
        fs::create_dir_all(self.run(name)).unwrap();
        fs::write(self.run(name).join("manifest.json"), manifest).unwrap();
    }

    fn read(&mut self) -> Samples {
        let mut samples = Samples::default();
        let presence = self.reader.read(&Root::at(self.directory.path()), &mut samples);
        assert_eq!(presence, Ok(Presence::Present));
        samples
    }
}

/// The text of a manifest of the fixture.
fn manifest(name: &str) -> String {
    let path = fixtures().join(HOST).join("root/var/lib/halo").join(name).join("manifest.json");
    fs::read_to_string(path).unwrap()
}

const FIRST: &str = "20261120T190000.000Z-llama-bench-qwen3";
const LASTING: &str = "20261122T090000.000Z-llama-bench-qwen3";

fn lines(samples: &Samples, family: &str) -> Vec<String> {
    let lines = samples.values().iter().filter(|sample| sample.def.name == family);
    lines.map(ToString::to_string).collect()
}

#[test]
fn fixtures_are_manifests() {
    for entry in fs::read_dir(fixtures().join(HOST).join("root/var/lib/halo")).unwrap() {
        let text = manifest(entry.unwrap().file_name().to_str().unwrap());
        let whole: Manifest = serde_json::from_str(&text).unwrap();
        assert_eq!(whole.schema_version, 1);
    }
}

#[test]
fn a_run_is_active_while_its_lock_is_held() {
    let mut archive = Archive::new(50);
    archive.write(LASTING, &manifest(LASTING));
    let state = |samples: &Samples| {
        let info = lines(samples, "halo_run_info").remove(0);
        let (_, state) = info.split_once("state=\"").unwrap();
        (state.split('"').next().unwrap().to_owned(), samples_active(samples))
    };
    assert_eq!(state(&archive.read()), ("interrupted".to_owned(), 0.0));
    let directory = File::open(archive.run(LASTING)).unwrap();
    flock(&directory, FlockOperation::LockExclusive).unwrap();
    assert_eq!(state(&archive.read()), ("running".to_owned(), 1.0));
    drop(directory);
    assert_eq!(state(&archive.read()), ("interrupted".to_owned(), 0.0));
    // A change of the manifest is seen.
    archive.write(LASTING, &manifest(LASTING).replace("\"running\"", "\"cancelled\""));
    assert_eq!(state(&archive.read()), ("cancelled".to_owned(), 0.0));
}

fn samples_active(samples: &Samples) -> f64 {
    samples.values().iter().find(|sample| sample.def.name == "halo_run_active").unwrap().value
}

#[test]
fn the_newest_are_shown_and_no_more() {
    let mut archive = Archive::new(3);
    for day in 10..30 {
        archive.write(&format!("202611{day}T000000.000Z-x"), &manifest(FIRST));
    }
    fs::create_dir(archive.run("lost+found")).unwrap();
    fs::create_dir(archive.run("20261130T000000.000Z-being-made")).unwrap();
    let shown = lines(&archive.read(), "halo_run_active");
    let expected =
        [29, 28, 27].map(|day| format!("halo_run_active{{run=\"202611{day}T000000.000Z-x\"}} 0"));
    assert_eq!(shown, expected);
    fs::remove_dir_all(archive.run("20261129T000000.000Z-x")).unwrap();
    assert!(lines(&archive.read(), "halo_run_active")[0].contains("20261128"));
    assert!(lines(&Archive::new(0).read(), "halo_run_active").is_empty());
}

#[test]
fn what_a_run_may_say_is_bounded() {
    let mut archive = Archive::new(50);
    let mut value: serde_json::Value = serde_json::from_str(&manifest(FIRST)).unwrap();
    for number in 0..500 {
        value["tags"][format!("tag{number}")] = "x".into();
        let mut figure = value["summary"][0].clone();
        figure["case"] = format!("case{number}").into();
        value["summary"].as_array_mut().unwrap().push(figure);
    }
    value["tags"]["long"] = "x".repeat(500).into();
    value["tags"]["lines"] = "a\nb".into();
    value["models"][0]["name"] = "m".repeat(500).into();
    archive.write("20261120T000000.000Z-x", &value.to_string());
    let samples = archive.read();
    assert_eq!(lines(&samples, "halo_run_tag_info").len(), 20);
    assert_eq!(lines(&samples, "halo_run_result").len(), 100);
    assert!(lines(&samples, "halo_run_info")[0].contains("model=\"\""));
    assert_eq!(samples.problems(), []);
}

#[test]
fn a_manifest_that_cannot_be_used_costs_its_own_run() {
    let mut archive = Archive::new(50);
    archive.write("20261120T000000.000Z-fine", &manifest(FIRST));
    let newer = manifest(FIRST).replace("\"schema_version\": 1", "\"schema_version\": 2");
    archive.write("20261121T000000.000Z-newer", &newer);
    let text = manifest(FIRST);
    archive.write("20261122T000000.000Z-torn", &text[..text.len() / 2]);
    archive.write("20261123T000000.000Z-large", &(manifest(FIRST) + &" ".repeat(300_000)));
    let link = archive.run("20261124T000000.000Z-loop");
    std::os::unix::fs::symlink(link.file_name().unwrap(), &link).unwrap();
    archive.write("20261125T000000.000Z-fifo", "");
    let fifo = archive.run("20261125T000000.000Z-fifo").join("manifest.json");
    fs::remove_file(&fifo).unwrap();
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let samples = archive.read();
    assert_eq!(lines(&samples, "halo_run_active").len(), 1, "{samples:?}");
    let mut reasons: Vec<(String, Reason)> = samples
        .problems()
        .iter()
        .map(|problem| (directory(problem.path()), problem.reason()))
        .collect();
    reasons.sort();
    let expected = [
        ("fifo", Reason::Garbage),
        ("large", Reason::Garbage),
        ("loop", Reason::Io),
        ("newer", Reason::Unsupported),
        ("torn", Reason::Garbage),
    ];
    let mut expected = expected.map(|(name, reason)| (name.to_owned(), reason));
    expected.sort();
    assert_eq!(reasons, expected);
}

/// The last part of the name of the directory that a file is in.
fn directory(file: &Path) -> String {
    let name = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
    name.rsplit('-').next().unwrap().to_owned()
}
