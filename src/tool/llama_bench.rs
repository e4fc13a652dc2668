//! llama-bench of llama.cpp.
//!
//! Since b11434 at the latest it prints one format on standard output (`-o`) and, if asked,
//! another on standard error (`-oe`); so the user sees the table and halo gets every repetition.

use std::ffi::OsString;

use super::{Outputs, ParseError, Parsed, Phase, Plan, Tool};
use crate::command_line;
use crate::command_line::model::{self, NamedModel};
use arguments::{Arguments, Format};
pub use import::import;
use output::Output;

mod arguments;
mod csv;
pub(super) mod failure;
mod import;
mod json;
mod label;
mod markdown;
mod output;
mod phase;
mod read;
mod results;
mod sql;

/// llama-bench.
#[derive(Debug)]
pub struct LlamaBench;

const NAME: &str = "llama-bench";

impl Tool for LlamaBench {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognizes(&self, argv: &[OsString]) -> Option<usize> {
        let (program, name) = command_line::program(argv)?;
        // What follows `llama bench` are its arguments; asking it for help needs the word, too.
        if name == "llama" && argv.get(program + 1).is_some_and(|word| word == "bench") {
            return Some(program + 1);
        }
        // Several builds beside each other are told apart so: llama-bench-vulkan.
        (name == "llama-bench" || name.starts_with("llama-bench-")).then_some(program)
    }

    fn needs_help(&self) -> bool {
        true
    }

    fn prepare(&self, plan: &mut Plan, help: Option<&str>) {
        let arguments = Arguments::of(&plan.argv, plan.program);
        if !arguments.measures {
            return;
        }
        add_progress(plan, &arguments, help);
        if arguments.has_repetitions() || arguments.stderr.is_some() {
            return;
        }
        let (flag, note) = match help.map(format_for_stderr) {
            Some(Some(Format::JsonLines)) => {
                plan.hidden.push(json::BEGIN);
                let note = "halo added -oe jsonl, which prints every repetition on standard \
                            error; those lines are archived and not shown";
                (Some("jsonl"), note)
            }
            Some(Some(_)) => {
                let note = "halo added -oe json, which prints every repetition on standard \
                            error, here too: this llama-bench has no -oe jsonl";
                (Some("json"), note)
            }
            Some(None) => {
                let note = "this llama-bench has no -oe, so its averages are archived and not \
                            every repetition; -o jsonl gives both";
                (None, note)
            }
            None => {
                let note = "llama-bench did not answer to --help, so nothing was added, and what \
                            it prints decides whether every repetition is archived";
                (None, note)
            }
        };
        if let Some(format) = flag {
            plan.argv.extend(["-oe".into(), format.into()]);
        }
        plan.notes.push(note.to_owned());
    }

    fn with_repetitions(&self, argv: &[OsString], repetitions: u32) -> Option<Vec<OsString>> {
        // Of several, the last one counts.
        let more = ["-r".into(), repetitions.to_string().into()];
        Some(argv.iter().cloned().chain(more).collect())
    }

    fn phase(&self, line: &[u8]) -> Option<Phase> {
        phase::of(line)
    }

    fn contradiction(&self, argv: &[OsString]) -> Option<String> {
        let arguments = Arguments::of(argv, self.recognizes(argv)?);
        let quantized = arguments.value_types.iter().find(|name| is_quantized(name))?;
        let without = arguments.flash_attention.iter().find(|word| is_off(word))?;
        Some(format!(
            "-ctv {quantized} beside -fa {without}: llama-bench gives up there, with all tests that \
             are left; leave {without} away, or -ctv"
        ))
    }

    fn models(&self, argv: &[OsString]) -> Vec<NamedModel> {
        let program = self.recognizes(argv).unwrap_or(0);
        model::of_bench(argv.get(program + 1..).unwrap_or_default())
    }

    fn parse(&self, outputs: &Outputs<'_>) -> Result<Parsed, ParseError> {
        let arguments = Arguments::of(outputs.argv, outputs.program);
        let stdout = Output::new("raw/stdout", outputs.stdout);
        let stderr = Output::new("raw/stderr", outputs.stderr);
        let printed = if arguments.best().1 { [stderr, stdout] } else { [stdout, stderr] };
        let tests = read::of_command(&printed)?;
        let (mut parsed, errors) = results::parsed(&tests, &arguments);
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        if arguments.measures {
            let says = printed.map(|output| output.text.into_owned()).join("\n");
            parsed.failure = failure::of(NAME, &says, !parsed.rows.is_empty());
        }
        Ok(parsed)
    }
}

/// Whether a type of the KV cache keeps less than what the model computes.
fn is_quantized(name: &str) -> bool {
    !matches!(name, "f32" | "f16" | "bf16")
}

fn is_off(flash_attention: &str) -> bool {
    matches!(flash_attention, "0" | "off")
}

/// Makes the program say which phase it is in, where it can and is not asked to already.
fn add_progress(plan: &mut Plan, arguments: &Arguments, help: Option<&str>) {
    let can = help.is_some_and(|help| help.split_whitespace().any(|word| word == "--progress"));
    if can && !arguments.says_progress {
        plan.argv.push("--progress".into());
        plan.hidden.push(phase::BEGIN);
        plan.notes.push("halo added --progress, whose lines become marks".to_owned());
    }
}

/// What the program can print on standard error, as its help says.
fn format_for_stderr(help: &str) -> Option<Format> {
    let line = help.lines().find(|line| line.trim_start().starts_with("-oe"))?;
    let words = || line.split(|c: char| !c.is_ascii_alphanumeric());
    if words().any(|word| word == "jsonl") {
        Some(Format::JsonLines)
    } else if words().any(|word| word == "json") {
        Some(Format::Json)
    } else {
        None
    }
}
