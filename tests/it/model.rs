//! The header of a model file, its size and its hash, on files that the tests write.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use halo::gguf::{self, Refusal};
use halo::record::model::{Description, cache_path, describe};
use proptest::prelude::*;
use serde_json::{Value, json};

const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A header that is made pair by pair.
pub(crate) struct Gguf {
    version: u32,
    pairs: u64,
    bytes: Vec<u8>,
}

impl Gguf {
    pub(crate) fn new() -> Self {
        Self { version: 3, pairs: 0, bytes: Vec::new() }
    }

    fn pair(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.pairs += 1;
        self.bytes.extend(string(key));
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(value);
        self
    }

    pub(crate) fn string(self, key: &str, value: &str) -> Self {
        self.pair(key, STRING, &string(value))
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(7_u64.to_le_bytes());
        bytes.extend(self.pairs.to_le_bytes());
        bytes.extend(&self.bytes);
        bytes
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn array(kind: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes()[..], elements].concat()
}

fn read(bytes: &[u8]) -> Result<std::collections::BTreeMap<String, Value>, Refusal> {
    gguf::metadata(&mut Cursor::new(bytes))
}

/// A model with what halo keeps, and with what it leaves out.
fn model() -> Gguf {
    let words: Vec<u8> = ["a", "b", "c"].iter().flat_map(|word| string(word)).collect();
    Gguf::new()
        .string("general.architecture", "llama")
        .string("general.name", "Tiny 1B ")
        .pair("general.file_type", 4, &15_u32.to_le_bytes())
        .pair("llama.context_length", 4, &131_072_u32.to_le_bytes())
        .pair("tokenizer.ggml.tokens", ARRAY, &array(STRING, 3, &words))
        .pair("tokenizer.ggml.scores", ARRAY, &array(6, 2, &[0; 8]))
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", "qwen2")
        .string("tokenizer.chat_template", "{{ bos }}")
        .string("general.license.text", &"x".repeat(257))
        .pair("llama.rope.freq_base", 6, &1e-5_f32.to_le_bytes())
        .pair("llama.not_a_number", 6, &f32::NAN.to_le_bytes())
        .pair("split.count", 2, &3_u16.to_le_bytes())
        .pair("an.i8", 1, &[0xff])
        .pair("an.i16", 3, &(-2_i16).to_le_bytes())
        .pair("an.i32", 5, &(-3_i32).to_le_bytes())
        .pair("an.i64", 11, &i64::MIN.to_le_bytes())
        .pair("an.u64", 10, &u64::MAX.to_le_bytes())
        .pair("an.f64", 12, &0.5_f64.to_le_bytes())
        .pair("a.u8", 0, &[7])
        .pair("a.truth", 7, &[1])
}

#[test]
fn short_metadata_are_read_and_arrays_and_texts_are_left_out() {
    let expected = json!({
        "general.architecture": "llama",
        "general.name": "Tiny 1B ",
        "general.file_type": 15,
        "llama.context_length": 131_072,
        "tokenizer.ggml.model": "gpt2",
        "llama.rope.freq_base": 0.000_01,
        "split.count": 3,
        "an.i8": -1,
        "an.i16": -2,
        "an.i32": -3,
        "an.i64": i64::MIN,
        "an.u64": u64::MAX,
        "an.f64": 0.5,
        "a.u8": 7,
        "a.truth": true,
    });
    for version in [2, 3] {
        let metadata = read(&Gguf { version, ..model() }.build()).unwrap();
        assert_eq!(json!(metadata), expected, "version {version}");
    }
}

#[test]
fn hostile_headers_are_refused_with_their_place() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    let header = |gguf: Gguf| refused(&gguf.build());
    let key_of = |length: u64| {
        let mut gguf = Gguf { pairs: 1, ..Gguf::new() };
        gguf.bytes.extend(length.to_le_bytes());
        header(gguf)
    };
    let of_kind = |kind: u32, value: &[u8]| header(Gguf::new().pair("k", kind, value));

    assert_eq!(refused(b"GGML\x03\0\0\0"), "byte 0: this is no GGUF file");
    assert!(refused(b"GG").contains("the file ends"));
    assert!(refused(b"").contains("the file ends"));
    assert!(header(Gguf { version: 1, ..Gguf::new() }).contains("GGUF version 1"));
    assert!(header(Gguf { version: 3 << 24, ..Gguf::new() }).contains("big-endian"));
    assert!(header(Gguf { pairs: u64::MAX, ..Gguf::new() }).contains("pairs of metadata"));
    assert!(header(Gguf { pairs: 1, ..Gguf::new() }).starts_with("byte 24: 8 bytes are said"));
    assert!(key_of(u64::MAX).contains("longer than GGUF allows"));
    assert!(key_of(65_535).contains("the file ends"));
    assert!(of_kind(13, &[]).contains("no type"));
    for length in [u64::MAX, u64::MAX - 45, 1 << 40] {
        let refusal = of_kind(STRING, &length.to_le_bytes());
        assert!(refusal.starts_with("byte 45: "), "{refusal}");
        for kind in [0, 6, STRING, 10] {
            let refusal = of_kind(ARRAY, &array(kind, length, &[]));
            assert!(refusal.starts_with("byte 49: "), "{refusal}");
        }
    }
    assert!(of_kind(ARRAY, &array(ARRAY, 1, &[])).contains("array of arrays"));
    assert!(of_kind(ARRAY, &array(99, 1, &[])).contains("no type"));
    assert!(of_kind(ARRAY, &array(STRING, 2, &string("12345678"))).contains("the file ends"));
}

#[test]
fn every_truncation_is_refused() {
    let whole = model().build();
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..300), pairs in 0_u64..5) {
        let _ = read(&noise);
        let _ = read(&Gguf { bytes: noise, pairs, ..Gguf::new() }.build());
    }

    #[test]
    fn a_damaged_byte_never_panics(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = model().build();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes);
    }
}

/// A directory with a model in it.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache/halo/model-hashes.json")
    }

    fn described(&self, file: &Path) -> Description {
        describe(file, true, Some(&self.cache()))
    }
}

/// The hash as coreutils make it.
fn sha256(content: &[u8]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut command = Command::new("sha256sum");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn a_model_is_described_by_its_metadata_size_and_hash() {
    let directory = Directory::new();
    // Longer than one read.
    let content = [model().build(), vec![1; 3 << 20]].concat();
    let file = directory.file("m.gguf", &content);
    let Description { model, problems } = directory.described(&file);
    assert_eq!(problems, [""; 0]);
    assert_eq!(model.name, "Tiny 1B");
    assert_eq!(model.file, file.to_str().unwrap());
    assert_eq!(model.bytes, Some(content.len() as u64));
    assert_eq!(model.sha256, Some(sha256(&content)));
    assert_eq!(model.metadata["general.file_type"], 15);

    let quick = describe(&file, false, Some(&directory.cache())).model;
    assert_eq!((quick.sha256, quick.bytes), (None, model.bytes));
}

#[test]
fn a_hash_is_remembered_until_the_file_changes() {
    let directory = Directory::new();
    let file = directory.file("m.gguf", &model().build());
    let first = directory.described(&file).model.sha256.unwrap();
    // What is remembered is believed, which shows that the file was not read again.
    let text = fs::read_to_string(directory.cache()).unwrap();
    fs::write(directory.cache(), text.replace(&first, "remembered")).unwrap();
    let link = directory.0.path().join("link.gguf");
    symlink(&file, &link).unwrap();
    for path in [&file, &link] {
        assert_eq!(directory.described(path).model.sha256.unwrap(), "remembered");
    }

    let changed = [model().build(), vec![0]].concat();
    fs::write(&file, &changed).unwrap();
    assert_eq!(directory.described(&file).model.sha256, Some(sha256(&changed)));
    // The same size again, and another time.
    let touched = fs::metadata(&file).unwrap().modified().unwrap();
    fs::write(directory.cache(), text.replace(&first, "stale")).unwrap();
    let open = fs::File::options().write(true).open(&file).unwrap();
    open.set_modified(touched + std::time::Duration::from_nanos(1)).unwrap();
    assert_eq!(directory.described(&file).model.sha256, Some(sha256(&changed)));
    let names: Vec<_> = fs::read_dir(directory.cache().parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "no temporary file is left");
}

#[test]
fn a_cache_that_is_damaged_or_not_writable_costs_no_hash() {
    let directory = Directory::new();
    let content = model().build();
    let file = directory.file("m.gguf", &content);
    fs::create_dir_all(directory.cache().parent().unwrap()).unwrap();
    for damage in ["", "{", "[]", "{\"models\": [{\"identity\": 1}]}", "\u{0}\u{0}"] {
        fs::write(directory.cache(), damage).unwrap();
        let described = directory.described(&file);
        assert_eq!(described.model.sha256, Some(sha256(&content)), "{damage}");
        assert!(described.problems.is_empty(), "{damage}");
        assert!(fs::read_to_string(directory.cache()).unwrap().contains(&sha256(&content)));
    }
    let blocked = file.join("model-hashes.json");
    let described = describe(&file, true, Some(&blocked));
    assert_eq!(described.model.sha256, Some(sha256(&content)));
    assert!(described.problems[0].contains("is not remembered"), "{:?}", described.problems);
    assert_eq!(describe(&file, true, None).model.sha256, Some(sha256(&content)));
}

#[test]
fn the_cache_keeps_the_newest_hashes() {
    let directory = Directory::new();
    fs::create_dir_all(directory.cache().parent().unwrap()).unwrap();
    let known = |i: usize| json!({"identity": format!("old {i}"), "sha256": "x"});
    let many: Vec<Value> = (0..600).map(known).collect();
    fs::write(directory.cache(), json!({"models": many}).to_string()).unwrap();
    let file = directory.file("m.gguf", &model().build());
    let sha256 = directory.described(&file).model.sha256.unwrap();
    let text = fs::read_to_string(directory.cache()).unwrap();
    let models: Value = serde_json::from_str(&text).unwrap();
    let models = models["models"].as_array().unwrap();
    assert_eq!(models.len(), 512);
    assert_eq!(models[510]["identity"], "old 599");
    assert_eq!(models[511]["sha256"], json!(sha256));
}

#[test]
fn a_split_model_is_all_its_parts() {
    let directory = Directory::new();
    let parts = [model().build(), b"second".to_vec(), b"third".to_vec()];
    let paths: Vec<PathBuf> = parts
        .iter()
        .zip(1..)
        .map(|(content, i)| directory.file(&format!("m-{i:05}-of-00003.gguf"), content))
        .collect();
    let described = directory.described(&paths[0]);
    assert_eq!(described.problems, [""; 0]);
    assert_eq!(described.model.bytes, Some(parts.concat().len() as u64));
    assert_eq!(described.model.sha256, Some(sha256(&parts.concat())));

    fs::remove_file(&paths[1]).unwrap();
    let described = directory.described(&paths[0]);
    assert_eq!((described.model.bytes, described.model.sha256), (None, None));
    assert_eq!(described.problems.len(), 1);
    assert!(described.problems[0].contains("m-00002-of-00003.gguf"), "{:?}", described.problems);
    assert_eq!(described.model.name, "Tiny 1B", "what is known is kept");

    // Names that only look split are one file.
    for name in ["m-00004-of-00003.gguf", "m-00000-of-00000.gguf", "m-1-of-2.gguf", "-of-.gguf"] {
        let described = directory.described(&directory.file(name, &parts[0]));
        assert_eq!(described.model.bytes, Some(parts[0].len() as u64), "{name}");
    }
}

#[test]
fn what_is_no_model_is_named_and_never_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = Directory::new();
    let missing = directory.0.path().join("missing.gguf");
    let described = directory.described(&missing);
    assert_eq!((described.model.name.as_str(), described.model.bytes), ("missing.gguf", None));
    assert_eq!(described.problems.len(), 1, "{:?}", described.problems);
    assert!(described.problems[0].contains("missing.gguf: No such file"));

    let fifo = directory.0.path().join("fifo.gguf");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let described = directory.described(&fifo);
    assert!(described.problems[0].contains("this is no file"), "{:?}", described.problems);

    let text = directory.file("text.gguf", b"not a model");
    let described = directory.described(&text);
    assert!(described.problems[0].contains("this is no GGUF file"));
    assert_eq!(described.model.bytes, Some(11), "its size is known all the same");
}

#[test]
fn the_cache_is_where_the_xdg_specification_says() {
    let path = |xdg: Option<&str>, home: Option<&str>| {
        cache_path(xdg.map(AsRef::as_ref), home.map(AsRef::as_ref))
    };
    let at = |directory: &str| Some(Path::new(directory).join("halo/model-hashes.json"));
    assert_eq!(path(Some("/c"), Some("/h")), at("/c"));
    assert_eq!(path(None, Some("/h")), at("/h/.cache"));
    assert_eq!(path(Some("relative"), Some("/h")), at("/h/.cache"));
    assert_eq!(path(Some(""), None), None);
}

#[test]
fn a_fingerprint_tells_files_of_one_size_and_header_apart() {
    let directory = tempfile::tempdir().unwrap();
    let header = Gguf::new().string("general.name", "Tiny").build();
    let file = |name: &str, at: usize, byte: u8| {
        let mut bytes = header.clone();
        bytes.resize(10 << 20, 7);
        bytes[at..at + (1 << 19)].fill(byte);
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        describe(&path, false, None).model.fingerprint.unwrap()
    };
    let [one, copy, tune] = [file("a", 5 << 20, 7), file("b", 5 << 20, 7), file("c", 5 << 20, 8)];
    assert_eq!(one, copy, "the same content at another place");
    assert_ne!(one, tune);
    assert_ne!(one, file("d", 9 << 20, 8));
    // Of a split model every part counts.
    for (number, byte) in [(1, 1_u8), (2, 2)] {
        fs::write(directory.path().join(format!("s-0000{number}-of-00002.gguf")), [byte; 9])
            .unwrap();
    }
    let split =
        || describe(&directory.path().join("s-00001-of-00002.gguf"), false, None).model.fingerprint;
    let before = split();
    fs::write(directory.path().join("s-00002-of-00002.gguf"), [3; 9]).unwrap();
    assert!(before.is_some() && before != split());
}
