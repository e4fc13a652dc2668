//! Keys, tokens and passwords, which an archive must never hold: it is made to be shown.
//!
//! What is hidden by mistake costs a setting, what is shown by mistake cannot be taken back. Yet
//! the parameters of a benchmark stay readable: `--max-tokens` and `--tokenizer` are no secrets.

use std::ffi::OsString;
use std::ops::Range;

/// What stands where a secret was.
pub const HIDDEN: &str = "(hidden)";

/// What a name ends in that holds a secret.
const SECRET_PARTS: [&str; 16] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "creds",
    "key",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "token",
];

/// Words before `token` with which it is one of a model's own tokens, not a secret.
const MODEL_TOKENS: [&str; 12] = [
    "bos", "cls", "eos", "image", "mask", "pad", "prefix", "sep", "special", "stop", "suffix",
    "unk",
];

/// How tokens of known services begin, and whether `-` and `_` may follow among the letters.
const TOKENS: [(&str, bool); 13] = [
    ("AKIA", false),
    ("eyJ", true),
    ("ghp_", false),
    ("gho_", false),
    ("ghs_", false),
    ("ghu_", false),
    ("ghr_", false),
    ("github_pat_", true),
    ("glpat-", true),
    ("hf_", false),
    ("sk-", true),
    ("xoxb-", true),
    ("xoxp-", true),
];

/// The fewest characters behind such a beginning: fewer are part of an ordinary name.
const SHORTEST_TOKEN: usize = 10;

/// A command line for the archive: what is or looks like a secret is replaced by [`HIDDEN`], and
/// bytes that are not UTF-8 by the replacement character.
pub fn hide_in_command(argv: &[OsString]) -> Vec<String> {
    let mut words: Vec<String> = Vec::with_capacity(argv.len());
    let mut is_value_of_secret = false;
    for word in argv {
        let word = word.to_string_lossy();
        // A switch such as `--no-auth` has no value: the next option is not one.
        if is_value_of_secret && !word.starts_with("--") {
            words.push(HIDDEN.to_owned());
            is_value_of_secret = false;
            continue;
        }
        is_value_of_secret =
            word.starts_with('-') && !word.contains(['=', ' ']) && is_secret_name(&word);
        words.push(hide(&word));
    }
    words
}

/// A text in which what is or looks like a secret is replaced by [`HIDDEN`].
pub fn hide(text: &str) -> String {
    let mut ranges = assigned(text);
    ranges.extend(of_addresses(text));
    ranges.extend(tokens(text));
    ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for range in ranges {
        if range.start >= done {
            result.push_str(&text[done..range.start]);
            result.push_str(HIDDEN);
        }
        done = done.max(range.end);
    }
    result.push_str(&text[done..]);
    result
}

/// Whether a variable's name says that its value is a secret. Its value stays away whole, so this
/// is wider than [`hide`]: any part of the name tells.
pub fn is_secret_variable(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "AUTH", "CREDENTIAL"]
        .iter()
        .any(|part| name.contains(part))
}

/// Whether an option, a variable or a field is named as secrets are: `--api-key`, `HF_TOKEN`,
/// `apiKey`.
fn is_secret_name(name: &str) -> bool {
    let mut parts = parts(name);
    // A variable may have its service at the end: API_KEY_OPENAI.
    let is_variable = !name.contains(|c: char| c.is_ascii_lowercase() || c == '-');
    if is_variable && parts.iter().any(|part| SECRET_PARTS.contains(&part.as_str())) {
        return true;
    }
    let Some(last) = parts.pop() else { return false };
    let is_of_model =
        last == "token" && parts.last().is_some_and(|part| MODEL_TOKENS.contains(&part.as_str()));
    let is_switched_off = parts.first().is_some_and(|first| first == "no");
    SECRET_PARTS.contains(&last.as_str()) && !is_of_model && !is_switched_off
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

/// The values of `NAME=secret`, `"name": "secret"`, `Header: secret` and `--name secret` anywhere
/// in a text: a shell command in one word has them too.
fn assigned(text: &str) -> Vec<Range<usize>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_name).map(|offset| at + offset) {
        let end = text[start..].find(|c| !is_name(c)).map_or(text.len(), |offset| start + offset);
        at = end;
        if !is_secret_name(&text[start..end]) {
            continue;
        }
        // The value is looked through too: it may be the name of a further one.
        let value = value_behind(text, end, &text[start..end]);
        found.extend(value.filter(|value| !value.is_empty()));
    }
    found
}

/// The value that stands behind a name, without its quotes.
fn value_behind(text: &str, name_end: usize, name: &str) -> Option<Range<usize>> {
    let skip = |at: usize, characters: &[char]| {
        at + text[at..].len() - text[at..].trim_start_matches(characters).len()
    };
    let unquoted = skip(name_end, &['"', '\'', '\\']);
    let separator = skip(unquoted, &[' ', '\t']);
    let (sign, mut begin) = match text[separator..].chars().next() {
        Some(sign @ ('=' | ':')) => (sign, separator + 1),
        // The words of a shell command: --api-key X.
        Some(_) if name.starts_with("--") && separator > unquoted => (' ', separator),
        _ => return None,
    };
    begin = skip(begin, &[' ', '\t']);
    let quoted = skip(begin, &['\\', '"', '\'']);
    let rest = &text[quoted..];
    // A header's value has words: Authorization: Bearer X.
    let is_header = sign == ':' && quoted == begin;
    let length = if is_header {
        rest.find(['"', '\'', '\r', '\n'])
    } else if quoted > begin {
        rest.find(['"', '\'', '\\'])
    } else {
        rest.find(|c: char| c.is_whitespace() || ",;&'\"}".contains(c))
    };
    let end = length.map_or(text.len(), |length| quoted + length);
    (sign != ' ' || !rest.starts_with("--")).then_some(quoted..end)
}

/// The `user:password` of an address, `user:password@host`.
fn of_addresses(text: &str) -> Vec<Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || "/@'\"=,".contains(c);
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let start = text[..at].trim_end_matches(|c| !is_end(c)).len();
        let user_and_password = text[start..at].split_once(':');
        // An image with its digest looks alike: name:tag@sha256:…
        let is_digest = text[at + 1..].starts_with("sha");
        if user_and_password.is_some_and(|(_, password)| !password.is_empty()) && !is_digest {
            found.push(start..at);
        }
    }
    found
}

/// What begins as the tokens of known services do, and what follows `Bearer` or `Basic`.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (beginning, has_signs) in TOKENS {
        for (start, _) in text.match_indices(beginning) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || (has_signs && "-_.".contains(c));
            let rest = &text[start + beginning.len()..];
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let is_random =
                rest[..length].contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase());
            let is_word = !text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
            if is_word && is_random && length >= SHORTEST_TOKEN {
                found.push(start..start + beginning.len() + length);
            }
        }
    }
    for scheme in ["Bearer ", "Basic ", "bearer ", "basic "] {
        for (start, _) in text.match_indices(scheme) {
            let begin = start + scheme.len();
            let length = text[begin..].find(|c: char| c.is_whitespace() || "'\"".contains(c));
            found.push(begin..length.map_or(text.len(), |length| begin + length));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{hide, hide_in_command, is_secret_variable};

    fn hidden(words: &[&str]) -> Vec<String> {
        hide_in_command(&words.iter().map(std::ffi::OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn secrets_of_a_command_are_hidden() {
        for (words, expected) in [
            (
                &["llama-server", "--api-key", "X", "-m", "m"][..],
                &["llama-server", "--api-key", "(hidden)", "-m", "m"][..],
            ),
            (&["x", "--api-key=X"], &["x", "--api-key=(hidden)"]),
            (&["x", "--hf-token", "hf_abc"], &["x", "--hf-token", "(hidden)"]),
            (&["x", "-hft", "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"], &["x", "-hft", "(hidden)"]),
            (&["x", "--api-key", "-odd"], &["x", "--api-key", "(hidden)"]),
            (&["x", "--no-auth", "--port", "8080"], &["x", "--no-auth", "--port", "8080"]),
            (&["x", "--auth", "--port", "8080"], &["x", "--auth", "--port", "8080"]),
            (
                &["env", "OPENAI_API_KEY=x", "HF_TOKEN=y", "A=b", "run"],
                &["env", "OPENAI_API_KEY=(hidden)", "HF_TOKEN=(hidden)", "A=b", "run"],
            ),
            (&["env", "API_KEY_OPENAI=x", "run"], &["env", "API_KEY_OPENAI=(hidden)", "run"]),
            (
                &["podman", "exec", "--env", "SECRET=x", "-ePASSWORD=y", "box"],
                &["podman", "exec", "--env", "SECRET=(hidden)", "-ePASSWORD=(hidden)", "box"],
            ),
            (
                &["curl", "-H", "Authorization: Bearer abc def", "http://h"],
                &["curl", "-H", "Authorization: (hidden)", "http://h"],
            ),
            (&["curl", "-H", "X-Api-Key:abc"], &["curl", "-H", "X-Api-Key:(hidden)"]),
            (&["curl", "https://me:word@host/v1"], &["curl", "https://(hidden)@host/v1"]),
            (
                &["curl", "https://host/v1?api_key=abc&n=3"],
                &["curl", "https://host/v1?api_key=(hidden)&n=3"],
            ),
            (
                &["lm_eval", "--model_args", "base_url=http://h,api_key=abc,model=m"],
                &["lm_eval", "--model_args", "base_url=http://h,api_key=(hidden),model=m"],
            ),
            (
                &["x", "{\"api_key\": \"abc\", \"n\": 3}"],
                &["x", "{\"api_key\": \"(hidden)\", \"n\": 3}"],
            ),
            (&["x", "{\"apiKey\":\"abc\"}"], &["x", "{\"apiKey\":\"(hidden)\"}"]),
            (
                &[
                    "bash",
                    "-c",
                    "OPENAI_API_KEY=abc curl -H 'Authorization: Bearer x' --token abc -n 3",
                ],
                &[
                    "bash",
                    "-c",
                    "OPENAI_API_KEY=(hidden) curl -H 'Authorization: (hidden)' --token (hidden) -n 3",
                ],
            ),
            (
                &["sh", "-c", "export KEY='a b' && run"],
                &["sh", "-c", "export KEY='(hidden)' && run"],
            ),
            (&["x", "sk-proj-abc123def456"], &["x", "(hidden)"]),
            (&["x", "--header=Bearer abc"], &["x", "--header=Bearer (hidden)"]),
        ] {
            assert_eq!(hidden(words), expected, "{words:?}");
        }
    }

    /// What a benchmark is measured with must stay readable.
    #[test]
    fn parameters_are_no_secrets() {
        for words in [
            &["llama-bench", "-m", "/models/Qwen3-30B.gguf", "-ctk", "q8_0", "-p", "512"][..],
            &["x", "--max-tokens", "256", "--n-tokens=5", "--tokenizer", "t", "max_tokens=3"],
            &["x", "--eos-token", "2", "add_bos_token=True"],
            &["x", "TOKENIZERS_PARALLELISM=false", "HSA_OVERRIDE_GFX_VERSION=11.5.1"],
            &["podman", "run", "-v", "/a:/b", "img:tag@sha256:0123456789abcdef", "pwd"],
            &["podman", "exec", "-u", "1000:1000", "box", "pwd"],
            &["x", "--api-key-file", "/etc/key.txt"],
            &["x", "hf_transfer", "/task-sk-learn", "hf_models/a", "git@github.com:me/repo.git"],
            &["x", "Zürich: é", "--model=sk-learn-tokens"],
        ] {
            assert_eq!(hidden(words), words, "{words:?}");
        }
    }

    #[test]
    fn names_of_variables_tell() {
        for name in [
            "LLAMA_API_KEY",
            "LLAMA_ARG_API_KEY",
            "LLAMA_ARG_HF_TOKEN",
            "GGML_SECRET",
            "HSA_AUTHOR",
        ] {
            assert!(is_secret_variable(name), "{name}");
        }
        for name in ["RADV_PERFTEST", "LLAMA_ARG_N_PARALLEL", "ROCBLAS_USE_HIPBLASLT"] {
            assert!(!is_secret_variable(name), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_looked_through(text in "\\PC*") {
            hide(&text);
        }

        /// Whatever stands around it, and whatever names stand before it.
        #[test]
        fn a_secret_behind_its_name_is_never_shown(
            before in "[a-z0-9 ]{0,12}",
            forms in proptest::collection::vec(0..FORMS.len(), 1..5),
            secret in "zq[a-z0-9]{10}",
            after in "( [a-z0-9 ]{0,12})?",
        ) {
            let command: Vec<String> =
                forms.iter().map(|form| FORMS[*form].replace("SECRET", &secret)).collect();
            let text = format!("{before} {}{after}", command.join(" "));
            let shown = hide(&text);
            proptest::prop_assert!(!shown.contains(&secret), "{text} became {shown}");
            proptest::prop_assert_eq!(hide(&shown), shown);
        }
    }

    /// Ways in which a command is given a secret, all in one word of a command line.
    const FORMS: [&str; 9] = [
        "--api-key SECRET",
        "--api-key=SECRET",
        "HF_TOKEN=SECRET",
        "export KEY='SECRET'",
        "-H 'X-Api-Key: SECRET'",
        "{\"api_key\": \"SECRET\"}",
        "https://me:SECRET@host/v1",
        "--token Authorization: SECRET",
        "-H 'Authorization: Bearer SECRET'",
    ];
}
