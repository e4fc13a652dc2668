//! Everything that can be refused is refused here, before anything runs.

use std::ffi::OsString;
use std::time::Duration;

use super::executable::{self, find_program};
use super::{Refusal, Request, server};
use crate::command_line::container::{self, Client};
use crate::process::Program;
use crate::tool::{self, Plan, Tool};

/// How long a tool may take to print its help. A container may have to be started for it.
const HELP_DEADLINE: Duration = Duration::from_secs(20);

/// What will run.
pub(super) struct Prepared {
    pub(super) tool: Option<&'static dyn Tool>,
    pub(super) plan: Plan,
    /// Variables that it gets and that are written down nowhere.
    pub(super) secrets: Vec<(&'static str, OsString)>,
}

/// Checks a request.
pub(super) fn check(request: &Request) -> Result<Prepared, Refusal> {
    let Some(program) = request.argv.first() else {
        return Err(Refusal(
            "no command; put it behind --, as `-- llama-bench -m model.gguf`".into(),
        ));
    };
    executable::check(program).map_err(|fault| Refusal(fault.to_string()))?;
    if let Some((tool, _)) = tool::recognize(&request.argv)
        && let Some(contradiction) = tool.contradiction(&request.argv)
    {
        return Err(Refusal(contradiction));
    }
    request.archive.prepare().map_err(|error| Refusal(error.to_string()))?;
    let argv = request.argv.clone();
    let recognized = tool::recognize(&argv);
    let mut plan = Plan {
        argv,
        program: recognized.map_or(0, |(_, program)| program),
        hidden: Vec::new(),
        notes: Vec::new(),
    };
    if let Some((tool, program)) = recognized {
        let help = tool.needs_help().then(|| help_of(&request.argv[..=program])).flatten();
        tool.prepare(&mut plan, help.as_deref());
        let names_directory =
            plan.argv.iter().any(|word| word.to_string_lossy().contains(tool::OUTPUT));
        if names_directory && plan.argv != request.argv && is_apart(&request.argv) {
            plan.argv.clone_from(&request.argv);
            plan.notes = vec![
                "halo adds no directory for its files, since a container does not see those of \
                 this machine"
                    .to_owned(),
            ];
        }
    }
    let secrets = server::key_variables(request)?;
    Ok(Prepared { tool: recognized.map(|(tool, _)| tool), plan, secrets })
}

/// Whether the command runs in a container that sees only the directories that it is given.
fn is_apart(argv: &[OsString]) -> bool {
    container::recognize(argv)
        .is_some_and(|it| matches!(it.client, Client::Podman | Client::Docker))
}

/// What a program says of itself: flags come and go from one version to the next.
fn help_of(argv: &[OsString]) -> Option<String> {
    let path = find_program(argv.first()?)?;
    let mut arguments: Vec<&str> = Vec::new();
    for argument in &argv[1..] {
        arguments.push(argument.to_str()?);
    }
    arguments.push("--help");
    let output = Program::new(&path, &arguments, HELP_DEADLINE).run().ok()?;
    output.status.success().then(|| output.stdout + &output.stderr)
}
