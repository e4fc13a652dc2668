//! The file behind `--web.config.file`: TLS, basic authentication, headers and a rate limit.
//!
//! The format is that of Prometheus' exporter-toolkit, so that a file written for `node_exporter`
//! works here unchanged.
//! What our TLS library does not have is refused by name when the file is loaded, never ignored.

mod files;
mod format;
mod rate_limit;
mod refusal;
mod web;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_path_to_error::Track;
use serde_saphyr::{UserMessageFormatter, with_deserializer_from_str_with_options};

pub(super) use self::files::Files;
pub(super) use self::format::TlsServer;
use self::rate_limit::Limiter;
pub(super) use self::refusal::Refusal;
pub use self::refusal::WebConfigError;
pub use self::web::Web;
use super::auth::Users;
use super::tls;

/// The headers that a file may add, each with the values that are allowed (none: any value).
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// A web configuration that was read, checked and made ready to use.
///
/// The default serves plain HTTP to everybody.
#[derive(Default)]
pub struct WebConfig {
    tls: Option<Arc<rustls::ServerConfig>>,
    headers: HeaderMap,
    users: Users,
    rate_limit: Option<Limiter>,
    files: Files,
}

impl WebConfig {
    /// Reads a file and all that it names, and refuses what could not be served.
    pub fn load(path: &Path) -> Result<Self, WebConfigError> {
        Self::read(path).map_err(|refusal| refusal.of_file(path))
    }

    fn read(path: &Path) -> Result<Self, Refusal> {
        let mut files = Files::default();
        let content = files
            .read(path)
            .map_err(|error| Refusal::whole(format!("the file cannot be read: {error}")))?;
        let file = parse(&content)?;
        let http = file.http_server_config.unwrap_or_default();
        let server = tls::Server {
            section: file.tls_server_config.unwrap_or_default().without_blanks(),
            directory: path.parent().unwrap_or(Path::new("")),
            http2: http.http2.unwrap_or(true),
        };
        Ok(Self {
            tls: server.build(&mut files)?,
            headers: headers(http.headers.unwrap_or_default())?,
            users: Users::new(file.basic_auth_users.unwrap_or_default())?,
            rate_limit: Limiter::new(file.rate_limit.unwrap_or_default())?,
            files,
        })
    }

    /// All files that this configuration was read from; a change of any may change it.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.paths()
    }

    /// Whether connections are encrypted.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}

impl fmt::Debug for WebConfig {
    // Written by hand because password hashes must not reach a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WebConfig")
            .field("tls", &self.has_tls())
            .field("files", &self.files().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn parse(content: &[u8]) -> Result<format::File, Refusal> {
    let text = str::from_utf8(content)
        .map_err(|error| Refusal::whole(format!("the file is not UTF-8 text: {error}")))?;
    // A snippet of the file in the message could show a key.
    let options = serde_saphyr::options! { with_snippet: false };
    let mut track = Track::new();
    let parsed = with_deserializer_from_str_with_options(text, options, |yaml| {
        Option::deserialize(serde_path_to_error::Deserializer::new(yaml, &mut track))
    });
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let message = error.render_with_formatter(&UserMessageFormatter);
        // What the parser could not name further it shows as a dot or a question mark.
        match track.path().to_string().trim_end_matches(['.', '?']) {
            "" => Refusal::whole(message),
            key => Refusal::at(key, message),
        }
    })
}

fn headers(configured: BTreeMap<String, String>) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let key = format!("http_server_config.headers.{name}");
        let Some((known, allowed)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let known = HEADERS.map(|(known, _)| known).join(", ");
            let why = format!("this header cannot be configured; remove it or use one of {known}");
            return Err(Refusal::at(&key, why));
        };
        if value.is_empty() {
            continue;
        }
        if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
            let why = format!("{value:?} is not accepted; set {}", allowed.join(" or "));
            return Err(Refusal::at(&key, why));
        }
        let value = HeaderValue::from_str(&value).map_err(|_| {
            let why = format!("{value:?} is not a header value; use visible ASCII on one line");
            Refusal::at(&key, why)
        })?;
        let known = HeaderName::from_bytes(known.as_bytes())
            .map_err(|error| Refusal::at(&key, format!("{name:?}: {error}")))?;
        headers.insert(known, value);
    }
    Ok(headers)
}
