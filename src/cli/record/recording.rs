//! The flags of `halo-record benchmark` and `run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::{UsageError, validate};
use super::fitness::Fitness;
use super::values;
use crate::archive::Archive;
use crate::config::Config;
use crate::fitness::Requirements;
use crate::record::Request;
use crate::run::campaign;
use crate::run::manifest::{Kind, Tags};

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
    #[command(flatten)]
    fitness: Fitness,
    #[command(flatten)]
    machine: Machine,
}

/// Which machine is looked at, and what of it.
#[derive(Debug, Args)]
pub(super) struct Machine {
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
}

/// The command that is recorded.
#[derive(Debug, Args)]
pub(super) struct Command {
    /// The command and its arguments
    // No values with hyphens: a flag before the command that nobody knows is a mistake, and what
    // comes after the command is the command's.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(super) argv: Vec<OsString>,
}

impl Command {
    /// Refuses a command beside a flag that has nothing to run it for.
    pub(super) fn refuse_with(&self, flag: &str) -> Result<(), UsageError> {
        match self.argv.first() {
            None => Ok(()),
            Some(word) => Err(UsageError(format!(
                "{flag} and a command, {}: the campaign has its commands; leave one of them away",
                word.display()
            ))),
        }
    }
}

impl Machine {
    /// The configuration that the flags and their file make.
    pub(super) fn config(&self) -> Result<Config, UsageError> {
        let mut config = match &self.config_file {
            Some(path) => Config::load(path).map_err(|error| UsageError(error.to_string()))?,
            None => Config::default(),
        };
        let paths = [
            (&self.procfs, &mut config.path.procfs),
            (&self.sysfs, &mut config.path.sysfs),
            (&self.rootfs, &mut config.path.rootfs),
        ];
        for (flag, key) in paths {
            if let Some(path) = flag {
                path.clone_into(key);
            }
        }
        validate(&config)?;
        Ok(config)
    }
}

impl From<&campaign::Recording> for Machine {
    fn from(recording: &campaign::Recording) -> Self {
        let path = |path: &Option<String>| path.as_ref().map(PathBuf::from);
        Self {
            config_file: path(&recording.config_file),
            procfs: path(&recording.procfs),
            sysfs: path(&recording.sysfs),
            rootfs: path(&recording.rootfs),
        }
    }
}

impl Recording {
    /// The user's tags.
    pub(super) fn tags(&self) -> Tags {
        self.tags.iter().cloned().collect()
    }

    /// The configuration of the machine that is sampled.
    pub(super) fn config(&self) -> Result<Config, UsageError> {
        self.machine.config()
    }

    /// How often the machine is sampled, and how long before and after the command.
    pub(super) fn times(&self) -> (Duration, Duration) {
        (self.interval, self.lead)
    }

    /// Whether model files are hashed.
    pub(super) fn hashes_models(&self) -> bool {
        self.hash_model
    }

    /// What the machine must be like.
    ///
    /// # Errors
    ///
    /// Requirements that contradict each other.
    pub(super) fn requirements(&self) -> Result<Requirements, UsageError> {
        self.fitness.requirements(self.interval)
    }

    /// What every cell of a campaign is recorded with.
    ///
    /// # Errors
    ///
    /// Requirements that contradict each other.
    pub(super) fn of_campaign(&self) -> Result<campaign::Recording, UsageError> {
        let path = |path: &Option<PathBuf>| {
            let path = std::path::absolute(path.as_ref()?).ok()?;
            Some(path.to_string_lossy().into_owned())
        };
        let requirements = self.requirements()?;
        Ok(campaign::Recording {
            fitness: (&requirements).into(),
            interval_seconds: self.interval.as_secs_f64(),
            lead_seconds: self.lead.as_secs_f64(),
            hash_model: self.hash_model,
            config_file: path(&self.machine.config_file),
            procfs: path(&self.machine.procfs),
            sysfs: path(&self.machine.sysfs),
            rootfs: path(&self.machine.rootfs),
        })
    }

    /// What the user wants to record.
    pub(super) fn request(
        self,
        kind: Kind,
        command: Command,
        archive: Archive,
    ) -> Result<Request, UsageError> {
        let config = self.config()?;
        let requirements = self.requirements()?;
        Ok(Request {
            kind,
            argv: command.argv,
            tags: self.tags.into_iter().collect(),
            interval: self.interval,
            lead: self.lead,
            hash_model: self.hash_model,
            min_phase: None,
            campaign: None,
            endpoint: None,
            server_timeout: None,
            requirements,
            archive,
            config,
        })
    }
}
