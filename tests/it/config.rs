//! `configs/halo.toml` lists every key with its default.

use std::fs;
use std::path::Path;

use halo::config::Config;
use halo::source::SOURCES;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/halo.toml");
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_example_equals_the_defaults() {
    let mut expected = Config::default();
    for source in SOURCES {
        expected.collector.insert(source.name.to_owned(), source.default);
    }
    assert_eq!(Config::parse(&example()).unwrap(), expected);
}

/// The parser names the keys that it knows when it meets one that it does not.
#[test]
fn the_example_has_every_key() {
    let keys = |text: &str| -> Vec<String> {
        let error = Config::parse(text).unwrap_err();
        error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    };
    let example = example();
    let tables = keys("unknown = 1");
    assert!(tables.len() >= 4, "{tables:?}");
    for table in tables {
        // A key of no table stands before them all.
        let (top, _) = example.split_once("\n[").unwrap();
        // One without a default stands as a comment.
        let is_key = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{table} = "));
        if top.lines().any(is_key) {
            continue;
        }
        // A table that may stand there several times is a comment.
        let is_list = example.contains(&format!("\n# [[{table}]]\n"));
        let begin = if is_list { format!("\n# [[{table}]]\n") } else { format!("\n[{table}]\n") };
        let (_, section) = example.split_once(&begin).unwrap();
        let section = section.split("\n[").next().unwrap();
        if table == "collector" {
            continue;
        }
        let head = if is_list { format!("[[{table}]]") } else { format!("[{table}]") };
        let keys = keys(&format!("{head}\nunknown = 1"));
        assert!(!keys.is_empty());
        for key in keys {
            // A key without a default stands as a comment.
            let is_key = section
                .lines()
                .any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            let is_there = is_key || example.contains(&format!("\n[{table}.{key}]\n"));
            assert!(is_there, "[{table}] {key}");
        }
    }
}
