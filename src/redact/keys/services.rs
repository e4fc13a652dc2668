//! Keys of known services, by how they begin: `configs/keys.toml`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use serde::Deserialize;

/// What halo ships.
pub const SHIPPED: &str = include_str!("../../../configs/keys.toml");

/// The keys that are known.
static KNOWN: LazyLock<Vec<Form>> =
    LazyLock::new(|| parse(SHIPPED).expect("a test holds that the file is right"));

/// Their beginnings, by the first byte.
static BY_BYTE: LazyLock<HashMap<u8, Vec<(&str, &Form)>>> = LazyLock::new(|| {
    let mut by_byte: HashMap<u8, Vec<(&str, &Form)>> = HashMap::new();
    for (begin, form) in KNOWN.iter().flat_map(|form| form.begins.iter().map(move |b| (b, form))) {
        by_byte.entry(begin.as_bytes()[0]).or_default().push((begin, form));
    }
    by_byte
});

/// In so many characters of a key there is a digit or a capital.
const LOOKED_AT: usize = 256;

/// How the keys of a service look.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Who gives them out.
    pub service: String,
    /// How they begin.
    pub begins: Vec<String>,
    /// What stands behind that.
    pub alphabet: Alphabet,
    /// How many characters of it at least.
    pub least: usize,
}

/// Characters of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// Letters and digits.
    Letters,
    /// The same, `-` and `_`.
    Url,
    /// The same, `+`, `/`, `=` and `.`.
    Base64,
    /// Hexadecimal digits in small letters.
    Hex,
    /// Capitals and digits.
    Capitals,
}

impl Alphabet {
    fn has(self, c: char) -> bool {
        match self {
            Self::Letters => c.is_ascii_alphanumeric(),
            Self::Url => c.is_ascii_alphanumeric() || "-_".contains(c),
            Self::Base64 => c.is_ascii_alphanumeric() || "-_+/=.".contains(c),
            Self::Hex => c.is_ascii_digit() || ('a'..='f').contains(&c),
            Self::Capitals => c.is_ascii_uppercase() || c.is_ascii_digit(),
        }
    }
}

/// Reads a file of forms.
///
/// # Errors
///
/// Where it is no such file, with the line.
pub fn parse(text: &str) -> Result<Vec<Form>, toml::de::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        key: Vec<Form>,
    }
    toml::from_str::<File>(text).map(|file| file.key)
}

/// Where the keys of known services stand. Each beginning is looked for where a word begins.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    for (start, _) in text.char_indices() {
        if start < at || !is_word_start(&text[..start]) {
            continue;
        }
        let Some(forms) = text.as_bytes().get(start).and_then(|byte| BY_BYTE.get(byte)) else {
            continue;
        };
        let lengths = forms.iter().filter_map(|(begin, form)| length(&text[start..], begin, form));
        if let Some(length) = lengths.max() {
            found.push(start..start + length);
            at = start + length;
        }
    }
    found
}

/// Whether a word begins behind a text: also behind a line or a sign that is escaped, and behind what
/// is left of an escape sequence.
fn is_word_start(before: &str) -> bool {
    if !before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return true;
    }
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let escaped = |sign: &str, length: usize| {
        let start = before.len().checked_sub(sign.len() + length);
        start
            .and_then(|start| before.get(start..))
            .is_some_and(|end| end.strip_prefix(sign).is_some_and(is_hexadecimal))
    };
    ["\\n", "\\t", "\\r", "\\b", "\\f"].iter().any(|escape| before.ends_with(escape))
        || escaped("\\u", 4)
        || escaped("\\x", 2)
        || escaped("%", 2)
        || escaped("=", 2)
        || before.strip_suffix('m').is_some_and(|before| {
            before.trim_end_matches(|c: char| c.is_ascii_digit() || c == ';').ends_with('[')
        })
}

/// How long a key is that begins here.
fn length(text: &str, begin: &str, form: &Form) -> Option<usize> {
    let body = text.strip_prefix(begin)?;
    let is_of_key = |c: &char| form.alphabet.has(*c);
    let beginning = body.chars().take(LOOKED_AT).take_while(is_of_key);
    let (mut count, mut is_random) = (0, false);
    for c in beginning {
        count += 1;
        is_random |= c.is_ascii_digit() || c.is_ascii_uppercase();
    }
    if !is_random || count < form.least {
        return None;
    }
    let length = body.find(|c| !form.alphabet.has(c)).unwrap_or(body.len());
    // The rest of the word belongs to it, whatever its alphabet.
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let rest = &body[length..];
    let more = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
    Some(begin.len() + length + more)
}

#[cfg(test)]
mod tests {
    use super::{SHIPPED, parse};

    #[test]
    fn the_file_that_is_shipped_is_right() {
        let forms = parse(SHIPPED).unwrap();
        let mut begins: Vec<&String> = forms.iter().flat_map(|form| &form.begins).collect();
        let count = begins.len();
        begins.sort_unstable();
        begins.dedup();
        assert_eq!(begins.len(), count, "one stands in it twice");
        assert!(begins.iter().all(|begin| begin.len() > 1), "{begins:?}");
    }
}
