//! A run as one file for others: nothing private in it, and everything of it verified.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use halo::bundle::{self, Redactor};
use halo::run::Manifest;
use proptest::prelude::*;

use crate::campaign::{User, code};
use crate::program::host_flags;
use crate::record::text;

/// What must not be in a bundle: a user's name, keys, addresses, a file's place.
const PRIVATE: [&str; 7] = [
    "katharina",
    "hf_abcdefghijklmnopqrstuvwxyz012345",
    "sk-secret-0123456789abcdef0123",
    "192.168.17.4",
    "52:54:00:ab:cd:ef",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "private-models",
];

/// A run of which everything that halo archives says something private.
fn recorded() -> User {
    let user = User::with_models(&["ok.gguf"]);
    let home = user.home.path().join("home/katharina/private-models");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("ok.gguf"), "GGUF").unwrap();
    let model = home.join("ok.gguf").display().to_string();
    let script = format!(
        "echo 'model from /home/katharina/private-models/x.gguf on 192.168.17.4:8080' >&2; \
         echo 'eth0 52:54:00:ab:cd:ef disk 3f2504e0-4f89-41d3-9a0c-0305e82c3301'; \
         halo=$HALO_RUN_DIR; \"$HALO\" mark done where=/home/katharina/private-models/y.gguf; \
         exec llama-bench -m '{model}' -p 512 -n 0 -r 2 --progress"
    );
    let mut program = user.program(&["run", "--lead", "0", "--interval", "50ms"]);
    program.args(host_flags("strix-halo-desktop-128g"));
    program.env("HALO", env!("CARGO_BIN_EXE_halo-record"));
    program.env("HF_TOKEN", PRIVATE[1]).args(["--tag", "who=katharina"]);
    program.args(["--", "sh", "-c", &script, "--api-key", PRIVATE[2]]);
    let output = program.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    user
}

fn bundled(user: &User, name: &str) -> PathBuf {
    let file = user.home.path().join(name);
    let mut program = user.program(&["bundle", "latest", "-o"]);
    let output = program.arg(&file).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("replaced ") && said.contains("path"), "{said}");
    assert!(said.contains("tar --zstd -xOf"), "{said}");
    file
}

/// The members of a bundle.
fn members(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let unpacked = zstd::Decoder::new(fs::File::open(file).unwrap()).unwrap();
    let mut packed = tar::Archive::new(unpacked);
    let entries = packed.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (path, bytes)
    });
    entries.collect()
}

fn verify(user: &User, file: &Path) -> (i32, String) {
    let output = user.program(&["verify"]).arg(file).output().unwrap();
    (code(&output), text(&output.stdout) + &text(&output.stderr))
}

/// Every text of a table, and its metadata.
fn texts(bytes: &[u8]) -> String {
    use arrow::array::AsArray;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let reader = fs::File::open(file.path()).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(reader).unwrap();
    let mut all = format!("{:?}", builder.metadata().file_metadata().key_value_metadata());
    for batch in builder.build().unwrap().map(Result::unwrap) {
        for column in batch.columns() {
            if let Some(column) = column.as_string_opt::<i32>() {
                column.iter().flatten().for_each(|text| all.push_str(text));
            }
        }
    }
    all
}

#[test]
fn nothing_private_is_in_a_bundle() {
    let user = recorded();
    let original = user.archive.only_run();
    let marks = texts(&fs::read(original.join("marks.parquet")).unwrap());
    assert!(marks.contains("katharina"), "the run itself has it");
    let file = bundled(&user, "run.tar.zst");
    let members = members(&file);
    for (path, bytes) in &members {
        let mut said = String::from_utf8_lossy(bytes).into_owned();
        if path.ends_with(".parquet") {
            said.push_str(&texts(bytes));
        }
        for private in PRIVATE {
            assert!(!said.contains(private) && !path.contains(private), "{path}: {private}");
        }
    }
    let manifest = members.iter().find(|(path, _)| path.ends_with("manifest.json")).unwrap().1;
    let manifest: Manifest = serde_json::from_slice(manifest).unwrap();
    assert_eq!(manifest.tags["who"].as_deref(), Some("<user>"));
    let stderr = members.iter().find(|(path, _)| path.ends_with("raw/stderr")).unwrap().1;
    assert!(text(stderr).starts_with("model from x.gguf on <network address>"), "{}", text(stderr));
    let bundle = manifest.bundle.unwrap();
    assert!(bundle.removed["path"] > 0 && bundle.removed["user"] > 0, "{:?}", bundle.removed);
    // The hashes of the originals are those of the run.
    let whole: Manifest =
        serde_json::from_slice(&fs::read(original.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(bundle.originals, whole.files);
    assert_eq!(manifest.files.len(), whole.files.len());
}

#[test]
fn what_is_measured_stays_as_it_is() {
    let user = recorded();
    let members = members(&bundled(&user, "run.tar.zst"));
    let directory = tempfile::tempdir().unwrap();
    for (path, bytes) in &members {
        let (_, inside) = path.split_once('/').unwrap();
        let to = directory.path().join(inside);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    let original = user.archive.only_run();
    let values = crate::record::archive_values;
    assert_eq!(values(directory.path()), values(&original));
    assert_eq!(crate::record::results(directory.path()), crate::record::results(&original));
}

#[test]
fn the_same_run_gives_the_same_bytes_and_each_change_of_them_is_found() {
    let user = recorded();
    let file = bundled(&user, "one.tar.zst");
    let bytes = fs::read(&file).unwrap();
    assert_eq!(bytes, fs::read(bundled(&user, "two.tar.zst")).unwrap());
    let (exit, said) = verify(&user, &file);
    assert!(exit == 0 && said.contains("files as bundled"), "{said}");

    // Bytes of the members themselves, packed again so that only the hashes can tell.
    let members = members(&file);
    for damaged in members.keys() {
        let path = user.home.path().join("damaged.tar.zst");
        let output = fs::File::create(&path).unwrap();
        let mut packed = tar::Builder::new(zstd::Encoder::new(output, 0).unwrap());
        for (name, bytes) in &members {
            let mut bytes = bytes.clone();
            if name == damaged {
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 1;
                }
                bytes.push(b' ');
            }
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            packed.append_data(&mut header, name, &bytes[..]).unwrap();
        }
        packed.into_inner().unwrap().finish().unwrap();
        // The manifest itself has no hash; damage there is found where it is no JSON any more or
        // says something else of a file.
        if !damaged.ends_with("manifest.json") {
            let (exit, said) = verify(&user, &path);
            let (_, inside) = damaged.split_once('/').unwrap();
            assert!(exit == 1 && said.contains(&format!("{inside}: changed")), "{damaged}: {said}");
        }
    }
    for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let path = user.home.path().join("cut.tar.zst");
        fs::write(&path, &bytes[..end]).unwrap();
        assert_eq!(verify(&user, &path).0, 1, "cut after {end}");
    }
}

#[test]
fn hostile_bundles_are_refused_in_a_line() {
    let user = User::with_models(&[]);
    let pack = |name: &str, kind: tar::EntryType| {
        let path = user.home.path().join("hostile.tar.zst");
        let output = fs::File::create(&path).unwrap();
        let mut packed = tar::Builder::new(zstd::Encoder::new(output, 0).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        let field = &mut header.as_gnu_mut().unwrap().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        packed.append(&header, std::io::empty()).unwrap();
        packed.into_inner().unwrap().finish().unwrap();
        path
    };
    for (name, kind) in [
        ("../evil", tar::EntryType::Regular),
        ("run/../../evil", tar::EntryType::Regular),
        ("/etc/evil", tar::EntryType::Regular),
        ("run/link", tar::EntryType::Symlink),
        ("run/device", tar::EntryType::Char),
        ("alone", tar::EntryType::Regular),
    ] {
        let (exit, said) = verify(&user, &pack(name, kind));
        assert!(exit == 1 && said.contains("stands in no bundle"), "{name}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
    let (exit, said) = verify(&user, &pack("run/stray", tar::EntryType::Regular));
    assert!(exit == 1 && said.contains("has no manifest.json"), "{said}");
    let (exit, said) = verify(&user, Path::new("nothing.tar.zst"));
    assert!(exit == 1 && said.contains("nothing.tar.zst"), "{said}");
}

#[test]
fn what_cannot_be_bundled_is_refused() {
    let user = recorded();
    let file = bundled(&user, "run.tar.zst");
    let again = user.program(&["bundle", "latest", "-o"]).arg(&file).output().unwrap();
    assert!(text(&again.stderr).contains("is there already; --force replaces it"));
    assert_ne!(code(&again), 0);
    let forced = user.program(&["bundle", "latest", "--force", "-o"]).arg(&file).output().unwrap();
    assert_eq!(code(&forced), 0, "{}", text(&forced.stderr));
    let run = user.archive.only_run();
    fs::write(run.join("journal.jsonl"), "").unwrap();
    let other = user.home.path().join("other.tar.zst");
    let unfinished = user.program(&["bundle", "latest", "-o"]).arg(&other).output().unwrap();
    assert!(text(&unfinished.stderr).contains("is unfinished"), "{}", text(&unfinished.stderr));
    assert!(!other.exists());
    let left: Vec<PathBuf> = fs::read_dir(user.home.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".staging"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn texts_keep_what_tells_nobody_where_somebody_is() {
    let host = ["workstation7".to_owned()];
    let users = ["anna".to_owned(), "root".to_owned()];
    let own = "0198c0de-0000-7000-8000-000000000001".to_owned();
    let mut redactor = Redactor::new(&host, &users, vec![own.clone()]);
    for (text, clean) in [
        ("llama-bench -m /home/anna/m/qwen.gguf -p 512", "llama-bench -m qwen.gguf -p 512"),
        ("-m=/data/x/y.gguf, and ~/models/z.gguf", "-m=y.gguf, and ~/models/z.gguf"),
        (
            "/sys/class/drm/card1 /usr/bin/env /dev/dri",
            "/sys/class/drm/card1 /usr/bin/env /dev/dri",
        ),
        ("3/5 repetitions, 1/s, 2026/11/24, and/or", "3/5 repetitions, 1/s, 2026/11/24, and/or"),
        ("http://192.168.1.20:8080/v1", "http://<network address>/v1"),
        ("http://127.0.0.1:8080/v1 0.0.0.0", "http://127.0.0.1:8080/v1 0.0.0.0"),
        ("fe80::1ff:fe23:4567:890a", "<network address>"),
        ("at 14:11:40 of 0000:c5:00.0, b11434", "at 14:11:40 of 0000:c5:00.0, b11434"),
        ("root=UUID=3f2504e0-4f89-41d3-9a0c-0305e82c3301 ro", "root=UUID=<identifier> ro"),
        (own.as_str(), own.as_str()),
        ("workstation7 of anna, annals, root", "<host> of <user>, annals, root"),
        ("anna@workstation7:~$", "<user>@<host>:~$"),
    ] {
        assert_eq!(redactor.clean(text), clean);
    }
}

proptest! {
    /// Wherever they stand, names, places and addresses are gone.
    #[test]
    fn planted_texts_are_gone(
        before in "[ -~]{0,20}[ =,\"(]",
        after in "([ ,\")][ -~]{0,20})?",
        secret in prop::sample::select(vec![
            "/home/anna/secret-place/m.gguf", "10.1.2.3", "52:54:00:12:34:56",
            "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "workstation7",
        ]),
    ) {
        let host = ["workstation7".to_owned()];
        let mut redactor = Redactor::new(&host, &["anna".to_owned()], Vec::new());
        let clean = redactor.clean(&format!("{before}{secret}{after}"));
        let private = if secret.contains('/') { "secret-place" } else { secret };
        prop_assert!(!clean.contains(private), "{}", clean);
    }

    /// Any text is taken, and what is clean stays as it is.
    #[test]
    fn cleaning_twice_is_cleaning_once(text in "\\PC{0,200}") {
        let mut redactor = Redactor::new(&["host1".to_owned()], &["anna".to_owned()], Vec::new());
        let once = redactor.clean(&text);
        prop_assert_eq!(redactor.clean(&once), once);
    }

    #[test]
    fn any_bytes_are_a_bundle_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        prop_assert!(bundle::verify(file.path()).is_err());
    }
}
