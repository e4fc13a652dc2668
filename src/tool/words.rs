//! Options in the command lines of tools whose options halo does not know all.

use std::ffi::OsString;

use crate::command_line;

/// The program that a command line runs in the end, and where it stands: `lm_eval`, also as
/// `python -m lm_eval`, `uv run lm_eval` or `uvx lm_eval`.
pub(super) fn program(argv: &[OsString]) -> Option<(usize, &str)> {
    let (at, name) = command_line::program(argv)?;
    let word = |at: usize| argv.get(at).and_then(|word| word.to_str());
    let next = |at: usize| Some((at, base_name(word(at)?)));
    if name.starts_with("python") {
        // What stands before the module are switches, as -u.
        let module = (at + 1..argv.len()).find(|index| word(*index) == Some("-m"))?;
        let are_switches = (at + 1..module).all(|at| word(at).is_some_and(|w| w.starts_with('-')));
        return are_switches.then(|| next(module + 1)).flatten();
    }
    match name {
        "uvx" => next(at + 1),
        "uv" if word(at + 1) == Some("run") => next(at + 2),
        _ => Some((at, name)),
    }
}

fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The value of an option, `--name VALUE` or `--name=VALUE`; the last one counts. Programs of
/// Python Fire take `--base_url` and `--base-url` alike.
pub(super) fn value<'a>(argv: &'a [OsString], names: &[&str]) -> Option<&'a str> {
    let word = |index: usize| argv.get(index).and_then(|word| word.to_str());
    (0..argv.len()).rev().find_map(|index| {
        let text = word(index)?;
        if names.iter().any(|name| is_same(text, name)) {
            return word(index + 1);
        }
        let (option, value) = text.split_once('=')?;
        names.iter().any(|name| is_same(option, name)).then_some(value)
    })
}

/// Whether an option is given, with or without a value.
pub(super) fn has(argv: &[OsString], names: &[&str]) -> bool {
    let words = argv.iter().filter_map(|word| word.to_str());
    let mut options = words.map(|word| word.split_once('=').map_or(word, |(option, _)| option));
    options.any(|option| names.iter().any(|name| is_same(option, name)))
}

/// The address of the server that a tool is told to ask, in the ways in which those that halo knows
/// are told it; `variable` tells what the command sees of a variable.
pub fn base_url(argv: &[OsString], variable: &dyn Fn(&str) -> Option<OsString>) -> Option<String> {
    let options = ["--base-url", "--model-base-url", "--url"];
    if let Some(url) = value(argv, &options) {
        return Some(url.to_owned());
    }
    // `--model_args model=m,base_url=http://...`.
    let words = argv.iter().filter_map(|word| word.to_str());
    let mut parts = words.flat_map(|word| word.split(','));
    let in_list = parts.find_map(|part| part.strip_prefix("base_url="));
    let in_list = in_list.map(str::to_owned);
    in_list.or_else(|| variable("OPENAI_BASE_URL")?.into_string().ok())
}

fn is_same(word: &str, name: &str) -> bool {
    word.len() == name.len()
        && word
            .bytes()
            .zip(name.bytes())
            .all(|(one, other)| one == other || matches!((one, other), (b'_', b'-') | (b'-', b'_')))
}

#[cfg(test)]
mod tests {
    use super::{OsString, base_url, has, program, value};

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn programs_are_found_behind_what_starts_them() {
        for line in [
            "lm_eval --tasks a",
            "env A=b .venv/bin/lm_eval --tasks a",
            "python3 -u -m lm_eval --tasks a",
            "uv run lm_eval --tasks a",
            "uvx lm_eval --tasks a",
        ] {
            let words = words(line);
            let (at, name) = program(&words).unwrap();
            assert_eq!((name, words[at + 1].to_str()), ("lm_eval", Some("--tasks")), "{line}");
        }
        assert_eq!(program(&words("python3 script.py -m lm_eval")), None);
    }

    #[test]
    fn the_server_is_found_in_the_ways_of_all_tools() {
        let none = |_: &str| None;
        for line in [
            "evalplus.evaluate --base-url http://h:1/v1",
            "bigcodebench.evaluate --base_url=http://h:1/v1",
            "inspect eval t --model-base-url http://h:1/v1",
            "lm_eval --model_args model=m,base_url=http://h:1/v1,num_concurrent=1",
        ] {
            assert_eq!(base_url(&words(line), &none).as_deref(), Some("http://h:1/v1"), "{line}");
        }
        let set = |name: &str| (name == "OPENAI_BASE_URL").then(|| OsString::from("http://h:2"));
        assert_eq!(base_url(&words("inspect eval t"), &set).as_deref(), Some("http://h:2"));
    }

    #[test]
    fn options_are_found_in_each_spelling() {
        let argv = words("x --log-dir a --base_url=http://h --log-dir=b -m c");
        assert_eq!(value(&argv, &["--log-dir"]), Some("b"));
        assert_eq!(value(&argv, &["--base-url"]), Some("http://h"));
        assert_eq!(value(&argv, &["-m", "--model"]), Some("c"));
        assert_eq!(value(&argv, &["--none"]), None);
        assert!(has(&argv, &["--base-url"]) && !has(&argv, &["--base"]));
    }
}
