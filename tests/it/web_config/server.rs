//! A server behind a web configuration, and clients that ask it over a socket.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use halo::serve::web_config::Web;
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::identity::Identity;

const ANY_VERSION: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
/// What an older client speaks.
pub(super) const ONLY_TLS12: &[&SupportedProtocolVersion] = &[&TLS12];

/// A running server, its directory, and its certificate; it ends when dropped.
pub(super) struct Server {
    directory: TempDir,
    pub(super) identity: Identity,
    address: SocketAddr,
    handle: axum_server::Handle<SocketAddr>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

impl Server {
    /// Starts one with a certificate, or without if `text` names none.
    pub(super) fn start(text: &str, files: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::self_signed("localhost");
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        fs::write(directory.path().join("server.crt"), identity.certificate()).unwrap();
        fs::write(directory.path().join("server.key"), identity.key()).unwrap();
        fs::write(directory.path().join("web.yml"), text).unwrap();
        let web = Web::load(Some(&directory.path().join("web.yml"))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let handle = axum_server::Handle::new();
        let stop = handle.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(web, listener, stop));
        });
        Self { directory, identity, address, handle }
    }

    pub(super) fn tls(keys: &str, files: &[(&str, String)]) -> Self {
        let text =
            format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{keys}");
        Self::start(&text, files)
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        fs::write(self.directory.path().join(name), content).unwrap();
    }

    pub(super) fn plain(&self, path: &str, header: &str) -> io::Result<String> {
        ask(self.connect(), path, header)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub(super) fn encrypted(&self, client: Client) -> io::Result<(String, ClientConnection)> {
        let mut roots = RootCertStore::empty();
        roots.add(self.identity.der()).unwrap();
        let provider = CryptoProvider {
            cipher_suites: client.suites.unwrap_or(ring::ALL_CIPHER_SUITES.to_vec()),
            ..ring::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(client.versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Shown(client.shown)));
        config.alpn_protocols = client.protocols.iter().map(|name| name.to_vec()).collect();
        let name = "localhost".try_into().unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, self.connect());
        if client.protocols.first() == Some(&b"h2".as_slice()) {
            stream.conn.complete_io(&mut stream.sock)?;
            return Ok((String::new(), stream.conn));
        }
        let answer = ask(&mut stream, "/", "")?;
        Ok((answer, stream.conn))
    }

    pub(super) fn admits(&self, shown: Option<&Arc<CertifiedKey>>) -> bool {
        let both = ANY_VERSION.iter().map(|version| {
            let client = Client {
                versions: std::slice::from_ref(version),
                shown: shown.cloned(),
                ..Client::new()
            };
            self.encrypted(client).is_ok_and(|(answer, _)| answer.starts_with("HTTP/1.1 200"))
        });
        let both: Vec<_> = both.collect();
        assert_eq!(both[0], both[1], "TLS 1.2 and TLS 1.3 decide alike");
        both[0]
    }
}

async fn serve(web: Web, listener: TcpListener, stop: axum_server::Handle<SocketAddr>) {
    tokio::spawn(web.watch());
    let router = web.layer(Router::new().route("/", get(async || "hello\n")));
    let service = router.into_make_service();
    if let Some(tls) = web.tls() {
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
        server.handle(stop).serve(service).await.unwrap();
    } else {
        let server = axum_server::from_tcp(listener).unwrap();
        server.handle(stop).serve(service).await.unwrap();
    }
}

fn ask(mut stream: impl Read + Write, path: &str, header: &str) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

pub(super) struct Client {
    pub(super) versions: &'static [&'static SupportedProtocolVersion],
    pub(super) suites: Option<Vec<rustls::SupportedCipherSuite>>,
    pub(super) protocols: &'static [&'static [u8]],
    pub(super) shown: Option<Arc<CertifiedKey>>,
}

impl Client {
    pub(super) fn new() -> Self {
        Self { versions: ANY_VERSION, suites: None, protocols: &[], shown: None }
    }
}

#[derive(Debug)]
struct Shown(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
