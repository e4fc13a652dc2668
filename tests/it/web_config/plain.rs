//! Plain HTTP to a port that encrypts: what Go's net/http says to it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::identity::Identity;
use crate::program::{Served, host_flags};

const ANSWER: &str =
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The kind of record that is an alert.
const ALERT: u8 = 21;

struct Scene {
    exporter: Served,
    identity: Identity,
    _directory: tempfile::TempDir,
}

fn start() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::self_signed("localhost");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("server.crt", &identity.certificate());
    write("server.key", &identity.key());
    write("web.yml", "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n");
    let file = directory.path().join("web.yml");
    let mut flags = vec![format!("--web.config.file={}", file.display())];
    flags.extend(host_flags("strix-halo-desktop-128g"));
    Scene { exporter: Served::start(flags), identity, _directory: directory }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends the pieces one after the other, and reads to the end.
fn answer(address: SocketAddr, pieces: &[&str]) -> Vec<u8> {
    let mut stream = connect(address);
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(30));
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// Asks over TLS, as a scraper does.
fn scrape(scene: &Scene) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(scene.identity.der()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, connect(scene.exporter.address));
    write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    // Who closes without a farewell is heard all the same.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_client_that_forgot_to_encrypt_is_told_so() {
    let scene = start();
    let address = scene.exporter.address;
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for pieces in [
        &["GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"][..],
        &["HEAD / HTTP/1.0\r\n\r\n"],
        &["POST /api/v1/write HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"],
        &["PUT /metrics/job/x HTTP/1.1\r\n\r\n"],
        &["OPTIONS * HTTP/1.1\r\n\r\n"],
        // In small pieces, and with more than is read.
        &["G", "ET", " /metrics HTTP/1.1\r\n", "\r\n"],
        &[&long],
    ] {
        let answer = answer(address, pieces);
        assert_eq!(String::from_utf8_lossy(&answer), ANSWER, "{pieces:?}");
        assert!(scrape(&scene).starts_with("HTTP/1.1 200"), "others are served meanwhile");
    }
}

/// net/http knows five beginnings; what else is no handshake is answered in the language of TLS.
#[test]
fn what_is_neither_tls_nor_a_known_request_gets_an_alert() {
    let scene = start();
    for bytes in
        ["DELETE / HTTP/1.1\r\n\r\n", "GETS / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "hello\r\n"]
    {
        let answer = answer(scene.exporter.address, &[bytes]);
        assert_eq!(answer.first(), Some(&ALERT), "{bytes}: {answer:?}");
    }
    assert!(scrape(&scene).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_client_that_says_nothing_or_half_a_word_holds_nobody_up() {
    let scene = start();
    let silent = connect(scene.exporter.address);
    let mut half = connect(scene.exporter.address);
    half.write_all(b"GE").unwrap();
    assert!(scrape(&scene).starts_with("HTTP/1.1 200"));
    // It goes without a word, and nothing is said to it.
    half.shutdown(Shutdown::Write).unwrap();
    let mut closed = connect(scene.exporter.address);
    closed.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    closed.read_to_end(&mut rest).unwrap();
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    drop(silent);
}
