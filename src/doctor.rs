//! `--doctor`: for each source what is there, what is missing, and which command gives it.

use std::fmt::Write;

use crate::config::Config;
use crate::root::{ReadError, Reason};
use crate::sample::{Snapshot, SourceState, is_enabled};
use crate::source::{SOURCES, Source};

/// What the doctor found.
#[derive(Debug)]
pub struct Report {
    /// For the terminal.
    pub text: String,
    /// Whether a source, or a file of one, cannot be read.
    pub has_failures: bool,
}

/// Examines a snapshot of all sources that are switched on.
pub fn examine(config: &Config, snapshot: &Snapshot) -> Report {
    let mut text = String::new();
    for source in SOURCES {
        let state = snapshot.states().iter().find(|state| state.source.name == source.name);
        match state {
            Some(state) => describe(&mut text, state),
            None if is_enabled(config, source) => {}
            None => {
                line(&mut text, source, "off", &format!("--collector.{} reads it", source.name));
            }
        }
    }
    let has_failures = snapshot.states().iter().any(|state| !state.reasons().is_empty());
    Report { text, has_failures }
}

fn describe(text: &mut String, state: &SourceState) {
    let source = state.source;
    if state.is_absent() {
        line(text, source, "absent", source.remedy);
        return;
    }
    if state.is_stuck {
        line(
            text,
            source,
            "hangs",
            "its driver does not answer: `dmesg --level=err,warn` may say why",
        );
        return;
    }
    let values = state.values();
    let mut failures = state.failures();
    let say = |failure: &ReadError| format!("{failure}; {}", remedy(failure));
    match (state.is_up(), failures.is_empty()) {
        (true, true) => line(text, source, "ok", &format!("{} series", values.len())),
        (true, false) => line(text, source, "in part", &format!("{} series", values.len())),
        // The last failure is that of the whole.
        (false, _) => line(text, source, "fails", &failures.pop().map(say).unwrap_or_default()),
    }
    for failure in failures {
        detail(text, &say(failure));
    }
    let missing = source
        .metrics
        .iter()
        // Without a failure there is none to show.
        .filter(|def| !def.name.ends_with("_failure"))
        .filter(|def| !values.iter().any(|sample| std::ptr::eq(sample.def, **def)));
    for def in missing {
        detail(text, &format!("no {}: it comes from {}", def.name, def.from));
    }
}

fn remedy(failure: &ReadError) -> String {
    let path = failure.path().display();
    let is_address = failure.path().to_string_lossy().starts_with("http");
    match failure.reason() {
        // What is to be done stands in the failure itself.
        Reason::Disabled | Reason::Unauthorized => "see docs/metrics.md".to_owned(),
        Reason::Refused => "start the server, or correct url in [[llama]]".to_owned(),
        _ if is_address => format!("`curl -sv {path}` shows what answers"),
        Reason::Busy => "the device is suspended, in reset or busy: try again".to_owned(),
        Reason::Garbage => format!("`od -c {path} | head` shows what is in it"),
        Reason::Absent | Reason::Io | Reason::Timeout => {
            "`dmesg --level=err,warn` may say why".to_owned()
        }
        Reason::Permission => {
            format!("`sudo chmod o+r {path}` lets every user read it until the next boot")
        }
        Reason::Lockdown => "switch secure boot off, or boot with iomem=relaxed".to_owned(),
        Reason::Rejected => "firmware refuses for now: try again".to_owned(),
        Reason::Stale => "see that its writer runs".to_owned(),
        Reason::UnknownTable => {
            "where what gives it is the newest, please report it with the directory that `halo-exporter --capture DIR` makes"
                .to_owned()
        }
        Reason::Unsupported => {
            "please report it with the directory that `halo-exporter --capture DIR` makes"
                .to_owned()
        }
    }
}

fn line(text: &mut String, source: &Source, verdict: &str, rest: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:<11} {verdict:<8} {rest}", source.name);
}

fn detail(text: &mut String, rest: &str) {
    let _ = writeln!(text, "{:<11} - {rest}", "");
}
