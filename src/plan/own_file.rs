//! The files that a user has beside those that halo ships.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::Refusal;

/// A file of the user's own: the one that is named, else the one in the configuration directory
/// where there is one.
///
/// # Errors
///
/// Where the one that is named is not there.
pub(super) fn own_file(named: Option<&Path>, name: &str) -> Result<Option<PathBuf>, Refusal> {
    if let Some(named) = named {
        let is_there = named.is_file();
        let refuse = || Refusal(format!("{}: no such file", named.display()));
        return is_there.then(|| Some(named.to_owned())).ok_or_else(refuse);
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let directory =
        variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    Ok(directory.map(|directory| directory.join("halo").join(name)).filter(|path| path.is_file()))
}

/// Reads a TOML file; an unknown key is refused by its name.
///
/// # Errors
///
/// Where it cannot be read, with the file, the line and the key.
pub(super) fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Refusal> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(String::new(), |span| {
            let before = text.get(..span.start).unwrap_or_default();
            format!(" line {}", before.matches('\n').count() + 1)
        });
        Refusal(format!("{name}{line}: {}", error.message().replace('\n', " ")))
    })
}

/// Reads a file of the user's own.
///
/// # Errors
///
/// Where it cannot be read.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Refusal> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Refusal(format!("{name}: {error}")))?;
    parse(&name, &text)
}
