//! The command line of `halo-record`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::{UsageError, one_line};
use crate::archive::export::Export;
use crate::archive::{Archive, filter::Filter};
use crate::campaign::New;
use crate::config::Config;
use crate::plan::catalog::Category;
use crate::plan::files::directories;
use crate::record::Request;
use crate::redact::keys;
use crate::run::campaign;
use crate::run::manifest::{Kind, Tags};

mod bundling;
mod comparing;
mod consent;
mod evaluating;
mod exporting;
mod filtering;
mod fitness;
mod interleaving;
mod logging;
mod models;
mod recording;
mod reporting;
mod sweep;
mod values;

pub use bundling::Bundled;
use bundling::Bundling;
use comparing::Compare;
pub use comparing::{Compared, refuse_unknown};
pub use consent::Consent;
use consent::ConsentFlags;
use evaluating::Suite;
pub use exporting::Format;
use filtering::FilterFlags;
use fitness::Check;
use interleaving::Interleave;
pub use interleaving::Interleaved;
use logging::Logging;
pub use logging::{Entry, Logged};
use models::{Backends, Models};
use recording::{Command, Machine, Recording};
use reporting::Reporting;
pub use reporting::{ReportFormat, Reported};
use sweep::{Resume, Sweep};

const IMPORT_HELP: &str = "\
Examples:
  halo-record import results.jsonl --tag before
  halo-record import data/benchmarks/*/

A file may hold several tables or documents, in several formats and with other text around them. Each \
file is a run, and each folder of the toolkit a campaign with a run for each log; a log that failed is \
a run that failed, with its reason. A file is imported once. What it does not say, as the machine and \
the command line, stays unknown.";

const BENCHMARK_USAGE: &str = "halo-record benchmark [OPTIONS] -- COMMAND [ARGUMENT]...
       halo-record benchmark [OPTIONS] --models LIST [--kv-types LIST]...
       halo-record benchmark --resume CAMPAIGN [--retry-failed]";

/// Records benchmarks with what the machine did meanwhile, and keeps them
#[derive(Debug, Parser)]
#[command(name = "halo-record", version = env!("HALO_VERSION"), max_term_width = 100)]
#[command(args_override_self = true)]
#[command(after_help = "Examples:
  halo-record benchmark --tag post-opt -- llama-bench -m model.gguf -r 5
  halo-record eval --suite quick       score, time and energy of a model
  halo-record run -- ./any-command     record any command
  halo-record list --tag kv=q4_0       what was recorded
  halo-record show latest              results and machine of the last run

The archive is the directory that --archive or HALO_ARCHIVE names, else /var/lib/halo where it may \
be written to, else ~/.local/state/halo. Its files are JSON and Parquet: docs/archive.md shows how \
DuckDB, Polars and pandas read them.

Exit codes of benchmark, eval and run: the command's own; 1 where it said 0 and its output says that it \
failed; 2 for what is refused before anything runs; 125 where halo itself failed.")]
struct Line {
    /// Directory of the archive
    #[arg(long, global = true, value_name = "DIR", env = "HALO_ARCHIVE")]
    archive: Option<PathBuf>,
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Record a benchmark, or a campaign of them
    #[command(override_usage = BENCHMARK_USAGE, after_help = sweep::HELP)]
    Benchmark {
        #[command(flatten)]
        recording: Recording,
        /// Run llama-bench again with more repetitions where a phase took less, so that sensors
        /// tell its energy: 10s is good
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        min_phase: Option<Duration>,
        #[command(flatten)]
        sweep: Box<Sweep>,
        #[command(flatten)]
        resume: Resume,
        #[command(flatten)]
        command: Command,
    },
    /// Record an eval, or the evals of a suite: score, time and energy
    #[command(override_usage = evaluating::USAGE, after_help = evaluating::HELP)]
    Eval {
        #[command(flatten)]
        recording: Recording,
        /// End the command where nothing has listened at its server's address for so long
        #[arg(long, value_name = "TIME", default_value = "1m", value_parser = evaluating::server_timeout)]
        server_timeout: Duration,
        #[command(flatten)]
        suite: Box<Suite>,
        #[command(flatten)]
        resume: Resume,
        #[command(flatten)]
        command: Command,
    },
    /// Record any command
    #[command(override_usage = "halo-record run [OPTIONS] -- COMMAND [ARGUMENT]...")]
    Run {
        #[command(flatten)]
        recording: Recording,
        #[command(flatten)]
        command: Command,
    },
    /// Show the models that are known, and which are there and fit
    Models(Models),
    /// Show the backends that are known, and which are there
    Backends(Backends),
    /// Say whether this machine is fit to measure, and what to do where it is not; exit code 1 where
    /// something is bad
    Check(Check),
    /// Add a mark to the run that is being recorded
    Mark {
        /// What happened
        name: String,
        /// More about it
        #[arg(value_name = "KEY=VALUE", value_parser = values::attribute)]
        attributes: Vec<(String, String)>,
        /// The run, where several are active
        #[arg(long)]
        run: Option<String>,
    },
    /// List the runs, the newest last
    List {
        #[command(flatten)]
        filter: FilterFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a run or a campaign
    Show {
        #[command(flatten)]
        run: Run,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run two commands in turn, so that what drifts hits both alike, and compare them
    #[command(after_help = interleaving::HELP)]
    Ab(Box<Interleave>),
    /// Compare runs: what differs, and whether it is more than chance
    #[command(after_help = comparing::HELP)]
    Compare(Compare),
    /// Write a report about runs: verdict, results, energy, series, machine
    #[command(after_help = reporting::HELP)]
    Report(Reporting),
    /// Write a run as one file for others, without host, user, paths and keys
    #[command(after_help = bundling::HELP)]
    Bundle(Bundling),
    /// Keep a log of changes that were tried, with what was measured
    #[command(after_help = logging::HELP)]
    Log(Logging),
    /// Tag a run
    Tag {
        #[command(flatten)]
        run: Run,
        /// A name, or a key with a value
        #[arg(value_name = "NAME|KEY=VALUE", value_parser = values::tag)]
        tags: Vec<(String, Option<String>)>,
        /// Take a tag away; may be given several times
        #[arg(long, value_name = "NAME")]
        remove: Vec<String>,
    },
    /// Add a remark to a run
    Note {
        #[command(flatten)]
        run: Run,
        /// What it says
        text: String,
    },
    /// Remove runs, or campaigns with their runs, after showing which
    Rm {
        /// The whole names or identifiers of runs, `latest`, or the whole names of campaigns
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
        #[command(flatten)]
        consent: ConsentFlags,
    },
    /// Remove the oldest runs, after showing which
    Prune {
        /// How many of the newest are kept
        #[arg(long, value_name = "N")]
        keep: usize,
        #[command(flatten)]
        consent: ConsentFlags,
    },
    /// Write the tables of a run in another format
    #[command(after_help = exporting::HELP)]
    Export {
        #[command(flatten)]
        run: Run,
        /// The format
        #[arg(long, value_enum)]
        format: Format,
        /// One table alone, as power
        #[arg(long)]
        table: Option<String>,
        /// Where to: a new file for openmetrics and for one table [default: standard output], else
        /// a new or empty directory
        #[arg(long, short, value_name = "PATH")]
        output: Option<PathBuf>,
        /// The label job of OpenMetrics [default: halo]
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        job: Option<String>,
        /// The label instance of OpenMetrics [default: 127.0.0.1:10395]
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        instance: Option<String>,
        /// Replace nothing: with paths and with names of hosts and users
        #[arg(long)]
        as_is: bool,
    },
    /// Take results that others made into the archive, without samples
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// Files of llama-bench (jsonl, json, csv, md, sql) or llama-batched-bench, logs or folders of
        /// the toolkit
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// A name, or a key with a value; may be given several times
        #[arg(long = "tag", value_name = "NAME|KEY=VALUE", value_parser = values::tag)]
        tags: Vec<(String, Option<String>)>,
    },
    /// Compare the files of runs with the hashes that were archived
    Verify {
        /// The runs, or files of bundles [default: all runs]
        #[arg(value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Finish runs that a kill or a loss of power left unfinished
    Recover {
        /// The runs [default: all that are unfinished]
        #[arg(value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Read the tool's output of runs again
    Reparse {
        /// The runs
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// The run: its name or identifier, or the beginning or a part of one, latest, or a tag that no
    /// other run has; what matches exactly wins
    #[arg(value_name = "RUN")]
    run: String,
}

/// What the user asks of `halo-record`.
#[derive(Debug)]
pub enum Asked {
    /// Record a command.
    Record(Box<Request>),
    /// Plan a campaign and run it.
    Campaign(Box<New>),
    /// Go on with a campaign.
    Resume {
        /// Where it is.
        archive: Archive,
        /// Which one.
        campaign: String,
        /// Whether cells that failed are run again.
        is_retrying: bool,
    },
    /// Show models.
    Models(Box<ShownModels>, Output),
    /// Show backends: the user's own file of them.
    Backends(Option<PathBuf>, Output),
    /// Say whether the machine is fit to measure.
    Check(Box<Checked>, Output),
    /// Run two commands in turn.
    Interleave(Box<Interleaved>),
    /// Compare runs.
    Compare(Archive, Compared, Output),
    /// Do something with the archive.
    Archive(Archive, Action),
    /// Print a text.
    Print(String),
}

impl Asked {
    /// The configuration of the machine, where one is looked at.
    pub fn config(&self) -> Option<&Config> {
        match self {
            Self::Record(request) => Some(&request.config),
            Self::Campaign(new) => Some(&new.config),
            Self::Models(models, _) => Some(&models.config),
            Self::Check(checked, _) => Some(&checked.config),
            Self::Interleave(interleaved) => Some(&interleaved.asked.config),
            _ => None,
        }
    }
}

/// Which models are shown.
#[derive(Debug)]
pub struct ShownModels {
    /// Parts of their names, or files.
    pub models: Vec<String>,
    /// Their categories.
    pub categories: Vec<Category>,
    /// The largest, in GB.
    pub max_size: Option<f64>,
    /// The user's own catalog.
    pub catalog: Option<PathBuf>,
    /// Where files are looked for.
    pub directories: Vec<PathBuf>,
    /// The machine that they shall fit.
    pub config: Config,
}

/// What a machine is checked for.
#[derive(Debug)]
pub struct Checked {
    /// A model that shall fit.
    pub model: Option<PathBuf>,
    /// The temperature that it shall not exceed, in degrees Celsius.
    pub cool_to: Option<f64>,
    /// The archive that shall have room.
    pub archive: Archive,
    /// The machine.
    pub config: Config,
}

/// What to do with the archive.
#[derive(Debug)]
pub enum Action {
    /// Add a mark.
    Mark {
        /// What happened.
        name: String,
        /// More about it.
        attributes: BTreeMap<String, String>,
        /// The run, where the user says which.
        run: Option<String>,
    },
    /// List runs.
    List(Filter, Output),
    /// Show a run.
    Show(String, Output),
    /// Tag a run, and take tags away.
    Tag(String, Tags, Vec<String>),
    /// Add a remark to a run.
    Note(String, String),
    /// Remove runs and campaigns.
    Remove(Vec<String>, Consent),
    /// Remove all but the newest runs.
    Prune {
        /// How many are kept.
        keep: usize,
        /// Whether they may be removed.
        consent: Consent,
    },
    /// Write a run as one file.
    Bundle(Bundled),
    /// Do something with the log of changes.
    Log(Logged),
    /// Write a report.
    Report(Reported),
    /// Write a run in another format.
    Export {
        /// The run.
        run: String,
        /// What is written, and where to.
        what: Export,
        /// Whether nothing is replaced in it.
        is_as_it_is: bool,
    },
    /// Import files with these tags.
    Import(Vec<PathBuf>, Tags),
    /// Compare files with their hashes.
    Verify(Vec<String>),
    /// Finish unfinished runs.
    Recover(Vec<String>),
    /// Read the tool's output again.
    Reparse(Vec<String>),
}

/// For whom something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Variables that are read or set without a flag.
pub(super) const VARIABLES: [&str; 3] = crate::record::VARIABLES;

/// The command line as clap knows it.
pub fn command() -> clap::Command {
    Line::command()
}

/// Turns the arguments and the variables into what is asked.
///
/// # Errors
///
/// Whatever cannot be used, before anything is started.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, UsageError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let line = match Line::try_parse_from(&arguments) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => return Ok(Asked::Print(error.to_string())),
        Err(error) => {
            let command = command();
            let subcommand = arguments.iter().find_map(|word| command.find_subcommand(word));
            return Err(UsageError(one_line(&error, subcommand.unwrap_or(&command))));
        }
    };
    if let Subcommands::Completions { shell } = line.command {
        return Ok(Asked::Print(completions(shell)));
    }
    let archive = Archive::choose(line.archive).map_err(|error| UsageError(error.to_string()))?;
    let action = match line.command {
        Subcommands::Benchmark { recording, min_phase, sweep, resume, command } => {
            return benchmark(recording, min_phase, *sweep, resume, command, archive);
        }
        Subcommands::Eval { recording, server_timeout, suite, resume, command } => {
            return evaluating::asked(recording, *suite, server_timeout, resume, command, archive);
        }
        Subcommands::Run { recording, command } => {
            let request = recording.request(Kind::Run, command, archive)?;
            return Ok(Asked::Record(Box::new(request)));
        }
        Subcommands::Models(models) => return shown(models),
        Subcommands::Backends(backends) => {
            return Ok(Asked::Backends(backends.backends_file, output(backends.json)));
        }
        Subcommands::Check(Check { model, cool_to, json, machine }) => {
            let config = machine.config()?;
            let checked = Checked { model, cool_to, archive, config };
            return Ok(Asked::Check(Box::new(checked), output(json)));
        }
        Subcommands::Ab(interleave) => {
            return Ok(Asked::Interleave(Box::new(interleave.asked(archive)?)));
        }
        Subcommands::Bundle(bundling) => Action::Bundle(bundling.into()),
        Subcommands::Log(logging) => Action::Log(logging.logged()?),
        Subcommands::Report(Reporting { runs, format, output, as_is, force }) => {
            Action::Report(Reported { runs, format, output, is_as_it_is: as_is, is_forced: force })
        }
        Subcommands::Compare(Compare { sides, by, gate }) => {
            let compared = Compared { sides, by, conditions: gate.fail_on };
            return Ok(Asked::Compare(archive, compared, output(gate.json)));
        }
        Subcommands::Mark { name, attributes, run } => {
            let attributes = attributes.into_iter().collect();
            Action::Mark { name: keys::hide(&name), attributes, run }
        }
        Subcommands::List { filter, json } => Action::List(filter.into(), output(json)),
        Subcommands::Show { run, json } => Action::Show(run.run, output(json)),
        Subcommands::Tag { tags, remove, .. } if tags.is_empty() && remove.is_empty() => {
            return Err(UsageError("tag: name a tag to add, or --remove one".to_owned()));
        }
        Subcommands::Tag { run, tags, remove } => {
            Action::Tag(run.run, tags.into_iter().collect(), remove)
        }
        Subcommands::Note { run, text } => Action::Note(run.run, keys::hide(&text)),
        Subcommands::Rm { runs, consent } => Action::Remove(runs, consent.into()),
        Subcommands::Prune { keep, consent } => Action::Prune { keep, consent: consent.into() },
        Subcommands::Export { run, format, table, output, job, instance, as_is } => {
            let what = exporting::export(format, table, output, job, instance)?;
            Action::Export { run: run.run, what, is_as_it_is: as_is }
        }
        Subcommands::Import { paths, tags } => Action::Import(paths, tags.into_iter().collect()),
        Subcommands::Verify { runs } => Action::Verify(runs),
        Subcommands::Recover { runs } => Action::Recover(runs),
        Subcommands::Reparse { runs } => Action::Reparse(runs),
        Subcommands::Completions { shell } => return Ok(Asked::Print(completions(shell))),
    };
    Ok(Asked::Archive(archive, action))
}

/// A benchmark that is one command, a campaign, or one that goes on.
fn benchmark(
    recording: Recording,
    min_phase: Option<Duration>,
    sweep: Sweep,
    resume: Resume,
    command: Command,
    archive: Archive,
) -> Result<Asked, UsageError> {
    if let Some(campaign) = resume.resume {
        command.refuse_with("--resume")?;
        let is_retrying = resume.retry_failed;
        return Ok(Asked::Resume { archive, campaign, is_retrying });
    }
    if resume.retry_failed {
        return Err(UsageError(
            "--retry-failed: of which campaign? name it with --resume".to_owned(),
        ));
    }
    if sweep.is_asked() {
        if min_phase.is_some() {
            return Err(UsageError(
                "--min-phase: of a campaign the repetitions are planned; raise them with --reps"
                    .to_owned(),
            ));
        }
        let new = sweep.campaign(&recording, &command, archive)?;
        return Ok(Asked::Campaign(Box::new(new)));
    }
    let mut request = recording.request(Kind::Benchmark, command, archive)?;
    request.min_phase = min_phase;
    Ok(Asked::Record(Box::new(request)))
}

fn shown(flags: Models) -> Result<Asked, UsageError> {
    let config = flags.machine.config()?;
    let models = ShownModels {
        models: flags.names,
        categories: flags.category,
        max_size: flags.max_size,
        catalog: flags.catalog,
        directories: directories(&flags.directories, &config),
        config,
    };
    Ok(Asked::Models(Box::new(models), output(flags.json)))
}

/// The configuration with which a campaign goes on.
///
/// # Errors
///
/// Where its file is not there any more or was changed so that it cannot be used.
pub fn config_of(recording: &campaign::Recording) -> Result<Config, UsageError> {
    Machine::from(recording).config()
}

fn output(json: bool) -> Output {
    if json { Output::Json } else { Output::Text }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "halo-record", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
