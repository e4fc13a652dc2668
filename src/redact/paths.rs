//! Paths, of which the last part stays.
//!
//! A path is what has a separator and is none of: a rate (`tokens/s`), a repository of a model
//! (`unsloth/Qwen3-8B-GGUF`), a path of the system that every machine has.

/// Directories whose paths are the same on every machine.
const SYSTEM: [&[&str]; 14] = [
    &["bin"],
    &["lib"],
    &["lib32"],
    &["lib64"],
    &["proc"],
    &["sbin"],
    &["sys"],
    &["dev"],
    &["v1"],
    &["usr", "bin"],
    &["usr", "include"],
    &["usr", "lib"],
    &["usr", "sbin"],
    &["usr", "share"],
];

/// Directories below those that are not.
const OWN: [&[&str]; 3] = [&["dev", "shm"], &["dev", "mapper"], &["dev", "disk"]];

/// Hosts that everybody knows; of an address there the path names a model.
const PUBLIC: [&str; 4] = ["huggingface.co", "hf.co", "modelscope.cn", "ollama.com"];

/// Hosts that everybody knows, and whose paths may name somebody.
const KNOWN: [&str; 9] = [
    "github.com",
    "raw.githubusercontent.com",
    "gitlab.com",
    "docs.kernel.org",
    "kernel.org",
    "openai.com",
    "pytorch.org",
    "docs.rs",
    "localhost",
];

/// How files end that a relative path names.
const FILES: [&str; 26] = [
    "bin",
    "cfg",
    "conf",
    "cpp",
    "csv",
    "db",
    "env",
    "gguf",
    "html",
    "ini",
    "jinja",
    "json",
    "jsonl",
    "key",
    "log",
    "md",
    "parquet",
    "pem",
    "py",
    "safetensors",
    "sh",
    "so",
    "toml",
    "txt",
    "yaml",
    "yml",
];

/// How many bytes a path in quotes and an address may have.
const LONGEST: usize = 4096;

/// A text without paths, and what was taken out: each path and what stays of it.
pub(super) struct Shortener<'a> {
    /// Directories of which halo knows that they are private, the longest first: their names may
    /// have spaces.
    pub(super) places: &'a [String],
    /// What stands for a host that nobody needs to know.
    pub(super) host: char,
    /// Told of each path and of what stays.
    pub(super) told: &'a mut dyn FnMut(&str, &str),
}

impl Shortener<'_> {
    /// The text without them.
    pub(super) fn shorten(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(length) = self.url(&mut clean, text, at) {
                at += length;
                continue;
            }
            let length = self.token_length(text, at);
            if length == 0 {
                let length = escape_length(rest);
                clean.push_str(&rest[..length]);
                at += length;
                continue;
            }
            let token = &rest[..length];
            // A drive stands in front of the path: C:\Users, and its colon ended the word.
            let is_drive = token.starts_with(['\\', '/']) && drive(text, at) && has_drive(&clean);
            match kept(token, is_drive).filter(|keep| !["", ".", ".."].contains(&keep.as_str())) {
                Some(keep) => {
                    if is_drive {
                        clean.truncate(clean.len() - 2);
                    }
                    (self.told)(token, &keep);
                    clean.push_str(&keep);
                }
                None => clean.push_str(token),
            }
            at += length;
        }
        clean
    }

    /// The length of the word that begins here and may be a path; one that is known or stands in
    /// quotes may have spaces.
    fn token_length(&self, text: &str, at: usize) -> usize {
        let rest = &text[at..];
        let is_rooted = rest.starts_with(['/', '~']) || rest.starts_with("./");
        let known = self.places.iter().find(|place| {
            rest.strip_prefix(place.as_str()).is_some_and(|rest| rest.starts_with(['/', '\\']))
        });
        if let Some(place) = known {
            return place.len() + word_length(&rest[place.len()..], false);
        }
        let is_windows = is_windows(text, at);
        let length = word_length(rest, is_windows);
        if is_rooted || (is_windows && length > 1) {
            if let Some(quoted) = quoted_length(text, at, length) {
                return quoted;
            }
            return length + spaced_length(rest, length);
        }
        length
    }

    /// Writes an address that begins at `://`, whose scheme was written already, and gives its
    /// length.
    fn url(&mut self, clean: &mut String, text: &str, at: usize) -> Option<usize> {
        let rest = text[at..].strip_prefix("://")?;
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
        let scheme = clean[clean.trim_end_matches(is_of_scheme).len()..].to_ascii_lowercase();
        if scheme.is_empty() {
            return None;
        }
        let is_end = |c: char| c.is_whitespace() || "\"'`<>|\\^{}".contains(c);
        let rest = &rest[..rest.floor_char_boundary(LONGEST)];
        let length = rest.find(is_end).unwrap_or(rest.len());
        let address = &rest[..length];
        if scheme == "file" {
            let keep = last_part(address);
            (self.told)(address, keep);
            clean.push_str("://");
            clean.push_str(keep);
            return Some(3 + length);
        }
        let host_end = address.find(['/', '?', '#', ',', ')', ';']).unwrap_or(address.len());
        let (authority, path) = address.split_at(host_end);
        let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(u, h)| (u, h));
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
            _ => host,
        };
        let is_one_of = |known: &[&str]| {
            known.iter().any(|known| {
                name.eq_ignore_ascii_case(known)
                    || name.to_ascii_lowercase().ends_with(&format!(".{known}"))
            })
        };
        clean.push_str("://");
        if !user.is_empty() {
            clean.push_str(user);
            clean.push('@');
        }
        let is_replaced = name.chars().all(|c| ('\u{f0000}'..='\u{f00ff}').contains(&c));
        let is_address =
            is_replaced || name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
        if is_address || is_one_of(&PUBLIC) || is_one_of(&KNOWN) || name.is_empty() {
            clean.push_str(host);
        } else {
            (self.told)(name, "<host>");
            clean.push(self.host);
            clean.push_str(&host[name.len()..]);
        }
        let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
        let parts = path.split('/').filter(|part| !part.is_empty()).count();
        if is_one_of(&PUBLIC) || parts < 2 || path.starts_with("/v1/") {
            clean.push_str(path);
        } else {
            let keep = last_part(path);
            (self.told)(path, keep);
            clean.push('/');
            clean.push_str(keep);
        }
        // What is asked for may have paths and keys of its own: it is gone through like any text.
        Some(3 + length - query.len())
    }
}

/// Whether a drive stands in front of a place, alone. A backslash behind it must not be one of an
/// escaped line or tab: `Answer A:\nfoo`.
fn drive(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    let has_letter = before.next() == Some(':')
        && before.next().is_some_and(|c| c.is_ascii_alphabetic())
        && before.next().is_none_or(|c| !c.is_alphanumeric());
    let is_escape = text[at..].starts_with('\\')
        && text[at + 1..].starts_with(['n', 'r', 't', 'b', 'f', 'u', '"', '\'']);
    has_letter && !is_escape
}

/// Whether the letter and the colon of a drive stand at the end of what was written.
fn has_drive(clean: &str) -> bool {
    clean.strip_suffix(':').is_some_and(|clean| clean.ends_with(|c: char| c.is_ascii_alphabetic()))
}

/// Whether a path of Windows begins with the backslash here: behind a drive, a variable or dots, or
/// with the name of a host.
fn is_windows(text: &str, at: usize) -> bool {
    let (before, rest) = (&text[..at], &text[at..]);
    let Some(behind) = rest.strip_prefix('\\') else { return false };
    let begins = |before: &str| {
        let last = before.chars().next_back();
        last.is_none_or(|c| c.is_whitespace() || "\"'=([,;:".contains(c))
    };
    let is_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    // \\host\share
    let is_share = behind.strip_prefix('\\').is_some_and(|behind| {
        let host = behind.find(|c| !is_name(c)).unwrap_or(behind.len());
        host > 1 && behind[host..].starts_with('\\') && behind[host + 1..].starts_with(is_name)
    });
    let is_variable = before.strip_suffix('%').is_some_and(|before| {
        let name = before.len() - before.trim_end_matches(is_name).len();
        name > 1 && before[..before.len() - name].ends_with('%')
    });
    let is_dotted = [".", ".."].iter().any(|dots| before.strip_suffix(dots).is_some_and(begins))
        && !behind.starts_with(['n', 'r', 't', 'b', 'f', 'u', '"', '\'', '\\']);
    drive(text, at) || (is_share && begins(before)) || is_variable || is_dotted
}

/// The length of what stands between two words: a character, or one that JSON or a script escapes.
fn escape_length(rest: &str) -> usize {
    let mut characters = rest.chars();
    let first = characters.next().map_or(1, char::len_utf8);
    match (rest.starts_with('\\'), characters.next()) {
        (true, Some('n' | 'r' | 't' | 'b' | 'f' | '0' | '\\' | '"' | '\'')) => 2,
        (true, Some('u'))
            if rest.get(2..6).is_some_and(|c| c.bytes().all(|b| b.is_ascii_hexdigit())) =>
        {
            6
        }
        _ => first,
    }
}

/// How long a word is whose characters may be those of a path.
fn word_length(text: &str, is_windows: bool) -> usize {
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|(_, c)| *c);
        match c {
            // An escaped space; any other backslash is of JSON or ends the word.
            '\\' if is_windows => {}
            '\\' if next == Some(' ') && at > 0 => _ = characters.next(),
            '$' if next == Some('{') => {
                // ${HOME}
                let name = &text[at + 2..];
                let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = name.find(|c| !is_of_name(c)).unwrap_or(name.len());
                if !name[end..].starts_with('}') {
                    return at;
                }
                while characters.next_if(|(place, _)| *place <= at + 2 + end).is_some() {}
            }
            c if c.is_alphanumeric() || "/_-.+@%~$#!&*^".contains(c) => {}
            c if ('\u{f0000}'..='\u{f00ff}').contains(&c) => {}
            _ => return at,
        }
    }
    text.len()
}

/// The length to the quote that closes the one in front of a place, where a path with spaces stands
/// between them.
fn quoted_length(text: &str, at: usize, length: usize) -> Option<usize> {
    let quote = text[..at].chars().next_back().filter(|c| "\"'`".contains(*c))?;
    let rest = &text[at..];
    let end = rest.find([quote, '\n']).filter(|end| *end <= LONGEST && *end > length)?;
    let inside = &rest[..end];
    let is_sentence = [" -", ": ", ", "].iter().any(|sign| inside.contains(sign));
    let is_system = is_system(&rest[..length]);
    (rest[end..].starts_with(quote) && !is_sentence && !is_system)
        .then(|| inside.trim_end_matches('\\').len())
}

/// How many more bytes belong to a path whose directory has a space in its name: up to three words,
/// of which one goes on with a separator.
fn spaced_length(rest: &str, length: usize) -> usize {
    let path = &rest[..length];
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_file = last.is_empty() || last.contains('.');
    if is_file || is_system(path) || path.matches('/').count() < 2 || path.starts_with('\\') {
        return 0;
    }
    let mut more = 0;
    for _ in 0..3 {
        let Some(word) = rest[length + more..].strip_prefix(' ') else { return 0 };
        let is_of_name = |c: char| c.is_alphanumeric() || "_-()+&'".contains(c);
        let end = word.find(|c| !is_of_name(c)).unwrap_or(word.len());
        if end == 0 || word.starts_with('-') {
            return 0;
        }
        more += 1 + end;
        if word[end..].starts_with('/') {
            let tail = word_length(&word[end..], false);
            let whole = &word[..end + tail];
            // A rate or a fraction behind it is none of its parts.
            let short = whole.split('/').all(|part| part.len() < 4);
            return if short || is_rate(whole) { 0 } else { more + tail };
        }
    }
    0
}

/// What stays of a word; none where it is no private path.
fn kept(token: &str, is_drive: bool) -> Option<String> {
    // As it stands in the address of another server.
    if token.contains("%2F") || token.contains("%2f") {
        let decoded = token.replace("%2F", "/").replace("%2f", "/");
        return kept(&decoded, is_drive).or(Some(decoded));
    }
    if token.contains('\\') && (is_drive || token.starts_with('\\') || token.starts_with("..")) {
        let last = token.trim_end_matches(['\\', '/']).rsplit(['\\', '/']).next();
        return Some(last.unwrap_or_default().to_owned());
    }
    let slash = token.find('/')?;
    let (before, path) = token.split_at(slash);
    if path.trim_end_matches('/').is_empty() && !before.starts_with(['~', '$', '.']) {
        return None;
    }
    // -m/mnt/x, -I../x: the letters of a flag stay.
    let flag = before.trim_start_matches('-').trim_end_matches(['.', '~']);
    let is_flag = before.starts_with('-')
        && (1..=4).contains(&flag.len())
        && flag.chars().all(|c| c.is_ascii_alphabetic());
    if is_flag {
        let flag = before.trim_end_matches(['.', '~']);
        return (!is_system(path)).then(|| format!("{flag}{}", last_part(path)));
    }
    // A sign in front of it, as curl's @file; +/- has nothing behind it.
    if !before.is_empty()
        && path.len() > 2
        && before.chars().all(|c| "@%#!&*^+.-".contains(c))
        && before != "."
        && before != ".."
    {
        return (!is_system(path)).then(|| format!("{before}{}", last_part(path)));
    }
    if before.is_empty() {
        if is_system(path) {
            return is_of_disk(path).then(|| "<identifier>".to_owned());
        }
        let parts = path.split('/').filter(|part| !part.is_empty()).count();
        if is_home(path) {
            return Some("<user>".to_owned());
        }
        // A route of a server, or a directory at the root.
        return (parts > 1 || path.starts_with("//")).then(|| last_part(path).to_owned());
    }
    let is_variable =
        before.starts_with('$') && !before[1..].starts_with(|c: char| c.is_ascii_digit());
    let is_user = before
        .strip_prefix('~')
        .is_some_and(|user| !user.starts_with(|c: char| c.is_ascii_digit()));
    if is_user || is_variable || before == "." || before == ".." || is_drive {
        return Some(last_part(token).to_owned());
    }
    is_relative(token).then(|| last_part(token).to_owned())
}

/// Whether a word with separators, none at its beginning, is a path.
fn is_relative(token: &str) -> bool {
    let parts: Vec<&str> = token.split('/').collect();
    let last = parts.last().copied().unwrap_or_default();
    let has_ending = last
        .trim_end_matches('.')
        .rsplit_once('.')
        .is_some_and(|(_, ending)| FILES.contains(&ending.to_ascii_lowercase().as_str()));
    let is_number = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
    if has_ending {
        return true;
    }
    // +/-, $5/month, ~50/50, 28/Nov/2026
    let is_sum =
        token.starts_with(['+', '~', '$']) || token.starts_with(|c: char| c.is_ascii_digit());
    parts.len() > 2
        && !is_sum
        && !parts.iter().all(|part| part.len() < 4)
        && !parts.iter().all(is_number)
        && !is_rate(token)
}

/// Whether a word is a unit: `tokens/s`, `J/token`, `tokens/sec/user`.
fn is_rate(word: &str) -> bool {
    const UNITS: [&str; 14] = [
        "s", "sec", "second", "min", "h", "token", "tokens", "tok", "sample", "req", "request",
        "op", "W", "ms",
    ];
    word.split('/').any(|part| UNITS.contains(&part.trim_end_matches(['.', ','])))
}

/// Whether a path is the home of somebody, whose name its last part is.
fn is_home(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    matches!(
        parts[..],
        ["home" | "Users", _]
            | ["var", "home" | "mail", _]
            | ["run", "media", _]
            | ["export", "home", _]
    )
}

fn is_system(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let begins = |known: &&[&str]| parts.starts_with(known);
    let is_own = OWN.iter().any(begins) && !is_of_disk(path);
    !path.starts_with("//") && !is_own && !parts.contains(&"..") && SYSTEM.iter().any(begins)
}

/// Whether a path names a disk by its serial number or by what is on it.
fn is_of_disk(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    matches!(
        parts[..],
        ["dev", "disk", "by-id" | "by-uuid" | "by-partuuid" | "by-label" | "by-partlabel", _, ..]
    )
}

fn last_part(path: &str) -> &str {
    path.trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .find(|part| !part.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Shortener;

    fn shortened(text: &str) -> String {
        let places = ["/data/My Own Models".to_owned()];
        let mut told = |_: &str, _: &str| {};
        Shortener { places: &places, host: '\u{f0000}', told: &mut told }.shorten(text)
    }

    #[test]
    fn the_last_part_of_a_path_stays_whatever_its_form() {
        for (text, expected) in [
            ("-m/mnt/x/m.gguf", "-mm.gguf"),
            ("-m ../x/m.gguf -I../y/z", "-m m.gguf -Iz"),
            ("PATH=/usr/bin:/mnt/a/bin:/home/k/.local/bin", "PATH=/usr/bin:bin:bin"),
            ("load_model:/mnt/x/m.gguf:", "load_model:m.gguf:"),
            ("file:///mnt/x/m.gguf", "file://m.gguf"),
            ("file://host/mnt/My%20Models/m.gguf", "file://m.gguf"),
            ("~/x/m ~k/y $HOME/z ${HOME}/a/b", "m y z b"),
            (r"C:\Users\k\m.gguf D:/x/y", "m.gguf y"),
            (r#"{"a":"C:\\Users\\k\\m.gguf"}"#, r#"{"a":"m.gguf"}"#),
            (r"\\nas\share\m.gguf", "m.gguf"),
            ("/run/media/k/disk/m.gguf /opt/secret/bin/x", "m.gguf x"),
            ("'/mnt/My Models/m.gguf'", "'m.gguf'"),
            ("\"/mnt/My Models/a b.gguf\", 1", "\"a b.gguf\", 1"),
            ("open /mnt/My Models/m.gguf failed", "open m.gguf failed"),
            ("open /data/My Own Models/x y.gguf", "open x y.gguf"),
            (r"/mnt/My\ Models/m.gguf", "m.gguf"),
            ("models/private/m.gguf secret/m.gguf a/secret/b", "m.gguf m.gguf b"),
            ("@/home/k/file >/tmp/k/x", "@file >x"),
            ("/etc/k/y /usr/local/models/x /dev/mapper/vg-k", "y x vg-k"),
            ("/dev/disk/by-id/nvme-X_123", "<identifier>"),
            ("http://nas:8080/private/x.gguf", "http://\u{f0000}:8080/x.gguf"),
            ("https://github.com/k/secret", "https://github.com/secret"),
            (r"line\n/home/k/x", r"line\nx"),
            ("/home/k/\u{f0001}", "\u{f0001}"),
            ("/usr/bin/../../home/k/x", "x"),
            ("HOME=/home/karla C:/Users/karla", "HOME=<user> <user>"),
        ] {
            assert_eq!(shortened(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_private_path_stays() {
        for text in [
            "12.5 tokens/s, 3 J/token, 1/s and/or 2026/11/27",
            "-hf unsloth/Qwen3-8B-GGUF:Q4_K_M",
            "https://huggingface.co/unsloth/Qwen3-8B-GGUF/resolve/main/x.gguf",
            "http://127.0.0.1:8080/v1/chat/completions",
            "/usr/bin/llama-bench /proc/cpuinfo /sys/class/drm/card0 /dev/kfd /dev/dri/renderD128",
            "HumanEval/0 pp512/tg128 f16/q8_0",
            "GET /v1/chat/completions /metrics /",
            r#"{"text":"Hello.\nWorld.\tX","stop":["\n"],"delimiter":"\n\n"}"#,
            r"The answer is 4.\n Answer A:\nfoo 100%\n x.\nfoo.\nbar \\d+\\.\\d+",
            "0.85 +/- 0.03 $5/month ~50/50 28/Nov/2026",
            r"http://localhost:\n",
            "a \\n b \\u001b[0m c\\\\d",
            "{\"a/b\": 1} <x/> // comment",
        ] {
            assert_eq!(shortened(text), text);
        }
    }
}
