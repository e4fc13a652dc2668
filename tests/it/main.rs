//! The integration tests: one program, one module a theme.

#![allow(clippy::float_cmp, reason = "what goes in exactly comes out exactly")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod analyze;
mod archive;
mod attack;
mod bundle;
mod campaign;
mod capture;
#[cfg(feature = "real-tests")]
mod captures;
#[cfg(feature = "real-tests")]
mod cases;
mod catalogue;
mod cli;
mod compare;
mod config;
mod damage;
mod dashboards;
mod documents;
mod evals;
mod fitness;
mod gpu_metrics;
mod hostile;
mod hosts;
mod http;
#[cfg(feature = "record")]
mod import;
mod links;
mod llama;
mod log;
mod machine;
#[cfg(feature = "record")]
mod model;
#[cfg(feature = "record")]
mod outgoing;
mod passwords;
mod plan;
mod power;
mod process_gpu;
mod program;
#[cfg(feature = "real-tests")]
mod real;
mod record;
mod report;
mod rules;
mod runs;
mod screen;
mod tidy;
#[cfg(feature = "record")]
mod tool;
mod tuning;
mod web_config;
