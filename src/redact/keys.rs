//! Keys, tokens and passwords, which an archive must never hold: it is made to be shown.
//!
//! What is hidden by mistake costs a setting, what is shown by mistake cannot be taken back. Yet
//! the parameters of a benchmark stay readable: `--max-tokens` and `--tokenizer` are no secrets.

mod assigned;
mod random;
pub mod services;

use std::ffi::OsString;
use std::ops::Range;

use super::{Kind, text};

pub(crate) use assigned::is_secret_name;

/// What stands where a secret was.
pub const HIDDEN: &str = "(hidden)";

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
        // curl takes a name and a password in one word.
        let has_user = words.last().is_some_and(|last| last == "-u" || last == "--user");
        let is_password = word.split_once(':').is_some_and(|(user, password)| {
            let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
            !(password.is_empty() || (is_number(user) && is_number(password)))
        });
        words.push(if has_user && is_password { HIDDEN.to_owned() } else { hide(&word) });
    }
    words
}

/// A text in which what is or looks like a secret is replaced by [`HIDDEN`].
pub fn hide(text: &str) -> String {
    // Colours may stand within a key.
    let visible = text::visible(text);
    let found = find(&visible);
    if found.is_empty() {
        return text.to_owned();
    }
    let text = &*visible;
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for range in found {
        result.push_str(&text[done..range.start]);
        result.push_str(HIDDEN);
        done = range.end;
    }
    result.push_str(&text[done..]);
    result
}

/// The value of a tag or of an attribute of a mark for the archive.
pub fn hide_value(name: &str, value: &str) -> String {
    if is_secret_name(name) && !value.is_empty() { HIDDEN.to_owned() } else { hide(value) }
}

/// A value of JSON for the archive, by its name.
pub fn hide_in_json(name: &str, value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = hide_value(name, text),
        serde_json::Value::Array(values) => {
            for value in values {
                hide_in_json(name, value);
            }
        }
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                hide_in_json(name, value);
            }
        }
        _ => {}
    }
}

/// Where secrets stand in a text, in order, none in another.
pub(crate) fn find(text: &str) -> Vec<Range<usize>> {
    let mut ranges = blocks(text);
    ranges.extend(assigned::find(text));
    ranges.extend(of_addresses(text));
    ranges.extend(services::find(text));
    ranges.extend(behind_schemes(text));
    ranges.extend(of_users(text));
    ranges.extend(of_programs(text));
    ranges.extend(random::find(text));
    ranges.retain(|range| !is_hidden(&text[range.clone()]));
    ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut found: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match found.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => found.push(range),
        }
    }
    found
}

/// Whether nothing but what stands for a secret is left in a text.
fn is_hidden(text: &str) -> bool {
    text == HIDDEN || text.chars().all(|c| c == Kind::Key.sign() || c.is_whitespace())
}

/// Whether a variable's name says that its value is a secret. Its value stays away whole, so this
/// is wider than [`hide`]: any part of the name tells.
pub fn is_secret_variable(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASS", "AUTH", "CRED", "COOKIE", "JWT", "SESSION", "SIGNATURE"]
        .iter()
        .any(|part| upper.contains(part))
        || is_secret_name(name)
}

/// Blocks of PEM and of `PuTTY`, from their first line to their last, or to the end of the text.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (begin, end) in [("-----BEGIN ", "-----END "), ("PuTTY-User-Key-File", "Private-MAC:")] {
        let mut at = 0;
        while let Some(start) = text[at..].find(begin).map(|offset| at + offset) {
            let last = text[start..].find(end).map(|offset| start + offset);
            let stop = last.map_or(text.len(), |last| {
                let line = text[last..].find(['\n', '"', '\'']);
                line.map_or(text.len(), |length| last + length)
            });
            found.push(start..stop);
            at = stop;
        }
    }
    found
}

/// The `user:password` or the key of an address, `user:password@host`, `https://key@host`.
fn of_addresses(text: &str) -> Vec<Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || "/@'\"=,".contains(c);
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let start = text[..at].trim_end_matches(|c| !is_end(c)).len();
        let user = &text[start..at];
        let is_of_url = text[..start].ends_with("://");
        let has_password = user.split_once(':').is_some_and(|(_, password)| !password.is_empty());
        // An image with its digest looks alike: name:tag@sha256:…
        let is_digest = text[at + 1..].starts_with("sha");
        if (has_password || (is_of_url && !user.is_empty() && user != "git")) && !is_digest {
            found.push(start..at);
        }
    }
    found
}

/// What follows `Bearer` or `Basic`, and `Token` in a header.
fn behind_schemes(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for scheme in ["Bearer", "Basic", "bearer", "basic", "BEARER", "Token"] {
        for (start, _) in text.match_indices(scheme) {
            let behind = &text[start + scheme.len()..];
            let spaces = [" ", "\t", "%20", "+"].iter().find(|space| behind.starts_with(**space));
            let Some(space) = spaces else { continue };
            let begin = start + scheme.len() + space.len();
            let begin =
                begin + text[begin..].len() - text[begin..].trim_start_matches([' ', '\t']).len();
            let length = text[begin..].find(|c: char| c.is_whitespace() || "'\"".contains(c));
            let end = length.map_or(text.len(), |length| begin + length);
            // `Basic usage` and `a Basic LLM test` are no headers.
            let is_header = text[..start].trim_end().ends_with([':', '=', '"', '\'']);
            let has_digit = text[begin..end].contains(|c: char| c.is_ascii_digit());
            if is_header || (has_digit && end - begin > 7 && scheme != "Token") {
                found.push(begin..end);
            }
        }
    }
    found
}

/// The word that some programs take as a password, and the one that a sentence names as one.
fn of_programs(text: &str) -> Vec<Range<usize>> {
    const BEFORE: [&str; 8] = [
        "sshpass -p",
        "redis-cli -a",
        "wandb login ",
        "password is ",
        "password: is ",
        "passphrase is ",
        "API key is ",
        "api key is ",
    ];
    let mut found = Vec::new();
    for before in BEFORE {
        for (start, _) in text.match_indices(before) {
            let begin = start + before.len();
            let spaces =
                text[begin..].len() - text[begin..].trim_start_matches([' ', '\'', '"']).len();
            let begin = begin + spaces;
            let length = text[begin..].find(|c: char| c.is_whitespace() || "'\"".contains(c));
            let end = length.map_or(text.len(), |length| begin + length);
            if end > begin && !text[begin..].starts_with('-') {
                found.push(begin..end);
            }
        }
    }
    found
}

/// The password of `-u name:password`, as curl takes it; the numbers of a user are none.
fn of_users(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for option in ["-u ", "--user ", "--user=", "--proxy-user "] {
        for (start, _) in text.match_indices(option) {
            let begin = start + option.len();
            let begin =
                begin + text[begin..].len() - text[begin..].trim_start_matches(['"', '\'']).len();
            let length = text[begin..].find(|c: char| c.is_whitespace() || "'\"".contains(c));
            let end = length.map_or(text.len(), |length| begin + length);
            let Some((user, password)) = text[begin..end].split_once(':') else { continue };
            let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
            if !(password.is_empty() || (is_number(user) && is_number(password))) {
                found.push(begin..end);
            }
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

    #[test]
    fn a_string_that_does_not_end_is_looked_through() {
        hide("api_key\":[x\\'y\n\u{fffd}z\u{fffd}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_looked_through(text in "\\PC*") {
            hide(&text);
        }

        #[test]
        fn any_text_of_signs_can_be_looked_through(text in "([\"'\\\\\\[\\]:=, \n\u{fffd}]|key|token|pass|value|http://|@|Bearer |-u ){0,40}") {
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
