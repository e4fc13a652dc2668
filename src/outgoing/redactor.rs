//! Who and what must not be named in a copy of a run.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use crate::archive::{ArchiveError, RunDirectory};
use crate::redact::{Kind, Redactor, people};
use crate::run::Manifest;
use crate::run::share::is_known_program;

/// Directories below which a user's own stand.
const HOMES: [&str; 9] = [
    "/home/",
    "/var/home/",
    "/Users/",
    "/run/media/",
    "/media/",
    "/export/home/",
    ":\\\\Users\\\\",
    ":\\\\\\\\Users\\\\\\\\",
    ":/Users/",
];

/// What the command printed.
const STDOUT: &str = "raw/stdout";
const STDERR: &str = "raw/stderr";

/// Names in such places that name nobody.
const SHARED: [&str; 8] = ["Public", "Shared", "cdrom", "data", "disk", "models", "usb", "share"];

/// How much of an output is looked through for homes, in bytes.
const LOOKED_AT: u64 = 4 << 20;

/// A redactor for a run: it knows the people of this machine, those whose homes stand in the manifest
/// or at the beginning of the output, the name of this machine, and the directories that the run
/// worked in.
///
/// # Errors
///
/// Where its manifest cannot be read.
pub fn redactor(run: &RunDirectory) -> Result<Redactor, ArchiveError> {
    let manifest = &run.manifest()?;
    let mut names: Vec<(String, Kind)> = Vec::new();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    names.extend(host.split('.').next().map(|short| (short.to_owned(), Kind::Host)));
    names.push((host, Kind::Host));
    let variables = ["USER", "LOGNAME", "SUDO_USER"].into_iter();
    let variables = variables.filter_map(|name| std::env::var(name).ok());
    let mut users: BTreeSet<String> = variables.collect();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.extend(people(&accounts));
    // Who recorded it may be somebody else than who gives it away.
    let text = serde_json::to_string(manifest).unwrap_or_default();
    users.extend(homes(&text));
    for output in [STDOUT, STDERR] {
        let mut beginning = Vec::new();
        let read = run.opened().and_then(|run| run.open(output));
        if let Ok(output) = read {
            let _ = output.take(LOOKED_AT).read_to_end(&mut beginning);
        }
        users.extend(homes(&String::from_utf8_lossy(&beginning)));
    }
    names.extend(users.into_iter().map(|user| (user, Kind::User)));
    let used = manifest.processes.iter().flatten().map(|process| process.name.clone());
    let with_gpu = manifest.environment_at_start.facts.get("gpu.users");
    let with_gpu = with_gpu.iter().flat_map(|names| names.split(", ")).map(str::to_owned);
    let programs = used.chain(with_gpu);
    let programs = programs.filter(|name| name != "none seen" && !is_known_program(name));
    // A name as short as this stands in sentences by chance; in its own field it is replaced.
    let programs = programs.filter(|name| name.len() > 3);
    names.extend(programs.map(|name| (name, Kind::Process)));
    Ok(Redactor::new(names, places(manifest), vec![manifest.id.clone()]))
}

/// The names of users whose directories a text names.
fn homes(text: &str) -> Vec<String> {
    let is_of_name = |c: char| c.is_alphanumeric() || "_.-".contains(c);
    let mut users = Vec::new();
    for home in HOMES {
        for rest in text.split(home).skip(1) {
            let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
            let name = &rest[..end];
            let is_medium = home.contains("media");
            let has_more = rest[end..].starts_with(['/', '\\']);
            if !name.is_empty() && !SHARED.contains(&name) && (!is_medium || has_more) {
                users.push(name.to_owned());
            }
        }
    }
    users
}

/// The directories that a run names.
fn places(manifest: &Manifest) -> BTreeSet<String> {
    let command = &manifest.command;
    let mut places: BTreeSet<String> = BTreeSet::new();
    let mut add = |path: &str| {
        for parent in Path::new(path).ancestors().skip(1) {
            let parent = parent.to_string_lossy();
            // What has no space is known as a path by its form.
            if parent.contains(' ') {
                places.insert(parent.into_owned());
            }
        }
    };
    let words = command.asked.iter().chain(&command.executed).chain(&command.places);
    let files = manifest.models.iter().map(|model| &model.file);
    for word in words.chain(files) {
        // --model=/x, -m/x, A=/x
        if let Some(start) = word.find(['/', '~']) {
            add(&word[start..]);
        }
    }
    add(&format!("{}/x", command.directory));
    places
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::homes;

    #[test]
    fn homes_name_their_users() {
        let text = r#"["/home/jo/x","C:\\Users\\Karl\\m.gguf","/run/media/jo2/disk/x","/media/usb0","/home/models/x"]"#;
        let users: BTreeSet<String> = homes(text).into_iter().collect();
        assert_eq!(users.into_iter().collect::<Vec<_>>(), ["Karl", "jo", "jo2"]);
    }
}
