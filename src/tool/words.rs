//! Options in the command lines of tools whose options halo does not know all.

use std::ffi::OsString;

use super::CommandLine;
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
    let from = match name {
        "uvx" => at + 1,
        "uv" if word(at + 1) == Some("run") => at + 2,
        _ => return Some((at, name)),
    };
    next(behind_options(from, &word)?)
}

/// Options of uv that have a value in the next word.
const WITH_VALUE: [&str; 14] = [
    "--default-index",
    "--directory",
    "--env-file",
    "--extra",
    "--from",
    "--group",
    "--index",
    "--project",
    "--python",
    "--with",
    "--with-editable",
    "--with-requirements",
    "-p",
    "-w",
];

/// The first word that is no option of uv.
fn behind_options<'a>(mut at: usize, word: &dyn Fn(usize) -> Option<&'a str>) -> Option<usize> {
    loop {
        match word(at)? {
            "--" => return Some(at + 1),
            option if WITH_VALUE.contains(&option) => at += 2,
            option if option.starts_with('-') => at += 1,
            _ => return Some(at),
        }
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

/// The server of a tool that names it with `--base-url`, and asks that of `OPENAI_BASE_URL` where its
/// backend is `openai` and nothing is named.
pub(super) fn server_of_backend(command: &CommandLine<'_>) -> Option<String> {
    if let Some(url) = value(command.argv, &["--base-url"]) {
        return Some(url.to_owned());
    }
    let is_client = value(command.argv, &["--backend"]) == Some("openai");
    is_client.then(|| (command.variable)("OPENAI_BASE_URL")?.into_string().ok()).flatten()
}

/// The address in `--model_args model=m,base_url=http://...`.
pub(super) fn base_url_in_list(argv: &[OsString]) -> Option<&str> {
    value(argv, &["--model_args", "-a"])?.split(',').find_map(|part| part.strip_prefix("base_url="))
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
    use super::{OsString, base_url_in_list, has, program, value};

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
            "uvx --from lm-eval[api] lm_eval --tasks a",
            "uv run --no-sync --with openai --python=3.13 lm_eval --tasks a",
        ] {
            let words = words(line);
            let (at, name) = program(&words).unwrap();
            assert_eq!((name, words[at + 1].to_str()), ("lm_eval", Some("--tasks")), "{line}");
        }
        assert_eq!(program(&words("python3 script.py -m lm_eval")), None);
    }

    #[test]
    fn options_are_found_in_each_spelling() {
        let argv = words("x --log-dir a --base_url=http://h --log-dir=b -m c");
        assert_eq!(value(&argv, &["--log-dir"]), Some("b"));
        assert_eq!(value(&argv, &["--base-url"]), Some("http://h"));
        assert_eq!(value(&argv, &["-m", "--model"]), Some("c"));
        assert_eq!(value(&argv, &["--none"]), None);
        assert!(has(&argv, &["--base-url"]) && !has(&argv, &["--base"]));
        for line in
            ["--model_args base_url=http://h,model=m", "--model_args=model=m,base_url=http://h"]
        {
            assert_eq!(base_url_in_list(&words(line)), Some("http://h"), "{line}");
        }
    }
}
