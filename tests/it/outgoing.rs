//! What leaves a machine: of texts that are planted wherever text can come in, none is in a bundle, an
//! export or a report, and what tells nobody anything stays.

mod harmless;
pub(crate) mod planted;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use halo::archive::schema;
use halo::redact::{Kind, Redactor};
use halo::run::Manifest;
use halo::run::manifest::{Case, Model, Note, ProcessUse};

use crate::bundle::{members, texts};
use crate::campaign::{User, code};
use crate::program::host_flags;
use crate::record::{manifest, text};
use planted::{Planted, USER};

const SEED: u64 = 16;

#[test]
fn there_are_enough_of_both() {
    let planted = planted::all(SEED);
    let kinds: BTreeSet<&str> = planted.iter().map(|planted| planted.kind).collect();
    assert!(planted.len() >= 300 && kinds.len() >= 40, "{} of {}", planted.len(), kinds.len());
    assert!(harmless::all().len() >= 200, "{}", harmless::all().len());
    for Planted { text, secret, .. } in &planted {
        let plain = text.replace("\u{1b}[0m\u{200b}", "");
        assert!(plain.contains(secret) && secret.len() > 1, "{text}: {secret}");
    }
}

#[test]
fn each_planted_text_is_found_alone() {
    let names = [(USER.to_owned(), Kind::User)];
    let left: Vec<Planted> = planted::all(SEED)
        .into_iter()
        .filter(|planted| {
            let clean = Redactor::new(names.clone(), [], Vec::new()).clean(&planted.text);
            clean.contains(&planted.secret)
        })
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn each_harmless_text_stays() {
    let changed: Vec<(String, String)> = harmless::all()
        .into_iter()
        .map(|text| (text.clone(), Redactor::default().clean(&text)))
        .filter(|(text, clean)| text != clean)
        .collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

/// A run into which the texts come in every way there is.
fn recorded(all: &[String]) -> User {
    let user = User::with_models(&[]);
    let mut program = user.program(&["run", "--lead", "0", "--interval", "50ms"]);
    program.args(host_flags("strix-halo-desktop-128g")).args(["--", "true"]);
    let output = program.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let run = user.archive.only_run();
    let lines = all.join("\n");
    fs::write(run.join("raw/stdout"), &lines).unwrap();
    fs::write(run.join("raw/stderr"), &lines).unwrap();
    fs::create_dir_all(run.join("raw/files/logs")).unwrap();
    let log: Vec<String> = all
        .iter()
        .map(|text| serde_json::to_string(&serde_json::json!({ "log": text })).unwrap())
        .collect();
    fs::write(run.join("raw/files/logs/tool.jsonl"), log.join("\n")).unwrap();
    write_table(&run, "marks", &schema::marks(), all);
    write_table(&run, "results", &schema::results(), all);
    write_table(&run, "eval_samples", &schema::eval_samples(), all);
    let foreign = Schema::new(vec![Field::new("anything", DataType::Utf8, false)]);
    write_table(&run, "foreign", &Arc::new(foreign), all);
    rewrite(&run, all);
    user
}

/// A table with the texts in each of its columns that has any.
fn write_table(run: &Path, name: &str, schema: &Arc<Schema>, all: &[String]) {
    let arrays = schema.fields().iter().map(|field| -> ArrayRef {
        match field.data_type() {
            DataType::Utf8 if field.name() == "attributes" => {
                let json = |text: &String| serde_json::json!({ "said": text }).to_string();
                Arc::new(StringArray::from_iter_values(all.iter().map(json)))
            }
            DataType::Utf8 => Arc::new(StringArray::from_iter_values(all)),
            kind => cast(&Int64Array::from(vec![1; all.len()]), kind).unwrap(),
        }
    });
    let batch = RecordBatch::try_new(Arc::clone(schema), arrays.collect()).unwrap();
    let file = fs::File::create(run.join(format!("{name}.parquet"))).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, Arc::clone(schema), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The manifest with the texts in each field that somebody may write.
fn rewrite(run: &Path, all: &[String]) {
    let mut changed: Manifest = manifest(run);
    changed.files = ["stdout", "stderr", "files/logs/tool.jsonl"]
        .map(|name| halo::run::manifest::File {
            path: format!("raw/{name}"),
            bytes: 0,
            sha256: String::new(),
        })
        .to_vec();
    let one = || all.to_vec();
    changed.command.asked = one();
    changed.command.executed = one();
    "/home/Zqdirectory/x".clone_into(&mut changed.command.directory);
    changed.problems = one();
    let lines = all.join("\n");
    changed.unparsed = Some(lines.clone());
    changed.failure = Some(lines.clone());
    changed.backend = Some(lines.clone());
    changed.tags = all.iter().map(|text| (text.clone(), Some(text.clone()))).collect();
    let note = |text: &String| Note { time: changed.started, text: text.clone() };
    changed.notes = all.iter().map(note).collect();
    let model = |text: &String| Model {
        name: text.clone(),
        reference: Some(text.clone()),
        file: text.clone(),
        metadata: [("general.name".to_owned(), serde_json::json!([text, { "x": text }]))].into(),
        ..Model::default()
    };
    changed.models = all.iter().map(model).collect();
    let case = |text: &String| Case {
        task: text.clone(),
        case: text.clone(),
        parameters: [(text.clone(), serde_json::json!(text))].into(),
    };
    changed.cases = all.iter().map(case).collect();
    changed.processes =
        Some(vec![ProcessUse { pid: 7, name: "zqprogram".to_owned(), cores: 1.0, bytes: 1 }]);
    let facts = &mut changed.environment_at_start.facts;
    for (number, text) in all.iter().enumerate() {
        facts.insert(format!("variable.GGML_{number}"), text.clone());
        facts.insert(format!("fact.{number}"), text.clone());
    }
    facts.insert("kernel.command_line".to_owned(), format!("root=/dev/x {lines} amd_iommu=off"));
    facts.insert("gpu.users".to_owned(), "llama-server, zqprogram".to_owned());
    fs::write(run.join("manifest.json"), serde_json::to_vec(&changed).unwrap()).unwrap();
}

/// Everything that halo gives away of the run, by what it is.
fn given(user: &User) -> Vec<(String, String)> {
    let place = user.home.path().join("given");
    fs::create_dir(&place).unwrap();
    let run = |arguments: &[&str]| {
        let mut program = user.program(arguments);
        let output = program.env("USER", USER).output().unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let path = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let mut all = Vec::new();
    run(&["bundle", "latest", "--raw", "-o", &path("raw.tar.zst")]);
    run(&["bundle", "latest", "-o", &path("plain.tar.zst")]);
    for name in ["raw.tar.zst", "plain.tar.zst"] {
        for (member, bytes) in members(Path::new(&path(name))) {
            let mut said = String::from_utf8_lossy(&bytes).into_owned();
            if member.ends_with(".parquet") {
                said = texts(&bytes);
            }
            all.push((format!("{name} {member}"), member + "\n" + &said));
        }
    }
    for format in ["csv", "json", "parquet"] {
        run(&["export", "latest", "--format", format, "--output", &path(format)]);
        for entry in fs::read_dir(path(format)).unwrap() {
            let file: PathBuf = entry.unwrap().path();
            let bytes = fs::read(&file).unwrap();
            let said = match format {
                "parquet" => texts(&bytes),
                _ => String::from_utf8(bytes).unwrap(),
            };
            all.push((format!("export {}", file.display()), said));
        }
    }
    all.push(("openmetrics".to_owned(), run(&["export", "latest", "--format", "openmetrics"])));
    for format in ["html", "md", "json"] {
        all.push((
            format!("report {format}"),
            run(&["report", "latest", "--format", format, "-o", "-"]),
        ));
    }
    all
}

/// The text as it may stand in JSON, HTML and Markdown too.
fn is_in(said: &str, secret: &str) -> bool {
    said.contains(secret)
        || said.contains(&serde_json::to_string(secret).unwrap()[1..=secret.len()])
}

#[test]
fn nothing_that_was_planted_leaves_in_any_way() {
    let planted = planted::all(SEED);
    let user = recorded(&planted.iter().map(|planted| planted.text.clone()).collect::<Vec<_>>());
    let mut left = BTreeSet::new();
    for (what, said) in given(&user) {
        for Planted { kind, secret, .. } in &planted {
            // The name of the user is a word of two letters: alone it is looked for below.
            if *kind != "user" && is_in(&said, secret) {
                left.insert(format!("{what}: {kind}: {secret}"));
            }
        }
        for private in ["zqprogram", "Zqdirectory", "hello xq there", "/home/xq", "XQ's model"] {
            if said.contains(private) {
                left.insert(format!("{what}: {private}"));
            }
        }
    }
    assert!(left.is_empty(), "{} {left:#?}", left.len());
}

#[test]
fn what_is_harmless_stays_in_a_bundle() {
    // The name of this machine may be a word of one.
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut names_host = Redactor::new([(host, Kind::Host)], [], Vec::new());
    let all: Vec<String> =
        harmless::all().into_iter().filter(|text| names_host.clean(text) == *text).collect();
    assert!(all.len() >= 200, "{}", all.len());
    let user = recorded(&all);
    let file = user.home.path().join("run.tar.zst");
    let output = user.program(&["bundle", "latest", "--raw", "-o"]).arg(&file).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let members = members(&file);
    let stdout = members.iter().find(|(path, _)| path.ends_with("raw/stdout")).unwrap().1;
    let stdout: Vec<&str> = str::from_utf8(stdout).unwrap().lines().collect();
    let shared = members.iter().find(|(path, _)| path.ends_with("manifest.json")).unwrap().1;
    let shared: Manifest = serde_json::from_slice(shared).unwrap();
    let notes: Vec<&str> = shared.notes.iter().map(|note| note.text.as_str()).collect();
    for text in &all {
        assert!(stdout.contains(&text.as_str()), "{text}");
        assert!(notes.contains(&text.as_str()), "{text}");
    }
}

#[test]
fn a_dry_run_shows_what_would_leave_and_writes_nothing() {
    let planted = planted::all(SEED);
    let user = recorded(&planted.iter().map(|planted| planted.text.clone()).collect::<Vec<_>>());
    let before: BTreeSet<PathBuf> =
        fs::read_dir(user.home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let output = user.program(&["bundle", "latest", "--raw", "--dry-run"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("/manifest.json") && said.contains("/raw/stdout"), "{said}");
    assert!(said.contains("network address") && said.contains("192.168."), "{said}");
    // A key is not shown again where somebody may look over a shoulder.
    let key = planted.iter().find(|planted| planted.kind == "hf_").unwrap();
    assert!(said.contains("hf_") && !said.contains(&key.secret), "{said}");
    let after: BTreeSet<PathBuf> =
        fs::read_dir(user.home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(before, after);
}

#[test]
fn keys_are_not_archived_by_tags_notes_marks_and_commands() {
    let user = User::with_models(&[]);
    let key = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567";
    let mut program = user.program(&["run", "--lead", "0", "--tag", &format!("who={key}")]);
    program.args(["--tag", "api_key=zqsecret"]).args(host_flags("strix-halo-desktop-128g"));
    program.env("HALO", env!("CARGO_BIN_EXE_halo-record")).env("K", key);
    program.args(["--", "sh", "-c", "\"$HALO\" mark \"at $K\" token=zqsecret more=\"$K\"", key]);
    let output = program.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("archived as (hidden)"), "{}", text(&output.stderr));
    for arguments in
        [["tag", "latest", &format!("later={key}")], ["note", "latest", &format!("it was {key}")]]
    {
        let output = user.program(&arguments).output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("archived as (hidden)"), "{arguments:?}");
    }
    let run = user.archive.only_run();
    let said = fs::read_to_string(run.join("manifest.json")).unwrap()
        + &texts(&fs::read(run.join("marks.parquet")).unwrap());
    assert!(said.contains("(hidden)"));
    for secret in [key, "zqsecret"] {
        assert!(!said.contains(secret), "{said}");
    }
}
