//! Values that stand behind a name that secrets have.

use std::ops::Range;

use crate::redact::text::line_before;

/// What a name ends in that holds a secret.
const SECRET_PARTS: [&str; 25] = [
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
    "pat",
    "psk",
    "pw",
    "pwd",
    "secret",
    "secrets",
    "signature",
    "token",
    "jwt",
    "webhook",
];

/// How a part of a name ends where it is glued together: `PGPASSWORD`, `HFTOKEN`.
const GLUED: [&str; 14] = [
    "accesskey",
    "apikey",
    "apitoken",
    "authkey",
    "authtoken",
    "hftoken",
    "openaikey",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "sshkey",
];

/// Words before `token` or `key` with which it is one of a model's own, or a word to look something
/// up by, and no secret.
const HARMLESS_BEFORE: [&str; 26] = [
    "call",
    "dict",
    "group",
    "hash",
    "public",
    "sort",
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
    // One of several has a number: api_key1, HF_TOKEN_2.
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['_', '-']);
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
    let (mut at, mut covered) = (0, (0..0, Sign::Equals));
    while let Some(start) = text[at..].find(is_name).map(|offset| at + offset) {
        let end = text[start..].find(|c| !is_name(c)).map_or(text.len(), |offset| start + offset);
        at = end;
        let name = &text[start..end];
        if !is_secret_name(name) && !is_behind_user(text, start, name) {
            continue;
        }
        // The value is looked through too: it may be the name of a further one, which goes on behind it.
        values_behind(text, start, end, &mut covered, &mut found);
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
    /// A comma between strings: the next element of a list is the value.
    Comma,
}

/// How far a value is looked for behind a name and its sign: it may be on the next line, and
/// something may be wrapped around it.
const LONGEST_WRAPPING: usize = 24;

/// The values that stand behind a name, without their quotes.
fn values_behind(
    text: &str,
    name_start: usize,
    name_end: usize,
    covered: &mut (Range<usize>, Sign),
    found: &mut Vec<Range<usize>>,
) {
    let name = &text[name_start..name_end];
    let skip = |at: usize, characters: &[char]| {
        at + text[at..].len() - text[at..].trim_start_matches(characters).len()
    };
    let unquoted = skip_quotes(text, name_end);
    let separator = skip(unquoted, &[' ', '\t']);
    let rest = &text[separator..];
    // {"name": "HF_TOKEN", "value": "X"}, and the same in YAML.
    let behind = skip_lines(text, skip(separator, &[',']));
    let paired = skip_quotes(text, behind);
    let value = text[paired..].strip_prefix("value").map(|_| skip_quotes(text, paired + 5));
    let pair = value.filter(|at| behind > unquoted && text[*at..].starts_with(':'));
    let (sign, begin) = if let Some(at) = pair {
        (Sign::Colon, at + 1)
    } else if let Some(signs) =
        ["=>", ":=", "==", "+=", "?=", "="].iter().find(|signs| rest.starts_with(**signs))
    {
        (Sign::Equals, separator + signs.len())
    } else if rest.starts_with(':') {
        (Sign::Colon, separator + 1)
    } else if unquoted > name_end && rest.starts_with(',') {
        (Sign::Comma, separator + 1)
    } else if separator > unquoted && is_word_of_command(text, name_start, name) {
        (Sign::Space, separator)
    } else {
        return;
    };
    // The next line is that of the value where this one ends with the sign.
    let spaced = skip(begin, &[' ', '\t']);
    let lined =
        if unquoted > name_end || sign == Sign::Comma { skip_lines(text, spaced) } else { spaced };
    if text[lined..].starts_with('[') {
        return strings_of_array(text, lined + 1, found);
    }
    let window = &text[lined..text.floor_char_boundary(lined + LONGEST_WRAPPING)];
    if let Some((quoted, close)) = opening_quote(window, sign) {
        let start = lined + quoted;
        let length = closing_quote(&text[start..], &close);
        let value = start..start + length;
        if !is_plain(name, sign, &text[value.clone()]) {
            found.push(value);
        }
        return;
    }
    // Numbers and words without quotes behind a name in quotes are values of JSON, and no texts; and a
    // list goes on with strings alone.
    if sign == Sign::Comma || (sign == Sign::Colon && unquoted > name_end) {
        return;
    }
    // In a value without quotes another such ends where that one ends.
    let ends_alike = sign == Sign::Equals || (sign == Sign::Colon && covered.1 == Sign::Colon);
    if covered.0.contains(&spaced) && ends_alike {
        return;
    }
    let rest = &text[spaced..];
    // `primary key: id` is no secret, and a key has digits.
    let beginning = rest.chars().take(LONGEST_PROSE).take_while(|c| !"\"'\r\n".contains(*c));
    if sign == Sign::Colon
        && BARE.contains(&name)
        && !beginning.into_iter().any(|c| c.is_ascii_digit())
    {
        return;
    }
    // A header's value has words: Authorization: Bearer X.
    let length = match sign {
        Sign::Colon => rest.find(['"', '\'', '\r', '\n']),
        _ => rest.find(|c: char| c.is_whitespace() || ",;&'\"}`".contains(c)),
    };
    let end = length.map_or(text.len(), |length| spaced + length);
    let is_option = sign == Sign::Space && rest.starts_with("--");
    if !is_option && !is_plain(name, sign, &text[spaced..end]) {
        *covered = (spaced..end, sign);
        found.push(spaced..end);
    }
}

/// Where the text goes on behind quotes, also escaped ones; a backslash before anything else is no
/// quote's.
fn skip_quotes(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text[at..].trim_start_matches(['"', '\'', '`', ']']);
        at = text.len() - rest.len();
        let unescaped = rest.trim_start_matches('\\');
        if unescaped.len() == rest.len() || !unescaped.starts_with(['"', '\'', '`']) {
            return at;
        }
        at = text.len() - unescaped.len();
    }
}

/// Where the text goes on behind spaces and ends of lines, also those that JSON escapes.
fn skip_lines(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text[at..].trim_start_matches([' ', '\t', '\r', '\n']);
        at = text.len() - rest.len();
        match ["\\n", "\\r", "\\t"].iter().find(|escape| rest.starts_with(**escape)) {
            Some(escape) => at += escape.len(),
            None => return at,
        }
    }
}

/// Where a string begins behind a quote, and how it ends, where one begins here: perhaps within
/// something that is wrapped around it, as `Some("`, `SecretStr('`, `b"`, `str = "`, `${X:-"`.
fn opening_quote(text: &str, sign: Sign) -> Option<(usize, String)> {
    let is_wrapping = |c: char| c.is_ascii_alphanumeric() || "_(.$<>&:={?- ".contains(c);
    let start = text.find(|c| !is_wrapping(c))?;
    let wrapping = &text[..start];
    // What is wrapped around a string touches it, and begins with a letter or a sign.
    let is_near = wrapping.is_empty()
        || wrapping.ends_with(['(', '=', '-', '$', '<'])
        || wrapping.trim_end().ends_with('=')
        || (wrapping.len() <= 2 && wrapping.chars().all(|c| c.is_ascii_alphabetic()));
    // api_key: str = "X"; with a space in another place it is the next word.
    let is_apart =
        wrapping.contains(' ') && !(sign == Sign::Colon && wrapping.trim_end().ends_with('='));
    if !is_near || is_apart {
        return None;
    }
    let rest = &text[start..];
    let escapes = rest.len() - rest.trim_start_matches('\\').len();
    let quote = rest[escapes..].chars().next().filter(|c| "\"'`".contains(*c))?;
    Some((start + escapes + 1, format!("{}{quote}", "\\".repeat(escapes))))
}

/// The length to the quote that ends a string: as many backslashes stand in front of it as in front of
/// the one that began it, and a line of a log ends it too.
fn closing_quote(text: &str, close: &str) -> usize {
    let escapes = close.len() - 1;
    let quote = &close[escapes..];
    for (at, _) in text.match_indices(quote) {
        let before = text[..at].len() - text[..at].trim_end_matches('\\').len();
        if before == escapes {
            return at - escapes;
        }
    }
    text.find('\n').unwrap_or(text.len())
}

/// Names that are words of every text: what stands behind them is a secret only where it has digits.
const BARE: [&str; 9] =
    ["PASS", "key", "token", "pass", "auth", "cookie", "signature", "Token", "Key"];

/// Whether a value is no secret whatever its name: a switch, a number, one of a model's own tokens, a
/// place to fill in.
fn is_plain(name: &str, sign: Sign, value: &str) -> bool {
    let value = value.trim();
    let first = value.split([' ', ',', ')', ']', '}']).next().unwrap_or_default();
    let is_number = first.parse::<f64>().is_ok() && first.len() < 8;
    let is_password = ["pass", "pwd"].iter().any(|part| name.to_ascii_lowercase().contains(part));
    let is_bare = sign == Sign::Colon
        && BARE.contains(&name)
        && !value.contains(|c: char| c.is_ascii_digit());
    value.is_empty()
        || ["true", "false", "null", "none", "nil"].contains(&first.to_ascii_lowercase().as_str())
        || (is_number && (!is_password || name == "pass"))
        || is_bare
        || value.starts_with("<|")
        || (value.starts_with('/') && name == "PWD")
}

/// Whether the word behind a name is its value: an option, or what a shell is told to set.
fn is_word_of_command(text: &str, start: usize, name: &str) -> bool {
    let before = line_before(text, start).trim_end();
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let before = &before[before.trim_end_matches(is_of_word).len()..];
    name.starts_with("--")
        || name == "-hft"
        || ["setenv", "setx", "ENV", "-x", "-gx", "-Ux", "-xg", "-xU", "--export", "SetEnv"]
            .contains(&before)
        || is_behind_user(text, start, name)
}

/// The strings of an array of JSON or of a script, to its end or to a list within it.
fn strings_of_array(text: &str, begin: usize, found: &mut Vec<Range<usize>>) {
    let most = text.floor_char_boundary(begin + LONGEST_ARRAY);
    let end = text[begin..most].find([']', '[', '{']).map_or(most, |length| begin + length);
    let mut at = begin;
    while let Some(open) = text[at..end].find(['"', '\'']).map(|offset| at + offset) {
        let escapes = text[at..open].len() - text[at..open].trim_end_matches('\\').len();
        let close = format!("{}{}", "\\".repeat(escapes), &text[open..=open]);
        let start = open + 1;
        let length = closing_quote(&text[start..end], &close);
        found.push(start..start + length);
        at = text.ceil_char_boundary(start + length + close.len()).min(end);
    }
}
