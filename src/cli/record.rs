//! The command line of `halo-record`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::{UsageError, one_line};
use crate::archive::export::{Encoding, Export, Single};
use crate::archive::openmetrics::{self, Target};
use crate::archive::{Archive, filter::Filter};
use crate::config::Config;
use crate::record::Request;
use crate::run::manifest::{Kind, State, Tags};

/// The shortest interval that is accepted; each source keeps its own least time between readings.
const LEAST_INTERVAL: Duration = Duration::from_millis(20);

/// The greatest: slower than this nothing is seen of a benchmark.
const GREATEST_INTERVAL: Duration = Duration::from_mins(1);

/// The longest time that the machine is sampled alone.
const LONGEST_LEAD: Duration = Duration::from_mins(10);

const EXPORT_HELP: &str = "\
Examples:
  halo-record export latest --format csv --table power
  halo-record export latest --format json --output tables
  halo-record export latest --format openmetrics --output run.txt
  promtool tsdb create-blocks-from openmetrics run.txt /var/lib/prometheus/data

The series have the labels job and instance that the shipped configuration of Prometheus gives to
those of an exporter on its own machine, so that dashboards show both alike. Where Prometheus
scrapes the exporter elsewhere, name what stands in its configuration.";

/// Records benchmarks with what the machine did meanwhile, and keeps them
#[derive(Debug, Parser)]
#[command(name = "halo-record", version = env!("HALO_VERSION"), max_term_width = 100)]
#[command(args_override_self = true)]
#[command(after_help = "Examples:
  halo-record benchmark --tag post-opt --tag kv=q4_0 -- llama-bench -m model.gguf -r 5
  halo-record run -- ./any-command     record any command
  halo-record list --tag kv=q4_0       what was recorded
  halo-record show latest              results, machine and files of the last run

The archive is the directory that --archive or HALO_ARCHIVE names, else /var/lib/halo where it may
be written to, else ~/.local/state/halo. Its files are JSON and Parquet: docs/archive.md shows how
DuckDB, Polars and pandas read them.

Exit codes of benchmark and run: the command's own; 1 where it said 0 and its output says that it
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
    /// Record a benchmark
    #[command(override_usage = "halo-record benchmark [OPTIONS] -- COMMAND [ARGUMENT]...")]
    Benchmark(Recording),
    /// Record any command
    #[command(override_usage = "halo-record run [OPTIONS] -- COMMAND [ARGUMENT]...")]
    Run(Recording),
    /// Add a mark to the run that is being recorded
    Mark {
        /// What happened
        name: String,
        /// More about it
        #[arg(value_name = "KEY=VALUE", value_parser = attribute)]
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
    /// Show a run
    Show {
        #[command(flatten)]
        run: Run,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tag a run
    Tag {
        #[command(flatten)]
        run: Run,
        /// A name, or a key with a value
        #[arg(value_name = "NAME|KEY=VALUE", value_parser = tag)]
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
    /// Remove runs
    Rm {
        /// The runs
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
    },
    /// Remove the oldest runs
    Prune {
        /// How many of the newest are kept
        #[arg(long, value_name = "N")]
        keep: usize,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the tables of a run in another format
    #[command(after_help = EXPORT_HELP)]
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
    },
    /// Compare the files of runs with the hashes that were archived
    Verify {
        /// The runs [default: all]
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
    /// The run: its name, a part of it, the beginning of its identifier, or latest
    #[arg(value_name = "RUN")]
    run: String,
}

#[derive(Debug, Args)]
struct Recording {
    /// A name, or a key with a value; may be given several times
    #[arg(long = "tag", value_name = "NAME|KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, Option<String>)>,
    /// How often the machine is sampled, from 20ms to 1m
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = interval)]
    interval: Duration,
    /// How long the machine is sampled before the command and after it, so that its idle power is
    /// known
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = lead)]
    lead: Duration,
    /// Hash the model files; a hash is kept until the file changes
    #[arg(long)]
    hash_model: bool,
    /// Configuration file of halo: which sources are read
    #[arg(long = "config.file", value_name = "FILE", env = "HALO_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    /// Mount point of procfs [default: /proc]
    #[arg(long = "path.procfs", value_name = "DIR", env = "HALO_PATH_PROCFS")]
    procfs: Option<PathBuf>,
    /// Mount point of sysfs [default: /sys]
    #[arg(long = "path.sysfs", value_name = "DIR", env = "HALO_PATH_SYSFS")]
    sysfs: Option<PathBuf>,
    /// Mount point of the root filesystem [default: /]
    #[arg(long = "path.rootfs", value_name = "DIR", env = "HALO_PATH_ROOTFS")]
    rootfs: Option<PathBuf>,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    argv: Vec<OsString>,
}

#[derive(Debug, Args)]
struct FilterFlags {
    /// Runs with this tag; may be given several times
    #[arg(long = "tag", value_name = "NAME|KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, Option<String>)>,
    /// Runs of models with this in their name
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,
    /// Runs of this tool
    #[arg(long)]
    tool: Option<String>,
    /// Runs in this state
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Runs since a date, a time, or as long ago as 2d or 3h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Runs until then
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// Formats that a run can be exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values, a file a table.
    Csv,
    /// JSON Lines, a file a table.
    Json,
    /// The archive's own files.
    Parquet,
    /// One text for `promtool tsdb create-blocks-from openmetrics`.
    Openmetrics,
}

impl Format {
    /// How it writes a table; OpenMetrics has none.
    const fn encoding(self) -> Option<Encoding> {
        match self {
            Self::Csv => Some(Encoding::Csv),
            Self::Json => Some(Encoding::Json),
            Self::Parquet => Some(Encoding::Parquet),
            Self::Openmetrics => None,
        }
    }
}

/// What the user asks of `halo-record`.
#[derive(Debug)]
pub enum Asked {
    /// Record a command.
    Record(Box<Request>),
    /// Do something with the archive.
    Archive(Archive, Action),
    /// Print a text.
    Print(String),
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
    /// Remove runs.
    Remove(Vec<String>),
    /// Remove all but the newest runs.
    Prune {
        /// How many are kept.
        keep: usize,
        /// Whether nothing is removed.
        is_dry_run: bool,
    },
    /// Write a run in another format.
    Export(String, Export),
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
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => return Ok(Asked::Print(error.to_string())),
        Err(error) => return Err(UsageError(one_line(&error))),
    };
    if let Subcommands::Completions { shell } = line.command {
        return Ok(Asked::Print(completions(shell)));
    }
    let archive = Archive::choose(line.archive).map_err(|error| UsageError(error.to_string()))?;
    let action = match line.command {
        Subcommands::Benchmark(recording) => return request(Kind::Benchmark, recording, archive),
        Subcommands::Run(recording) => return request(Kind::Run, recording, archive),
        Subcommands::Mark { name, attributes, run } => {
            Action::Mark { name, attributes: attributes.into_iter().collect(), run }
        }
        Subcommands::List { filter, json } => Action::List(filter.into(), output(json)),
        Subcommands::Show { run, json } => Action::Show(run.run, output(json)),
        Subcommands::Tag { run, tags, remove } => {
            Action::Tag(run.run, tags.into_iter().collect(), remove)
        }
        Subcommands::Note { run, text } => Action::Note(run.run, text),
        Subcommands::Rm { runs } => Action::Remove(runs),
        Subcommands::Prune { keep, dry_run } => Action::Prune { keep, is_dry_run: dry_run },
        Subcommands::Export { run, format, table, output, job, instance } => {
            Action::Export(run.run, export(format, table, output, job, instance)?)
        }
        Subcommands::Verify { runs } => Action::Verify(runs),
        Subcommands::Recover { runs } => Action::Recover(runs),
        Subcommands::Reparse { runs } => Action::Reparse(runs),
        Subcommands::Completions { shell } => return Ok(Asked::Print(completions(shell))),
    };
    Ok(Asked::Archive(archive, action))
}

fn export(
    format: Format,
    table: Option<String>,
    output: Option<PathBuf>,
    job: Option<String>,
    instance: Option<String>,
) -> Result<Export, UsageError> {
    let refuse = |text: &str| Err(UsageError(text.to_owned()));
    let Some(encoding) = format.encoding() else {
        if table.is_some() {
            return refuse("--table: openmetrics is one text with all tables; leave it away");
        }
        let target = Target {
            job: job.unwrap_or_else(|| openmetrics::JOB.to_owned()),
            instance: instance.unwrap_or_else(|| openmetrics::INSTANCE.to_owned()),
        };
        return Ok(Export::Single(Single::OpenMetrics(target), output));
    };
    if job.is_some() || instance.is_some() {
        return refuse("--job, --instance: labels of --format openmetrics alone; leave them away");
    }
    match (table, output) {
        (Some(table), output) => Ok(Export::Single(Single::Table(table, encoding), output)),
        (None, Some(directory)) => Ok(Export::Tables(encoding, directory)),
        (None, None) => refuse(
            "--output is missing: a new directory, which gets a file a table; or name one --table",
        ),
    }
}

fn output(json: bool) -> Output {
    if json { Output::Json } else { Output::Text }
}

fn request(kind: Kind, recording: Recording, archive: Archive) -> Result<Asked, UsageError> {
    let mut config = match &recording.config_file {
        Some(path) => Config::load(path).map_err(|error| UsageError(error.to_string()))?,
        None => Config::default(),
    };
    let paths = [
        (recording.procfs, &mut config.path.procfs),
        (recording.sysfs, &mut config.path.sysfs),
        (recording.rootfs, &mut config.path.rootfs),
    ];
    for (flag, key) in paths {
        if let Some(path) = flag {
            *key = path;
        }
    }
    super::validate(&config)?;
    Ok(Asked::Record(Box::new(Request {
        kind,
        argv: recording.argv,
        tags: recording.tags.into_iter().collect(),
        interval: recording.interval,
        lead: recording.lead,
        hash_model: recording.hash_model,
        archive,
        config,
    })))
}

impl From<FilterFlags> for Filter {
    fn from(flags: FilterFlags) -> Self {
        Self {
            tags: flags.tags,
            model: flags.model,
            tool: flags.tool,
            state: flags.state,
            since: flags.since,
            until: flags.until,
        }
    }
}

/// `post-opt` or `kv=q4_0`.
fn tag(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err("expected NAME or KEY=VALUE, the name of letters, digits and _.-".to_owned());
    }
    if value.is_some_and(|value| value.len() > 128 || value.contains(char::is_control)) {
        return Err("expected a value of one line and at most 128 bytes".to_owned());
    }
    Ok((name.to_owned(), value.map(str::to_owned)))
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let refuse = |_| "expected a time with its unit, as 250ms, 2s or 1m".to_owned();
    let duration: SignedDuration = text.parse().map_err(refuse)?;
    Duration::try_from(duration).map_err(|_| "expected a time that is not negative".to_owned())
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if (LEAST_INTERVAL..=GREATEST_INTERVAL).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("expected {LEAST_INTERVAL:?} to {GREATEST_INTERVAL:?}"))
    }
}

fn lead(text: &str) -> Result<Duration, String> {
    let lead = if text == "0" { Duration::ZERO } else { duration(text)? };
    if lead <= LONGEST_LEAD { Ok(lead) } else { Err(format!("expected at most {LONGEST_LEAD:?}")) }
}

fn state(text: &str) -> Result<State, String> {
    serde_json::from_value(text.into())
        .map_err(|_| format!("expected one of {}", State::WORDS.join(", ")))
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        let zoned = date.to_zoned_datetime(jiff::tz::TimeZone::system());
        return zoned.map(|zoned| zoned.timestamp()).map_err(|error| error.to_string());
    }
    let ago: jiff::Span = text
        .parse()
        .map_err(|_| "expected a date as 2026-11-24, a time, or as long ago as 2d".to_owned())?;
    ZonedDateTime::now()
        .checked_sub(ago)
        .map(|zoned| zoned.timestamp())
        .map_err(|error| error.to_string())
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "halo-record", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
