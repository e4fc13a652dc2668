//! Archives, bundles and files that somebody made to do harm: each command on each ends by itself
//! with a code that is documented, takes little, and neither reads nor changes anything outside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

mod archives;
mod bundles;
mod files;
mod manifests;
mod tables;

/// What no command may ever show or copy.
const SECRET: &str = "secret-4711-of-somebody-else";

/// The run that is hostile, and one that is not.
const RUN: &str = "20261124T050050.723Z-llama-bench-tiny";
const GOOD: &str = "20261124T060000.000Z-llama-bench-good";

/// Bytes that a command may have to itself: 256 MiB, but for what the program's own file takes.
const MEMORY: u64 = 224 << 20;

/// Seconds of a processor that a command may take. Built without optimization it needs up to twice
/// as many.
const SECONDS: u64 = if cfg!(debug_assertions) { 10 } else { 5 };

/// A command that neither ends nor computes hangs: far more than any takes on a busy machine.
const HANGS: Duration = Duration::from_mins(2);

/// A directory with an archive in it, and beside that what belongs to somebody else.
pub(crate) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        for directory in ["archive", "outside/empty", "work"] {
            fs::create_dir_all(place.path(directory)).unwrap();
        }
        fs::write(place.path("outside/secret.txt"), SECRET).unwrap();
        fs::write(place.path("outside/secret.json"), format!("[\"{SECRET}\"]")).unwrap();
        copy(&fixture(), &place.run(""));
        copy(&fixture(), &place.path("archive").join(GOOD));
        place
    }

    /// A path in it.
    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// A path in the hostile run.
    fn run(&self, path: &str) -> PathBuf {
        self.path("archive").join(RUN).join(path)
    }

    /// Puts something in the place of a file of the run.
    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.run(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Takes a file or directory of the run away.
    fn clear(&self, path: &str) -> PathBuf {
        let path = self.run(path);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).unwrap();
        }
        path
    }

    /// Puts a link in the place of a file of the run.
    fn link(&self, path: &str, to: impl AsRef<Path>) {
        symlink(to, self.clear(path)).unwrap();
    }

    /// Puts a file of this size, without anything in it, in the place of a file of the run.
    fn sparse(&self, path: &str, bytes: u64) {
        File::create(self.clear(path)).unwrap().set_len(bytes).unwrap();
    }

    /// Changes the manifest of the run.
    fn manifest(&self, how: impl FnOnce(&mut Value)) {
        let mut manifest = serde_json::from_slice(&fs::read(self.run("manifest.json")).unwrap());
        how(manifest.as_mut().unwrap());
        self.put("manifest.json", manifest.unwrap().to_string());
    }

    /// Makes the run one that was left unfinished, with this journal.
    fn journal(&self, bytes: impl AsRef<[u8]>) {
        self.manifest(|manifest| manifest["state"] = "running".into());
        self.put("journal.jsonl", bytes);
    }

    /// Makes the run one of another tool, that wrote a file.
    fn of_tool(&self, command: &[&str], file: &str, bytes: impl AsRef<[u8]>) {
        self.manifest(|manifest| manifest["command"]["executed"] = command.into());
        self.put(&format!("raw/files/{file}"), bytes);
    }
}

/// What is made hostile, how, and what is asked of it beside the commands for runs.
pub(crate) struct Case {
    name: &'static str,
    make: fn(&Place),
    /// A file that is verified or imported instead.
    file: Option<&'static str>,
}

/// A run that is hostile.
pub(crate) fn run(name: &'static str, make: fn(&Place)) -> Case {
    Case { name, make, file: None }
}

/// A file in `work` that is.
pub(crate) fn file(name: &'static str, file: &'static str, make: fn(&Place)) -> Case {
    Case { name, make, file: Some(file) }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archive/v1").join(RUN)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Everything at and below a directory, and when it was changed.
fn seen(directory: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, u64, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let about = path.symlink_metadata().unwrap();
        let content = match about.file_type() {
            kind if kind.is_file() => fs::read(&path).unwrap(),
            kind if kind.is_dir() => {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                Vec::new()
            }
            _ => Vec::new(),
        };
        let changed = (about.mode(), about.mtime(), about.mtime_nsec(), about.ino(), content);
        seen.insert(path, changed);
    }
    seen
}

/// Every command that reads runs; what removes them comes last.
fn commands(case: &Case) -> Vec<Vec<&'static str>> {
    if let Some(file) = case.file {
        let verb = if file.ends_with(".tar.zst") { "verify" } else { "import" };
        return vec![vec![verb, file]];
    }
    vec![
        vec!["list"],
        vec!["list", "--json"],
        vec!["show", RUN],
        vec!["show", RUN, "--json"],
        vec!["compare", RUN, GOOD],
        vec!["report", RUN, "-o", "report.html"],
        vec!["report", RUN, GOOD, "--format", "md"],
        vec!["export", RUN, "--format", "csv", "-o", "csv"],
        vec!["export", RUN, "--format", "json", "-o", "json"],
        vec!["export", RUN, "--format", "parquet", "-o", "parquet"],
        vec!["export", RUN, "--format", "openmetrics", "-o", "metrics.txt"],
        vec!["bundle", RUN, "-o", "bundle.tar.zst"],
        vec!["verify"],
        vec!["verify", "bundle.tar.zst"],
        vec!["mark", "--run", RUN, "mark"],
        vec!["tag", RUN, "tag"],
        vec!["note", RUN, "note"],
        vec!["log", "list"],
        vec!["log", "add", "change"],
        vec!["reparse", RUN],
        vec!["recover", RUN],
        vec!["recover"],
        vec!["verify", RUN],
        vec!["prune", "--keep", "1", "--dry-run"],
        vec!["rm", RUN, "--yes"],
    ]
}

/// Runs a command and gives how it ended; none where it did not.
fn ended(place: &Place, arguments: &[&str]) -> Option<ExitStatus> {
    let work = place.path("work");
    let mut command = Command::new("sh");
    // What takes more gets no memory or a signal, and neither is an exit code of halo's.
    let limits =
        format!("ulimit -c 0; ulimit -d {}; ulimit -t {SECONDS}; exec \"$0\" \"$@\"", MEMORY >> 10);
    command.args(["-c", &limits, env!("CARGO_BIN_EXE_halo-record")]).args(arguments);
    command.current_dir(&work).env("HOME", &work).env("HALO_ARCHIVE", place.path("archive"));
    command.env_remove("HALO_RUN_DIR").stdin(Stdio::null());
    command.stdout(File::create(work.join("stdout")).unwrap());
    command.stderr(File::create(work.join("stderr")).unwrap());
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let end = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let most = Timespec::try_from(HANGS).unwrap();
    let has_ended = poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&most)).unwrap() > 0;
    if !has_ended {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    has_ended.then_some(status)
}

fn has_secret(path: &Path) -> bool {
    let bytes = match File::open(path) {
        Ok(file) if path.to_string_lossy().ends_with(".zst") => {
            zstd::decode_all(file).unwrap_or_default()
        }
        Ok(_) => fs::read(path).unwrap(),
        Err(_) => Vec::new(),
    };
    bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
}

/// The names where commands write.
fn listed(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path("work")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// What is wrong with halo: all of it, so that one run of the test tells everything.
fn attack(case: &Case) -> Vec<String> {
    let place = Place::new();
    (case.make)(&place);
    let (outside, good) = (place.path("outside"), place.path("archive").join(GOOD));
    let (before, good_before) = (seen(&outside), seen(&good));
    let (mut faults, names) = (Vec::new(), listed(&place));
    for arguments in commands(case) {
        let place_of = |name: &str| place.path("work").join(name);
        let mut fault = |what: &str| {
            let said = fs::read(place_of("stderr")).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).chars().take(300).collect::<String>();
            faults.push(format!("{}: {}: {what}: {said}", case.name, arguments.join(" ")));
        };
        match ended(&place, &arguments) {
            None => fault("hangs"),
            Some(status) => match (status.code(), status.signal()) {
                (Some(0..=2), _) => {}
                // A comparison has codes of its own for what it found.
                (Some(125), _) if arguments[0] == "compare" => {}
                (code, signal) => fault(&format!("code {code:?}, signal {signal:?}")),
            },
        }
        // What asks for memory with care is told that there is none.
        let said = fs::read(place_of("stderr")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        if ["out of memory", "cannot allocate"].iter().any(|none| said.contains(none)) {
            fault("wants more memory than it may");
        }
        if ["stdout", "stderr", "bundle.tar.zst", "report.html", "metrics.txt"]
            .iter()
            .any(|name| has_secret(&place_of(name)))
        {
            fault("shows what stands outside");
        }
        if seen(&outside) != before {
            fault("changed what stands outside");
            break;
        }
    }
    if case.file.is_none() && seen(&good) != good_before {
        faults.push(format!("{}: another run was changed", case.name));
    }
    let left: Vec<_> = listed(&place)
        .into_iter()
        .filter(|name| name.contains(".halo-") || name.ends_with(".unfinished"))
        .filter(|name| !names.contains(name))
        .collect();
    if !left.is_empty() {
        faults.push(format!("{}: was left behind: {left:?}", case.name));
    }
    faults
}

#[test]
fn nothing_hostile_does_harm() {
    let mut cases = manifests::cases();
    cases.extend(files::cases());
    cases.extend(tables::cases());
    cases.extend(archives::cases());
    cases.extend(bundles::cases());
    let only = std::env::var("HOSTILE").unwrap_or_default();
    cases.retain(|case| case.name.contains(&only));
    assert!(cases.len() >= 60 || !only.is_empty(), "{} cases", cases.len());
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = attack(case);
                    faults.lock().unwrap().extend(found);
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_limits_of_the_test_hold() {
    // A test that could not fail would prove nothing: the good run passes, and a program that takes
    // more is seen.
    assert_eq!(attack(&run("good", |_| {})), Vec::<String>::new());
    let place = Place::new();
    let taking = "ulimit -d 65536; exec python3 -c 'bytearray(1 << 30)' 2>&1";
    let status = Command::new("sh").args(["-c", taking]).stdout(Stdio::null()).status().unwrap();
    assert!(!status.success(), "a limit of data holds nothing here");
    assert!(seen(&place.path("outside")).len() > 2);
}

/// Its manifest says that its tool wrote what belongs to somebody here.
#[test]
fn a_run_of_another_machine_takes_no_files_from_here() {
    let take = |machine: Option<String>| {
        let place = Place::new();
        let results = place.path("outside/results_2026-11-28T00-00-00.000000.json");
        fs::write(&results, format!("{{\"results\": {{}}, \"said\": \"{SECRET}\"}}")).unwrap();
        let outside = place.path("outside").display().to_string();
        place.manifest(|manifest| {
            let command = &mut manifest["command"];
            command["executed"] = json!([
                "lm_eval",
                "--model",
                "local-completions",
                "--tasks",
                "x",
                "--output_path",
                outside
            ]);
            command["places"] = json!([outside]);
            command["started"] = json!("2026-11-24T05:00:50Z");
            command["machine"] = json!(machine);
        });
        place.journal("");
        assert_eq!(ended(&place, &["recover", RUN]).unwrap().code(), Some(0));
        let manifest = fs::read_to_string(place.run("manifest.json")).unwrap();
        let copied = place.run("raw/files").exists();
        (copied, manifest.contains("was not begun on this machine"))
    };
    for foreign in [None, Some(String::new()), Some("0".repeat(64))] {
        assert_eq!(take(foreign.clone()), (false, true), "{foreign:?}");
    }
}

/// What halo did not make is not removed, whatever its directory is called.
#[test]
fn recover_removes_nothing_of_others() {
    let place = Place::new();
    let kept = place.path("archive/20261124T070000.000Z-my-notes");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("thesis.odt"), "precious").unwrap();
    let born = place.path("archive/20261124T080000.000Z-unborn");
    fs::create_dir(&born).unwrap();
    fs::write(born.join("reserve.unfinished"), "").unwrap();
    for directory in [&kept, &born] {
        let status = Command::new("touch").args(["-d", "@1000000000"]).arg(directory).status();
        assert!(status.unwrap().success());
    }
    assert_eq!(ended(&place, &["recover"]).unwrap().code(), Some(0));
    assert!(kept.join("thesis.odt").exists());
    assert!(!born.exists(), "halo was killed before this run began");
}

/// What halo writes it can read again: a note that is one too many is refused.
#[test]
fn nothing_is_written_that_is_not_read_again() {
    let place = Place::new();
    let text = "x".repeat(100_000);
    let mut refused = 0;
    for _ in 0..45 {
        refused += i32::from(ended(&place, &["note", GOOD, &text]).unwrap().code() != Some(0));
        assert_eq!(ended(&place, &["show", GOOD]).unwrap().code(), Some(0));
    }
    assert!(refused > 0, "the bound was reached");
    for _ in 0..45 {
        let _ = ended(&place, &["log", "add", "--change", &text]);
    }
    assert_eq!(ended(&place, &["log", "list"]).unwrap().code(), Some(0));
    let last = json!({
        "schema_version": 1, "number": u32::MAX, "date": "2026-11-28", "change": "x",
        "verdict": "pending", "written": "2026-11-28T01:07:46Z",
    });
    fs::write(place.path("archive/log.jsonl"), format!("{last}\n")).unwrap();
    assert_eq!(ended(&place, &["log", "add", "--change", "y"]).unwrap().code(), Some(1));
}

/// A file that has another name elsewhere is written to by nobody.
#[test]
fn nothing_is_added_to_a_hard_link() {
    let place = Place::new();
    fs::hard_link(place.path("outside/secret.txt"), place.path("archive/log.jsonl")).unwrap();
    assert_eq!(ended(&place, &["log", "add", "--change", "x"]).unwrap().code(), Some(1));
    place.journal("");
    fs::remove_file(place.run("journal.jsonl")).unwrap();
    fs::hard_link(place.path("outside/secret.txt"), place.run("journal.jsonl")).unwrap();
    assert_ne!(ended(&place, &["mark", "--run", RUN, "hello"]).unwrap().code(), Some(0));
    assert_eq!(fs::read_to_string(place.path("outside/secret.txt")).unwrap(), SECRET);
}
