//! The files that a user has beside those that halo ships: which one it is, and its entries.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::Refusal;

/// A file of entries, `[[model]]` or `[[backend]]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// The key of its entries.
    pub(super) key: &'static str,
    /// The name of the file that halo ships, and of the user's own.
    pub(super) file: &'static str,
    /// What halo ships.
    pub(super) shipped: &'static str,
    /// The flag that names another file.
    pub(super) flag: &'static str,
}

/// The entries of a file, and how the file is called in a refusal.
#[derive(Debug)]
pub(super) struct Entries<T> {
    /// The file.
    pub(super) file: String,
    /// What stands in it, in its order.
    pub(super) entries: Vec<T>,
}

impl Kind {
    /// The entries that halo ships, then those of the user: from the file that is named, else from
    /// the configuration directory, where there is one.
    ///
    /// # Errors
    ///
    /// Every entry that cannot be read, with the file, the entry and the key.
    pub(super) fn load<T: DeserializeOwned>(
        self,
        named: Option<&Path>,
    ) -> Result<Vec<Entries<T>>, Vec<Refusal>> {
        let mut files = vec![self.parse(&format!("configs/{}", self.file), self.shipped)?];
        if let Some((file, text)) = self.own(named).map_err(|refusal| vec![refusal])? {
            files.push(self.parse(&file, &text)?);
        }
        Ok(files)
    }

    /// The user's own file.
    fn own(self, named: Option<&Path>) -> Result<Option<(String, String)>, Refusal> {
        let Some(path) = named.map(Path::to_owned).or_else(|| usual(self.file)) else {
            return Ok(None);
        };
        let file = path.display().to_string();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some((file, text))),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Refusal(format!(
                "{file}: {error}; make it readable, or name another with {}",
                self.flag
            ))),
        }
    }

    /// The entries of a text, each read by itself so that all faults are told at once.
    fn parse<T: DeserializeOwned>(
        self,
        file: &str,
        text: &str,
    ) -> Result<Entries<T>, Vec<Refusal>> {
        let Self { key, file: shipped, .. } = self;
        let see = format!("configs/{shipped} shows every key");
        let refuse = |what: String| Refusal(format!("{file}: {what}; {see}"));
        let mut table: Table = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            vec![refuse(format!("line {line}: {}", error.message().replace('\n', ", ")))]
        })?;
        let values = table.remove(key).unwrap_or_else(|| Value::Array(Vec::new()));
        let mut refusals: Vec<Refusal> =
            table.keys().map(|other| refuse(format!("{other}: only [[{key}]] is known"))).collect();
        let Value::Array(values) = values else {
            refusals.push(refuse(format!("{key}: write it as [[{key}]]")));
            return Err(refusals);
        };
        let mut entries = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let name = value.get("name").and_then(Value::as_str);
            let entry = name.map_or_else(|| format!("{}", index + 1), |name| format!("{name:?}"));
            match serde_path_to_error::deserialize(value) {
                Ok(read) => entries.push(read),
                Err(error) => {
                    let path = error.path().to_string();
                    let message = error.into_inner().message().replace('\n', ", ");
                    // Of an unknown and of a missing key the message has the name already.
                    let line = line_of(text, key, index, &path, &message);
                    let place = match path.as_str() {
                        "." => String::new(),
                        path if message.contains(&format!("`{path}`")) => String::new(),
                        path => format!("{path}: "),
                    };
                    refusals.push(refuse(format!("line {line}: {key} {entry}: {place}{message}")));
                }
            }
        }
        if refusals.is_empty() {
            Ok(Entries { file: file.to_owned(), entries })
        } else {
            Err(refusals)
        }
    }
}

/// The line of a key in an entry, as its path or a message names it, else the line where the entry
/// begins; from 1.
fn line_of(text: &str, kind: &str, entry: usize, path: &str, message: &str) -> usize {
    let begins = |line: &str| line.trim_start().starts_with(&format!("[[{kind}]]"));
    let first = text.lines().enumerate().filter(|(_, line)| begins(line)).nth(entry);
    let Some((first, _)) = first else { return 1 };
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let has = |line: &str, key: &str| {
        let rest = line.trim_start().strip_prefix(key);
        !key.is_empty() && rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let top = path.split('.').next().unwrap_or_default();
    let within = text.lines().enumerate().skip(first + 1).take_while(|(_, line)| !begins(line));
    let found = within.clone().find(|(_, line)| has(line, top));
    let found = found.or_else(|| within.clone().find(|(_, line)| has(line, quoted)));
    found.map_or(first, |(line, _)| line) + 1
}

/// Replaces the entries of the same name and adds the others, file by file.
///
/// # Errors
///
/// Every entry that `check` finds something wrong with, and names that a file has twice.
pub(super) fn merge<T>(
    kind: Kind,
    files: Vec<Entries<T>>,
    name: impl Fn(&T) -> &str,
    check: impl Fn(&T) -> Vec<String>,
) -> Result<Vec<T>, Vec<Refusal>> {
    let (mut merged, mut refusals): (Vec<T>, Vec<Refusal>) = (Vec::new(), Vec::new());
    for Entries { file, entries } in files {
        let names: Vec<String> = entries.iter().map(|entry| name(entry).to_owned()).collect();
        for (index, entry) in entries.into_iter().enumerate() {
            let mut faults = check(&entry);
            if names[..index].contains(&names[index]) {
                faults.push("name: it stands there twice; rename one".to_owned());
            }
            let subject = format!("{file}: {} {:?}", kind.key, names[index]);
            refusals.extend(faults.into_iter().map(|fault| Refusal(format!("{subject}: {fault}"))));
            match merged.iter_mut().find(|known| name(known) == names[index]) {
                Some(known) => *known = entry,
                None => merged.push(entry),
            }
        }
    }
    if refusals.is_empty() { Ok(merged) } else { Err(refusals) }
}

/// What is wrong with a name: several stand behind one flag, with commas between them.
pub(super) fn fault_of_name(name: &str) -> Option<String> {
    let is_odd = |c: char| c == ',' || c.is_whitespace() || c.is_control();
    (name.is_empty() || name.contains(is_odd) || name.starts_with('-'))
        .then(|| "name: expected a word without commas, not beginning with -".to_owned())
}

/// Where the user's own file is looked for, as the XDG base directory specification tells.
fn usual(name: &str) -> Option<PathBuf> {
    // The specification tells to ignore paths that are not absolute.
    let variable =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let directory =
        variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    Some(directory?.join("halo").join(name))
}
