//! Which flags a llama-bench knows, and how it calls those of other versions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::plan::Refusal;

/// A flag that every llama-bench has: what does not name it is none.
const ALWAYS: &str = "-m";

/// A flag that is called otherwise in other versions.
struct Renamed {
    old: [&'static str; 2],
    new: &'static str,
    /// The old values and the new ones.
    values: [(&'static str, &'static str); 2],
}

/// llama.cpp's pull request 20834 (2026) put `-mmp` and `-dio` together into `-lm`. `-mmp 0` read
/// the file into memory of its own, which is what `-lm none` does; `-mmp 1` mapped it.
const RENAMED: [Renamed; 1] =
    [Renamed { old: ["-mmp", "--mmap"], new: "-lm", values: [("0", "none"), ("1", "mmap")] }];

/// Flash attention was `<0|1>` before it became `<on|off|auto>`.
const FLASH_ATTENTION: [&str; 2] = ["-fa", "--flash-attn"];

/// What flash attention was called before, and now.
const TRUTHS: [(&str, &str); 2] = [("0", "off"), ("1", "on")];

/// Which flags a llama-bench knows, as its help says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    backend: String,
    /// Each flag with what its value may be, as `0|1`; a switch has none.
    flags: BTreeMap<String, Option<String>>,
}

impl Capabilities {
    /// Those that a help text names, of the backend of this name; none where it is not the help of
    /// llama-bench.
    pub fn of_help(backend: &str, help: &str) -> Option<Self> {
        let mut flags = BTreeMap::new();
        for line in help.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
            let names = line.split([' ', ',']).filter(|word| !word.is_empty());
            let names: Vec<&str> = names.take_while(|word| word.starts_with('-')).collect();
            // What stands behind the names begins with the value, and else is prose.
            let behind = names.last().and_then(|name| line.split_once(name)).map(|(_, rest)| rest);
            let behind = behind.map(str::trim_start).and_then(|rest| rest.strip_prefix('<'));
            let value = behind.map(|rest| rest.split('>').next().unwrap_or(rest).to_owned());
            flags.extend(names.into_iter().map(|name| (name.to_owned(), value.clone())));
        }
        let is_llama_bench = flags.contains_key(ALWAYS);
        is_llama_bench.then(|| Self { backend: backend.to_owned(), flags })
    }

    /// Whether it knows a flag.
    pub fn knows(&self, flag: &str) -> bool {
        self.flags.contains_key(&*canonical(flag))
    }

    /// Flags as this version calls them.
    ///
    /// # Errors
    ///
    /// Each flag that it does not know by any name.
    pub fn translate(&self, flags: &[String]) -> Result<Vec<String>, Vec<Refusal>> {
        let (mut translated, mut refusals) = (Vec::new(), Vec::new());
        let mut words = flags.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let name = canonical(word);
            let value =
                if self.takes_value(&name, words.peek().copied()) { words.next() } else { None };
            match self.translated(&name, value) {
                Ok(pair) => translated.extend(pair),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if refusals.is_empty() { Ok(translated) } else { Err(refusals) }
    }

    /// Whether a flag has a value. Of one that nobody knows, the next word is its value where it is
    /// no flag itself.
    fn takes_value(&self, name: &str, next: Option<&str>) -> bool {
        match self.flags.get(name) {
            Some(value) => value.is_some(),
            None => next.is_some_and(|next| !next.starts_with('-') || next.parse::<f64>().is_ok()),
        }
    }

    /// A flag and its value as this version calls them.
    fn translated(&self, name: &str, value: Option<&str>) -> Result<Vec<String>, Refusal> {
        let given = [Some(name), value].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let refuse = |why: &str| {
            Refusal(format!(
                "backend {}: its llama-bench {why}; update it, or choose another of \
                 `halo-record backends`",
                self.backend
            ))
        };
        let pair = |name: &str, value: Option<&str>| {
            [Some(name), value].into_iter().flatten().map(str::to_owned).collect()
        };
        if let Some(kinds) = self.flags.get(name) {
            return match (kinds.as_deref(), value) {
                (Some(_), None) => Err(refuse(&format!("needs a value behind {name}"))),
                (Some(kinds), Some(value)) if FLASH_ATTENTION.contains(&name) => {
                    match flash_attention(kinds, value) {
                        Some(value) => Ok(pair(name, Some(&value))),
                        None => Err(refuse(&format!("knows no {given}, only {name} <{kinds}>"))),
                    }
                }
                _ => Ok(pair(name, value)),
            };
        }
        let renamed = RENAMED.iter().find(|renamed| renamed.old.contains(&name));
        match (renamed, value) {
            (Some(Renamed { new, values, .. }), Some(value)) if self.flags.contains_key(*new) => {
                match each(value, |old| values.iter().find(|pair| pair.0 == old).map(|pair| pair.1))
                {
                    Some(value) => Ok(pair(new, Some(&value))),
                    None => Err(refuse(&format!("knows no {given}, and {new} has nothing alike"))),
                }
            }
            (Some(Renamed { new, .. }), _) => {
                Err(refuse(&format!("knows neither {given} nor {new}")))
            }
            (None, _) => Err(refuse(&format!("does not know {given}"))),
        }
    }
}

/// A long name as llama-bench reads it: underscores are dashes.
fn canonical(flag: &str) -> Cow<'_, str> {
    if flag.starts_with("--") { flag.replace('_', "-").into() } else { flag.into() }
}

/// A value of flash attention as this version calls it.
fn flash_attention(kinds: &str, value: &str) -> Option<String> {
    let knows = |word: &str| kinds.split('|').any(|kind| kind == word);
    each(value, |word| {
        let same = TRUTHS.into_iter().find(|(old, new)| *old == word || *new == word);
        match same {
            Some((_, new)) if knows(new) => Some(new),
            Some((old, _)) if knows(old) => Some(old),
            // A help that lists no values may mean any.
            _ if knows(word) || !kinds.contains('|') => Some(word),
            _ => None,
        }
    })
}

/// Changes each value of a list; none where one cannot be changed.
fn each<'a>(list: &'a str, change: impl Fn(&'a str) -> Option<&'a str>) -> Option<String> {
    list.split(',').map(change).collect::<Option<Vec<_>>>().map(|values| values.join(","))
}
