//! The flags of `halo-record models` and `backends`.

use std::path::PathBuf;

use clap::Args;

use super::recording::Machine;
use super::values;
use crate::plan::catalog::Category;

/// Which models are shown.
#[derive(Debug, Args)]
pub(super) struct Models {
    /// Parts of names, or files [default: all]
    #[arg(value_name = "MODEL")]
    pub(super) names: Vec<String>,
    /// Models of these categories
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) category: Vec<Category>,
    /// Models up to this size
    #[arg(long, value_name = "GB", value_parser = values::gigabytes)]
    pub(super) max_size: Option<f64>,
    /// A catalog of your own [default: ~/.config/halo/models.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) catalog: Option<PathBuf>,
    /// A directory of models; may be given several times [default: the usual ones]
    #[arg(long = "models-dir", value_name = "DIR")]
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
