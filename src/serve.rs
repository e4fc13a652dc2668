//! The HTTP server of the exporter.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum_server::Handle;
use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::RustlsAcceptor;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::sample::Sampler;

mod auth;
pub mod expose;
mod gzip;
mod landing;
mod peer;
mod queue;
mod tls;
pub mod web_config;

use peer::Introduce;
use tls::RefusePlain;
use web_config::Web;

/// How long connections get to finish after a request to stop.
const GRACE: Duration = Duration::from_secs(3);

/// How long a client gets to send its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// What the handlers share.
struct App {
    sampler: Sampler,
    telemetry_path: String,
    /// One permit a scrape under way; none where any number may be.
    permits: Option<Semaphore>,
    max_requests: usize,
    is_ready: AtomicBool,
    gzip: gzip::Gzip,
}

/// Serves until `shutdown` completes. `ready` is called once the first reading is there.
///
/// # Errors
///
/// An error of a listener.
pub async fn run(
    listeners: Vec<TcpListener>,
    config: &Config,
    sampler: Sampler,
    web: &Web,
    ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let max_requests = config.web.max_requests;
    let app = Arc::new(App {
        sampler,
        telemetry_path: config.web.telemetry_path.clone(),
        permits: (max_requests > 0).then(|| Semaphore::new(max_requests)),
        max_requests,
        is_ready: AtomicBool::new(false),
        gzip: gzip::Gzip::default(),
    });
    let router = web.layer(router(Arc::clone(&app)));
    let handle = Handle::new();
    let mut servers = tokio::task::JoinSet::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let service = router.clone().into_make_service();
        let handle = handle.clone();
        match web.tls() {
            Some(config) => servers.spawn(
                axum_server::from_tcp(listener)?
                    .acceptor(RustlsAcceptor::new(config).acceptor(Introduce(RefusePlain)))
                    .first_request_timeout(FIRST_REQUEST)
                    .handle(handle)
                    .serve(service),
            ),
            None => servers.spawn(
                axum_server::from_tcp(listener)?
                    .acceptor(Introduce(DefaultAcceptor))
                    .http1_only()
                    .first_request_timeout(FIRST_REQUEST)
                    .handle(handle)
                    .serve(service),
            ),
        };
    }
    // The first reading finds the sources that hang before a scraper has to wait for them.
    app.sampler.snapshot(|_| true).await;
    app.is_ready.store(true, Ordering::Release);
    ready();
    tokio::select! {
        () = shutdown => {
            web.close();
            handle.graceful_shutdown(Some(GRACE));
        }
        () = web.watch() => {}
        Some(ended) = servers.join_next() => return ended.unwrap_or_else(|panic| Err(panic.into())),
    }
    while let Some(ended) = servers.join_next().await {
        ended.unwrap_or_else(|panic| Err(panic.into()))?;
    }
    Ok(())
}

fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/-/healthy", get(async || "halo-exporter is healthy.\n"))
        .route("/-/ready", get(ready))
        .route(&app.telemetry_path, get(metrics));
    if app.telemetry_path != "/" {
        router = router.route("/", get(landing));
    }
    router.with_state(app)
}

async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.is_ready.load(Ordering::Acquire) {
        (StatusCode::OK, "halo-exporter is ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "halo-exporter takes its first reading.\n")
    }
}

async fn landing(State(app): State<Arc<App>>) -> Html<String> {
    let snapshot = app.sampler.snapshot(|_| true).await;
    Html(landing::page(&snapshot, &app.telemetry_path))
}

async fn metrics(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Ok(_permit) = app.permits.as_ref().map(Semaphore::try_acquire).transpose() else {
        let text = format!(
            "{} scrapes are under way, as many as --web.max-requests allows; try again later.\n",
            app.max_requests
        );
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let wanted = match Wanted::parse(query.as_deref().unwrap_or_default(), &app.sampler) {
        Ok(wanted) => wanted,
        Err(text) => return (StatusCode::BAD_REQUEST, text).into_response(),
    };
    let snapshot = app.sampler.snapshot(|source| wanted.includes(source.name)).await;
    match expose::render(&snapshot) {
        Ok(text) => exposition(&app.gzip, &headers, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn exposition(gzip: &gzip::Gzip, headers: &HeaderMap, text: String) -> Response {
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(expose::CONTENT_TYPE));
    let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
    let packed = gzip::is_accepted(headers).then(|| gzip.pack(&text)).flatten();
    match packed {
        Some(packed) => {
            let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            ([content_type, vary, encoding], packed).into_response()
        }
        None => ([content_type, vary], text).into_response(),
    }
}

/// The sources that a scrape asks for with `collect[]=NAME`; all where it names none.
struct Wanted(BTreeSet<String>);

impl Wanted {
    fn parse(query: &str, sampler: &Sampler) -> Result<Self, String> {
        let names: BTreeSet<String> = form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == "collect[]")
            .map(|(_, name)| name.into_owned())
            .collect();
        let known: Vec<&str> = sampler.sources().map(|source| source.name).collect();
        match names.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(format!(
                "collect[]={name}: no such source, or it is switched off; there are: {}.\n",
                known.join(", ")
            )),
            None => Ok(Self(names)),
        }
    }

    fn includes(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.contains(name)
    }
}
