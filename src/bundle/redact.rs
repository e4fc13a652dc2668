//! Takes out of a text what tells who and where somebody is.

use std::collections::BTreeMap;

use crate::record::secret;

/// Directories whose paths tell of the system and not of its user.
const SYSTEM: [&str; 12] =
    ["bin", "boot", "dev", "etc", "lib", "lib64", "opt", "proc", "run", "sbin", "sys", "usr"];

/// Names shorter than this stand in too many words by chance.
const SHORTEST_NAME: usize = 3;

/// What is taken out, and how often it was.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// Names of hosts and users, the longest first.
    names: Vec<(String, &'static str)>,
    /// Identifiers that stay, because they are those of the run itself.
    own: Vec<String>,
    /// How often each kind was replaced.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Redactor {
    /// One for these names of hosts and users, and that leaves these identifiers.
    pub fn new(hosts: &[String], users: &[String], own: Vec<String>) -> Self {
        // `root` and the like name nobody.
        let is_name = |name: &&String| {
            name.len() >= SHORTEST_NAME && !["root", "localhost", "user"].contains(&name.as_str())
        };
        let hosts = hosts.iter().filter(is_name).map(|name| (name.clone(), "host"));
        let users = users.iter().filter(is_name).map(|name| (name.clone(), "user"));
        let mut names: Vec<(String, &'static str)> = hosts.chain(users).collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.dedup();
        Self { names, own, counts: BTreeMap::new() }
    }

    /// The text without what is private.
    pub fn clean(&mut self, text: &str) -> String {
        // Paths first: what hides a key may take the last part of one, and another would be left as such.
        let text = self.paths(text);
        let hidden: Vec<String> = text.split('\n').map(secret::hide).collect();
        let hidden = hidden.join("\n");
        if hidden != text {
            self.count("key");
        }
        let mut text = self.words(&hidden);
        for (name, kind) in self.names.clone() {
            let found = occurrences(&text, &name);
            if found > 0 {
                *self.counts.entry(kind).or_default() += found;
                text = replace_words(&text, &name, &format!("<{kind}>"));
            }
        }
        text
    }

    fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Of paths that are not the system's only the last part stays.
    fn paths(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('/') {
            let before = rest[..at].chars().next_back().or(clean.chars().next_back());
            clean.push_str(&rest[..at]);
            let path = &rest[at..];
            let end = path.find(|c| !is_of_path(c)).unwrap_or(path.len());
            let (path, after) = path.split_at(end);
            // A fraction, a date or an address is no path.
            let begins = before.is_none_or(|c| !c.is_alphanumeric() && !"./:_-<>~".contains(c));
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            let is_private =
                begins && parts.len() > 1 && !SYSTEM.contains(parts.first().unwrap_or(&""));
            match parts.last().filter(|_| is_private) {
                Some(last) => {
                    self.count("path");
                    clean.push_str(last);
                }
                None => clean.push_str(path),
            }
            rest = after;
        }
        clean + rest
    }

    /// Addresses and identifiers: words of digits and letters with dots, colons and dashes.
    fn words(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        for part in text.split_inclusive(|c: char| !is_of_word(c)) {
            let end = part.find(|c| !is_of_word(c)).unwrap_or(part.len());
            let (word, after) = part.split_at(end);
            let kind = self.kind(word);
            match kind {
                Some(kind) => {
                    self.count(kind);
                    clean.extend(["<", kind, ">"]);
                }
                None => clean.push_str(word),
            }
            clean.push_str(after);
        }
        clean
    }

    fn kind(&self, word: &str) -> Option<&'static str> {
        if self.own.iter().any(|own| word == own) {
            return None;
        }
        let groups = |separator: char| word.split(separator).collect::<Vec<_>>();
        let is_hexadecimal =
            |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
        let lengths = |parts: &[&str]| parts.iter().map(|part| part.len()).collect::<Vec<_>>();
        let dashed = groups('-');
        if lengths(&dashed) == [8, 4, 4, 4, 12] && dashed.iter().all(is_hexadecimal) {
            return Some("identifier");
        }
        let coloned = groups(':');
        if lengths(&coloned) == [2; 6] && coloned.iter().all(is_hexadecimal) {
            return Some("hardware address");
        }
        // An address may have a port behind it.
        let (address, _) = word.split_once(':').unwrap_or((word, ""));
        if let Ok(address) = address.parse::<std::net::Ipv4Addr>() {
            let is_nobodys = address.is_loopback() || address.is_unspecified();
            // A version of four numbers looks so too, and tells nobody where somebody is.
            return (!is_nobodys).then_some("network address");
        }
        if let Ok(address) = word.parse::<std::net::Ipv6Addr>() {
            let is_nobodys = address.is_loopback() || address.is_unspecified();
            return (!is_nobodys && word.len() > 4).then_some("network address");
        }
        None
    }
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || "/_-.+@%~".contains(c)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".:-".contains(c)
}

fn is_whole(text: &str, at: usize, length: usize) -> bool {
    let is_inside = |c: char| c.is_alphanumeric();
    !text[..at].chars().next_back().is_some_and(is_inside)
        && !text[at + length..].chars().next().is_some_and(is_inside)
}

fn occurrences(text: &str, name: &str) -> u64 {
    text.match_indices(name).filter(|(at, _)| is_whole(text, *at, name.len())).count() as u64
}

/// Replaces a name where it is a word of its own, and not where it is a part of one.
fn replace_words(text: &str, name: &str, by: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(name).filter(|(at, _)| is_whole(text, *at, name.len())) {
        clean.push_str(&text[done..at]);
        clean.push_str(by);
        done = at + name.len();
    }
    clean + &text[done..]
}
