//! Rules of the code that no lint can hold (docs/architecture.md, docs/style.md).

use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a directory with an extension, with their text.
fn files(directory: &str, extension: &str) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "target" {
                walk(&path, found);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&repository().join(directory), &mut found);
    found.sort();
    let files: Vec<(String, String)> = found
        .iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(!files.is_empty(), "no .{extension} in {directory}");
    files
}

/// Lines that are code: no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn mentions(text: &str, name: &str) -> bool {
    let starts_path = format!("{name}::");
    code(text).any(|line| {
        line.match_indices(&starts_path).any(|(at, _)| {
            !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        })
    })
}

/// Whether a file may name something.
type MayName<'a> = &'a dyn Fn(&str) -> bool;

/// Which files may name what: the arrows of docs/architecture.md.
/// Whether a file may open files itself, and not through `Root` or the archive.
fn opens_files(file: &str) -> bool {
    let files = [
        "src/root.rs",
        "src/config.rs",
        "src/capture.rs",
        "src/plan/files.rs",
        "src/plan/own_file.rs",
        "src/serve/web_config/files.rs",
    ];
    let rooms =
        ["src/archive", "src/bundle", "src/import", "src/outgoing", "src/record", "src/process"];
    files.contains(&file) || rooms.iter().any(|room| file.starts_with(room))
}

#[test]
fn layers_know_only_what_is_below_them() {
    let is_source = |file: &str| file.starts_with("src/source");
    let rules: [(&str, MayName<'_>); 16] = [
        ("prometheus", &|file| file == "src/serve/expose.rs"),
        ("axum", &|file| file.starts_with("src/serve")),
        ("axum_server", &|file| file.starts_with("src/serve")),
        ("ureq", &|file| file == "src/http.rs"),
        ("tokio", &|file| {
            file.starts_with("src/serve") || file.starts_with("src/bin") || file == "src/sample.rs"
        }),
        ("clap", &|file| {
            // Words that stand in files and in flags alike.
            let has_words = ["src/config.rs", "src/plan/catalog.rs", "src/plan/order.rs"];
            file.starts_with("src/cli") || has_words.contains(&file)
        }),
        ("std::fs", &opens_files),
        ("std::process::Command", &|file| {
            file == "src/build.rs" || file.starts_with("src/process")
        }),
        ("crate::serve", &|file| file.starts_with("src/serve")),
        ("crate::record", &|file| {
            [
                "src/record",
                "src/bundle",
                "src/campaign",
                "src/interleave",
                "src/import",
                "src/plan",
                "src/cli/record",
            ]
            .iter()
            .any(|room| file.starts_with(room))
        }),
        ("crate::campaign", &|file| {
            ["src/campaign", "src/interleave", "src/report", "src/cli/record"]
                .iter()
                .any(|room| file.starts_with(room))
        }),
        ("crate::tool", &|file| {
            [
                "src/tool",
                "src/archive",
                "src/record",
                "src/campaign",
                "src/interleave",
                "src/import",
                "src/plan/evals",
            ]
            .iter()
            .any(|room| file.starts_with(room))
        }),
        ("crate::http", &|file| {
            file.starts_with("src/source/llama") || file == "src/plan/evals/endpoint.rs"
        }),
        ("arrow", &|file| file.starts_with("src/archive")),
        ("parquet", &|file| file.starts_with("src/archive")),
        ("crate::sample", &|file| {
            !is_source(file) && file != "src/metric.rs" && file != "src/root.rs"
        }),
    ];
    for (file, text) in files("src", "rs") {
        for (name, is_allowed) in &rules {
            assert!(is_allowed(&file) || !mentions(&text, name), "{file} must not name {name}");
        }
        let names_command = code(&text).any(|line| line.contains("process::Command"));
        let may_start = file == "src/build.rs" || file.starts_with("src/process");
        assert!(!names_command || may_start, "{file} must not start processes");
    }
}

/// Text goes to the terminal through one place, which makes it visible. A recorded command has the
/// terminal for itself.
#[test]
fn only_one_place_prints() {
    let is_allowed = |file: &str| {
        file == "src/say.rs" || file == "src/log.rs" || file.starts_with("src/process/")
    };
    for (file, text) in files("src", "rs").iter().filter(|(file, _)| !is_allowed(file)) {
        // Whether it is a terminal, and how wide that is, may be asked anywhere.
        for line in code(text) {
            for stream in ["stdout()", "stderr()"] {
                let prints = line.match_indices(stream).any(|(at, _)| {
                    let (before, behind) = (&line[..at], &line[at + stream.len()..]);
                    let is_asked = before.ends_with("tcgetwinsize(io::")
                        || behind.starts_with(".is_terminal()");
                    // Of clap.
                    !is_asked && !before.ends_with("use_")
                });
                assert!(!prints, "{file} prints beside src/say.rs: {line}");
            }
        }
    }
}

#[test]
fn every_module_says_what_it_is_for_and_is_one_room() {
    for (file, text) in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        assert!(
            text.starts_with("//! "),
            "{file}: begins with a sentence that says what it is for"
        );
        let lines = text.lines().count();
        assert!(lines <= 600, "{file}: {lines} lines are more than one room");
    }
}

#[test]
fn nothing_is_left_unfinished_or_skipped() {
    // Written in pieces, so that this file does not find itself.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["#[ign", "ore"], ["todo", "!("]];
    let everything = ["src", "tests", "benches"].into_iter().flat_map(|d| files(d, "rs"));
    for (file, text) in everything.chain(files("docs", "md")) {
        for mark in marks.map(|pieces| pieces.concat()) {
            assert!(!text.contains(&mark), "{file}: {mark}");
        }
    }
}

#[test]
fn texts_have_one_sentence_a_line_and_no_path_of_a_builder() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let texts = files("docs", "md").into_iter().chain([("README.md".to_owned(), readme)]);
    for (file, text) in texts {
        let mut is_code = false;
        for (number, line) in text.lines().enumerate() {
            is_code ^= line.starts_with("```");
            let is_prose = !is_code && !line.starts_with('|') && !line.starts_with("```");
            let ends = line.match_indices(". ").filter(|(at, _)| {
                let next = line[at + 2..].chars().next();
                let before = line[..*at].chars().next_back();
                next.is_some_and(char::is_uppercase) && !before.is_some_and(|c| c.is_ascii_digit())
            });
            assert!(!is_prose || ends.count() == 0, "{file}:{}: two sentences", number + 1);
            // Written in pieces, as the marks above.
            let home = ["/ro", "ot/"].concat();
            assert!(!line.contains(&home), "{file}:{}: a path of a builder", number + 1);
        }
    }
}

/// What the documents call by name exists.
#[test]
fn files_that_documents_name_exist() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let texts = files("docs", "md").into_iter().chain([("README.md".to_owned(), readme)]);
    for (file, text) in texts {
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["src/", "tests/", "docs/", "configs/", "benches/", "dashboards/", ".ci/"]
                    .iter()
                    .any(|start| quoted.starts_with(start));
            let is_pattern = quoted.contains(['*', '<', ' ', 'N', '{']);
            if is_path && !is_pattern {
                assert!(repository().join(quoted).exists(), "{file} names {quoted}");
            }
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") && !link.starts_with('#') {
                let target = link.split('#').next().unwrap();
                let directory = repository().join(&file);
                assert!(directory.parent().unwrap().join(target).exists(), "{file} links {link}");
            }
        }
    }
}
