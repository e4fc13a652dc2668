//! Models of the user that stand in no catalog, and files beside models that are none.

use halo::plan::catalog::Catalog;
use halo::plan::files::Files;
use serde_json::Value;

use super::{Room, display};
use crate::model::Gguf;

/// A model file with a header.
fn header(room: &Room, name: &str, pairs: &[(&str, &str)]) {
    let header = pairs.iter().fold(Gguf::new(), |gguf, (key, value)| gguf.string(key, value));
    std::fs::write(room.file(&format!("models/{name}"), ""), header.build()).unwrap();
}

/// The names of the models that were found and that the catalog does not have.
fn own(room: &Room) -> Vec<String> {
    let catalog = Catalog::default().with_files(&Files::find(&[room.path("models")]));
    catalog.entries().iter().map(|entry| entry.name.clone()).collect()
}

#[test]
fn files_beside_models_are_no_models() {
    let room = Room::new();
    for name in [
        "Qwen3-VL-8B-mmproj-F16.gguf",
        "mmproj-model-f16.gguf",
        "gemma-3-4b.mmproj.gguf",
        "org_X-GGUF_mmproj-x.gguf",
        "X-MMPROJ.gguf",
        "Qwen_Qwen3-30B-A3B-imatrix.gguf",
        "imatrix_unsloth.gguf",
        "x.imatrix.gguf",
        "imatrix_unsloth.dat",
        "x.imatrix",
    ] {
        room.model(&format!("models/{name}"), 9);
    }
    // What the name does not say, the header does.
    header(&room, "vision.gguf", &[("general.architecture", "clip")]);
    header(&room, "importance.gguf", &[("general.type", "imatrix")]);
    header(&room, "lora.gguf", &[("general.type", "adapter"), ("general.architecture", "llama")]);
    header(&room, "eyes.gguf", &[("general.type", "mmproj"), ("general.architecture", "clip")]);
    header(&room, "vector.gguf", &[("general.architecture", "controlvector")]);
    assert_eq!(own(&room), [""; 0]);
    // Models that were quantized with an imatrix are called so, and are models.
    header(
        &room,
        "y-imatrix-Q4.gguf",
        &[("general.type", "model"), ("general.architecture", "llama")],
    );
    room.model("models/immproj.gguf", 9);
    assert_eq!(own(&room), ["immproj", "y-imatrix-Q4"]);
    for name in ["vision.gguf", "x.imatrix.gguf", "X-MMPROJ.gguf"] {
        let path = display(&room.path(&format!("models/{name}")));
        let output = room.run(&["models", &path]);
        let said = crate::record::text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("not a model"), "{said}");
    }
}

#[test]
fn models_of_the_user_are_listed_with_what_their_headers_say() {
    let room = Room::new();
    let pairs =
        [("general.architecture", "qwen3"), ("general.name", "My Tune"), ("general.type", "model")];
    header(&room, "tune-v2.gguf", &pairs);
    room.model("models/split-00001-of-00002.gguf", 10);
    room.model("models/split-00002-of-00002.gguf", 20);
    room.model("models/Qwen3.5-9B-Q4_K_S.gguf", 9);
    let flags = ["--models-dir", "models", "--json"];
    let list = |names: &[&str]| -> Vec<Value> {
        let printed = room.print(&[&["models"], names, &flags[..]].concat());
        serde_json::from_str(&printed).unwrap()
    };
    let named = |names: &[&str]| -> Vec<String> {
        list(names).iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = named(&[]);
    assert!(all.contains(&"tune-v2".to_owned()) && all.contains(&"split".to_owned()), "{all:?}");
    assert!(!all.contains(&"Qwen3.5-9B-Q4_K_S".to_owned()), "the catalog knows it: {all:?}");
    let tune = &list(&["tune-v2"])[0];
    assert_eq!((&tune["general_name"], &tune["state"]), (&"My Tune".into(), &"present".into()));
    assert_eq!(tune["path"], display(&room.path("models/tune-v2.gguf")).as_str());
    let split = &list(&["split"])[0];
    assert_eq!((&split["bytes"], &split["parts"]), (&30.into(), &2.into()));
    // By a part of the name, the path, and patterns of either.
    let path = display(&room.path("models/tune-v2.gguf"));
    let pattern = display(&room.path("models/*.gguf"));
    for names in [&["TUNE"][..], &[&*path], &["tune*"], &["*v2.gguf"]] {
        assert_eq!(named(names), ["tune-v2"], "{names:?}");
    }
    let both = named(&[&*pattern]);
    assert!(both.contains(&"tune-v2".to_owned()) && both.contains(&"split".to_owned()), "{both:?}");
    assert_eq!(both.len(), 3, "{both:?}");
    assert_eq!(named(&["models/t*.gguf"]), ["tune-v2"]);
    for nothing in ["nothing*", "/nowhere/*.gguf"] {
        let output = room.run(&["models", nothing, "--models-dir", "models"]);
        assert_eq!(output.status.code(), Some(2), "{nothing}");
    }
}

#[test]
fn files_of_one_name_have_their_directory_before_it_and_a_link_is_no_second_one() {
    let room = Room::new();
    room.model("models/a/x.gguf", 9);
    room.model("models/b/x.gguf", 10);
    let y = room.model("models/y.gguf", 9);
    std::os::unix::fs::symlink(&y, room.path("models/z.gguf")).unwrap();
    assert_eq!(own(&room), ["a/x", "b/x", "y"]);
    room.model("models/c/a/x.gguf", 11);
    let names = own(&room);
    assert!(names.contains(&"b/x".to_owned()), "{names:?}");
    assert!(names.contains(&display(&room.path("models/c/a/x.gguf"))), "{names:?}");
}
