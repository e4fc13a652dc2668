//! The flags of `halo-record export`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::super::UsageError;
use crate::archive::export::{Encoding, Export, Single};
use crate::archive::openmetrics::{self, Target};

pub(super) const HELP: &str = "\
Examples:
  halo-record export latest --format csv --table power
  halo-record export latest --format json --output tables
  halo-record export latest --format openmetrics --output run.txt
  promtool tsdb create-blocks-from openmetrics run.txt /var/lib/prometheus/data

The series have the labels job and instance that the shipped configuration of Prometheus gives to \
those of an exporter on its own machine, so that dashboards show both alike. Where Prometheus \
scrapes the exporter elsewhere, name what stands in its configuration.

Names of hosts and users, paths but for their last part, keys and addresses are replaced, as in a \
bundle; with --as-is none are.";

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

/// What the user wants to export.
pub(super) fn export(
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
