//! Where models are found: directories as people and programs lay them out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use halo::config::Config;
use halo::plan::catalog::{Category, Entry};
use halo::plan::files::{Files, Place, directories};

use super::{Room, display};

fn entry(repository: &str, file: &str) -> Entry {
    Entry {
        name: "m".to_owned(),
        repository: Some(repository.to_owned()),
        file: file.into(),
        size_gb: Some(1.0),
        category: Some(Category::Smoke),
        description: String::new(),
    }
}

fn place(room: &Room, repository: &str, file: &str) -> Place {
    Files::find(&[room.path("models")]).place(&entry(repository, file))
}

fn here(path: &Path, bytes: u64, parts: usize) -> Place {
    Place::Here { path: path.to_owned(), bytes, parts }
}

/// A file in Hugging Face's cache: a link in a snapshot, and what it leads to.
fn in_hub(room: &Room, repository: &str, file: &str, bytes: u64) -> PathBuf {
    let directory = format!("models/hub/models--{}", repository.replace('/', "--"));
    room.model(&format!("{directory}/blobs/0a1b"), bytes);
    let link = room.path(&format!("{directory}/snapshots/9f8e/{file}"));
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    let up = "../".repeat(2 + file.matches('/').count());
    symlink(format!("{up}blobs/0a1b"), &link).unwrap();
    link
}

#[test]
fn a_model_is_found_however_it_was_downloaded() {
    for (name, file) in [
        ("models/x.gguf", "x.gguf"),
        ("models/llms/org/Repo-GGUF/x.gguf", "x.gguf"),
        ("models/org_Repo-GGUF_x.gguf", "x.gguf"),
        ("models/org_Repo-GGUF_sub_x.gguf", "sub/x.gguf"),
        ("models/sub/x.gguf", "sub/x.gguf"),
        ("models/x.gguf", "sub/x.gguf"),
    ] {
        let room = Room::new();
        let path = room.model(name, 77);
        assert_eq!(place(&room, "org/Repo-GGUF", file), here(&path, 77, 1), "{name} {file}");
    }
    for file in ["x.gguf", "sub/x.gguf"] {
        let room = Room::new();
        let path = in_hub(&room, "org/Repo-GGUF", file, 78);
        assert_eq!(place(&room, "org/Repo-GGUF", file), here(&path, 78, 1), "{file}");
    }
}

#[test]
fn other_files_are_not_taken_for_it() {
    let room = Room::new();
    for name in [
        "other-x.gguf",
        "other_x.gguf",
        "x.gguf.etag",
        "x.gguf.downloadInProgress",
        "mmproj-x.gguf",
        "X.GGUF",
        "x-00001-of-00002.gguf",
    ] {
        room.model(&format!("models/{name}"), 9);
    }
    in_hub(&room, "another/Repo-GGUF", "x.gguf", 9);
    fs::create_dir_all(room.path("models/directory/x.gguf")).unwrap();
    symlink("nowhere", room.path("models/directory/link.gguf")).unwrap();
    assert_eq!(place(&room, "org/Repo-GGUF", "x.gguf"), Place::Missing);
    assert_eq!(place(&room, "org/Repo-GGUF", "link.gguf"), Place::Missing);
    room.model("models/org_Repo-GGUF_mmproj-x.gguf", 9);
    assert_eq!(place(&room, "org/Repo-GGUF", "mmproj-x.gguf"), Place::Missing);
}

#[test]
fn of_two_files_the_one_whose_path_has_the_repository_counts() {
    let room = Room::new();
    let plain = room.model("models/a/x.gguf", 1000);
    assert_eq!(place(&room, "org/Repo", "x.gguf"), here(&plain, 1000, 1));
    let named = room.model("models/b/Repo/x.gguf", 2000);
    assert_eq!(place(&room, "org/Repo", "x.gguf"), here(&named, 2000, 1));
    let whole = room.model("models/c/org/Repo/x.gguf", 3000);
    assert_eq!(place(&room, "org/Repo", "x.gguf"), here(&whole, 3000, 1));
    assert_eq!(place(&room, "third/Repository", "x.gguf"), here(&plain, 1000, 1));
    let hub = in_hub(&room, "second/Repo", "x.gguf", 4000);
    assert_eq!(place(&room, "second/Repo", "x.gguf"), here(&hub, 4000, 1));
    assert_eq!(place(&room, "org/Repo", "x.gguf"), here(&whole, 3000, 1));
}

#[test]
fn directories_count_in_their_order() {
    let room = Room::new();
    let [one, other] = ["one", "other"].map(|name| room.model(&format!("{name}/x.gguf"), 9));
    let first = |names: [&str; 2]| {
        Files::find(&names.map(|name| room.path(name))).place(&entry("org/Repo", "x.gguf"))
    };
    assert_eq!(first(["one", "other"]), here(&one, 9, 1));
    assert_eq!(first(["other", "one"]), here(&other, 9, 1));
    assert_eq!(first(["gone", "one"]), here(&one, 9, 1));
    let mut config = Config::default();
    config.models.directories = vec!["/data".into()];
    let named = ["relative".into(), "/first".into()];
    let all = directories(&named, &config);
    assert!(all[0].is_absolute() && all[0].ends_with("relative"));
    assert_eq!(all[1..], [PathBuf::from("/first"), "/data".into()]);
}

#[test]
fn configured_directories_are_looked_through_and_a_tilde_is_the_home() {
    let room = Room::new();
    let file = "gpt-oss-20b-MXFP4.gguf";
    let state = |arguments: &[&str]| {
        let arguments = [&["models", "--json"], arguments].concat();
        room.listed(&arguments, "gpt-oss-20b-mxfp4")["path"].clone()
    };
    assert_eq!(state(&[]), serde_json::Value::Null);
    let usual = room.model(&format!("home/.cache/llama.cpp/{file}"), 9);
    assert_eq!(state(&[]), display(&usual).as_str());
    let config = room.file("halo.toml", "[models]\ndirectories = [\"~/mine\"]\n");
    let flags = ["--config.file", &display(&config)];
    assert_eq!(state(&flags), serde_json::Value::Null);
    let mine = room.model(&format!("home/mine/{file}"), 9);
    assert_eq!(state(&flags), display(&mine).as_str());
    let named = room.model(&format!("named/{file}"), 9);
    let flags = ["--config.file", &display(&config), "--models-dir", "named"];
    assert_eq!(state(&flags), display(&named).as_str());
    let output = room.run(&["models", "--models-dir", "nowhere"]);
    let said = crate::record::text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("nowhere"), "{said}");
}

#[test]
fn links_in_circles_end() {
    let room = Room::new();
    let path = room.model("models/a/x.gguf", 9);
    symlink("..", room.path("models/a/up")).unwrap();
    symlink(room.path("models"), room.path("models/a/all")).unwrap();
    symlink("self", room.path("models/a/self")).unwrap();
    assert_eq!(place(&room, "org/Repo", "x.gguf"), here(&path, 9, 1));
    let files = Files::find(&[room.path("models"), room.path("models")]);
    assert_eq!(files.problems, [""; 0]);
    // Through a link from outside, too.
    symlink(room.path("models"), room.path("link")).unwrap();
    let found = Files::find(&[room.path("link")]).place(&entry("org/Repo", "x.gguf"));
    assert_eq!(found, here(&room.path("link/a/x.gguf"), 9, 1));
}

#[test]
fn a_walk_has_an_end_and_says_so() {
    let room = Room::new();
    let deep = format!("models/{}x.gguf", "d/".repeat(8));
    let path = room.model(&deep, 9);
    assert_eq!(place(&room, "org/Repo", "x.gguf"), here(&path, 9, 1));
    room.model(&format!("deeper/{}x.gguf", "d/".repeat(9)), 9);
    let files = Files::find(&[room.path("deeper")]);
    assert_eq!(files.place(&entry("org/Repo", "x.gguf")), Place::Missing);
    fs::create_dir(room.path("many")).unwrap();
    for number in 0..100_001 {
        symlink("x", room.path(&format!("many/{number}"))).unwrap();
    }
    let files = Files::find(&[room.path("many"), room.path("models")]);
    assert_eq!(files.problems.len(), 1);
    assert!(files.problems[0].contains("many") && files.problems[0].contains("--models-dir"));
    assert_eq!(files.place(&entry("org/Repo", "x.gguf")), here(&path, 9, 1), "the next is read");
}

#[test]
fn a_split_model_is_all_its_parts() {
    let room = Room::new();
    let part = |number| format!("models/x-0000{number}-of-00003.gguf");
    let file = "x-00001-of-00003.gguf";
    let found = || place(&room, "org/Repo", file);
    let missing = |missing: &[u32]| Place::PartsMissing {
        path: room.path(&part(1)),
        missing: missing.iter().map(|number| part(*number)[7..].to_owned()).collect(),
        parts: 3,
    };
    assert_eq!(found(), Place::Missing);
    room.model(&part(3), 300);
    assert_eq!(found(), missing(&[1, 2]));
    let first = room.model(&part(1), 100);
    assert_eq!(found(), missing(&[2]));
    room.model(&part(2), 200);
    assert_eq!(found(), here(&first, 600, 3));
    // A part that is elsewhere is none of this model.
    room.model("models/below/x-00002-of-00003.gguf", 9);
    fs::remove_file(room.path(&part(2))).unwrap();
    assert_eq!(found(), missing(&[2]));
    let prefixed = room.model("models/org_Repo_x-00001-of-00003.gguf", 10);
    room.model("models/org_Repo_x-00002-of-00003.gguf", 10);
    room.model("models/org_Repo_x-00003-of-00003.gguf", 10);
    assert_eq!(found(), here(&prefixed, 30, 3));
}

#[test]
fn what_is_no_model_inside_is_told() {
    for content in ["", "GGU", "version https://git-lfs.github.com/spec/v1\nsize 9\n"] {
        let room = Room::new();
        let path = room.file("models/x.gguf", content);
        let Place::Broken(problem) = place(&room, "org/Repo", "x.gguf") else {
            panic!("{content}")
        };
        assert!(problem.contains(&display(&path)) && problem.contains("download"), "{problem}");
    }
}
