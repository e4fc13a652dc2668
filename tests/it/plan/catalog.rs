//! The catalog of models: what is shipped, the user's own, and what is found in it.

use std::fs;

use halo::plan::Refusal;
use halo::plan::catalog::{Catalog, Category, Entry};
use proptest::prelude::*;

use super::{Room, assert_says, display, strings};
use crate::record::text;

/// A catalog of the shipped entries and nothing else.
fn shipped() -> Catalog {
    let room = Room::new();
    Catalog::load(Some(&room.file("models.toml", ""))).unwrap()
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

fn select(texts: &[&str], categories: &[Category]) -> Result<Vec<String>, Vec<Refusal>> {
    let found = shipped().select(&strings(texts.iter().copied()), categories)?;
    Ok(strings(names(&found)))
}

#[test]
fn the_shipped_catalog_is_the_toolkits() {
    let catalog = shipped();
    let count =
        |category| catalog.entries().iter().filter(|e| e.category == Some(category)).count();
    let counts = [Category::Smoke, Category::Dense, Category::Moe, Category::Draft].map(count);
    assert_eq!(counts, [4, 5, 10, 1]);
    let file = "Qwen3.5-0.8B-Q8_0.gguf";
    let same: Vec<Entry> =
        catalog.entries().iter().filter(|e| e.file.as_os_str() == file).cloned().collect();
    assert_eq!(names(&same), ["qwen3.5-0.8b-q8", "qwen3.5-0.8b-q8-draft"]);
    assert!(catalog.entries().iter().all(|e| e.repository.is_some() && !e.description.is_empty()));
}

const OWN: &str = r#"
[[model]]
name = "mine"
repository = "me/Mine-GGUF"
file = "sub/Mine-00001-of-00002.gguf"
size_gb = 7
category = "moe"

[[model]]
name = "gpt-oss-20b-mxfp4"
repository = "other/gpt-oss"
file = "gpt-oss.gguf"
size_gb = 13.5
category = "moe"
description = "another one"
"#;

#[test]
fn the_users_own_file_adds_and_replaces() {
    let room = Room::new();
    let catalog = Catalog::load(Some(&room.file("own.toml", OWN))).unwrap();
    let before = shipped();
    assert_eq!(catalog.entries().len(), before.entries().len() + 1);
    let place = |catalog: &Catalog, name| {
        catalog.entries().iter().position(|entry| entry.name == name).unwrap()
    };
    let replaced = place(&catalog, "gpt-oss-20b-mxfp4");
    assert_eq!(replaced, place(&before, "gpt-oss-20b-mxfp4"));
    assert_eq!(catalog.entries()[replaced].repository.as_deref(), Some("other/gpt-oss"));
    let mine = catalog.entries().last().unwrap();
    assert_eq!((mine.size_gb, mine.description.as_str()), (Some(7.0), ""));
    let download = mine.download("/my models".as_ref()).unwrap();
    assert_eq!(
        download,
        "hf download me/Mine-GGUF sub/Mine-00001-of-00002.gguf sub/Mine-00002-of-00002.gguf \
         --local-dir '/my models/me/Mine-GGUF'"
    );
}

#[test]
fn it_is_found_where_configurations_are() {
    let room = Room::new();
    let has_mine = |room: &Room, directory: Option<&str>| {
        let mut command = room.command("no-gpu", &["models", "--json"]);
        if let Some(directory) = directory {
            command.env("XDG_CONFIG_HOME", directory);
        }
        text(&command.output().unwrap().stdout).contains("\"mine\"")
    };
    assert!(!has_mine(&room, None));
    room.file("home/.config/halo/models.toml", OWN);
    assert!(has_mine(&room, None));
    let elsewhere = display(&room.path("elsewhere"));
    assert!(!has_mine(&room, Some(&elsewhere)));
    assert!(has_mine(&room, Some("not/absolute")), "such a path is ignored");
    room.file("elsewhere/halo/models.toml", OWN);
    assert!(has_mine(&room, Some(&elsewhere)));
}

/// One entry with a line changed, added or taken away.
fn entry(key: &str, line: &str) -> String {
    let lines = [
        ("name", "name = \"mine\""),
        ("repository", "repository = \"me/Mine\""),
        ("file", "file = \"Mine.gguf\""),
        ("size_gb", "size_gb = 7.0"),
        ("category", "category = \"moe\""),
    ];
    let kept = lines.iter().map(|(name, given)| if *name == key { line } else { given });
    let added = if lines.iter().any(|(name, _)| *name == key) { "" } else { line };
    format!("[[model]]\n{}\n{added}\n", kept.collect::<Vec<_>>().join("\n"))
}

#[test]
fn damage_is_refused_with_the_file_the_entry_and_the_key() {
    let room = Room::new();
    let cases = [
        ("colour", "colour = 1", "unknown field `colour`"),
        ("category", "category = \"huge\"", "category: unknown variant `huge`, expected one of"),
        ("category", "", "missing field `category`"),
        ("file", "", "missing field `file`"),
        ("size_gb", "size_gb = \"7\"", "size_gb: invalid type"),
        ("size_gb", "size_gb = 0", "size_gb: expected a number above 0"),
        ("size_gb", "size_gb = -1.5", "size_gb: expected"),
        ("size_gb", "size_gb = nan", "size_gb: expected"),
        ("size_gb", "size_gb = inf", "size_gb: expected"),
        ("repository", "repository = \"Mine\"", "repository: expected ORGANIZATION/NAME"),
        ("repository", "repository = \"a/b/c\"", "repository: expected"),
        ("repository", "repository = \"/b\"", "repository: expected"),
        ("repository", "repository = \"--token/b\"", "repository: expected"),
        ("file", "file = \"/models/Mine.gguf\"", "file: expected"),
        ("file", "file = \"../Mine.gguf\"", "file: expected"),
        ("file", "file = \"Mine.bin\"", "file: expected"),
        ("file", "file = \"--quiet.gguf\"", "file: expected"),
        ("file", "file = \"mmproj-Mine.gguf\"", "no mmproj"),
        ("file", "file = \"Mine-00002-of-00002.gguf\"", "file: expected the first part"),
        ("description", "description = [\"a\"]", "description: invalid type"),
    ];
    for (key, line, expected) in cases {
        let file = room.file("own.toml", &entry(key, line));
        let refusals = Catalog::load(Some(&file)).unwrap_err();
        assert_eq!(refusals.len(), 1, "{refusals:#?}");
        assert_says(&refusals, &[expected, &display(&file), "\"mine\""]);
    }
    for name in ["", "a,b", "a b", "-a", "a\\nb"] {
        let file = room.file("own.toml", &entry("name", &format!("name = \"{name}\"")));
        assert_says(&Catalog::load(Some(&file)).unwrap_err(), &["name: expected a word"]);
    }
    for (content, expected) in [
        ("[[model]\n", "line 1: "),
        ("\n\nx = = 1", "line 3: "),
        ("[model]\nname = \"a\"", "write it as [[model]]"),
        ("model = 3", "write it as [[model]]"),
        ("title = \"x\"", "title: only [[model]] is known"),
        ("[[model]]\nfile = \"x.gguf\"", "model 1: missing field `name`"),
        ("[[model]]\nname = 7", "model 1: name: invalid type"),
    ] {
        let file = room.file("own.toml", content);
        assert_says(&Catalog::load(Some(&file)).unwrap_err(), &[expected, &display(&file)]);
    }
    let twice = room.file("own.toml", &entry("", "").repeat(2));
    assert_says(
        &Catalog::load(Some(&twice)).unwrap_err(),
        &["\"mine\": name: it stands there twice"],
    );
}

#[test]
fn every_fault_is_told_at_once() {
    let room = Room::new();
    let damaged = [entry("category", "category = \"x\""), entry("colour", "colour = 1")].concat();
    let file = room.file("own.toml", &format!("title = 1\n{damaged}"));
    assert_eq!(Catalog::load(Some(&file)).unwrap_err().len(), 3);
    let output = room.run(&["models", "--catalog", &display(&file)]);
    assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(2), 3));
    let wrong = entry("size_gb", "size_gb = 0").replace("me/Mine", "Mine");
    let file = room.file("own.toml", &wrong.repeat(2));
    assert_eq!(Catalog::load(Some(&file)).unwrap_err().len(), 5, "two each, and the name twice");
}

#[test]
fn a_file_that_cannot_be_read_is_refused_and_one_that_nobody_named_may_be_missing() {
    let room = Room::new();
    for (path, expected) in [(room.path("none"), "No such file"), (room.path("bin"), "directory")] {
        let refusals = Catalog::load(Some(&path)).unwrap_err();
        assert_says(&refusals, &[&display(&path), expected, "--catalog"]);
    }
    fs::create_dir_all(room.path("home/.config/halo/models.toml")).unwrap();
    let output = room.run(&["models"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("home/.config/halo/models.toml"));
}

#[test]
fn a_filter_is_literal_and_finds_a_part_of_the_name_in_any_case() {
    let found = |texts: &[&str]| select(texts, &[]).unwrap();
    assert_eq!(found(&["QWEN3.5-35B"]).len(), 3);
    assert_eq!(found(&["Qwen3.5-4B", "qwen3.5-4b-q4"]), ["qwen3.5-4b-q4"]);
    assert_eq!(found(&["glm", "qwen2.5"]), ["glm-4.7-flash-q6", "qwen2.5-0.5b-q8"]);
    for literal in ["qwen3?5", "qwen.*", "^qwen", "gemma|glm", ".*", "[a-z]", "\\w"] {
        let refusals = select(&[literal], &[]).unwrap_err();
        assert_says(&refusals, &["model \"", "is no file"]);
    }
    // But for patterns of shells, which are those of a whole name.
    assert_eq!(found(&["*"]).len(), 20);
    assert_eq!(found(&["GLM*", "qwen2?5-*"]), ["glm-4.7-flash-q6", "qwen2.5-0.5b-q8"]);
    assert_eq!(found(&["*-UD-Q6_K_XL.gguf"]).len(), 3, "of the file, too");
}

#[test]
fn what_finds_nothing_is_refused_each_with_names_that_are_near() {
    let refusals = select(&["qwen3.5-2b-q5", "", "llama", "qwen2.5"], &[]).unwrap_err();
    assert_eq!(refusals.len(), 3);
    assert_says(&refusals[..1], &["near are qwen3.5-2b-q4", "halo-record models"]);
    assert!(!refusals[2].to_string().contains("near"), "{}", refusals[2]);
    let refusals = select(&["gemma"], &[Category::Smoke]).unwrap_err();
    assert_says(&refusals, &["not of the category smoke", "gemma-4-31b-q3xl", "--category"]);
}

#[test]
fn categories_choose() {
    let count = |texts: &[&str], categories: &[Category]| select(texts, categories).unwrap().len();
    assert_eq!(count(&[], &[]), 20);
    assert_eq!(count(&[], &[Category::Moe, Category::Dense]), 15);
    assert_eq!(count(&["qwen3.5-0.8b"], &[Category::Draft]), 1);
}

#[test]
fn a_file_is_a_model() {
    let room = Room::new();
    let one = |text: &str| {
        let found = shipped().select(&[text.to_owned()], &[Category::Moe]).unwrap();
        (found[0].name.clone(), found[0].file.clone(), found[0].category)
    };
    let file = room.model("My Own.gguf", 9);
    assert_eq!(one(&display(&file)), ("My Own".to_owned(), file, None));
    let first = room.path("big-00001-of-00003.gguf");
    let third = room.model("big-00003-of-00003.gguf", 9);
    assert_eq!(one(&display(&third)), ("big".to_owned(), first, None));
    let sight = display(&room.model("mmproj-F16.gguf", 9));
    assert_says(&shipped().select(&[sight], &[]).unwrap_err(), &["not a model"]);
    let gone = display(&room.path("gone.gguf"));
    assert_says(&shipped().select(std::slice::from_ref(&gone), &[]).unwrap_err(), &[&gone]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_is_found_has_the_text_in_its_name(text in "[a-zA-Z0-9.-]{0,6}") {
        let catalog = shipped();
        let has = |entry: &&Entry| entry.name.contains(&text.to_lowercase());
        let expected: Vec<Entry> = catalog.entries().iter().filter(has).cloned().collect();
        match catalog.select(std::slice::from_ref(&text), &[]) {
            Ok(found) => prop_assert_eq!(found, expected),
            Err(_) => prop_assert!(expected.is_empty() || text.is_empty()),
        }
    }

    #[test]
    fn any_damage_is_read_or_refused_on_one_line(at: prop::sample::Index, byte: u8) {
        let mut bytes = OWN.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let room = Room::new();
        let path = room.path("own.toml");
        fs::write(&path, bytes).unwrap();
        if let Err(refusals) = Catalog::load(Some(&path)) {
            prop_assert!(!refusals.is_empty());
            for refusal in refusals {
                let line = refusal.to_string();
                prop_assert!(line.contains(&display(&path)) && !line.contains('\n'), "{}", line);
            }
        }
    }
}
