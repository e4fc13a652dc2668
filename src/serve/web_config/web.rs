//! What the web configuration does to a server: encryption, authentication, headers, a limit.
//!
//! It follows its files while the server runs: a new certificate, key, authority or user is used
//! within a few seconds, and a configuration that cannot be used changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum_server::tls_rustls::RustlsConfig;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::{Files, Refusal, WebConfig, WebConfigError};
use crate::serve::auth::{Doorkeeper, Entry};

/// How often the files are looked at; a change is taken once it has rested this long.
const LOOK: Duration = Duration::from_secs(1);

/// In seconds: no comparison takes longer on the machines that halo is for, and each frees a place.
const RETRY_AFTER: [(HeaderName, HeaderValue); 1] =
    [(header::RETRY_AFTER, HeaderValue::from_static("1"))];

/// The web configuration of a running server; clones share it.
#[derive(Clone)]
pub struct Web(Arc<Shared>);

struct Shared {
    path: Option<PathBuf>,
    config: watch::Sender<Arc<WebConfig>>,
    tls: Option<RustlsConfig>,
    doorkeeper: Doorkeeper,
}

impl Web {
    /// Loads the configuration; without a file everybody is served over plain HTTP.
    pub fn load(path: Option<&Path>) -> Result<Self, WebConfigError> {
        let config = path.map(WebConfig::load).transpose()?.unwrap_or_default();
        Ok(Self(Arc::new(Shared {
            path: path.map(Path::to_owned),
            tls: config.tls.clone().map(RustlsConfig::from_config),
            config: watch::Sender::new(Arc::new(config)),
            doorkeeper: Doorkeeper::new(),
        })))
    }

    /// What the server must encrypt with, or none for plain HTTP; it follows the files.
    pub fn tls(&self) -> Option<RustlsConfig> {
        self.0.tls.clone()
    }

    /// Puts the rate limit, the headers and authentication before every route of `router`.
    ///
    /// As in the exporter-toolkit no path is exempt, health checks included.
    pub fn layer(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), guard))
    }

    /// Compares no password any more: who waits for that is answered at once.
    pub fn close(&self) {
        self.0.doorkeeper.close();
    }

    /// Follows the files until it is dropped.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.0);
        async move {
            match &shared.path {
                Some(path) => follow(&shared, path.clone()).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// Stands before every request, in the toolkit's order: a refused rate gets no headers.
async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let config = Arc::clone(&web.0.config.borrow());
    if config.rate_limit.as_ref().is_some_and(|limit| !limit.allows(Instant::now())) {
        return (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response();
    }
    let peer = request.extensions().get().cloned().unwrap_or_default();
    let mut response = match web.0.doorkeeper.decide(&config.users, request.headers(), &peer).await
    {
        Entry::Admitted => next.run(request).await,
        Entry::Refused => {
            let how = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))];
            (StatusCode::UNAUTHORIZED, how, "Unauthorized\n").into_response()
        }
        Entry::Crowded => {
            let text = "Too many passwords wait to be compared; try again later.\n";
            (StatusCode::TOO_MANY_REQUESTS, RETRY_AFTER, text).into_response()
        }
        Entry::Closing => {
            (StatusCode::SERVICE_UNAVAILABLE, "halo-exporter stops.\n").into_response()
        }
    };
    response.headers_mut().extend(config.headers.clone());
    response
}

async fn follow(shared: &Shared, path: PathBuf) {
    let loaded = shared.config.borrow().files.clone();
    let mut watched = Watched { path, tls: shared.tls.is_some(), seen: loaded.clone(), loaded };
    let mut complaint = None;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A network filesystem may hang; then only this task waits.
        let look = spawn_blocking(move || {
            let found = watched.look();
            (watched, found)
        });
        // Only a runtime that ends cancels a look; to return would say that halo should end.
        let Ok((after, found)) = look.await else { return std::future::pending().await };
        watched = after;
        match found {
            None => {}
            Some(Ok(config)) => {
                if let (Some(running), Some(tls)) = (&shared.tls, &config.tls) {
                    running.reload_from_config(Arc::clone(tls));
                }
                shared.config.send_replace(Arc::new(config));
                complaint = None;
                tracing::info!(file = %watched.path.display(), "web configuration reloaded");
            }
            Some(Err(error)) => {
                // It is tried again each second, and said once.
                if complaint.as_ref() != Some(&error) {
                    tracing::error!(%error, "web configuration not reloaded, the old one stays");
                }
                complaint = Some(error);
            }
        }
    }
}

/// Sees when the files of a configuration have changed, and loads them.
struct Watched {
    path: PathBuf,
    /// Whether the server encrypts, which cannot change while it listens.
    tls: bool,
    loaded: Files,
    seen: Files,
}

impl Watched {
    /// Loads the files if they changed since they were loaded, but not since the last look.
    ///
    /// So a certificate is not read before its key has been written too.
    fn look(&mut self) -> Option<Result<WebConfig, WebConfigError>> {
        let now = self.loaded.look_again();
        if now != self.seen {
            self.seen = now;
            return None;
        }
        if self.seen == self.loaded {
            return None;
        }
        Some(WebConfig::load(&self.path).and_then(|config| {
            if config.has_tls() != self.tls {
                let why = "TLS cannot be switched on or off while halo runs; restart halo";
                return Err(Refusal::at("tls_server_config", why).of_file(&self.path));
            }
            self.loaded = config.files.clone();
            self.seen = config.files.clone();
            Ok(config)
        }))
    }
}
