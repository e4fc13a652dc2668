//! What is in a bundle and what was replaced in it, so that somebody can look before it is sent.

use std::fmt::Write;

use super::screen::wrapped;
use super::terminal::{plain_table, trimmed};
use crate::bundle::Bundled;
use crate::quantity;

/// What is in no bundle, and stands in none of its files.
const LEFT_OUT: &str = "left out: the working directory and where output went, the commit of that \
                        directory, names of containers, process numbers, and what the kernel was \
                        started with but for what changes how a model runs";

/// What was replaced, in words: `2 hosts, 1 path`, and what was left out.
pub fn counts(bundled: &Bundled) -> String {
    let words = bundled.replaced.counts.iter().map(|(kind, count)| {
        let word = kind.as_str();
        match (*count, word.strip_suffix("address")) {
            (1, _) => format!("1 {word}"),
            (count, Some(start)) => format!("{count} {start}addresses"),
            (count, None) if word.ends_with("process") => format!("{count} {word}es"),
            (count, None) => format!("{count} {word}s"),
        }
    });
    let words: Vec<String> = words.collect();
    let replaced = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
    match bundled.left_out {
        0 => replaced,
        1 => replaced + "; left out 1 packed file",
        count => format!("{replaced}; left out {count} packed files"),
    }
}

/// Most tables of a short run are smaller than what is a unit elsewhere.
fn size(bytes: u64) -> String {
    if bytes < 1 << 20 {
        return format!("{:.1} KiB", bytes as f64 / 1024.0);
    }
    quantity::bytes(bytes as f64)
}

/// The files of a bundle, and each text that was replaced, with what stands in its place.
pub fn contents(bundled: &Bundled) -> String {
    let mut text = format!("{} would have:\n\n", bundled.file.display());
    let mut files = plain_table(&["file", "size"]);
    files.add_row([format!("{}/manifest.json", bundled.name), String::new()]);
    for file in &bundled.files {
        let path = format!("{}/{}", bundled.name, file.path);
        files.add_row([path, size(file.bytes)]);
    }
    text.push_str(&trimmed(&files));
    let _ =
        write!(text, "\n{}\nreplaced {}", wrapped(&format!("{LEFT_OUT}\n"), 0), counts(bundled));
    if bundled.replaced.texts.is_empty() {
        return text + "\n";
    }
    text.push_str(":\n\n");
    let mut texts = plain_table(&["what", "times", "was", "is"]);
    for ((kind, was, is), count) in &bundled.replaced.texts {
        texts.add_row([kind.as_str().to_owned(), count.to_string(), was.clone(), is.clone()]);
    }
    text + &trimmed(&texts)
}
