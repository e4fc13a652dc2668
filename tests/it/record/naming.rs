//! How runs are named in every subcommand, and what removing them takes.

use std::fs;
use std::path::Path;

use super::terminal::at_terminal;
use super::{Archive, text};
use crate::campaign::{User, code};

fn name(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Three runs: `true` with the tag a, `cat` with the tag b, `true` with neither.
fn archive() -> (Archive, Vec<String>) {
    let archive = Archive::new();
    archive.record(&["--tag", "a"], &["true"]);
    archive.record(&["--tag", "b", "--tag", "kv=q8_0"], &["cat"]);
    archive.record(&["--tag", "kv=f16"], &["true"]);
    let names = archive.runs().iter().map(|run| name(run)).collect();
    (archive, names)
}

#[test]
fn what_matches_exactly_wins_everywhere() {
    let (archive, names) = archive();
    let id = |index: usize| archive.json(&["show", &names[index], "--json"])["id"].clone();
    let ids: Vec<String> = (0..3).map(|index| id(index).as_str().unwrap().to_owned()).collect();
    let path = archive.path().join(&names[1]).display().to_string() + "/";
    // A tag wins over parts of names: "a" is a letter of "cat" too.
    for (word, index) in [
        ("a", 0),
        ("b", 1),
        ("kv=f16", 2),
        ("tag=kv=q8_0", 1),
        ("tool=cat", 1),
        ("latest", 2),
        ("cat", 1),
        (names[0].as_str(), 0),
        (&names[1][..20], 1),
        (ids[2].as_str(), 2),
        (path.as_str(), 1),
    ] {
        assert_eq!(archive.json(&["show", word, "--json"])["run"], names[index], "{word}");
        assert!(archive.print(&["verify", word]).contains(&names[index]), "{word}");
        archive.print(&["note", word, "seen"]);
        let exported = archive.print(&["export", word, "--format", "json", "--table", "marks"]);
        assert!(exported.contains("command started"), "{word}");
    }
    // What several runs are called is said, with which.
    for (word, expected) in [
        ("kv", "2 runs have this tag"),
        ("true", "2 runs are called so"),
        ("tool=true", "2 runs match"),
    ] {
        for arguments in [
            &["show", word][..],
            &["tag", word, "x"],
            &["note", word, "x"],
            &["bundle", word],
            &["export", word, "--format", "csv", "--table", "marks"],
            &["verify", word],
            &["reparse", word],
        ] {
            let output = archive.run(arguments);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            let said = text(&output.stderr);
            assert!(said.contains(expected) && said.contains(&names[2]), "{arguments:?}: {said}");
        }
    }
    // Where sides of several runs are meant, the same words name them all.
    let compared = archive.json(&["compare", "kv=q8_0", "tool=true", "--json"]);
    assert_eq!(compared["comparison"]["sides"][1]["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn nothing_is_removed_by_an_empty_or_a_partial_name() {
    let (archive, names) = archive();
    let elsewhere = format!("/nonexistent/{}", names[0]);
    let words = ["", "cat", "a", "kv", "tag=a", "tool=cat", ".", "/", &names[0][..10], &elsewhere];
    for word in words {
        for more in [&["--yes"][..], &["--dry-run"], &[]] {
            let output = archive.run(&[&["rm", word], more].concat());
            assert_eq!(output.status.code(), Some(1), "{word:?} {more:?}");
            assert_eq!(text(&output.stderr).trim().lines().count(), 1);
        }
        assert_eq!(archive.runs().len(), 3, "{word:?}");
    }
    // One wrong word among right ones removes nothing.
    assert!(!archive.run(&["rm", "--yes", &names[0], "nothing"]).status.success());
    assert_eq!(archive.runs().len(), 3);
    // Nobody can be asked here: it is shown, and nothing goes.
    let output = archive.run(&["rm", &names[0]]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), format!("would remove {}\n", names[0]));
    assert!(text(&output.stderr).contains("--yes"), "{}", text(&output.stderr));
    assert_eq!(archive.run(&["prune", "--keep", "1"]).status.code(), Some(2));
    assert_eq!(archive.runs().len(), 3);
    assert!(archive.print(&["rm", "--dry-run", "latest"]).contains(&names[2]));
    assert_eq!(archive.runs().len(), 3);
    assert_eq!(archive.print(&["rm", "--yes", "latest"]), format!("removed {}\n", names[2]));
    assert_eq!(archive.runs().len(), 2);
}

#[test]
fn at_a_terminal_the_user_is_asked() {
    let (archive, names) = archive();
    let refused = archive.program(&["rm", &names[0]]);
    let shown = at_terminal(&refused, "n\n");
    assert!(shown.contains(&format!("would remove {}", names[0])), "{shown}");
    assert!(
        shown.contains("Remove this? [y/N]") && shown.contains("nothing was removed"),
        "{shown}"
    );
    assert_eq!(archive.runs().len(), 3);
    let shown = at_terminal(&archive.program(&["rm", &names[0], &names[1]]), "y\n");
    assert!(shown.contains("Remove these 2? [y/N]"), "{shown}");
    assert_eq!(archive.runs().len(), 1);
}

#[test]
fn an_argument_that_matches_nothing_is_a_failure() {
    let (archive, _) = archive();
    for arguments in [
        &["list", "--tag", "nothing"][..],
        &["list", "--model", "nothing"],
        &["list", "--tool", "nothing", "--json"],
        &["show", "nothing"],
        &["rm", "--yes", "nothing"],
        &["report", "nothing"],
        &["bundle", "nothing"],
        &["recover", "nothing"],
        &["tag", "latest", "--remove", "nothing"],
        &["tag", "latest"],
        &["show", "."],
        &["show", "/"],
        &["export", "latest", "--format", "csv", "--table", "nothing"],
    ] {
        let output = archive.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", text(&output.stdout));
    }
    assert!(archive.run(&["list"]).status.success());
    assert!(Archive::new().run(&["list"]).status.success(), "an archive may be empty");
}

#[test]
fn a_campaign_tells_what_was_removed_of_it() {
    let user = User::with_models(&["ok.gguf", "assert.gguf"]);
    let output = user.run(&["ok.gguf", "assert.gguf"], &["--kv-types", "f16,q8_0"]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    let campaign = user.name();
    let show = || text(&user.program(&["show", &campaign]).output().unwrap().stdout);
    let before = show();
    assert!(before.contains("8 cells, 4 done, 4 failed, 0 not run, order"), "{before}");
    let first = name(
        &user.archive.runs().into_iter().find(|run| run.join("manifest.json").exists()).unwrap(),
    );
    let removed = user.program(&["rm", "--yes", &first]).output().unwrap();
    assert_eq!(code(&removed), 0, "{}", text(&removed.stderr));
    let after = show();
    assert!(
        after.contains("0 not run, 1 removed, order") && after.contains(": removed"),
        "{after}"
    );
    let json = user.program(&["show", &campaign, "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let states: Vec<_> = json["cells"].as_array().unwrap().iter().map(|c| &c["state"]).collect();
    assert_eq!(states.iter().filter(|state| **state == "removed").count(), 1, "{states:?}");

    let pruned = user.program(&["prune", "--keep", "1", "--yes"]).output().unwrap();
    assert_eq!(code(&pruned), 0, "{}", text(&pruned.stderr));
    assert!(show().contains("0 not run, 7 removed, order"), "{}", show());
    // What is measured again is there again.
    user.resume(&["--retry-failed"]);
    assert!(show().contains("8 cells, 4 done, 4 failed, 0 not run, order"), "{}", show());

    let all = user.program(&["rm", "--yes", &campaign]).output().unwrap();
    assert_eq!(code(&all), 0, "{}", text(&all.stderr));
    assert!(text(&all.stdout).contains(&format!("removed campaign {campaign}")));
    let shown = user.program(&["show", &campaign]).output().unwrap();
    assert!(text(&shown.stderr).contains("no such run"), "{}", text(&shown.stderr));
    assert_eq!(fs::read_dir(user.archive.path().join("campaigns")).unwrap().count(), 0);
}

#[test]
fn nothing_but_a_regular_file_is_replaced() {
    let (archive, names) = archive();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
    for (name, part) in [("dangling", "no regular file"), ("pipe", "no regular file")] {
        for subcommand in ["report", "bundle"] {
            let output = archive.run(&[subcommand, &names[0], "--force", "-o", &path(name)]);
            assert!(!output.status.success() && text(&output.stderr).contains(part), "{name}");
        }
    }
    assert!(fs::symlink_metadata(path("dangling")).unwrap().is_symlink());
    for arguments in [
        &["report", &names[0], "-o", &path("none/x.html")][..],
        &["bundle", &names[0], "-o", &path("none/x.tar.zst")],
    ] {
        let said = text(&archive.run(arguments).stderr);
        assert!(said.contains("no such directory; make it first"), "{arguments:?}: {said}");
    }
    assert!(!Path::new(&path("none")).exists());
}

/// The machine that runs the tests: below a fixture there are no processes to ask for.
#[test]
fn a_process_that_keeps_the_processor_busy_is_named() {
    let (archive, directory) = (Archive::new(), tempfile::tempdir().unwrap());
    let program = directory.path().join("halo-busy-loop");
    super::write_program(&program, "while :; do :; done");
    let mut busy = std::process::Command::new(&program).spawn().unwrap();
    let flags = ["run", "--lead", "0", "--interval", "1s", "--", "sleep", "2"];
    let output = archive.run(&flags);
    busy.kill().unwrap();
    busy.wait().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let processes = super::manifest(&archive.only_run()).processes.unwrap();
    let named = processes.iter().find(|process| process.name == "halo-busy-loop");
    assert!(named.is_some_and(|it| it.cores > 0.0 && it.bytes > 0), "{processes:?}");
    assert!(!processes.iter().any(|process| process.name == "sleep"), "{processes:?}");
}
