//! Text for strangers: what tells who and where somebody is, and what opens doors, is replaced.
//!
//! docs/security.md says what is promised for each way out.

pub(crate) mod identifiers;
pub mod keys;
pub(crate) mod names;
mod paths;
mod text;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

pub use names::people;
use paths::Shortener;

/// Names that tell nobody anything.
pub(crate) const NOBODY: [&str; 14] = [
    "admin",
    "arch",
    "archlinux",
    "debian",
    "fedora",
    "guest",
    "home",
    "localhost",
    "nobody",
    "nixos",
    "root",
    "ubuntu",
    "user",
    "users",
];

/// How often a text is gone through at most: constructed ones change each time.
const MOST_PASSES: usize = 5;

/// A text of so many bytes is remembered where nothing was replaced in it.
const SHORT: usize = 256;

/// More different texts than this are counted and not kept.
const MOST_KEPT: usize = 10_000;

macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident $sign:literal $word:literal $shown:literal,)*) => {
        /// What is replaced.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[$about])* $kind,)* }

        impl Kind {
            const ALL: &[Self] = &[$(Self::$kind),*];

            /// What it is called.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }

            /// What stands in its place.
            pub const fn shown(self) -> &'static str {
                match self { $(Self::$kind => $shown,)* }
            }

            /// What stands in its place while a text is worked on: a character of nobody's, which is
            /// one of a path, so that what was found in a path does not end it.
            pub(crate) const fn sign(self) -> char {
                match self { $(Self::$kind => $sign,)* }
            }
        }
    };
}

kinds! {
    /// A key, a token or a password.
    Key '\u{f0000}' "key" "(hidden)",
    /// A path, of which the last part stays.
    Path '\u{f0001}' "path" "",
    /// A name of a host.
    Host '\u{f0002}' "host" "<host>",
    /// A name of a user.
    User '\u{f0003}' "user" "<user>",
    /// An address of mail, or a user at a host.
    Account '\u{f0004}' "account" "<account>",
    /// An address of a network.
    Network '\u{f0005}' "network address" "<network address>",
    /// An address of hardware.
    Hardware '\u{f0006}' "hardware address" "<hardware address>",
    /// A UUID or the like.
    Identifier '\u{f0007}' "identifier" "<identifier>",
    /// A serial number.
    Serial '\u{f0008}' "serial number" "<serial number>",
    /// A program of the user's that ran beside.
    Process '\u{f0009}' "process" "<process>",
}

/// What was replaced, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replaced {
    /// How often each kind was.
    pub counts: BTreeMap<Kind, u64>,
    /// Each text with what stands in its place, and how often; of keys the beginning alone.
    pub texts: BTreeMap<(Kind, String, String), u64>,
}

impl Replaced {
    fn add(&mut self, kind: Kind, text: &str, by: &str) {
        *self.counts.entry(kind).or_default() += 1;
        let beginning = |length: usize| text.chars().take(length).collect::<String>();
        let text = if kind == Kind::Key { beginning(4) + "…" } else { beginning(200) };
        let entry = (kind, text, by.to_owned());
        if self.texts.len() < MOST_KEPT || self.texts.contains_key(&entry) {
            *self.texts.entry(entry).or_default() += 1;
        }
    }
}

/// Replaces what is private.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// Names, the longest first.
    names: Vec<(String, Kind)>,
    /// Directories that are private, the longest first.
    places: Vec<String>,
    /// Identifiers that stay, because they are those of the run itself.
    own: Vec<String>,
    /// Short texts in which nothing is to be replaced: the same few stand in most places.
    harmless: HashSet<String>,
    /// What was replaced.
    pub replaced: Replaced,
}

impl Redactor {
    /// One for these names, and that leaves these identifiers.
    pub fn new(
        names: impl IntoIterator<Item = (String, Kind)>,
        places: impl IntoIterator<Item = String>,
        own: Vec<String>,
    ) -> Self {
        // A single letter stands in too many places by chance.
        let is_name = |(name, _): &(String, Kind)| {
            name.chars().count() > 1
                && !NOBODY.contains(&name.to_lowercase().as_str())
                && name.contains(char::is_alphabetic)
        };
        let mut names: Vec<_> = names.into_iter().filter(is_name).collect();
        names.sort_by(|one, other| other.0.len().cmp(&one.0.len()).then_with(|| one.cmp(other)));
        names.dedup();
        let is_place = |place: &String| place.trim_matches(['/', '\\']).len() > 1;
        let mut places: Vec<String> = places.into_iter().filter(is_place).collect();
        places.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        places.dedup();
        Self { names, places, own, harmless: HashSet::new(), replaced: Replaced::default() }
    }

    /// The text without what is private.
    pub fn clean(&mut self, text: &str) -> String {
        if self.harmless.contains(text) {
            return text.to_owned();
        }
        let mut clean = self.pass(text);
        if clean == text {
            if text.len() <= SHORT && self.harmless.len() < MOST_KEPT {
                self.harmless.insert(clean.clone());
            }
            return clean;
        }
        // What stood in front of a thing may have kept another from being found behind it.
        for _ in 1..MOST_PASSES {
            let again = self.pass(&clean);
            if again == clean {
                break;
            }
            clean = again;
        }
        clean
    }

    fn pass(&mut self, text: &str) -> String {
        let text = signed(&text::visible(text));
        let keys = keys::find(&text).into_iter().map(|range| (range, Kind::Key)).collect();
        let text = self.replace(&text, keys);
        let text = self.without_paths(&text);
        let found = identifiers::find(&text).into_iter();
        let found =
            found.filter(|(range, _)| !self.own.iter().any(|own| text[range.clone()] == **own));
        let found = found.map(|(range, kind)| (range, Kind::from(kind))).collect();
        let text = self.replace(&text, found);
        let found = names::accounts(&text).into_iter().map(|range| (range, Kind::Account));
        let text = self.replace(&text, found.collect());
        let found = names::private_hosts(&text).into_iter().map(|range| (range, Kind::Host));
        let mut text = self.replace(&text, found.collect());
        for (name, kind) in self.names.clone() {
            let found = names::find(&text, &name).into_iter().map(|range| (range, kind)).collect();
            text = self.replace(&text, found);
        }
        shown(&text)
    }

    /// The same of a name that a tool or a driver gave, as `tg128 @ d4096`, `f16/q8_0` or
    /// `hid_34_88_5d_aa_bb_cc`: keys, whole paths and identifiers are looked for in it, and no others.
    pub fn clean_name(&mut self, text: &str) -> String {
        let keys = keys::find(text).into_iter().map(|range| (range, Kind::Key)).collect();
        let text = self.replace(text, keys);
        let is_path =
            text.starts_with(['/', '~', '.', '\\']) || text.contains(":/") || text.contains(":\\");
        let text = if is_path { self.without_paths(&text) } else { text };
        let found = identifiers::find(&text).into_iter();
        let found = found.map(|(range, kind)| (range, Kind::from(kind))).collect();
        shown(&self.replace(&text, found))
    }

    /// The same of a value whose name says what it is: what is called `api_key` is one.
    pub fn clean_named(&mut self, name: &str, text: &str) -> String {
        if keys::is_secret_name(name) && !text.is_empty() && text != keys::HIDDEN {
            self.stand_in(Kind::Key, text)
        } else {
            self.clean(text)
        }
    }

    /// What stands in the place of a whole text of a kind.
    pub fn stand_in(&mut self, kind: Kind, text: &str) -> String {
        // What is shown of it has no key.
        self.replaced.add(kind, &keys::hide(text), kind.shown());
        kind.shown().to_owned()
    }

    /// Puts the signs of kinds in the place of what was found.
    fn replace(&mut self, text: &str, found: Vec<(Range<usize>, Kind)>) -> String {
        let mut result = String::with_capacity(text.len());
        let mut done = 0;
        for (range, kind) in found {
            result.push_str(&text[done..range.start]);
            result.push(kind.sign());
            self.replaced.add(kind, &shown(&text[range.clone()]), kind.shown());
            done = range.end;
        }
        result.push_str(&text[done..]);
        result
    }

    fn without_paths(&mut self, text: &str) -> String {
        let replaced = &mut self.replaced;
        let mut told = |path: &str, kept: &str| {
            let kind = if kept == Kind::Host.shown() { Kind::Host } else { Kind::Path };
            replaced.add(kind, &shown(path), &shown(kept));
        };
        let host = Kind::Host.sign();
        Shortener { places: &self.places, host, told: &mut told }.shorten(text)
    }
}

impl From<identifiers::Kind> for Kind {
    fn from(kind: identifiers::Kind) -> Self {
        match kind {
            identifiers::Kind::Network => Self::Network,
            identifiers::Kind::Hardware => Self::Hardware,
            identifiers::Kind::Identifier => Self::Identifier,
            identifiers::Kind::Serial => Self::Serial,
        }
    }
}

/// The text with the signs in the place of the words: what was cleaned before stays as it is.
fn signed(text: &str) -> String {
    let words =
        Kind::ALL.iter().filter(|kind| !kind.shown().is_empty() && text.contains(kind.shown()));
    words.fold(text.to_owned(), |text, kind| {
        text.replace(kind.shown(), kind.sign().encode_utf8(&mut [0; 4]))
    })
}

/// The text with the words in the place of the signs.
fn shown(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match Kind::ALL.iter().find(|kind| kind.sign() == character) {
            Some(kind) => result.push_str(kind.shown()),
            None => result.push(character),
        }
    }
    result
}
