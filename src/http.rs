//! Requests to a llama-server: bounded in time and size, without redirects and proxies, and with a
//! key that is shown nowhere.

use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{StatusCode, Uri};

use crate::root::{ReadError, Reason};

/// The longest body that is read: what is longer is no answer of a llama-server.
const LONGEST: u64 = 4 << 20;

/// A server at an address.
pub(crate) struct Client {
    agent: Agent,
    base: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// `Process-Start-Time-Unix`, which is no time but differs after a restart.
    pub(crate) process: Option<String>,
}

impl Client {
    pub(crate) fn new(base: &str, deadline: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(deadline))
            .http_status_as_error(false)
            // Whatever is behind a redirect is not what the user named.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            // A connection that stays open looks to others, and to halo, as if somebody asked.
            .max_idle_connections(0)
            .user_agent(concat!("halo/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// Whether two servers are on the same host, so that who may have the key of one may have it
    /// for the other.
    pub(crate) fn is_on_host_of(&self, other: &Self) -> bool {
        let (one, other) = (host(&self.base), host(&other.base));
        one.is_some() && one == other
    }

    /// The address, which tells servers apart.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> Option<u16> {
        let uri: Uri = self.base.parse().ok()?;
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        Some(uri.port_u16().unwrap_or(usual))
    }

    /// Where a path is, for messages.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        format!("{}{path}", self.base).into()
    }

    pub(crate) fn get(&self, path: &str, key: Option<&str>) -> Result<Answer, ReadError> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let failed = |error: &ureq::Error| {
            let (reason, text) = match error {
                ureq::Error::Timeout(_) => (Reason::Timeout, "no answer in time".to_owned()),
                ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                    (Reason::Refused, "nothing listens there".to_owned())
                }
                ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    (Reason::Refused, "nothing listens there".to_owned())
                }
                ureq::Error::BodyExceedsLimit(_) => {
                    (Reason::Unsupported, "the answer is too long for a llama-server".to_owned())
                }
                ureq::Error::Io(error) => (Reason::Io, error.to_string()),
                // Its text may have the request's headers.
                _ => {
                    (Reason::Garbage, "the answer is no HTTP, or its TLS is not trusted".to_owned())
                }
            };
            ReadError::new(self.place(path), reason, text)
        };
        let mut response = request.call().map_err(|error| failed(&error))?;
        let status: StatusCode = response.status();
        let process = response.headers().get("Process-Start-Time-Unix");
        let process = process.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(LONGEST).lossy_utf8(true);
        let body = body.read_to_string().map_err(|error| failed(&error))?;
        Ok(Answer { status: status.as_u16(), body, process })
    }
}

/// The host of an address; all names of this machine's loopback are one.
fn host(base: &str) -> Option<String> {
    let uri: Uri = base.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
    let is_loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    Some(if is_loopback { "localhost".to_owned() } else { host })
}
