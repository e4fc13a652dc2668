//! `--capture`: copies the files that the sources read, so that any user can send a machine.
//!
//! Nothing else is copied. What identifies a person or a device is replaced, in contents and in
//! names of files: the host name, UUIDs and hardware addresses. Of the kernel command line only
//! the parameters are kept that a source uses.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::root::{Opened, Root};
use crate::source::tuning::command_line;
use crate::source::{Source, runs, selfstat};

/// Whether a capture reads a source. The archive of runs tells of the user and not of the machine,
/// and halo's own state of neither.
pub fn wants(source: &Source) -> bool {
    [&runs::SOURCE, &selfstat::SOURCE].iter().all(|unwanted| source.name != unwanted.name)
}

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
///
/// # Errors
///
/// The file that could not be written.
pub fn write(root: &Root, directory: &Path) -> Result<Written, String> {
    let mut written = Written::default();
    let private = Private::of(root);
    // A part of which nothing was read is there all the same, so that the flags can name it.
    for part in ["proc", "sys", "root"] {
        make(&directory.join(part), |path| std::fs::create_dir_all(path))?;
    }
    for opened in root.take_opened() {
        let (Opened::Directory(path, _) | Opened::Link(path, _) | Opened::File(path, _)) = &opened;
        let place = place(directory, &private.removed_from(path));
        match opened {
            Opened::Directory(..) => make(&place, |path| std::fs::create_dir_all(path))?,
            Opened::Link(_, target) => {
                // Only the last part is read, and the rest names this machine's devices.
                let target = private.removed_from(target.rsplit('/').next().unwrap_or(&target));
                make(&place, |path| symlink(target, path))?;
            }
            Opened::File(path, bytes) => {
                let bytes = private.public_content(&path, bytes);
                written.files += 1;
                written.bytes += bytes.len();
                make(&place, |path| std::fs::write(path, bytes))?;
            }
        }
    }
    Ok(written)
}

/// Makes something, with the directories above it.
fn make(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), String> {
    let parent = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    parent.and_then(|()| make(path)).map_err(|error| {
        format!("{}: {error}; what was written so far is incomplete, remove it", path.display())
    })
}

fn place(directory: &Path, path: &str) -> PathBuf {
    let path = path.trim_start_matches('/');
    if path.starts_with("sys/") || path.starts_with("proc/") {
        directory.join(path)
    } else {
        directory.join("root").join(path)
    }
}

/// The files that are binary.
const TABLES: [&str; 3] = ["/gpu_metrics", "/pm_table", "/pm_table_version"];

/// What must not leave the machine.
struct Private {
    /// The host name, whole and without its domain.
    host_names: Vec<String>,
}

impl Private {
    fn of(root: &Root) -> Self {
        let name = root.private("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        let short = name.split('.').next().unwrap_or_default().to_owned();
        // A word as short as this, or this one, stands in files by chance.
        let is_telling = |name: &String| name.len() > 2 && name != "localhost";
        Self { host_names: [name, short].into_iter().filter(is_telling).collect() }
    }

    fn public_content(&self, path: &str, bytes: Vec<u8>) -> Vec<u8> {
        // The tables of firmware are no text, and hold nothing but measurements.
        if TABLES.iter().any(|table| path.ends_with(table)) {
            return bytes;
        }
        let text = String::from_utf8_lossy(&bytes);
        if path == "/proc/cmdline" {
            // There is always a root filesystem; without any NAME=VALUE it is no command line.
            return format!("root=removed {}\n", command_line::public(&text)).into_bytes();
        }
        self.removed_from(&text).into_bytes()
    }

    /// A text without what identifies.
    fn removed_from(&self, text: &str) -> String {
        const UUID: &str = "00000000-0000-0000-0000-000000000000";
        const HARDWARE_ADDRESS: &str = "00:00:00:00:00:00";
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let begins = !result.ends_with(|c: char| c.is_ascii_alphanumeric());
            let host_name = self.host_names.iter().find(|name| begins_with(rest, name));
            let found = if !begins {
                None
            } else if has_form_of(rest, UUID) {
                Some((UUID.len(), UUID))
            } else if has_form_of(rest, HARDWARE_ADDRESS) {
                Some((HARDWARE_ADDRESS.len(), HARDWARE_ADDRESS))
            } else {
                host_name.map(|name| (name.len(), "host"))
            };
            let (length, replacement) =
                found.unwrap_or((character.len_utf8(), &rest[..character.len_utf8()]));
            result.push_str(replacement);
            rest = &rest[length..];
        }
        result
    }
}

/// Whether a text begins with a word, whatever its case, and the word ends there.
fn begins_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word))
        && !text[word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whether a text begins with hexadecimal digits where a form has zeros, and is the same elsewhere.
fn has_form_of(text: &str, form: &str) -> bool {
    let Some(beginning) = text.as_bytes().get(..form.len()) else { return false };
    let is_same = |(found, expected): (&u8, u8)| match expected {
        b'0' => found.is_ascii_hexdigit(),
        _ => *found == expected,
    };
    beginning.iter().zip(form.bytes()).all(is_same)
        && !text[form.len()..].starts_with(|c: char| c.is_ascii_hexdigit() || c == ':')
}

#[cfg(test)]
mod tests {
    use super::Private;

    fn check(text: &str, expected: &str) {
        let host_names = vec!["my_laptop.lan".to_owned(), "my_laptop".to_owned()];
        assert_eq!(Private { host_names }.removed_from(text), expected);
    }

    #[test]
    fn what_identifies_is_replaced_wherever_it_stands() {
        check("Fedora on my_laptop", "Fedora on host");
        check("MY_LAPTOP.lan/vg_my_laptop-root", "host/vg_host-root");
        check("hid-34:88:5d:AA:bb:cc-battery", "hid-00:00:00:00:00:00-battery");
        check(
            "luks-feedface-0000-4000-8000-00000000c0de.",
            "luks-00000000-0000-0000-0000-000000000000.",
        );
    }

    #[test]
    fn what_only_looks_alike_stays() {
        for text in [
            "0000:c5:00.0",
            "my_laptops",
            "113-STRXLGEN-001",
            "DRIVER=amdgpu\nPCI_ID=1002:1586\n",
            "é 00é",
        ] {
            check(text, text);
        }
    }
}
