//! `--capture`: copies the files that the sources read, so that any user can send a machine.
//!
//! Nothing else is copied. What identifies a person or a device is replaced: the host name,
//! UUIDs, hardware addresses, and every value on the kernel command line that no source uses.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::root::{Opened, Root};
use crate::source::tuning::is_public_kernel_parameter;

/// What a capture wrote.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// Refuses a directory that a capture could mix with something else.
pub fn prepare(directory: &Path) -> Result<(), String> {
    let refuse = |error: io::Error| format!("--capture {}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(refuse)?;
    match std::fs::read_dir(directory).map_err(refuse)?.next() {
        None => Ok(()),
        Some(_) => Err(format!(
            "--capture {}: the directory is not empty; name a new one",
            directory.display()
        )),
    }
}

/// Writes what was read through a recording root below a directory, as `proc`, `sys` and `root`.
pub fn write(root: &Root, directory: &Path) -> io::Result<Written> {
    let mut written = Written::default();
    let private = Private::of(root);
    for opened in root.take_opened() {
        match opened {
            Opened::Directory(path, _) => std::fs::create_dir_all(place(directory, &path))?,
            Opened::Link(path, target) => {
                let place = place_with_parent(directory, &path)?;
                // Only the last part is read, and the rest names this machine's devices.
                symlink(target.rsplit('/').next().unwrap_or(&target), place)?;
            }
            Opened::File(path, bytes) => {
                let bytes = private.removed_from(&path, bytes);
                written.files += 1;
                written.bytes += bytes.len();
                std::fs::write(place_with_parent(directory, &path)?, bytes)?;
            }
        }
    }
    Ok(written)
}

fn place(directory: &Path, path: &str) -> PathBuf {
    let path = path.trim_start_matches('/');
    if path.starts_with("sys/") || path.starts_with("proc/") {
        directory.join(path)
    } else {
        directory.join("root").join(path)
    }
}

fn place_with_parent(directory: &Path, path: &str) -> io::Result<PathBuf> {
    let place = place(directory, path);
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(place)
}

/// What must not leave the machine.
struct Private {
    host_name: Option<String>,
}

impl Private {
    fn of(root: &Root) -> Self {
        let host_name = std::fs::read_to_string(root.locate("/proc/sys/kernel/hostname")).ok();
        let host_name = host_name.and_then(|name| name.trim().split('.').next().map(str::to_owned));
        // A word as short as this, or this one, stands in files by chance.
        Self { host_name: host_name.filter(|name| name.len() > 2 && name != "localhost") }
    }

    fn removed_from(&self, path: &str, bytes: Vec<u8>) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
        let text =
            if path == "/proc/cmdline" { public_command_line(text) } else { text.to_owned() };
        let text = replace_words(&text, |word| {
            if self.host_name.as_deref().is_some_and(|name| word.eq_ignore_ascii_case(name)) {
                Some("host".to_owned())
            } else if is_uuid(word) {
                Some("00000000-0000-0000-0000-000000000000".to_owned())
            } else if is_hardware_address(word) {
                Some("00:00:00:00:00:00".to_owned())
            } else {
                None
            }
        });
        text.into_bytes()
    }
}

/// The command line with the values of those parameters alone that a source uses.
fn public_command_line(line: &str) -> String {
    let tokens = line.split_ascii_whitespace().map(|token| match token.split_once('=') {
        Some((name, _)) if !is_public_kernel_parameter(name) => format!("{name}=removed"),
        _ => token.to_owned(),
    });
    tokens.collect::<Vec<_>>().join(" ") + "\n"
}

/// Replaces words made of letters, digits, `-` and `:`.
fn replace_words(text: &str, replacement: impl Fn(&str) -> Option<String>) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ':';
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(is_word).unwrap_or(rest.len());
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        result.push_str(&replacement(word).unwrap_or_else(|| word.to_owned()));
        rest = &rest[end..];
    }
    result
}

fn is_uuid(word: &str) -> bool {
    let lengths = word
        .split('-')
        .map(|part| part.bytes().all(|b| b.is_ascii_hexdigit()).then_some(part.len()));
    lengths.eq([8, 4, 4, 4, 12].map(Some))
}

fn is_hardware_address(word: &str) -> bool {
    let mut parts = word.split(':');
    parts.clone().count() == 6
        && parts.all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}
