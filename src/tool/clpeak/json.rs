//! The JSON file of clpeak 2.

use super::{Device, Measured};
use crate::tool::document::{self, Node};
use crate::tool::{OutputFile, ParseError, Parsed};

/// The figures of all devices; the version and what was skipped is written into `parsed`.
pub(super) fn read(file: &OutputFile, parsed: &mut Parsed) -> Result<Vec<Measured>, ParseError> {
    let value = document::parse(&file.path, &file.bytes)?;
    let document = Node::new(file, &value);
    let word = |node: &Node<'_>, key: &str| -> Option<String> {
        Some(node.optional(key)?.text().ok()?.to_owned())
    };
    parsed.version = word(&document, "clpeak_version");
    let mut measured: Vec<Measured> = Vec::new();
    let mut skipped = Vec::new();
    for entry in document.get("entries")?.list()? {
        let device = device(&entry, &measured, &word);
        // A test that was skipped has a status and a reason instead of a value.
        let Some(value) = entry.optional("value") else {
            let words = [word(&entry, "status"), word(&entry, "reason")];
            let words: Vec<String> = words.into_iter().flatten().collect();
            let why = if words.is_empty() { "no value".to_owned() } else { words.join(" ") };
            skipped.push((device, entry.get("test")?.text()?.to_owned(), why));
            continue;
        };
        measured.push(Measured {
            device,
            test: format!("{} {}", entry.get("category")?.text()?, entry.get("test")?.text()?),
            metric: word(&entry, "metric").unwrap_or_default(),
            value: value.number()?,
            unit: entry.get("unit")?.text()?.to_owned(),
        });
    }
    let is_only = measured.windows(2).all(|pair| pair[0].device == pair[1].device);
    for (device, test, why) in skipped {
        let of =
            if is_only { String::new() } else { format!("{} {}: ", device.backend, device.name) };
        parsed.problems.push(format!("clpeak: {of}{test}: {why}"));
    }
    Ok(measured)
}

/// The device of an entry. Of two devices of one name the second begins where the first one's tests
/// begin anew.
fn device(
    entry: &Node<'_>,
    before: &[Measured],
    word: &impl Fn(&Node<'_>, &str) -> Option<String>,
) -> Device {
    let backend = word(entry, "backend").unwrap_or_default();
    let name = word(entry, "device").unwrap_or_default();
    let same: Vec<&Measured> = before
        .iter()
        .filter(|one| (&one.device.backend, &one.device.name) == (&backend, &name))
        .collect();
    let [test, category, metric] =
        ["test", "category", "metric"].map(|key| word(entry, key).unwrap_or_default());
    let test = format!("{category} {test}");
    let again = same.iter().filter(|one| (&one.test, &one.metric) == (&test, &metric)).count();
    let last = same.last().map_or(0, |one| one.device.number);
    Device { backend, name, number: last.max(again) }
}
