//! Values that stand behind a name that secrets have.

use std::ops::Range;

use crate::redact::text::line_before;

/// What a name ends in that holds a secret.
const SECRET_PARTS: [&str; 21] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "creds",
    "key",
    "keys",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "pwd",
    "secret",
    "secrets",
    "signature",
    "token",
    "webhook",
];

/// How a part of a name ends where it is glued together: `PGPASSWORD`, `HFTOKEN`.
const GLUED: [&str; 8] =
    ["apikey", "authtoken", "accesskey", "passphrase", "passwd", "password", "secret", "secretkey"];

/// Words before `token` or `key` with which it is one of a model's own, or a word to look something
/// up by, and no secret.
const HARMLESS_BEFORE: [&str; 20] = [
    "attention",
    "bos",
    "cache",
    "cls",
    "eos",
    "eot",
    "first",
    "foreign",
    "image",
    "last",
    "mask",
    "max",
    "next",
    "pad",
    "prefix",
    "primary",
    "sep",
    "special",
    "stop",
    "unk",
];

/// More of them, which stand before `token` alone.
const HARMLESS_TOKENS: [&str; 5] = ["suffix", "n", "num", "per", "time"];

/// How far it is looked whether what stands behind `key:` has a digit, in characters.
const LONGEST_PROSE: usize = 200;

/// How far an array is looked through, in bytes.
const LONGEST_ARRAY: usize = 4096;

/// Whether an option, a variable or a field is named as secrets are: `--api-key`, `HF_TOKEN`,
/// `apiKey`, `PGPASSWORD`.
pub(crate) fn is_secret_name(name: &str) -> bool {
    // llama.cpp's short form of --hf-token.
    if name == "-hft" {
        return true;
    }
    let mut parts = parts(name);
    let is_secret = |part: &String| {
        SECRET_PARTS.contains(&part.as_str()) || GLUED.iter().any(|end| part.ends_with(end))
    };
    // A variable may have its service at the end: API_KEY_OPENAI.
    let is_variable =
        name.len() > 3 && !name.contains(|c: char| c.is_ascii_lowercase() || c == '-');
    if is_variable
        && (parts.iter().any(is_secret)
            || parts.iter().any(|part| part.ends_with("token") || part.ends_with("apikey")))
    {
        return true;
    }
    let Some(last) = parts.pop() else { return false };
    let is_of_model = parts.last().is_some_and(|part| {
        let part = part.as_str();
        (["token", "key", "keys"].contains(&last.as_str()) && HARMLESS_BEFORE.contains(&part))
            || (last == "token" && HARMLESS_TOKENS.contains(&part))
    });
    let is_switched_off = parts.first().is_some_and(|first| first == "no");
    // Alone these are words of every text.
    let is_word = parts.is_empty() && ["keys", "signature"].contains(&name);
    is_secret(&last) && !is_of_model && !is_switched_off && !is_word
}

/// The words of a name, in small letters: at `-`, `_`, `.` and at a capital after a small letter.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_small = false;
    for character in name.chars() {
        let begins = was_small && character.is_ascii_uppercase();
        if begins || !character.is_ascii_alphanumeric() {
            parts.push(String::new());
        }
        if character.is_ascii_alphanumeric() {
            parts.last_mut().expect("never empty").push(character.to_ascii_lowercase());
        }
        was_small = character.is_ascii_lowercase();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The values of `NAME=secret`, `"name": "secret"`, `"names": ["secret", …]`, `:name => 'secret'`,
/// `Header: secret`, `set -x NAME secret` and `--name secret` anywhere in a text: a shell command in
/// one word has them too.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut found: Vec<Range<usize>> = Vec::new();
    let (mut at, mut covered) = (0, 0);
    while let Some(start) = text[at..].find(is_name).map(|offset| at + offset) {
        let end = text[start..].find(|c| !is_name(c)).map_or(text.len(), |offset| start + offset);
        at = end;
        let name = &text[start..end];
        if !is_secret_name(name) && !is_behind_user(text, start, name) {
            continue;
        }
        // The value is looked through too: it may be the name of a further one, which goes on behind it.
        let known = found.len();
        values_behind(text, start, end, covered, &mut found);
        covered = found[known..].iter().map(|value| value.end).fold(covered, usize::max);
    }
    found.retain(|value| !value.is_empty());
    found
}

/// Whether it is the `password` of a line of `.netrc`: `login NAME password SECRET`.
fn is_behind_user(text: &str, start: usize, name: &str) -> bool {
    name == "password" && line_before(text, start).split_whitespace().rev().nth(1) == Some("login")
}

/// What stands between a name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// `=`, `=>`, `:=`.
    Equals,
    /// `:`.
    Colon,
    /// A space, between words of a command.
    Space,
}

/// The values that stand behind a name, without their quotes.
fn values_behind(
    text: &str,
    name_start: usize,
    name_end: usize,
    covered: usize,
    found: &mut Vec<Range<usize>>,
) {
    let name = &text[name_start..name_end];
    let skip = |at: usize, characters: &[char]| {
        at + text[at..].len() - text[at..].trim_start_matches(characters).len()
    };
    let unquoted = skip(name_end, &['"', '\'', '\\', '`', ']']);
    let separator = skip(unquoted, &[' ', '\t']);
    let rest = &text[separator..];
    let (sign, begin) = if let Some(signs) =
        ["=>", ":=", "==", "+=", "?=", "="].iter().find(|signs| rest.starts_with(**signs))
    {
        (Sign::Equals, separator + signs.len())
    } else if rest.starts_with(':') {
        (Sign::Colon, separator + 1)
    } else if separator > unquoted && is_word_of_command(text, name_start, name) {
        (Sign::Space, separator)
    } else {
        return;
    };
    let begin = skip(begin, &[' ', '\t']);
    if text[begin..].starts_with('[') {
        return strings_of_array(text, begin + 1, found);
    }
    let quoted = skip(begin, &['\\', '"', '\'', '`']);
    // In a value without quotes another such ends where that one ends.
    if quoted < covered && quoted == begin && sign != Sign::Space {
        return;
    }
    let rest = &text[quoted..];
    // A header's value has words: Authorization: Bearer X.
    let is_header = sign == Sign::Colon && quoted == begin;
    // `primary key: id` is no secret, and a key has digits.
    let beginning = rest.chars().take(LONGEST_PROSE).take_while(|c| !"\"'\r\n".contains(*c));
    if name == "key" && is_header && !beginning.into_iter().any(|c| c.is_ascii_digit()) {
        return;
    }
    let length = if is_header {
        rest.find(['"', '\'', '\r', '\n'])
    } else if quoted > begin {
        rest.find(['"', '\'', '\\', '`', '\n'])
    } else {
        rest.find(|c: char| c.is_whitespace() || ",;&'\"}`".contains(c))
    };
    let end = length.map_or(text.len(), |length| quoted + length);
    let is_option = sign == Sign::Space && rest.starts_with("--");
    if !is_option && !is_plain(name, &text[quoted..end]) {
        found.push(quoted..end);
    }
}

/// Whether a value is no secret whatever its name: a switch, and how many solutions passed.
fn is_plain(name: &str, value: &str) -> bool {
    let value = value.trim();
    ["true", "false", "null", "None", "True", "False"].contains(&value)
        || (name == "pass" && value.parse::<f64>().is_ok())
}

/// Whether the word behind a name is its value: an option, or what a shell is told to set.
fn is_word_of_command(text: &str, start: usize, name: &str) -> bool {
    let before = line_before(text, start).trim_end();
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let before = &before[before.trim_end_matches(is_of_word).len()..];
    name.starts_with("--")
        || name == "-hft"
        || ["setenv", "ENV", "-x", "-gx", "-Ux", "-xg", "-xU", "SetEnv"].contains(&before)
        || is_behind_user(text, start, name)
}

/// The strings of an array of JSON or of a script, to its end.
fn strings_of_array(text: &str, begin: usize, found: &mut Vec<Range<usize>>) {
    let most = text.floor_char_boundary(begin + LONGEST_ARRAY);
    let end = text[begin..most].find(']').map_or(most, |length| begin + length);
    let mut at = begin;
    while let Some(open) = text[at..end].find(['"', '\'']).map(|offset| at + offset) {
        let quote = &text[open..=open];
        let start = open + 1;
        let length = text[start..end].find(quote).unwrap_or(end - start);
        // One that is escaped has a backslash before its end.
        let value = text[start..start + length].trim_end_matches('\\');
        found.push(start..start + value.len());
        at = (start + length + 1).min(end);
    }
}
