//! The command line of `halo-exporter`.
//!
//! A setting is taken from the first of these that has it: a flag, a variable `HALO_*`, the
//! configuration file, the default.

use std::env::VarError;
use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use clap_complete::Shell;

use crate::config::{Config, Format, Level, Llama};
use crate::near;
use crate::source::SOURCES;

#[cfg(feature = "record")]
pub mod record;
pub mod variables;

/// What the user asks of `halo-exporter`.
#[derive(Debug)]
pub enum Request {
    /// Serve metrics.
    Serve(Config),
    /// Print one exposition.
    Once(Config),
    /// Check the configuration alone.
    CheckConfig(Config),
    /// Say what is missing.
    Doctor(Config),
    /// Copy the files that are read.
    Capture(Config, PathBuf),
    /// Print a text for standard output: help, version, completions.
    Print(String),
}

impl Request {
    /// The configuration, where one is asked for.
    pub fn config(&self) -> Option<&Config> {
        match self {
            Self::Serve(config)
            | Self::Once(config)
            | Self::CheckConfig(config)
            | Self::Doctor(config)
            | Self::Capture(config, _) => Some(config),
            Self::Print(_) => None,
        }
    }
}

/// A command line, variable or configuration that cannot be used. Its text is one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

/// The flags that set something. Help texts end without a full stop, as in other exporters.
#[derive(Debug, Args)]
struct Flags {
    /// Address to listen on; may be given several times [default: 127.0.0.1:10395]
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", env = "HALO_WEB_LISTEN_ADDRESS")]
    #[arg(value_delimiter = ',', help_heading = "Web")]
    listen_address: Option<Vec<String>>,
    /// Path of the metrics [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH", env = "HALO_WEB_TELEMETRY_PATH")]
    #[arg(help_heading = "Web")]
    telemetry_path: Option<String>,
    /// File that switches TLS and passwords on, in the format of the exporter-toolkit
    #[arg(long = "web.config.file", value_name = "FILE", env = "HALO_WEB_CONFIG_FILE")]
    #[arg(help_heading = "Web")]
    web_config_file: Option<PathBuf>,
    /// Scrapes that are answered at the same time, 0 for any number [default: 40]
    #[arg(long = "web.max-requests", value_name = "N", env = "HALO_WEB_MAX_REQUESTS")]
    #[arg(help_heading = "Web", value_parser = count, allow_hyphen_values = true)]
    max_requests: Option<usize>,
    /// Mount point of procfs [default: /proc]
    #[arg(long = "path.procfs", value_name = "DIR", env = "HALO_PATH_PROCFS")]
    #[arg(help_heading = "Files of the machine")]
    procfs: Option<PathBuf>,
    /// Mount point of sysfs [default: /sys]
    #[arg(long = "path.sysfs", value_name = "DIR", env = "HALO_PATH_SYSFS")]
    #[arg(help_heading = "Files of the machine")]
    sysfs: Option<PathBuf>,
    /// Mount point of the root filesystem, for files in /etc and /usr [default: /]
    #[arg(long = "path.rootfs", value_name = "DIR", env = "HALO_PATH_ROOTFS")]
    #[arg(help_heading = "Files of the machine")]
    rootfs: Option<PathBuf>,
    /// File of `ryzenadj -i` output that a helper writes as root, below --path.rootfs
    /// [default: /run/halo/ryzenadj.txt]
    #[arg(long = "power.ryzenadj-file", value_name = "FILE", env = "HALO_POWER_RYZENADJ_FILE")]
    #[arg(help_heading = "Power limits")]
    ryzenadj_file: Option<PathBuf>,
    /// The program ryzenadj, which halo then runs itself; halo must be root for it
    #[arg(long = "power.ryzenadj-command", value_name = "PROGRAM")]
    #[arg(env = "HALO_POWER_RYZENADJ_COMMAND", help_heading = "Power limits")]
    ryzenadj_command: Option<PathBuf>,
    /// Directory of halo-record's archive, whose newest runs are shown, wherever --path.rootfs is
    /// [default: /var/lib/halo below --path.rootfs]
    #[arg(long, value_name = "DIR", env = "HALO_ARCHIVE", help_heading = "Recorded runs")]
    archive: Option<PathBuf>,
    /// Runs that are shown, the newest, at most 1000 [default: 50]
    #[arg(long = "runs.newest", value_name = "N", env = "HALO_RUNS_NEWEST")]
    #[arg(help_heading = "Recorded runs", value_parser = count, allow_hyphen_values = true)]
    newest: Option<usize>,
    /// Configuration file; configs/halo.toml lists every key
    #[arg(long = "config.file", value_name = "FILE", env = "HALO_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    /// Least severity that is logged [default: info]
    #[arg(long = "log.level", value_name = "LEVEL", env = "HALO_LOG_LEVEL")]
    #[arg(help_heading = "Log", value_enum)]
    log_level: Option<Level>,
    /// Form of a log line [default: logfmt]
    #[arg(long = "log.format", value_name = "FORMAT", env = "HALO_LOG_FORMAT")]
    #[arg(help_heading = "Log", value_enum)]
    log_format: Option<Format>,
    #[command(flatten)]
    mode: Mode,
}

/// What to do instead of serving.
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
struct Mode {
    /// Check the flags and the configuration, then end
    #[arg(long, help_heading = "Instead of serving")]
    check_config: bool,
    /// Print one exposition, then end; usable for a textfile collector
    #[arg(long, help_heading = "Instead of serving")]
    once: bool,
    /// Say for each source what is there, what is missing and which command gives it, then end;
    /// exit code 1 where something cannot be read
    #[arg(long, help_heading = "Instead of serving")]
    doctor: bool,
    /// Copy the files that the sources read into a new directory, without serial numbers, UUIDs
    /// and host names, then end
    #[arg(long, value_name = "DIR", help_heading = "Instead of serving")]
    capture: Option<PathBuf>,
    /// Print the completions for a shell, then end
    #[arg(long, value_name = "SHELL", help_heading = "Instead of serving", value_enum)]
    completions: Option<Shell>,
}

/// The command line as clap knows it, with two flags a source.
pub fn command() -> Command {
    // The texts of the derived flags are theirs, not the program's, so its own come after them.
    let mut command = Flags::augment_args(Command::new("halo-exporter"))
        .version(env!("HALO_VERSION"))
        .about("Prometheus exporter for AMD APU machines that run local language models")
        .long_about(None)
        .after_help(
            "Examples:
  halo-exporter                               serve 127.0.0.1:10395/metrics
  halo-exporter --once --no-collector.tuning  print one exposition
  halo-exporter --doctor                      say what this machine lacks

A flag --a.b-c is also the variable HALO_A_B_C and the key b_c of [a] in the configuration file; \
a flag comes before a variable, a variable before the file.",
        )
        .max_term_width(100);
    for source in SOURCES {
        let (on, off) = collector_flags(source.name);
        let variable = collector_variable(source.name);
        let default = if source.default { "on" } else { "off" };
        command = command
            .arg(
                Arg::new(on.clone())
                    .long(on.clone())
                    .action(ArgAction::SetTrue)
                    .overrides_with(off.clone())
                    .help_heading("Sources")
                    .help(format!("{} [default: {default}] [env: {variable}=]", source.about)),
            )
            .arg(
                Arg::new(off.clone())
                    .long(off)
                    .action(ArgAction::SetTrue)
                    .overrides_with(on)
                    .help_heading("Sources")
                    .help(format!("Do not read {}", source.name)),
            );
    }
    command
}

/// Turns the arguments, the variables and the configuration file into a request.
///
/// # Errors
///
/// Whatever cannot be used, before anything is started.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, UsageError> {
    let command = command();
    let matches = match command.clone().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Ok(Request::Print(error.to_string())),
        Err(error) => return Err(UsageError(one_line(&error, &command))),
    };
    let mut flags = Flags::from_arg_matches(&matches)
        .map_err(|error| UsageError(one_line(&error, &command)))?;
    let mode = std::mem::take(&mut flags.mode);
    if let Some(shell) = mode.completions {
        return Ok(Request::Print(completions(shell)));
    }
    let config = match &flags.config_file {
        Some(path) => Config::load(path).map_err(|error| UsageError(error.to_string()))?,
        None => Config::default(),
    };
    let config = merged(config, flags, &matches)?;
    validate(&config)?;
    Ok(match mode {
        Mode { check_config: true, .. } => Request::CheckConfig(config),
        Mode { once: true, .. } => Request::Once(config),
        Mode { doctor: true, .. } => Request::Doctor(config),
        Mode { capture: Some(directory), .. } => Request::Capture(config, directory),
        _ => Request::Serve(config),
    })
}

fn merged(mut config: Config, flags: Flags, matches: &ArgMatches) -> Result<Config, UsageError> {
    fn set<T>(key: &mut T, flag: Option<T>) {
        if let Some(value) = flag {
            *key = value;
        }
    }
    set(&mut config.web.listen_address, flags.listen_address);
    set(&mut config.web.telemetry_path, flags.telemetry_path);
    set(&mut config.web.config_file, flags.web_config_file.map(Some));
    set(&mut config.web.max_requests, flags.max_requests);
    set(&mut config.path.procfs, flags.procfs);
    set(&mut config.path.sysfs, flags.sysfs);
    set(&mut config.path.rootfs, flags.rootfs);
    set(&mut config.power.ryzenadj_file, flags.ryzenadj_file);
    set(&mut config.power.ryzenadj_command, flags.ryzenadj_command.map(Some));
    set(&mut config.archive, flags.archive.map(Some));
    set(&mut config.runs.newest, flags.newest);
    set(&mut config.log.level, flags.log_level);
    set(&mut config.log.format, flags.log_format);
    for source in SOURCES {
        let (on, off) = collector_flags(source.name);
        let chosen = if matches.get_flag(&on) {
            Some(true)
        } else if matches.get_flag(&off) {
            Some(false)
        } else {
            collector_from_environment(source.name)?
        };
        if let Some(chosen) = chosen {
            config.collector.insert(source.name.to_owned(), chosen);
        }
    }
    Ok(config)
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "expected a whole number, 0 or more".to_owned())
}

fn collector_flags(name: &str) -> (String, String) {
    (format!("collector.{name}"), format!("no-collector.{name}"))
}

fn collector_variable(name: &str) -> String {
    format!("HALO_COLLECTOR_{}", name.to_uppercase())
}

fn collector_from_environment(name: &str) -> Result<Option<bool>, UsageError> {
    let variable = collector_variable(name);
    match std::env::var(&variable) {
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(UsageError(format!("{variable}: {error}; expected true or false"))),
        Ok(value) => match value.as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(UsageError(format!("{variable}={value}: expected true or false"))),
        },
    }
}

/// Refuses what the types of the configuration allow and halo cannot do.
fn validate(config: &Config) -> Result<(), UsageError> {
    let known: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
    if let Some(name) = config.collector.keys().find(|name| !known.contains(&name.as_str())) {
        let known = known.join(", ");
        return Err(UsageError(format!("[collector] {name}: no such source; there are: {known}")));
    }
    let path = &config.web.telemetry_path;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let has_dots = path.split('/').any(|part| part == "." || part == "..");
    if !path.starts_with('/') || !path.chars().all(is_plain) || path.contains("//") || has_dots {
        return Err(UsageError(format!(
            "--web.telemetry-path {path:?}: expected a path as /metrics, of letters, digits and -_.~"
        )));
    }
    if path.starts_with("/-/") {
        return Err(UsageError(format!(
            "--web.telemetry-path {path:?}: /-/ is taken by /-/healthy and /-/ready; choose another"
        )));
    }
    if config.web.listen_address.is_empty() {
        return Err(UsageError(
            "--web.listen-address: expected at least one address, as 127.0.0.1:10395".to_owned(),
        ));
    }
    if let Some(program) = config.power.ryzenadj_command.as_deref().filter(|path| !path.is_file()) {
        return Err(UsageError(format!(
            "--power.ryzenadj-command {}: no such program; name it with its whole path",
            program.display()
        )));
    }
    if let Some(archive) = config.archive.as_deref().filter(|archive| !archive.is_absolute()) {
        let archive = archive.display();
        return Err(UsageError(format!("--archive {archive}: expected a path from the root")));
    }
    if config.runs.newest > 1000 {
        let newest = config.runs.newest;
        return Err(UsageError(format!("--runs.newest {newest}: expected at most 1000")));
    }
    if let Some(fault) = config.verdict.fault() {
        return Err(UsageError(format!("[verdict] {fault}")));
    }
    config.llama.iter().try_for_each(validate_llama)?;
    let mut servers: Vec<&str> = config.llama.iter().map(Llama::server).collect();
    servers.sort_unstable();
    if let Some(twice) = servers.windows(2).find(|pair| pair[0] == pair[1]) {
        let server = twice[0];
        return Err(UsageError(format!(
            "[[llama]] {server}: stands there twice; give each a name"
        )));
    }
    let requested = config.power.requested;
    let requested = [
        ("stapm", requested.stapm),
        ("fast", requested.fast),
        ("slow", requested.slow),
        ("apu_slow", requested.apu_slow),
    ];
    for (key, watts) in requested {
        if let Some(watts) = watts.filter(|watts| !(1.0..=300.0).contains(watts)) {
            return Err(UsageError(format!(
                "[power.requested] {key} = {watts}: expected watts from 1 to 300"
            )));
        }
    }
    for address in &config.web.listen_address {
        addresses(address)?;
    }
    let directories = [
        ("procfs", &config.path.procfs),
        ("sysfs", &config.path.sysfs),
        ("rootfs", &config.path.rootfs),
    ];
    match directories.into_iter().find(|(_, path)| !path.is_dir()) {
        Some((flag, path)) => Err(UsageError(format!(
            "--path.{flag} {}: no such directory; name where {flag} is mounted",
            path.display()
        ))),
        None => Ok(()),
    }
}

fn validate_llama(llama: &Llama) -> Result<(), UsageError> {
    let refuse = |key: &str, detail: &str| Err(UsageError(format!("[[llama]] {key}: {detail}")));
    let address = ["http://", "https://"].iter().find_map(|s| llama.url.strip_prefix(s));
    match address {
        None | Some("") => return refuse("url", "expected http:// or https:// and an address"),
        Some(address) if address.contains(['@', '?', '#', ' ']) => {
            return refuse("url", "expected an address alone; a key goes into api_key_file");
        }
        Some(_) => {}
    }
    if llama.api_key_file.is_some() && llama.api_key_variable.is_some() {
        return refuse("api_key_variable", "there is api_key_file, too; leave one of them away");
    }
    let variable = llama.api_key_variable.as_ref();
    if let Some(name) = variable.filter(|name| std::env::var_os(name).is_none()) {
        return refuse("api_key_variable", &format!("{name} is not set"));
    }
    if !(0.1..=60.0).contains(&llama.deadline) {
        return refuse("deadline", "expected seconds from 0.1 to 60");
    }
    if !(2.0..=3600.0).contains(&llama.interval) {
        return refuse("interval", "expected seconds from 2 to 3600");
    }
    Ok(())
}

/// The addresses that `HOST:PORT` or `:PORT` stands for.
///
/// # Errors
///
/// What is none of them, or a host that has no address.
pub fn addresses(text: &str) -> Result<Vec<SocketAddr>, UsageError> {
    let refusal = |detail: &str| {
        UsageError(format!(
            "--web.listen-address {text}: {detail}; expected HOST:PORT, as 127.0.0.1:10395"
        ))
    };
    match text.strip_prefix(':') {
        // As in Go: no host means all of them. A machine without IPv6 has only the second.
        Some(port) => {
            let port = port.parse().map_err(|_| refusal("not a port"))?;
            Ok(vec![([0; 16], port).into(), ([0; 4], port).into()])
        }
        None => match text.to_socket_addrs() {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(refusal(&error.to_string())),
        },
    }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "halo-exporter", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Clap's explanation without its paragraphs: what is wrong, what was expected, what to do. The
/// flags that may have been meant are those of the command.
fn one_line(error: &clap::Error, command: &Command) -> String {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ");
    // What the user typed may have line breaks itself.
    let end = ["\n\n", "\n  ["].iter().filter_map(|mark| text.find(mark)).min();
    let mut line = text[..end.unwrap_or(text.len())].trim().replace('\n', " ");
    for kind in [ContextKind::ValidValue, ContextKind::SuggestedArg, ContextKind::SuggestedValue] {
        let mut values = match error.get(kind) {
            Some(ContextValue::String(value)) => vec![value.clone()],
            Some(ContextValue::Strings(values)) => values.clone(),
            _ => continue,
        };
        if let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg)
            && kind == ContextKind::SuggestedArg
        {
            // Clap names one alone, and two may be as near.
            let known = command.get_arguments().filter_map(|flag| flag.get_long());
            let known = known.map(|flag| format!("--{flag}"));
            values.extend(known.filter(|flag| near::is_one_slip(typed, flag)));
            values.sort_unstable();
            values.dedup();
        }
        let (lead, between) = match kind {
            ContextKind::ValidValue => ("expected", ", "),
            _ => ("did you mean", " or "),
        };
        if !values.is_empty() {
            line = format!("{line}; {lead} {}", values.join(between));
        }
    }
    if error.kind() == ErrorKind::UnknownArgument || !line.contains(';') {
        line.push_str("; --help lists all flags");
    }
    line
}
