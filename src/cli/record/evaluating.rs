//! The flags of `halo-record eval`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::UsageError;
use super::recording::{Command, Recording};
use super::sweep::Resume;
use super::{Asked, values};
use crate::archive::Archive;
use crate::campaign::{Measured, New};
use crate::plan::evals;
use crate::plan::evals::endpoint::Wanted;
use crate::run::manifest::Kind;

/// How the command is used.
pub(super) const USAGE: &str = "halo-record eval [OPTIONS] --suite NAME
       halo-record eval [OPTIONS] -- COMMAND [ARGUMENT]...
       halo-record eval --resume CAMPAIGN [--retry-failed]";

/// Help that teaches by example.
pub(super) const HELP: &str = "\
Examples:
  halo-record eval --suite quick --dry-run
  halo-record eval --suite code --endpoint http://127.0.0.1:8080/v1 --tag q8
  halo-record eval -- inspect eval task.py --model openai-api/llama/qwen3
  halo-record eval -- lm_eval --model local-chat-completions --tasks gsm8k
  halo-record compare q4 q8              score, time and energy of both

Suites: quick (HumanEval+, IFEval), code (HumanEval+, MBPP+, BigCodeBench), tooluse (BFCL), full \
(all), and your own; configs/evals.toml says how each is run. A suite is a campaign: one run a task, \
in the virtual environment of --venv, each in a directory of its run.

Without --endpoint halo asks a llama-server at 127.0.0.1:8080, else Ollama at 127.0.0.1:11434. A key \
is taken from OPENAI_API_KEY or --api-key-file and never archived.

Scores are read from the files of inspect-ai, evalplus, bigcodebench and lm-eval, speeds from those of \
llama-benchy, vllm bench, aiperf and clpeak; files of earlier runs are left out.

Exit codes: the command's own, and 1 where it said 0 and its files say that it failed; of a suite 0 \
where every task has its score, 1 where one failed; 2 for what is refused before anything runs, 125 \
where halo itself failed.";

/// Which suite is run, and against what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Suite")]
#[group(id = "suite", multiple = true, conflicts_with = "resume")]
pub(super) struct Suite {
    /// Run the evals of a suite: quick, code, tooluse, full, or one of your own
    #[arg(long = "suite", value_name = "NAME", id = "suite_name")]
    name: Option<String>,
    /// The address of the server's API, with /v1 [default: the server that is found]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The model, as the server calls it [default: the one that it has]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A file whose first line is the server's key
    ///
    /// Without it the key is taken from the variable `OPENAI_API_KEY`.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// The virtual environment with the tools [default: .venv]
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// Evals of your own [default: ~/.config/halo/evals.toml]
    #[arg(long, value_name = "FILE")]
    evals_file: Option<PathBuf>,
    /// Show the tasks and their commands, and run nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is asked of `halo-record eval`.
pub(super) fn asked(
    recording: Recording,
    suite: Suite,
    server_timeout: Duration,
    resume: Resume,
    command: Command,
    archive: Archive,
) -> Result<Asked, UsageError> {
    if let Some(campaign) = resume.resume {
        command.refuse_with("--resume")?;
        return Ok(Asked::Resume { archive, campaign, is_retrying: resume.retry_failed });
    }
    if resume.retry_failed {
        return Err(UsageError(
            "--retry-failed: of which campaign? name it with --resume".to_owned(),
        ));
    }
    let Some(name) = suite.name else {
        let flags = [
            ("--endpoint", suite.endpoint.is_some()),
            ("--model", suite.model.is_some()),
            ("--api-key-file", suite.api_key_file.is_some()),
            ("--venv", suite.venv.is_some()),
            ("--evals-file", suite.evals_file.is_some()),
            ("--dry-run", suite.dry_run),
        ];
        if let Some((flag, _)) = flags.into_iter().find(|(_, is_given)| *is_given) {
            return Err(UsageError(format!(
                "{flag}: is for suites; name one with --suite, or say it to your command itself"
            )));
        }
        let mut request = recording.request(Kind::Eval, command, archive)?;
        request.server_timeout = Some(server_timeout);
        return Ok(Asked::Record(Box::new(request)));
    };
    if !command.argv.is_empty() {
        return Err(UsageError(
            "--suite and a command behind --: halo makes the commands of a suite itself; leave one \
             of them away"
                .to_owned(),
        ));
    }
    let config = recording.config()?;
    Ok(Asked::Campaign(Box::new(New {
        archive,
        tags: recording.tags(),
        recording: recording.of_campaign()?,
        is_dry_run: suite.dry_run,
        asked: Measured::Evals(evals::Asked {
            suite: name,
            wanted: Wanted {
                endpoint: suite.endpoint,
                model: suite.model,
                api_key_file: suite.api_key_file,
                timeout: server_timeout,
            },
            venv: suite.venv.unwrap_or_else(|| ".venv".into()),
            evals_file: suite.evals_file,
        }),
        config,
    })))
}

/// The least time that a server may be gone.
pub(super) fn server_timeout(text: &str) -> Result<Duration, String> {
    let timeout = values::duration(text)?;
    if timeout < Duration::from_secs(1) {
        return Err("expected at least 1s".to_owned());
    }
    Ok(timeout)
}
