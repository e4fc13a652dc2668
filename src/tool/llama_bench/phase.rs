//! What `--progress` says on standard error: which phase of which test begins.
//!
//! llama-bench prints such a line right before the phase (tools/llama-bench/llama-bench.cpp), those
//! of the measured runs inside what it times: one write of some 50 bytes.

use std::collections::BTreeMap;

use super::output::Output;
use super::{json, label};
use crate::tool::Phase;

/// A test whose figures were printed.
const ENDED: &str = "test ended";

/// How the lines begin.
pub(super) const BEGIN: &str = "llama-bench: benchmark ";

/// The phases, by what the lines call them.
const NAMES: [(&str, &str); 5] = [
    ("warmup prompt run", "warm-up prompt"),
    ("warmup generation run", "warm-up generation"),
    ("depth run", "depth fill"),
    ("prompt run", "prompt"),
    ("generation run", "generation"),
];

/// The phase that a line of either output tells.
pub(super) fn of(line: &[u8]) -> Option<Phase> {
    let line = String::from_utf8_lossy(line);
    // Dots while a model loads may stand before it.
    if let Some(begin) = line.find(BEGIN) {
        return begun(&line[begin + BEGIN.len()..]);
    }
    let begin = line.find(json::BEGIN)?;
    ended(&line[begin..])
}

/// `3/128: prompt run 1/5`.
fn begun(text: &str) -> Option<Phase> {
    let (number, what) = text.split_once(": ")?;
    let mut attributes = BTreeMap::new();
    count(&mut attributes, ["test", "tests"], number)?;
    if what == "starting" {
        return Some(Phase { name: "test started", attributes });
    }
    let (begin, name) = NAMES.iter().find(|(begin, _)| what.starts_with(begin))?;
    let mut rest = what[begin.len()..].split_whitespace();
    if let Some(repetition) = rest.next() {
        count(&mut attributes, ["repetition", "repetitions"], repetition)?;
    }
    if rest.next() == Some("(cached)") {
        attributes.insert("cached".to_owned(), "true".to_owned());
    }
    Some(Phase { name, attributes })
}

/// `1/5`.
fn count(attributes: &mut BTreeMap<String, String>, names: [&str; 2], text: &str) -> Option<()> {
    let (number, of) = text.split_once('/')?;
    for (name, text) in names.into_iter().zip([number, of]) {
        let number: u32 = text.parse().ok()?;
        attributes.insert(name.to_owned(), number.to_string());
    }
    Some(())
}

/// The result of a test, which is printed when it has ended.
fn ended(line: &str) -> Option<Phase> {
    let tests = json::find(&Output::new("", line.as_bytes())).tests;
    let test = tests.first()?;
    let mut attributes = BTreeMap::from([("case".to_owned(), label::kind(test).ok()?)]);
    if let Some(speed) = test.fields.get("avg_ts").filter(|speed| speed.is_number()) {
        attributes.insert("tokens_per_second".to_owned(), speed.to_string());
    }
    Some(Phase { name: ENDED, attributes })
}
