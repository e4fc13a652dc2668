//! Models by name: the shipped catalog, the user's own, and where their files are.

use std::fs::File;
use std::os::unix::fs::symlink;

use halo::plan::catalog::{Catalog, Category};
use serde_json::Value;

use super::{User, code, config, write};
use crate::program::host_flags;
use crate::record::text;

/// A sparse file of some size.
fn file(path: &std::path::Path, bytes: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().set_len(bytes).unwrap();
}

fn models(user: &User, more: &[&str]) -> Vec<Value> {
    let output = user
        .program(&["models", "--json"])
        .args(host_flags("strix-halo-desktop-128g"))
        .args(more)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_shipped_catalog_has_what_the_facts_list() {
    let catalog = Catalog::load(Some(std::path::Path::new("/dev/null")));
    assert!(catalog.is_err(), "no file");
    let user = User::with_models(&[]);
    let all = models(&user, &[]);
    assert_eq!(all.len(), 20);
    let of = |category: &str| all.iter().filter(|model| model["category"] == category).count();
    assert_eq!((of("smoke"), of("dense"), of("moe"), of("draft")), (4, 5, 10, 1));
    assert!(all.iter().all(|model| model["path"].is_null() && model["fits"] == "unknown"));
}

#[test]
fn a_filter_is_literal_has_no_case_and_finds_parts_of_names() {
    let user = User::with_models(&[]);
    let names = |more: &[&str]| -> Vec<String> {
        let found = models(&user, more);
        found.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["QWEN3.5-35B"]).len(), 3);
    assert_eq!(names(&["gpt-oss", "gemma-4-31"]), ["gpt-oss-20b-mxfp4", "gemma-4-31b-q3xl"]);
    assert_eq!(names(&["qwen3.5", "--category", "dense"]).len(), 3);
    assert_eq!(names(&["--max-size", "0.5"]), ["qwen2.5-0.5b-q8"]);
    for wrong in ["qwen3.5.*", "qwen3_5", "Qwen3.5-9B-Q4_K_S.gguf"] {
        let output = user.program(&["models", wrong]).output().unwrap();
        assert_eq!(code(&output), 2, "{wrong}");
        assert!(text(&output.stderr).contains(&format!("{wrong}: no such model")));
    }
}

#[test]
fn files_are_found_where_each_program_keeps_them() {
    let user = User::with_models(&[]);
    let home = user.home.path();
    let hub = home.join(".cache/huggingface/hub");
    let blob = hub.join("models--unsloth--Qwen3.5-9B-GGUF/blobs/abc");
    file(&blob, 5 << 30);
    let snapshot =
        hub.join("models--unsloth--Qwen3.5-9B-GGUF/snapshots/123/Qwen3.5-9B-Q4_K_S.gguf");
    std::fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
    symlink(&blob, &snapshot).unwrap();
    let cache =
        home.join(".cache/llama.cpp/lmstudio-community_gpt-oss-20b-GGUF_gpt-oss-20b-MXFP4.gguf");
    file(&cache, 12 << 30);
    let own = home.join("models/unsloth/Qwen3.5-4B-GGUF/Qwen3.5-4B-Q4_K_S.gguf");
    file(&own, 200 << 30);
    // A link in a circle, and what is no model though it is called so.
    symlink(home.join("models"), home.join("models/again")).unwrap();
    file(&home.join("models/mmproj-Qwen3.5-2B-Q4_K_S.gguf"), 1);

    let place = |name: &str| {
        let found = models(&user, &[name]);
        let model = &found[0];
        (model["path"].as_str().map(str::to_owned), model["bytes"].as_u64(), model["fits"].clone())
    };
    let path = |path: &std::path::Path| Some(path.display().to_string());
    assert_eq!(place("qwen3.5-9b-q4"), (path(&snapshot), Some(5 << 30), "yes".into()));
    assert_eq!(place("gpt-oss-20b"), (path(&cache), Some(12 << 30), "yes".into()));
    let (found, _, fits) = place("qwen3.5-4b-q4");
    assert_eq!(found, path(&own));
    assert!(fits.as_str().unwrap().starts_with("no: "), "{fits}");
    assert_eq!(place("qwen3.5-2b-q4").0, None, "mmproj is no model");
}

#[test]
fn files_of_one_name_are_told_apart_by_their_repository() {
    let user = User::with_models(&[]);
    let other = user.home.path().join("models/a/Tiny/Qwen3.5-0.8B-Q8_0.gguf");
    let right = user.home.path().join("models/unsloth/Qwen3.5-0.8B-GGUF/Qwen3.5-0.8B-Q8_0.gguf");
    file(&other, 1);
    file(&right, 2);
    let found = models(&user, &["qwen3.5-0.8b"]);
    assert_eq!(found.len(), 2, "smoke and draft are one file");
    assert!(found.iter().all(|model| model["bytes"] == 2));
}

#[test]
fn a_split_model_is_one_and_lacks_no_part() {
    let user = User::with_models(&[]);
    let own = r#"[[model]]
name = "split"
repository = "o/r"
file = "big-00001-of-00003.gguf"
size_gb = 3.0
category = "moe"
"#;
    write(&config(&user).join("models.toml"), own);
    for part in 1..=2 {
        file(&user.model(&format!("big-0000{part}-of-00003.gguf")), 10);
    }
    let model = &models(&user, &["split"])[0];
    assert!(model["problem"].as_str().unwrap().contains("a part of the model is missing"));
    assert_eq!(model["fits"], "unknown");
    file(&user.model("big-00003-of-00003.gguf"), 12);
    let model = &models(&user, &["split"])[0];
    assert_eq!((model["bytes"].as_u64(), model["parts"].as_u64()), (Some(32), Some(3)));
}

#[test]
fn the_users_own_models_replace_shipped_ones_of_the_same_name() {
    let user = User::with_models(&[]);
    let own = r#"[[model]]
name = "gpt-oss-20b-mxfp4"
repository = "me/mine"
file = "mine.gguf"
size_gb = 1
category = "smoke"
"#;
    let path = config(&user).join("models.toml");
    write(&path, own);
    let model = &models(&user, &["gpt-oss"])[0];
    assert_eq!(model["download"], "hf download me/mine mine.gguf");
    assert_eq!(models(&user, &[]).len(), 20);
    let catalog = Catalog::load(Some(&path)).unwrap();
    assert_eq!(catalog.select(&[], &[Category::Smoke]).unwrap().len(), 5);
}

#[test]
fn a_damaged_catalog_is_refused_with_its_line_and_key() {
    let good = "[[model]]\nname = \"x\"\nrepository = \"o/r\"\nfile = \"x.gguf\"\nsize_gb = 1\ncategory = \"moe\"\n";
    let cases = [
        (good.replace("category", "kategory"), "line 6: unknown field `kategory`"),
        (good.replace("\"moe\"", "\"large\""), "line 6: unknown variant `large`"),
        (good.replace("size_gb = 1", "size_gb = \"1\""), "line 5: invalid type"),
        (good.replace("size_gb = 1", "size_gb = -1"), "model \"x\": size_gb must be above 0"),
        (good.replace("size_gb = 1", "size_gb = nan"), "model \"x\": size_gb must be above 0"),
        (good.repeat(2), "model \"x\": stands there twice"),
        (good.replace("file = \"x.gguf\"\n", ""), "missing field `file`"),
        ("model = 3".to_owned(), "line 1: invalid type"),
        ("[[model".to_owned(), "line 1"),
    ];
    let user = User::with_models(&[]);
    for (contents, expected) in cases {
        write(&config(&user).join("models.toml"), &contents);
        let output = user.program(&["models"]).output().unwrap();
        let told = text(&output.stderr);
        assert_ne!(code(&output), 0);
        assert!(told.contains("models.toml") && told.contains(expected), "{contents}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
