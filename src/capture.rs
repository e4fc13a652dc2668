//! `--capture`: copies the files that the sources read, so that any user can send a machine.
//!
//! Nothing else is copied. What identifies a person or a device is replaced, in contents and in
//! names of files: names of the host and of people, addresses, UUIDs and serial numbers. Of the kernel command line only
//! the parameters are kept that a source uses.

use std::io;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::redact::{self, NOBODY, identifiers, keys, names};
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
        let place = place(directory, &private.removed_from(path, path));
        match opened {
            Opened::Directory(..) => make(&place, |path| std::fs::create_dir_all(path))?,
            Opened::Link(path, target) => {
                // Only the last part is read, and the rest names this machine's devices.
                let target =
                    private.removed_from(&path, target.rsplit('/').next().unwrap_or(&target));
                make(&place, |place| symlink(target, place))?;
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
    /// The names of the host, whole and without its domain, and of the people on it.
    names: Vec<(String, &'static str)>,
}

impl Private {
    fn of(root: &Root) -> Self {
        let read =
            |path| String::from_utf8_lossy(&root.private(path).unwrap_or_default()).into_owned();
        let host = read("/proc/sys/kernel/hostname").trim().to_owned();
        let short = host.split('.').next().unwrap_or_default().to_owned();
        let hosts = [host, short].into_iter().map(|name| (name, "host"));
        let people = redact::people(&read("/etc/passwd")).into_iter().map(|name| (name, "user"));
        Self::knows(hosts.chain(people).collect())
    }

    fn knows(mut names: Vec<(String, &'static str)>) -> Self {
        names.retain(|(name, _)| {
            name.chars().count() > 1 && !NOBODY.contains(&name.to_lowercase().as_str())
        });
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self { names }
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
        self.removed_from(path, &text).into_bytes()
    }

    /// A text without what identifies: of addresses and numbers the form stays, so that it can be read
    /// as before.
    fn removed_from(&self, path: &str, text: &str) -> String {
        let is_of_kernel = path.starts_with("/proc/") || path.starts_with("/sys/");
        let mut text = if is_of_kernel { text.to_owned() } else { keys::hide(text) };
        let found = identifiers::find(&text).into_iter();
        text = replaced(&text, found.map(|(range, _)| range), |text| {
            text.chars().map(|c| if c.is_ascii_alphanumeric() { '0' } else { c }).collect()
        });
        for (name, by) in &self.names {
            // Words of the kernel are as short: /proc/sys/vm of a host that is called vm.
            if name.chars().count() > 2 || !is_of_kernel {
                let found = names::find(&text, name).into_iter();
                text = replaced(&text, found, |_| (*by).to_owned());
            }
        }
        text
    }
}

fn replaced(
    text: &str,
    found: impl Iterator<Item = Range<usize>>,
    by: impl Fn(&str) -> String,
) -> String {
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for range in found {
        result.push_str(&text[done..range.start]);
        result.push_str(&by(&text[range.clone()]));
        done = range.end;
    }
    result.push_str(&text[done..]);
    result
}

#[cfg(test)]
mod tests {
    use super::Private;

    fn check(text: &str, expected: &str) {
        let names = ["my_laptop.lan", "my_laptop", "xq"].map(|name| (name.to_owned(), "host"));
        assert_eq!(Private::knows(names.to_vec()).removed_from("/etc/os-release", text), expected);
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
