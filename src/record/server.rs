//! The server that an eval asks: that it is sampled, that it is there, and when its last request has
//! ended.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::guard::Guard;
use super::{Refusal, Request};
use crate::analyze::phase::SERVER_IDLE;
use crate::config::Llama;
use crate::process::foreground::Signals;
use crate::record::journal::Journal;
use crate::redact::keys;
use crate::run::campaign::Server as Kind;
use crate::sample::Snapshot;
use crate::source::llama::{REQUESTS, UP};
use crate::tool::{self, CommandLine};

/// How often a server is tried. Nothing is asked of it: a connection is opened and closed.
const PERIOD: Duration = Duration::from_secs(2);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// How long halo waits for requests that go on after the command's end, as those of a client that
/// was killed.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A server that says nothing for so long is gone, or is not sampled any more.
const SILENCE: Duration = Duration::from_secs(30);

/// The variable that has a server's key, as the client library of `OpenAI` knows it.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// The variable in which the provider `halo` of inspect-ai in `configs/evals.toml` looks for it.
pub(super) const PROVIDER_KEY_VARIABLE: &str = "HALO_API_KEY";

/// The variables in which tools look for it.
const KEY_VARIABLES: [&str; 2] = [KEY_VARIABLE, PROVIDER_KEY_VARIABLE];

/// What stands for a key where a server wants none: clients insist on one.
const NO_KEY: &str = "none";

/// The address of the server that a request asks, as `http://127.0.0.1:8080/v1`.
pub(super) fn url(request: &Request) -> Option<String> {
    if let Some(endpoint) = &request.endpoint {
        return Some(endpoint.url.clone());
    }
    request.server_timeout?;
    let (tool, program) = tool::recognize(&request.argv)?;
    let variable = |name: &str| super::collect::variable(&request.argv[..program], name);
    let dotenv = |_: &str| None;
    let argv = &request.argv;
    tool.server(&CommandLine { argv, program, variable: &variable, dotenv: &dotenv })
}

/// The address of the server itself, of which an API begins at `/v1`.
fn root_of(url: &str) -> &str {
    let path = url.find("://").map_or(0, |at| at + 3);
    let end = url[path..].match_indices("/v1").find_map(|(at, _)| {
        let rest = &url[path + at + 3..];
        (rest.is_empty() || rest.starts_with('/')).then_some(path + at)
    });
    url[..end.unwrap_or(url.len())].trim_end_matches('/')
}

/// The same request with the server among those that are sampled, where it may be a llama-server on
/// this machine and no configuration names any.
pub(super) fn with_server(request: &Request) -> Request {
    let mut request = request.clone();
    let may_be = request.endpoint.as_ref().is_none_or(|endpoint| endpoint.server != Kind::Other);
    // The address becomes a label, where no password belongs.
    let is_plain = |url: &String| keys::hide(url) == *url;
    let url = url(&request).filter(|url| may_be && is_local(url) && is_plain(url));
    if let Some(url) = url.filter(|_| request.config.llama.is_empty()) {
        let file = request.endpoint.as_ref().and_then(|endpoint| endpoint.api_key_file.clone());
        let has_key = std::env::var_os(KEY_VARIABLE).is_some();
        request.config.llama.push(Llama {
            url: root_of(&url).to_owned(),
            api_key_variable: (file.is_none() && has_key).then(|| KEY_VARIABLE.to_owned()),
            api_key_file: file.map(PathBuf::from),
            ..Llama::default()
        });
    }
    request
}

fn is_local(url: &str) -> bool {
    let host = address(url).map(|(host, _)| host);
    host.is_some_and(|host| {
        host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// The host and the port of an address.
fn address(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit('@').next()?;
    let usual = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => {
            (host, port.parse().ok()?)
        }
        _ => (authority, usual),
    };
    Some((host.trim_matches(['[', ']']).to_owned(), port))
}

/// The variables with the key of the server that a suite asks. The key itself is in no command line
/// and in no file of the archive.
///
/// # Errors
///
/// Where the file with the key cannot be read.
pub(super) fn key_variables(request: &Request) -> Result<Vec<(&'static str, OsString)>, Refusal> {
    let Some(endpoint) = &request.endpoint else { return Ok(Vec::new()) };
    let key = match &endpoint.api_key_file {
        Some(file) => OsString::from(key_of(file.as_ref())?),
        None => std::env::var_os(KEY_VARIABLE).unwrap_or_else(|| NO_KEY.into()),
    };
    Ok(KEY_VARIABLES.map(|name| (name, key.clone())).to_vec())
}

/// The key of a server, from the first line of a file.
///
/// # Errors
///
/// Where it cannot be read, or has none.
pub fn key_of(file: &Path) -> Result<String, Refusal> {
    let refuse = |what: String| Refusal(format!("--api-key-file {}: {what}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| refuse(error.to_string()))?;
    let key = text.lines().next().unwrap_or_default().trim();
    if key.is_empty() {
        Err(refuse("its first line is empty".to_owned()))
    } else {
        Ok(key.to_owned())
    }
}

/// Ends the command where nothing has listened at the server's address for some time: there are
/// evals that would ask for ever.
pub(super) fn watch(url: &str, timeout: Duration, guard: &Arc<Guard>) {
    let Some((host, port)) = address(url) else { return };
    let (guard, url) = (Arc::clone(guard), url.to_owned());
    let watching = move || {
        let mut gone: Option<Instant> = None;
        while !guard.is_over() {
            if is_refused(&host, port) {
                let since = *gone.get_or_insert_with(Instant::now);
                if since.elapsed() >= timeout {
                    guard.lose_server(format!(
                        "halo ended it: nothing listened at {} for {:.0} s",
                        keys::hide(&url),
                        since.elapsed().as_secs_f64()
                    ));
                    return;
                }
            } else {
                gone = None;
            }
            thread::sleep(PERIOD.min(timeout));
        }
    };
    // Without it a command may wait for ever, as it would without halo.
    let _ = thread::Builder::new().name("halo-server".to_owned()).spawn(watching);
}

/// Whether connections are refused. A server that is only slow is there, and one that cannot be
/// reached from here may be reached by the command, through a proxy.
fn is_refused(host: &str, port: u16) -> bool {
    let Ok(addresses) = (host, port).to_socket_addrs() else { return false };
    let mut results = addresses.map(|address| TcpStream::connect_timeout(&address, CONNECT));
    results.all(|result| {
        result.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    })
}

/// What the samples say of requests that servers work on.
#[derive(Debug, Default)]
pub(super) struct Work(Mutex<Option<(Instant, bool)>>);

impl Work {
    /// Looks at a sample of the machine.
    pub(super) fn look(&self, snapshot: &Snapshot) {
        let requests =
            || snapshot.values().filter(|sample| std::ptr::eq(sample.def, REQUESTS.def()));
        // One that is idle may be left alone, so that it can sleep, and then tells no requests.
        let is_there = snapshot
            .values()
            .any(|sample| std::ptr::eq(sample.def, UP.def()) && sample.value > 0.0);
        let mut state = self.state();
        if requests().next().is_some() || (is_there && state.is_some()) {
            let is_busy = requests().any(|sample| sample.value > 0.0);
            *state = Some((Instant::now(), is_busy));
        }
    }

    /// Waits until the last request has ended, where one goes on after the command's end, and marks
    /// that moment: what a server counts of a request it tells when that has ended.
    pub(super) fn settle(&self, journal: &Journal, interval: Duration, signals: &mut Signals) {
        // Readings of a server are this old at most, and only those after the command's end count.
        let fresh = Duration::from_secs_f64(Llama::default().interval) + interval;
        let begun = Instant::now();
        let mut was_busy = false;
        while begun.elapsed() < LONGEST_WAIT {
            let state = *self.state();
            let Some((at, is_busy)) = state else { return };
            was_busy |= is_busy && at > begun;
            // It is not read any more, so nobody will say when it ends.
            if begun.elapsed() > fresh + SILENCE && at <= begun {
                break;
            }
            if !is_busy && at.saturating_duration_since(begun) > fresh {
                break;
            }
            if super::wait(interval.min(Duration::from_millis(100)), signals).is_some() {
                break;
            }
        }
        if was_busy {
            journal.mark(SERVER_IDLE, []);
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<(Instant, bool)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{address, is_local, root_of};

    #[test]
    fn a_server_is_what_stands_before_its_api() {
        for url in [
            "http://h:8080",
            "http://h:8080/",
            "http://h:8080/v1",
            "http://h:8080/v1/chat/completions",
        ] {
            assert_eq!(root_of(url), "http://h:8080", "{url}");
        }
        assert_eq!(root_of("http://h/prefix/v1/"), "http://h/prefix");
        assert_eq!(root_of("http://v1.h/v12"), "http://v1.h/v12");
    }

    #[test]
    fn addresses_are_read_in_each_spelling() {
        let is = |url, host: &str, port| {
            assert_eq!(address(url), Some((host.to_owned(), port)), "{url}");
        };
        is("http://127.0.0.1:8080/v1", "127.0.0.1", 8080);
        is("https://user:secret@api.example.org/v1?x=1", "api.example.org", 443);
        is("http://[::1]:8080", "::1", 8080);
        assert_eq!(address("127.0.0.1:8080"), None);
        assert!(is_local("http://localhost:1/v1") && is_local("http://[::1]:8080"));
        assert!(!is_local("https://api.example.org/v1"));
    }
}
