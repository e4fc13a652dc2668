//! Text of others made visible: in what is printed, nothing of it is a command to a terminal.
//!
//! Tags, notes, command lines, names of models and what tools say are whatever somebody wrote. A
//! control character among them could colour or erase what stands around it, set the title of a window
//! or fill the clipboard (OSC 0, 8, 52), and one that turns the direction of writing could show another
//! name than the one that is meant. Each is written as Rust writes it in a literal, `\u{1b}`; in JSON
//! as JSON writes it, `\u001b`, so that programs read the same text. docs/decisions/0016-text.md says
//! why.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// How characters are made visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In text for people.
    Text,
    /// In JSON that is whole otherwise.
    Json,
}

/// A text of several lines: line feeds and tabs stay.
pub fn text(text: &str) -> Cow<'_, str> {
    Form::Text.apply(text, &['\n', '\t'])
}

/// A text that must stay on one line, as a cell of a table.
pub fn line(text: &str) -> Cow<'_, str> {
    Form::Text.apply(text, &[])
}

/// JSON, indented or not.
pub fn json(text: &str) -> Cow<'_, str> {
    Form::Json.apply(text, &['\n', '\t'])
}

impl Form {
    fn apply<'a>(self, text: &'a str, stays: &[char]) -> Cow<'a, str> {
        let is_hidden = |character: char| is_hidden(character) && !stays.contains(&character);
        if !text.contains(is_hidden) {
            return Cow::Borrowed(text);
        }
        let mut visible = String::with_capacity(text.len() + 16);
        for character in text.chars() {
            if is_hidden(character) {
                self.escape(character, &mut visible);
            } else {
                visible.push(character);
            }
        }
        Cow::Owned(visible)
    }

    fn escape(self, character: char, to: &mut String) {
        match self {
            Self::Text => to.extend(character.escape_default()),
            Self::Json => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(to, "\\u{unit:04x}");
                }
            }
        }
    }
}

/// Whether a character does something to what shows it, rather than being shown. What joins the
/// letters of a script or the parts of an emoji is text.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks, embeddings, overrides and isolates of the direction of writing.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Ends of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Characters without width that join nothing.
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            // A second alphabet that nothing shows.
            | '\u{e0000}'..='\u{e007f}'
        )
}

/// A stream into which text is written as it comes, and comes out visible. Bytes that are no UTF-8
/// are replaced.
#[derive(Debug)]
pub struct Visible<W: Write> {
    inner: W,
    form: Form,
    /// The beginning of a character whose end has not come yet.
    rest: Vec<u8>,
}

impl<W: Write> Visible<W> {
    /// Text that goes on to a stream.
    pub fn new(inner: W, form: Form) -> Self {
        Self { inner, form, rest: Vec::new() }
    }
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let (mut text, mut whole) = (String::with_capacity(bytes.len()), 0);
        for chunk in self.rest.utf8_chunks() {
            text.push_str(chunk.valid());
            whole += chunk.valid().len();
            let is_last = whole + chunk.invalid().len() == self.rest.len();
            // A character has four bytes at most.
            if is_last
                && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none())
            {
                break;
            }
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            whole += chunk.invalid().len();
        }
        self.rest.drain(..whole);
        self.inner.write_all(self.form.apply(&text, &['\n', '\t']).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::{Form, Visible, json, line, text};

    #[test]
    fn commands_to_a_terminal_are_shown_as_text() {
        for (given, expected) in [
            ("\u{1b}]52;c;aGk=\u{7}", "\\u{1b}]52;c;aGk=\\u{7}"),
            ("a\u{9b}31mb", "a\\u{9b}31mb"),
            ("a\rb\u{8}\u{7f}", "a\\rb\\u{8}\\u{7f}"),
            ("gnp.\u{202e}exe", "gnp.\\u{202e}exe"),
            ("a\n\tb", "a\n\tb"),
            ("± Ω 日本 👩\u{200d}💻 \u{ad}", "± Ω 日本 👩\u{200d}💻 \u{ad}"),
        ] {
            assert_eq!(text(given), expected);
        }
        assert_eq!(line("a\n\tb\\"), "a\\n\\tb\\");
        assert_eq!(json("{\n\"a\": \"\u{7f}\u{e0041}\"}"), "{\n\"a\": \"\\u007f\\udb40\\udc41\"}");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_nothing_else_is_touched(given in any::<String>()) {
            let shown = line(&given);
            prop_assert!(!shown.contains(super::is_hidden), "{shown:?}");
            if !given.contains(super::is_hidden) {
                prop_assert_eq!(&shown, &given);
            }
            let written = serde_json::to_string(&given).unwrap();
            let shown = json(&written);
            prop_assert!(!shown.contains(|c| super::is_hidden(c) && c != '\n'), "{shown:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), given);
        }

        #[test]
        fn a_stream_may_be_cut_anywhere(
            given in prop::collection::vec(any::<u8>(), 0..64), text in any::<String>(),
            size in 1_usize..9,
        ) {
            for bytes in [&given[..], text.as_bytes()] {
                let mut visible = Visible::new(Vec::new(), Form::Text);
                for part in bytes.chunks(size) {
                    visible.write_all(part).unwrap();
                }
                let mut whole = Visible::new(Vec::new(), Form::Text);
                whole.write_all(bytes).unwrap();
                prop_assert_eq!(&visible.inner, &whole.inner);
                let expected = String::from_utf8_lossy(bytes);
                let shown = super::text(&expected);
                // The beginning of a character whose end never comes is kept back.
                let shown = if visible.rest.is_empty() {
                    &shown
                } else {
                    shown.strip_suffix(char::REPLACEMENT_CHARACTER).unwrap()
                };
                prop_assert_eq!(std::str::from_utf8(&visible.inner).unwrap(), shown);
            }
        }
    }
}
