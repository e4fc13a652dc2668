//! What is printed at terminals of several widths: nothing is wider, nothing that tells rows apart
//! is lost, and a pipe gets everything.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::campaign::{User, code};
use crate::program::{self, host_flags};
use crate::record::terminal::Session;
use crate::record::text;
use crate::report::two_runs;

const WIDTHS: [u16; 5] = [60, 72, 80, 100, 200];

/// What a program prints at a terminal of so many columns, and nothing of this test's own terminal.
fn shown(columns: u16, command: &mut Command) -> String {
    let (_, screen) = Session::as_wide_as(columns, command.env_remove("COLUMNS")).end();
    screen.replace("\r\n", "\n")
}

/// Fails where a line is wider than the terminal.
fn holds_width(columns: u16, what: &str, text: &str) {
    assert!(!text.is_empty(), "{what}");
    for line in text.lines() {
        let width = line.chars().count();
        assert!(width <= columns.into(), "{what} at {columns}, {width} wide: {line}\n{text}");
    }
}

/// Whether a text is in another, wherever lines were broken.
fn has(text: &str, part: &str) -> bool {
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    squeeze(text).contains(&squeeze(part))
}

/// A line ends where the next word has no room, and nowhere else in a sentence.
fn keeps_sentences_whole(columns: u16, what: &str, text: &str) {
    let limit = usize::from(columns.min(100));
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2) {
        let [line, next] = pair else { unreachable!() };
        let is_text = |line: &str| line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-');
        let ends = line.ends_with(['.', ':']) || next.trim().is_empty();
        if !is_text(line) || !is_text(next) || ends {
            continue;
        }
        let word = next.split(' ').next().unwrap();
        let room = line.chars().count() + 1 + word.chars().count();
        assert!(room > limit, "{what} at {columns}: broken behind {line:?}, before {word:?}");
    }
}

fn subcommands(command: &clap::Command) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    for subcommand in command.get_subcommands() {
        for mut below in subcommands(subcommand) {
            below.insert(0, subcommand.get_name().to_owned());
            all.push(below);
        }
    }
    all
}

#[test]
fn help_is_as_wide_as_the_terminal_and_breaks_no_sentence() {
    let user = User::with_models(&[]);
    let all = subcommands(&halo::cli::record::command());
    assert!(all.len() > 20, "{all:?}");
    for columns in WIDTHS {
        for flag in ["--help", "-h"] {
            for words in &all {
                let what = format!("halo-record {} {flag}", words.join(" "));
                let mut command = user.program(&[]);
                let help = shown(columns, command.args(words).arg(flag));
                // Commands of the usage are lines to copy.
                if columns >= 80 {
                    holds_width(columns, &what, &help);
                }
                keeps_sentences_whole(columns, &what, &help);
            }
            let help = shown(columns, program::command().arg(flag));
            holds_width(columns, "halo-exporter", &help);
            keeps_sentences_whole(columns, "halo-exporter", &help);
        }
    }
}

/// Examples are lines to copy: they fit a terminal of 80 columns.
#[test]
fn examples_are_not_broken() {
    let mut commands = vec![halo::cli::command(), halo::cli::record::command()];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            seen += 1;
        }
        commands.extend(command.get_subcommands().cloned());
    }
    assert!(seen > 20);
}

/// Two models of long names, with and without flags that tell their cells apart.
fn campaign() -> User {
    let names = ["ok.gguf", "ok-and-a-name-as-long-as-those-of-fine-tunes-are-Q4_K_M.gguf"];
    let user = User::with_models(&names);
    let flags = ["--kv-types", "f16,q4_0:q8_0", "--skip-longctx", "--batch", "256"];
    let output = user.run(&names, &flags);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    user
}

#[test]
fn tables_of_a_campaign_fit() {
    let user = campaign();
    let name = user.name();
    let cells = user.show()["cells"].as_array().unwrap().clone();
    let runs: Vec<&str> = cells.iter().map(|cell| cell["run"].as_str().unwrap()).collect();
    assert_eq!(runs.len(), 4);
    for columns in WIDTHS {
        let list = shown(columns, &mut user.program(&["list"]));
        holds_width(columns, "list", &list);
        for run in &runs {
            assert!(has(&list, run) && has(&list, "result"), "{columns}: {run}: {list}");
        }
        let campaign = shown(columns, &mut user.program(&["show", &name]));
        holds_width(columns, "show CAMPAIGN", campaign.split_once("\n\n").unwrap().1);
        for part in ["q4_0:q8_0", "f16", "pp512", "tg128", "t/s", "verdict"] {
            assert!(has(&campaign, part), "{columns}: {part}: {campaign}");
        }
        let plan = user.campaign(&["ok.gguf"], &["--dry-run"]).env_remove("COLUMNS").output();
        assert_eq!(code(&plan.unwrap()), 0);
        let compared = shown(columns, &mut user.program(&["compare", runs[0], runs[2]]));
        holds_width(columns, "compare", &compared);
        assert!(has(&compared, "tg128") && has(&compared, "pp512"), "{compared}");
    }
}

#[test]
fn a_campaign_is_shown_with_verdict_watts_and_joules() {
    let user = campaign();
    let shown = user.archive.print(&["show", &user.name()]);
    let header = shown.lines().find(|line| line.starts_with("model")).unwrap();
    let names: Vec<&str> = header.split_whitespace().collect();
    let expected = ["n", "W", "J", "J/token", "verdict", "run"];
    assert_eq!(names[names.len() - 6..], expected);
    for cell in user.show()["cells"].as_array().unwrap() {
        let label = cell["verdict"]["label"].as_str().unwrap();
        assert!(shown.contains(label));
        assert!(cell["energy"].is_array(), "{cell}");
    }
}

/// What a run took stands beside its speed, as `show RUN` has it.
#[test]
fn the_energy_of_a_cell_is_that_of_its_run() {
    let user = campaign();
    let run = user.show()["cells"][0]["run"].as_str().unwrap().to_owned();
    let path = user.archive.path().join(&run).join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // The stand-in is too fast for any sensor.
    for part in manifest["energy"].as_array_mut().unwrap() {
        if part["case"] == "tg128" {
            part.as_object_mut().unwrap().remove("absent");
            part["mean_watts"] = 87.65.into();
            part["joules"] = 432.1.into();
            part["joules_per_token"] = 0.6751.into();
        }
    }
    fs::write(&path, manifest.to_string()).unwrap();
    let shown = user.archive.print(&["show", &user.name()]);
    let row = |case: &str| shown.lines().find(|row| row.contains(case) && row.contains(&run));
    let cells: Vec<&str> = row("tg128").unwrap().split_whitespace().collect();
    let label = manifest["verdict"]["label"].as_str().unwrap();
    assert_eq!(cells[cells.len() - 5..], ["87.65", "432.1", "0.675", label, &*run], "{shown}");
    // What is not known is left empty, and is no zero.
    let cells: Vec<&str> = row("pp512").unwrap().split_whitespace().collect();
    assert_eq!(cells[cells.len() - 3..][1..], [label, &*run], "{shown}");
}

#[test]
fn what_the_machine_has_fits() {
    let user = User::with_models(&["ok.gguf"]);
    for columns in WIDTHS {
        for arguments in [&["check"][..], &["models"], &["backends"]] {
            let mut command = user.program(arguments);
            if arguments != ["backends"] {
                command.args(host_flags("strix-halo-desktop-128g"));
            }
            let screen = shown(columns, &mut command);
            holds_width(columns, &arguments.join(" "), &screen);
        }
        let backends = shown(columns, &mut user.program(&["backends"]));
        for name in ["llama-vulkan-radv", "native"] {
            assert!(has(&backends, name), "{columns}: {backends}");
        }
    }
}

#[test]
fn tables_of_runs_fit() {
    let user = two_runs();
    for columns in WIDTHS {
        let screen = shown(columns, &mut user.program(&["show", "latest"]));
        // Paths and commands are one line each, to be copied; the terminal breaks them.
        let tables = screen.split_once("\n\n").unwrap().1;
        holds_width(columns, "show", tables);
        let compared = shown(columns, &mut user.program(&["compare", "tag=before", "tag=after"]));
        holds_width(columns, "compare", &compared);
    }
}

/// As git, docker and kubectl do: a pipe gets whole lines, whatever the terminal is like.
#[test]
fn a_pipe_gets_everything() {
    let user = two_runs();
    for arguments in [&["list"][..], &["backends"], &["compare", "tag=before", "tag=after"]] {
        let whole = user.program(arguments).env_remove("COLUMNS").output().unwrap();
        let narrow = user.program(arguments).env("COLUMNS", "40").output().unwrap();
        assert_eq!(text(&whole.stdout), text(&narrow.stdout), "{arguments:?}");
        assert!(text(&whole.stdout).lines().any(|line| line.chars().count() > 80));
    }
}

/// `COLUMNS` says more than the terminal, and what is no number says nothing.
#[test]
fn columns_are_honoured() {
    let user = two_runs();
    let at = |columns: &str| {
        let mut command = user.program(&["list"]);
        let screen = Session::as_wide_as(200, command.env("COLUMNS", columns)).end().1;
        screen.lines().map(|line| line.trim_end().chars().count()).max().unwrap()
    };
    assert!(at("60") <= 60 && at("90") <= 90, "{} {}", at("60"), at("90"));
    assert!(at("many") > 90 && at("0") > 90);
}
