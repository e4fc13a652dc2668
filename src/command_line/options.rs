//! Reading the options of other programs: which word is an option, which its value.

use std::ffi::OsString;

/// The options that a program knows. An option that is not among them may take a value or not, so
/// nothing behind it can be told.
pub(super) struct Options {
    /// Those without a value.
    pub(super) switches: &'static [&'static str],
    /// Those that take one, in the same word behind `=` or in the next.
    pub(super) values: &'static [&'static str],
}

/// What stood before the first word that is no option.
pub(super) struct Scanned<'a> {
    /// The first word that is no option; it may be behind the last word.
    pub(super) end: usize,
    given: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Scanned<'a> {
    /// Whether one of these spellings of an option was given.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.given.iter().any(|(name, _)| names.contains(name))
    }

    /// The last value that was given to one of these spellings of an option.
    pub(super) fn value(&self, names: &[&str]) -> Option<&'a str> {
        self.given.iter().rev().find(|(name, _)| names.contains(name))?.1
    }
}

/// A word as text; one that is not UTF-8 is no option and no name that halo knows.
pub(super) fn word(argv: &[OsString], index: usize) -> Option<&str> {
    argv.get(index)?.to_str()
}

impl Options {
    /// Passes over the options from a word on; `None` where one is unknown.
    pub(super) fn scan<'a>(&self, argv: &'a [OsString], from: usize) -> Option<Scanned<'a>> {
        let mut scanned = Scanned { end: from, given: Vec::new() };
        while let Some(text) = argv.get(scanned.end).map(|word| word.to_str().unwrap_or_default()) {
            let at = scanned.end;
            if text == "--" {
                scanned.end += 1;
                break;
            }
            if text == "-" || !text.starts_with('-') {
                break;
            }
            scanned.end += 1;
            if text.starts_with("--") {
                self.long(argv, text, &mut scanned)?;
            } else {
                self.short(argv, at, text, &mut scanned)?;
            }
        }
        Some(scanned)
    }

    fn long<'a>(
        &self,
        argv: &'a [OsString],
        text: &'a str,
        scanned: &mut Scanned<'a>,
    ) -> Option<()> {
        if let Some((name, value)) = text.split_once('=') {
            let is_known = self.values.contains(&name) || self.switches.contains(&name);
            scanned.given.push((name, Some(value)));
            return is_known.then_some(());
        }
        if self.switches.contains(&text) {
            scanned.given.push((text, None));
            return Some(());
        }
        if !self.values.contains(&text) {
            return None;
        }
        scanned.given.push((text, word(argv, scanned.end)));
        scanned.end += 1;
        Some(())
    }

    /// Letters together, as `-it`; the last may have its value in the same word, as `-w/tmp`.
    fn short<'a>(
        &self,
        argv: &'a [OsString],
        at: usize,
        text: &'a str,
        scanned: &mut Scanned<'a>,
    ) -> Option<()> {
        let letter_of = |known: &&'static str, letter: char| {
            known.strip_prefix('-').is_some_and(|rest| rest.chars().eq([letter]))
        };
        for (place, letter) in text.char_indices().skip(1) {
            if let Some(name) = self.switches.iter().find(|known| letter_of(known, letter)) {
                scanned.given.push((name, None));
                continue;
            }
            let name = self.values.iter().find(|known| letter_of(known, letter))?;
            let rest = &text[place + letter.len_utf8()..];
            if rest.is_empty() {
                scanned.given.push((name, word(argv, at + 1)));
                scanned.end += 1;
            } else {
                scanned.given.push((name, Some(rest.strip_prefix('=').unwrap_or(rest))));
            }
            return Some(());
        }
        Some(())
    }
}
