//! Logging to standard error.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Format, Level, Log};
use crate::visible::{Form, Visible};

/// Starts logging. Called once, by a program.
pub fn start(log: Log) {
    let level = match log.level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let form = match log.format {
        Format::Json => Form::Json,
        Format::Logfmt => Form::Text,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(false)
        // It would report that standard error cannot be written to on standard error, and panic.
        .log_internal_errors(false)
        // Names and paths in it are of others. The event comes in one piece.
        .with_writer(move || Visible::new(std::io::stderr(), form));
    match log.format {
        Format::Json => builder.json().init(),
        Format::Logfmt => {
            builder
                .event_format(tracing_logfmt::EventsFormatter::default())
                .fmt_fields(tracing_logfmt::FieldsFormatter::default())
                .init();
        }
    }
}
