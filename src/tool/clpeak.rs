//! clpeak: what a device can do at most. 2.x writes a JSON file (from its source; it was not run
//! here); what 1.1 prints is read where there is none.

use std::ffi::OsString;

use super::document::{self, Node};
use super::{CommandLine, OUTPUT, Outputs, ParseError, Parsed, Place, Plan, Row, Tool, words};

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
        let Some(file) = outputs.files.first() else {
            let text = String::from_utf8_lossy(outputs.stdout);
            (parsed.backend, parsed.rows) = text::read(&text);
            if parsed.rows.is_empty() {
                parsed.failure = Some("clpeak left no result".to_owned());
            }
            return Ok(parsed);
        };
        let value = document::parse(&file.path, &file.bytes)?;
        let document = Node::new(file, &value);
        let text = |node: &Node<'_>, key: &str| -> Option<String> {
            Some(node.optional(key)?.text().ok()?.to_owned())
        };
        parsed.version = text(&document, "clpeak_version");
        for entry in document.get("entries")?.list()? {
            // A test that was skipped has a status and a reason instead of a value.
            let Some(value) = entry.optional("value") else {
                let status = text(&entry, "status").unwrap_or_default();
                let reason = text(&entry, "reason").unwrap_or_default();
                let name = entry.get("test")?.text()?;
                parsed.problems.push(format!("clpeak: {name}: {status} {reason}"));
                continue;
            };
            parsed.backend = parsed.backend.take().or_else(|| text(&entry, "backend"));
            parsed.rows.push(Row {
                task: NAME.to_owned(),
                case: format!("{} {}", entry.get("category")?.text()?, entry.get("test")?.text()?),
                repetition: None,
                metric: text(&entry, "metric").unwrap_or_default(),
                value: value.number()?,
                unit: entry.get("unit")?.text()?.to_owned(),
            });
        }
        if parsed.rows.is_empty() {
            parsed.failure = Some("clpeak measured nothing".to_owned());
        }
        Ok(parsed)
    }
}
