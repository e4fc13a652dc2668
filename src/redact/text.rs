//! Text without what cannot be seen: what stands within a key would keep it from being found.

use std::borrow::Cow;

/// The text without escape sequences of terminals, other control characters and characters without
/// width. Lines, tabs and carriage returns stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) && !ESCAPED.iter().any(|escape| text.contains(escape)) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '\u{1b}' || character == '\u{9b}' || character == '\u{9d}' {
            rest = behind_sequence(rest);
            continue;
        }
        if character == '\\'
            && let Some(behind) = behind_escaped(rest)
        {
            rest = behind;
            continue;
        }
        if !is_unseen(character) {
            result.push(character);
        }
        rest = &rest[character.len_utf8()..];
    }
    Cow::Owned(result)
}

/// How JSON and scripts write the beginning of an escape sequence, and what has no width.
const ESCAPED: [&str; 9] =
    ["\\u001b", "\\u001B", "\\x1b", "\\x1B", "\\033", "\\e[", "\\u200b", "\\u200B", "\\ufeff"];

/// What stands behind such a sequence, where one begins here.
fn behind_escaped(text: &str) -> Option<&str> {
    let escape = ESCAPED.iter().find(|escape| text.starts_with(**escape))?;
    let rest = &text[escape.len()..];
    if escape.starts_with("\\u200") || *escape == "\\ufeff" {
        return Some(rest);
    }
    let parameters = if *escape == "\\e[" { rest } else { rest.strip_prefix('[')? };
    let end = parameters.find(|c: char| !c.is_ascii_digit() && !";:?".contains(c))?;
    parameters[end..].strip_prefix(|c: char| c.is_ascii_alphabetic())
}

/// How far back is looked for what says what a word is, in bytes.
const LOOKED_BACK: usize = 128;

/// What stands in front of a place on its line, as far as it matters.
pub(super) fn line_before(text: &str, at: usize) -> &str {
    let before = &text[text.ceil_char_boundary(at.saturating_sub(LOOKED_BACK))..at];
    before.rsplit('\n').next().unwrap_or(before)
}

/// Control characters, and those of Unicode that take no place: joiners, marks of direction, byte
/// order marks, soft hyphens, variation selectors, and the private ones that stand for what was
/// taken out.
fn is_unseen(c: char) -> bool {
    (c.is_control() && !"\n\r\t".contains(c))
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}'
            | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}')
}

/// What stands behind an escape sequence (ECMA-48): CSI to its final byte, OSC and its like to their
/// end, anything else one character.
fn behind_sequence(text: &str) -> &str {
    let mut rest = text.chars();
    let kind = match rest.next() {
        Some('\u{9b}') => '[',
        Some('\u{9d}') => ']',
        _ => match rest.next() {
            Some(kind) => kind,
            None => return "",
        },
    };
    let rest = rest.as_str();
    match kind {
        '[' => {
            // Spaces are parts of sequences that nobody uses, and of every text.
            let is_parameter = |c: char| ('!'..='?').contains(&c);
            let behind = rest.trim_start_matches(is_parameter);
            // A final byte that is none belongs to the text.
            behind.strip_prefix(|c: char| ('@'..='~').contains(&c)).unwrap_or(behind)
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            let end = rest.find(['\u{7}', '\u{1b}', '\u{9c}', '\n']).unwrap_or(rest.len());
            let behind = &rest[end..];
            behind
                .strip_prefix('\u{7}')
                .or_else(|| behind.strip_prefix("\u{1b}\\"))
                .or_else(|| behind.strip_prefix('\u{9c}'))
                .unwrap_or(behind)
        }
        // Two characters and an intermediate one, as those that choose a character set.
        '(' | ')' | '*' | '+' | '#' | '%' => {
            rest.strip_prefix(|c: char| c.is_ascii_alphanumeric()).unwrap_or(rest)
        }
        kind if kind.is_whitespace() || !kind.is_ascii() => {
            &text[text.len() - rest.len() - kind.len_utf8()..]
        }
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_cannot_be_seen_is_taken_out() {
        for (text, expected) in [
            ("hf_Ab\u{1b}[0mCd\u{1b}[38;5;12mEf", "hf_AbCdEf"),
            ("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ a", "link a"),
            ("\u{1b}]0;title\nnext", "\nnext"),
            ("\u{9b}1mx\u{9d}52;c;YQ==\u{9c}y", "xy"),
            ("a\u{0}b\u{200b}c\u{feff}d\u{7f}e\u{85}f", "abcdef"),
            (r"hf_Ab\u001b[0mCd\x1b[1;31mEf\033[mG\u200bH", "hf_AbCdEfGH"),
            (r"\e[0m a \n b \u00e9 \u001b", r" a \n b \u00e9 \u001b"),
            ("a\u{1b} b \u{1b}[ c \u{1b}é", "a b  c é"),
            ("\u{1b}(Bx\u{1b}7y\u{1b}", "xy"),
            ("tab\tline\r\nnext é 日本", "tab\tline\r\nnext é 日本"),
        ] {
            assert_eq!(visible(text), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_left_that_cannot_be_seen(text in "[\\x00-\\x1f\\x1b\\[\\]\u{9b}\u{200b}a-z;0-9m]*") {
            let shown = visible(&text).into_owned();
            proptest::prop_assert!(!shown.chars().any(super::is_unseen), "{shown:?}");
        }
    }
}
