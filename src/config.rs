//! The configuration: what the file says, with defaults for what it does not say.
//!
//! `configs/halo.toml` lists every key with its default; a test holds that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::root::Root;
use crate::run::Thresholds;

/// Everything that can be configured.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The archive of `halo-record` whose newest runs are shown: as it is named; none for that of
    /// the machine, below `path.rootfs`.
    pub archive: Option<PathBuf>,
    /// The HTTP server.
    pub web: Web,
    /// Where the kernel's files are.
    pub path: Paths,
    /// Which sources are read, by name; those that are not named keep their default.
    pub collector: BTreeMap<String, bool>,
    /// Power limits.
    pub power: Power,
    /// Recorded runs.
    pub runs: Runs,
    /// Servers of models.
    pub llama: Vec<Llama>,
    /// Models of benchmarks.
    pub models: Models,
    /// From when on a run is flagged.
    pub verdict: Thresholds,
    /// What is logged.
    pub log: Log,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// Addresses to listen on, as `127.0.0.1:10395`, `[::1]:10395` or `:10395` for all.
    pub listen_address: Vec<String>,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// A file in the format of the exporter-toolkit that switches TLS and passwords on.
    pub config_file: Option<PathBuf>,
    /// How many scrapes are answered at the same time; 0 is any number.
    pub max_requests: usize,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen_address: vec!["127.0.0.1:10395".to_owned()],
            telemetry_path: "/metrics".to_owned(),
            config_file: None,
            max_requests: 40,
        }
    }
}

/// Where the kernel's files are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// The mount point of procfs.
    pub procfs: PathBuf,
    /// The mount point of sysfs.
    pub sysfs: PathBuf,
    /// The mount point of the root filesystem, for files in `/etc` and `/usr`.
    pub rootfs: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() }
    }
}

impl Paths {
    /// The door to these files.
    pub fn root(&self) -> Root {
        Root::new(&self.procfs, &self.sysfs, &self.rootfs)
    }
}

/// Power limits.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Power {
    /// A file of `ryzenadj -i` output that a helper writes as root.
    pub ryzenadj_file: PathBuf,
    /// The program `ryzenadj`, where halo itself shall run it.
    pub ryzenadj_command: Option<PathBuf>,
    /// What the user asked the firmware for.
    pub requested: Requested,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            ryzenadj_file: "/run/halo/ryzenadj.txt".into(),
            ryzenadj_command: None,
            requested: Requested::default(),
        }
    }
}

/// Power limits that the user asked for, in watts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requested {
    /// Sustained.
    pub stapm: Option<f64>,
    /// Fast.
    pub fast: Option<f64>,
    /// Slow.
    pub slow: Option<f64>,
    /// Slow, of the APU alone.
    pub apu_slow: Option<f64>,
}

/// Recorded runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runs {
    /// How many of the newest are shown, at most 1000.
    pub newest: usize,
}

impl Default for Runs {
    fn default() -> Self {
        Self { newest: 50 }
    }
}

/// A server of models.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Llama {
    /// Where it is: a llama-server, its router, llama-swap, Lemonade, Ollama or vLLM.
    pub url: String,
    /// What it is called in the label `server`; its address where there is no name.
    pub name: Option<String>,
    /// A file whose first line is the key that it wants.
    pub api_key_file: Option<PathBuf>,
    /// The variable that has it.
    pub api_key_variable: Option<String>,
    /// How long it may take to answer, in seconds.
    pub deadline: f64,
    /// How often it is asked at most, in seconds.
    pub interval: f64,
    /// Whether it is asked about its slots while they work.
    pub slots: bool,
}

impl Default for Llama {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8080".to_owned(),
            name: None,
            api_key_file: None,
            api_key_variable: None,
            deadline: 5.0,
            interval: 2.0,
            slots: true,
        }
    }
}

impl Llama {
    /// What it is called in the label `server`: its name, else its address.
    pub fn server(&self) -> &str {
        let address = self.url.split_once("://").map_or(&*self.url, |(_, address)| address);
        self.name.as_deref().unwrap_or_else(|| address.trim_end_matches('/'))
    }

    /// How long it may take to answer.
    pub fn deadline(&self) -> Duration {
        Duration::try_from_secs_f64(self.deadline).unwrap_or_default()
    }

    /// How often it is asked at most.
    pub fn interval(&self) -> Duration {
        Duration::try_from_secs_f64(self.interval).unwrap_or_default()
    }
}

/// Models of benchmarks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Directories below which their files are looked for, in this order; a `~/` is the user's home.
    pub directories: Vec<PathBuf>,
}

impl Default for Models {
    fn default() -> Self {
        let usual = [
            "~/.local/share/halo/models",
            "~/models",
            "/data/models",
            "~/.cache/llama.cpp",
            "~/.cache/huggingface/hub",
        ];
        Self { directories: usual.map(PathBuf::from).into() }
    }
}

/// What is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least severity that is logged.
    pub level: Level,
    /// The form of a line.
    pub format: Format,
}

/// Severities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What helps to find a fault in halo or in its libraries.
    Debug,
    /// Changes of state.
    #[default]
    Info,
    /// What is missing or wrong.
    Warn,
    /// What stops halo from doing its work.
    Error,
}

/// Forms of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `key=value` pairs.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// A configuration file that cannot be used. Its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {error}; name a readable file with --config.file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not TOML, or has a key or value that halo does not know.
    #[error("{}: {detail}; configs/halo.toml lists every key", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and what, on one line.
        detail: String,
    },
}

impl Config {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        Self::parse(&text).map_err(|detail| ConfigError::Invalid { path: path.to_owned(), detail })
    }

    /// Parses the text of a configuration file; the error is one line that names the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().replace('\n', ", ");
            match line {
                Some(line) => format!("line {line}: {message}"),
                None => message,
            }
        })
    }
}
