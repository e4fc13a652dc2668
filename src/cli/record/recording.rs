//! The flags of `halo-record benchmark` and `run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::{UsageError, validate};
use super::{Asked, values};
use crate::archive::Archive;
use crate::config::Config;
use crate::record::Request;
use crate::run::manifest::Kind;

/// The flags of a recording.
#[derive(Debug, Args)]
pub(super) struct Recording {
    /// A name, or a key with a value; may be given several times
    #[arg(long = "tag", value_name = "NAME|KEY=VALUE", value_parser = values::tag)]
    tags: Vec<(String, Option<String>)>,
    /// How often the machine is sampled, from 20ms to 1m
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = values::interval)]
    interval: Duration,
    /// How long the machine is sampled before the command and after it, so that its idle power is
    /// known
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::lead)]
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

/// What the user wants to record.
pub(super) fn request(
    kind: Kind,
    recording: Recording,
    archive: Archive,
) -> Result<Asked, UsageError> {
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
    validate(&config)?;
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
