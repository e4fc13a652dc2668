//! The flags of `halo-record models` and `backends`.

use std::path::PathBuf;

use clap::Args;

use super::recording::Machine;
use super::values;
use crate::plan::catalog::Category;

/// Which models are shown.
#[derive(Debug, Args)]
pub(super) struct Models {
    /// Parts of names, patterns as '*q4*', or files [default: all]
    #[arg(value_name = "MODEL")]
    pub(super) names: Vec<String>,
    /// Models of these categories
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) category: Vec<Category>,
    /// Models up to this size, as their files have it, else as the catalog lists it
    #[arg(long, value_name = "GB", value_parser = values::gigabytes)]
    pub(super) max_size: Option<f64>,
    /// A catalog of your own [default: ~/.config/halo/models.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) catalog: Option<PathBuf>,
    /// A directory where models are looked for before those of the configuration; may be given
    /// several times
    #[arg(long = "models-dir", value_name = "DIR", value_parser = values::directory)]
    pub(super) directories: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) machine: Machine,
}

/// Which backends are shown.
#[derive(Debug, Args)]
pub(super) struct Backends {
    /// Backends of your own [default: ~/.config/halo/backends.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) backends_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}
