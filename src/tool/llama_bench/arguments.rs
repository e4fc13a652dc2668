//! What a command line of llama-bench asks for.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// A format of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
    JsonLines,
    Markdown,
    Sql,
}

impl Format {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"csv" => Some(Self::Csv),
            b"json" => Some(Self::Json),
            b"jsonl" => Some(Self::JsonLines),
            b"md" => Some(Self::Markdown),
            b"sql" => Some(Self::Sql),
            _ => None,
        }
    }

    /// How much it says: every repetition, then every parameter, then neither.
    const fn worth(self) -> u8 {
        match self {
            Self::JsonLines => 4,
            Self::Json => 3,
            Self::Csv => 2,
            Self::Sql => 1,
            Self::Markdown => 0,
        }
    }
}

/// The arguments that matter to halo.
#[derive(Debug)]
pub(super) struct Arguments {
    /// What standard output gets.
    pub(super) stdout: Format,
    /// What standard error gets.
    pub(super) stderr: Option<Format>,
    /// Whether each test is measured once, so that its deviation says nothing.
    pub(super) measures_once: bool,
    /// Whether anything is measured: not where help, the version or the devices are asked for.
    pub(super) measures: bool,
    /// Whether it says which phase it is in.
    pub(super) says_progress: bool,
    /// Types of the values in the KV cache.
    pub(super) value_types: Vec<String>,
    /// `-fa`: 0 and 1, or off, on and auto.
    pub(super) flash_attention: Vec<String>,
}

/// A list of words between commas.
fn words_of(list: &[u8]) -> Vec<String> {
    let words = list.split(|byte| *byte == b',');
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

impl Arguments {
    /// Reads a command line as llama-bench does: the last flag of a kind counts, and
    /// underscores in a long name are dashes.
    pub(super) fn of(argv: &[OsString], program: usize) -> Self {
        let mut found = Self {
            stdout: Format::Markdown,
            stderr: None,
            measures_once: false,
            measures: true,
            says_progress: false,
            value_types: Vec::new(),
            flash_attention: Vec::new(),
        };
        let mut words = argv.iter().skip(program + 1).map(|word| word.as_bytes());
        while let Some(word) = words.next() {
            let name = if word.starts_with(b"--") {
                String::from_utf8_lossy(word).replace('_', "-")
            } else {
                String::from_utf8_lossy(word).into_owned()
            };
            let mut value = || words.next().unwrap_or_default();
            match name.as_str() {
                "-h" | "--help" | "--version" | "--list-devices" => found.measures = false,
                "--progress" => found.says_progress = true,
                "-o" | "--output" => {
                    found.stdout = Format::named(value()).unwrap_or(Format::Markdown);
                }
                "-oe" | "--output-err" => found.stderr = Format::named(value()),
                "-r" | "--repetitions" => found.measures_once = value() == b"1",
                "-ctv" | "--cache-type-v" => found.value_types.extend(words_of(value())),
                "-fa" | "--flash-attn" => found.flash_attention.extend(words_of(value())),
                _ => {}
            }
        }
        found
    }

    /// Whether every repetition is printed already.
    pub(super) fn has_repetitions(&self) -> bool {
        matches!(self.best().0, Format::Json | Format::JsonLines)
    }

    /// The format that says most, and whether it is on standard error.
    pub(super) fn best(&self) -> (Format, bool) {
        match self.stderr {
            Some(stderr) if stderr.worth() > self.stdout.worth() => (stderr, true),
            _ => (self.stdout, false),
        }
    }
}
