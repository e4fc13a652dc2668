//! Every file of a machine, in turn, damaged in every way: no panic, no hang, no new zero, and
//! every source that does not read the file says the same as before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use halo::config::Config;
use halo::root::{Opened, ReadError, Reason, Root};
use halo::sample::Sampler;
use halo::source::{SOURCES, selfstat};
use rustix::io::Errno;

use crate::machine::{self, Copy, Readings, files_below, fixtures};

const HOSTS: [&str; 3] = ["strix-halo-zbook-64g", "phoenix-780m-32g", "apu-and-discrete"];

/// What may happen to a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Missing,
    Directory,
    Content(&'static [u8]),
    Megabyte,
    Error(Errno),
}

impl Damage {
    const ALL: [Self; 10] = [
        Self::Missing,
        Self::Directory,
        Self::Content(b""),
        Self::Content(b"garbage\n"),
        Self::Content(b"-1\n"),
        Self::Content(b"\xff\xfe\x80\n"),
        Self::Megabyte,
        Self::Error(Errno::ACCESS),
        Self::Error(Errno::IO),
        Self::Error(Errno::BUSY),
    ];

    /// Whether every source that reads the file must report it.
    fn is_always_a_problem(self, path: &str) -> bool {
        match self {
            Self::Missing | Self::Content(b"" | b"garbage\n" | b"-1\n") => false,
            // The table of firmware is not text.
            Self::Content(_) => !path.ends_with("/gpu_metrics"),
            Self::Directory | Self::Megabyte | Self::Error(_) => true,
        }
    }

    fn apply(self, copy: &Copy, relative: &Path, path: &str) -> Root {
        let root = copy.root();
        match self {
            Self::Error(errno) => return root.failing(path, errno),
            Self::Missing => drop(copy.clear(relative)),
            Self::Directory => fs::create_dir(copy.clear(relative)).unwrap(),
            Self::Content(content) => fs::write(copy.clear(relative), content).unwrap(),
            Self::Megabyte => fs::write(copy.clear(relative), vec![b'7'; 1 << 20]).unwrap(),
        }
        root
    }
}

/// The kernel path of a file of a fixture.
fn kernel_path(relative: &Path) -> String {
    let text = relative.to_str().unwrap();
    match text.strip_prefix("root/") {
        Some(rest) => format!("/{rest}"),
        None => format!("/{text}"),
    }
}

/// The files that each source opens.
fn opened_by_source(host: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let config = Config::default();
    let sources = SOURCES.iter().filter(|source| source.name != selfstat::SOURCE.name);
    let opened = sources.map(|source| {
        let root = Root::at(fixtures().join("hosts").join(host)).recording();
        for mut reader in (source.open)(&config) {
            reader.read(&root, &mut halo::metric::Samples::default()).unwrap();
        }
        let paths = root.take_opened().into_iter().filter_map(|opened| match opened {
            Opened::File(path, _) => Some(path),
            Opened::Directory(..) | Opened::Link(..) => None,
        });
        (source.name, paths.collect())
    });
    opened.collect()
}

#[test]
fn a_damaged_file_costs_its_own_values_only() {
    for host in HOSTS {
        let opened = opened_by_source(host);
        let before = machine::read(&Root::at(fixtures().join("hosts").join(host)));
        let copy = Copy::of(host);
        let is_opened = |path: &str| opened.values().any(|paths| paths.contains(path));
        for relative in files_below(&fixtures().join("hosts").join(host)) {
            let path = kernel_path(&relative);
            // What nobody opens cannot matter; the whole machine is compared all the same, once.
            let kinds = if is_opened(&path) { &Damage::ALL[..] } else { &Damage::ALL[3..4] };
            for &damage in kinds {
                let root = damage.apply(&copy, &relative, &path);
                let after = machine::read(&root);
                check(
                    &format!("{host} {path} {damage:?}"),
                    damage,
                    &path,
                    &opened,
                    &before,
                    &after,
                );
            }
            copy.restore(host, &relative);
        }
    }
}

fn check(
    case: &str,
    damage: Damage,
    path: &str,
    opened: &BTreeMap<&'static str, BTreeSet<String>>,
    before: &Readings,
    after: &Readings,
) {
    for (source, after) in after {
        let (known, now) = (before[source].series(), after.series());
        if !opened[source].contains(path) {
            assert_eq!(known, now, "{case}: {source} does not read the file");
            continue;
        }
        for (series, value) in &now {
            let is_new_zero = *value == 0.0 && known.get(series) != Some(&0.0);
            assert!(!is_new_zero || may_become_zero(series, path), "{case}: new zero {series}");
        }
        let is_absent = after.outcome == Ok(halo::source::Presence::Absent);
        let has_failed = after.failures().next().is_some();
        assert!(
            !is_absent || has_failed || matches!(damage, Damage::Missing | Damage::Content(b"")),
            "{case}: {source} is absent without a word"
        );
        let is_reported = after.failures().any(|failure| failure.path().ends_with(&path[1..]));
        assert!(
            is_reported || !damage.is_always_a_problem(path),
            "{case}: {source} reads the file and does not report it"
        );
    }
}

/// A tuned profile may have any name, so a file with another word is a machine with another
/// profile, which is what the check is for. A fan that stands still does so under any chip name,
/// and a process that holds nothing may have any name too.
fn may_become_zero(series: &str, path: &str) -> bool {
    (series.contains("tuned_profile") && path == "/etc/tuned/active_profile")
        || (series.starts_with("halo_fan_speed_rpm") && path.ends_with("/name"))
        || (series.starts_with("halo_process_gpu_") && path.ends_with("/comm"))
}

#[test]
fn a_table_cut_anywhere_gives_no_firmware_values_and_changes_nothing_else() {
    for host in HOSTS {
        let relative = Path::new("sys/class/drm/card1/device/gpu_metrics");
        let table = fs::read(fixtures().join("hosts").join(host).join(relative)).unwrap();
        let copy = Copy::of(host);
        fs::write(copy.clear(relative), b"").unwrap();
        let without = machine::read(&copy.root());
        for length in 0..table.len() {
            fs::write(copy.path().join(relative), &table[..length]).unwrap();
            let now = machine::read(&copy.root());
            assert_eq!(machine::all_series(&without), machine::all_series(&now), "{host} {length}");
            let failures: Vec<Reason> = now["amdgpu"].failures().map(ReadError::reason).collect();
            assert_eq!(failures, [Reason::Garbage], "{host} {length}");
        }
    }
}

/// A FIFO stands for a read that waits in the kernel for ever. Each costs a deadline of waiting,
/// so they wait side by side.
#[test]
fn a_read_that_hangs_costs_its_own_source_only() {
    let host = HOSTS[0];
    let opened = opened_by_source(host);
    let paths: BTreeSet<&String> = opened.values().flatten().collect();
    let before = machine::read(&Root::at(fixtures().join("hosts").join(host)));
    let files = files_below(&fixtures().join("hosts").join(host));
    let hanging: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|relative| (kernel_path(&relative), relative))
        .filter(|(path, _)| paths.contains(path))
        .collect();
    assert!(hanging.len() > 60, "only {} files are read", hanging.len());
    for group in hanging.chunks(24) {
        std::thread::scope(|scope| {
            for (path, relative) in group {
                let (opened, before) = (&opened, &before);
                scope.spawn(move || hang(host, path, relative, opened, before));
            }
        });
    }
}

fn hang(
    host: &str,
    path: &str,
    relative: &Path,
    opened: &BTreeMap<&'static str, BTreeSet<String>>,
    before: &Readings,
) {
    let copy = Copy::of(host);
    let original = fs::read(copy.path().join(relative)).unwrap();
    copy.hang(relative);
    let collector = SOURCES.iter().map(|source| (source.name.to_owned(), true)).collect();
    let config = Config { collector, ..Config::default() };
    let sampler = Sampler::start(&config, &Arc::new(copy.root())).unwrap();
    let wanted = |source: &halo::source::Source| source.name != selfstat::SOURCE.name;
    let snapshot = machine::block_on(sampler.snapshot(wanted));
    for state in snapshot.states() {
        let name = state.source.name;
        let hangs = opened[name].contains(path);
        assert_eq!(state.is_stuck, hangs, "{path}: {name}");
        if hangs {
            assert!(state.values().is_empty() && !state.is_up(), "{path}: {name}");
            assert_eq!(state.reasons(), [Reason::Timeout], "{path}: {name}");
        } else {
            let count = before[name].series().len();
            assert_eq!(state.values().len(), count, "{path}: {name}");
        }
    }
    // A second look finds the source still stuck, at once and with no second thread.
    let began = std::time::Instant::now();
    let again = machine::block_on(sampler.snapshot(wanted));
    assert!(began.elapsed() < halo::sample::DEADLINE, "{path}: waited for a stuck source");
    assert!(again.states().iter().any(|state| state.is_stuck), "{path}");
    copy.answer(relative, &original);
    let recovered = (0..1000).any(|_| {
        let snapshot = machine::block_on(sampler.snapshot(wanted));
        std::thread::sleep(std::time::Duration::from_millis(5));
        snapshot.states().iter().all(|state| !state.is_stuck)
    });
    assert!(recovered, "{path}: still stuck after the file can be read");
}
