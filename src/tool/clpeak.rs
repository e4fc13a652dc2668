//! clpeak: what a device can do at most. 2.x writes a JSON file (from its source; it was not run
//! here); what 1.1 prints is read where there is none.

use std::ffi::OsString;

use super::text::decode;
use super::{CommandLine, OUTPUT, Outputs, ParseError, Parsed, Place, Plan, Row, Tool, words};
use crate::run::manifest::Case;

mod json;
mod text;

/// clpeak.
#[derive(Debug)]
pub struct ClPeak;

const NAME: &str = "clpeak";

impl Tool for ClPeak {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = words::program(argv)?;
        (name == NAME).then_some(program)
    }

    fn needs_help(&self) -> bool {
        true
    }

    fn prepare(&self, plan: &mut Plan, help: Option<&str>) {
        if words::has(&plan.argv, &["--json-file"]) {
            return;
        }
        if help.is_some_and(|help| help.contains("--json-file")) {
            plan.argv.extend(["--json-file".into(), format!("{OUTPUT}/clpeak.json").into()]);
            plan.notes.push("halo added --json-file".to_owned());
        }
    }

    fn places(&self, command: &CommandLine<'_>) -> Vec<Place> {
        let file = words::value(command.argv, &["--json-file"]);
        file.map(|file| Place::own(file, &[""])).into_iter().collect()
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let mut parsed = Parsed::default();
        let measured = match outputs.files.first() {
            Some(file) => json::read(file, &mut parsed)?,
            None => text::read(&decode(outputs.stdout)),
        };
        take(&measured, &mut parsed);
        if parsed.rows.is_empty() {
            let how = if outputs.files.is_empty() { "left no result" } else { "measured nothing" };
            parsed.failure = Some(format!("clpeak {how}"));
        }
        Ok(parsed)
    }
}

/// What one device did, as one backend or platform sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Device {
    /// As `Vulkan`; the platform where it is `OpenCL`.
    backend: String,
    /// Its name, without what its driver says of itself.
    name: String,
    /// Which one it is in the output, from 0: two of them may be called the same.
    number: usize,
}

/// A figure of a device.
#[derive(Debug)]
struct Measured {
    device: Device,
    test: String,
    metric: String,
    value: f64,
    unit: String,
}

/// Takes figures over: each device has cases of its own.
fn take(measured: &[Measured], parsed: &mut Parsed) {
    let mut devices: Vec<&Device> = Vec::new();
    for one in measured {
        if !devices.contains(&&one.device) {
            devices.push(&one.device);
        }
    }
    let mut backends: Vec<&str> = devices.iter().map(|device| device.backend.as_str()).collect();
    backends.sort_unstable();
    backends.dedup();
    parsed.backend = match backends[..] {
        [backend] if !backend.is_empty() => Some(backend.to_owned()),
        // What several compute with is told with each case.
        _ => None,
    };
    let named = names(&devices);
    for one in measured {
        let at = devices.iter().position(|device| **device == one.device).unwrap_or_default();
        let wanted = format!("{}{}", one.test, named[at]);
        // The same test of a device once more.
        let is_known =
            |case: &str| parsed.rows.iter().any(|row| row.case == case && row.metric == one.metric);
        let mut again = (2..).map(|number| format!("{wanted} #{number}"));
        let case = if is_known(&wanted) { again.find(|case| !is_known(case)) } else { None };
        let case = case.unwrap_or(wanted);
        if !parsed.cases.iter().any(|known| known.case == case) {
            let parameters = [("backend", &one.device.backend), ("device", &one.device.name)];
            let known = parameters.into_iter().filter(|(_, value)| !value.is_empty());
            parsed.cases.push(Case {
                task: NAME.to_owned(),
                case: case.clone(),
                parameters: known
                    .map(|(name, value)| (name.to_owned(), value.as_str().into()))
                    .collect(),
            });
        }
        parsed.rows.push(Row {
            task: NAME.to_owned(),
            case,
            repetition: None,
            metric: one.metric.clone(),
            value: one.value,
            unit: one.unit.clone(),
        });
    }
}

/// What the cases of each device end with: nothing where it is the only one, else its name, with its
/// backend where that is needed, and its number where not even that tells it from another.
fn names(devices: &[&Device]) -> Vec<String> {
    if devices.len() < 2 {
        return vec![String::new(); devices.len()];
    }
    let is_unique = |names: &[String]| {
        names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1)
    };
    let short: Vec<String> = devices.iter().map(|device| format!(", {}", device.name)).collect();
    if is_unique(&short) {
        return short;
    }
    let long: Vec<String> =
        devices.iter().map(|device| format!(", {} {}", device.backend, device.name)).collect();
    let number = |(at, name): (usize, &String)| {
        let before = long[..at].iter().filter(|other| *other == name).count();
        if before > 0 { format!("{name} #{}", before + 1) } else { name.clone() }
    };
    long.iter().enumerate().map(number).collect()
}
