//! What programs print, as text: without what terminals and other systems put into it.

use std::borrow::Cow;

use crate::json;

/// A text that a tool printed has no more lines: each of them takes some tens of bytes beside itself.
pub(crate) const MOST_LINES: usize = 1 << 20;

/// No line of it is longer, in bytes: one of a table has a value behind each comma.
const LONGEST_LINE: usize = 1 << 20;

/// Why reading a text would take more memory than any output of a tool is worth; none where it is
/// fit to be read.
pub(crate) fn refusal(text: &[u8]) -> Option<String> {
    let mut lines = text.split(|byte| *byte == b'\n');
    if lines.clone().nth(MOST_LINES).is_some() {
        return Some(format!("has more than {MOST_LINES} lines"));
    }
    if lines.any(|line| line.len() > LONGEST_LINE) {
        return Some(format!("has a line of more than {LONGEST_LINE} bytes"));
    }
    // Values of JSON may stand anywhere in it.
    json::check(text).err().map(|error| error.to_string())
}

/// Begins a control sequence of a terminal.
const ESCAPE: char = '\u{1b}';

/// The text of an output or a file: that of Windows, which may be UTF-16, too. Bytes that are no
/// UTF-8 are replaced, and sequences that colour a terminal are left out; lines stay lines.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let text = match bytes {
        // PowerShell writes what it redirects so.
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
    };
    if text.contains(ESCAPE) { Cow::Owned(without_sequences(&text)) } else { text }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Without the sequences of ECMA-48: `ESC [ ... letter`, `ESC ] ... BEL`, `ESC letter`. None of them
/// goes beyond its line.
fn without_sequences(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char != ESCAPE {
            clean.push(char);
            continue;
        }
        match chars.next_if(|next| *next != '\n') {
            Some('[') => {
                while chars.next_if(|next| matches!(next, ' '..='?')).is_some() {}
                chars.next_if(|next| matches!(next, '@'..='~'));
            }
            Some(']') => {
                // It ends with BEL, or with ESC \.
                let is_inside = |next: &char| !matches!(*next, '\u{7}' | ESCAPE | '\n');
                while chars.next_if(is_inside).is_some() {}
                chars.next_if_eq(&'\u{7}');
            }
            _ => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn what_terminals_and_other_systems_add_is_left_out() {
        let cases: [(&[u8], &str); 8] = [
            (b"\xef\xbb\xbfplain \xc2\xb1", "plain ±"),
            (b"\xff\xfea\0\xb1\0\n\0", "a±\n"),
            (b"\xfe\xff\0a\0\xb1", "a±"),
            (b"\xff\xfea\0b", "a"),
            (b"\x1b[1;39m{\x1b[0m\n\x1b[2K\x1b[?25l\"a\"\x1b(", "{\n\"a\""),
            (b"\x1b]0;title\x07x\x1b]8;;http://h\x1b\\y", "xy"),
            (b"\x1b[31", ""),
            (b"cut \x1b\nnext \x1b[1\nlast", "cut \nnext \nlast"),
        ];
        for (bytes, text) in cases {
            assert_eq!(decode(bytes), text, "{bytes:?}");
        }
    }
}
