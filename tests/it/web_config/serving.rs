//! What a server does with a web configuration.

use std::time::{Duration, Instant};

use rcgen::SanType;
use rustls::crypto::ring::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as AES_128,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 as AES_256,
};
use rustls::{CipherSuite, ProtocolVersion};

use super::identity::Identity;
use super::server::{Client, ONLY_TLS12, Server};

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// The header that carries `alice:secret` and its like; written out, so that nothing is shared
/// with the code under test.
const ALICE_SECRET: &str = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
const ALICE_WRONG: &str = "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n";
const MALLORY_SECRET: &str = "Authorization: Basic bWFsbG9yeTpzZWNyZXQ=\r\n";

#[test]
fn versions_and_protocols_are_those_of_the_file() {
    let talk = |keys: &str, protocols| {
        let server = Server::tls(keys, &[]);
        let client = Client { protocols, ..Client::new() };
        let (_, connection) = server.encrypted(client).unwrap();
        let protocol = connection.alpn_protocol().map(<[u8]>::to_vec);
        (connection.protocol_version().unwrap(), protocol)
    };
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    let newest = ProtocolVersion::TLSv1_3;
    assert_eq!(talk("", both), (newest, Some(b"h2".to_vec())));
    assert_eq!(talk("", &[]), (newest, None));
    let without_http2 = "http_server_config:\n  http2: false\n";
    assert_eq!(talk(without_http2, both), (newest, Some(b"http/1.1".to_vec())));
    let older = "  max_version: TLS12\n";
    assert_eq!(talk(older, &[]), (ProtocolVersion::TLSv1_2, None));

    let server = Server::tls("  min_version: TLS13\n", &[]);
    let old = Client { versions: ONLY_TLS12, ..Client::new() };
    assert!(server.encrypted(old).is_err());
}

#[test]
fn the_order_of_cipher_suites_is_the_servers_unless_the_file_says_otherwise() {
    let suite = |preference: &str| {
        let keys = format!(
            "  max_version: TLS12\n{preference}  cipher_suites:\n    - \
             TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\n    - \
             TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n"
        );
        let client = Client { suites: Some(vec![AES_128, AES_256]), ..Client::new() };
        let (_, connection) = Server::tls(&keys, &[]).encrypted(client).unwrap();
        connection.negotiated_cipher_suite().unwrap().suite()
    };
    assert_eq!(suite(""), CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
    let client = suite("  prefer_server_cipher_suites: false\n");
    assert_eq!(client, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
}

#[test]
fn a_suite_that_is_not_listed_is_not_spoken() {
    let keys = "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n";
    let server = Server::tls(keys, &[]);
    let other = Client { suites: Some(vec![AES_256]), versions: ONLY_TLS12, ..Client::new() };
    assert!(server.encrypted(other).is_err());
    // As in Go the list does not touch TLS 1.3.
    assert!(server.encrypted(Client::new()).is_ok());
}

#[test]
fn each_client_auth_type_admits_its_own() {
    let authority = Identity::authority("trusted");
    let known = authority.signs(vec![]);
    let stranger = Identity::self_signed("stranger");
    let files = [("ca.crt", authority.certificate())];
    // Nobody shown, a stranger, one that the authority knows, and a thief with that certificate.
    for (kind, expected) in [
        ("NoClientCert", [true, true, true, true]),
        ("RequestClientCert", [true, true, true, false]),
        ("RequireAnyClientCert", [false, true, true, false]),
        ("RequireClientCert", [false, true, true, false]),
        ("VerifyClientCertIfGiven", [true, false, true, false]),
        ("RequireAndVerifyClientCert", [false, false, true, false]),
    ] {
        let authorities = if kind == "NoClientCert" { "" } else { "  client_ca_file: ca.crt\n" };
        let server = Server::tls(&format!("  client_auth_type: {kind}\n{authorities}"), &files);
        let admitted = [
            server.admits(None),
            server.admits(Some(&stranger.shown_with_key_of(&stranger))),
            server.admits(Some(&known.shown_with_key_of(&known))),
            server.admits(Some(&known.shown_with_key_of(&stranger))),
        ];
        assert_eq!(admitted, expected, "{kind}");
    }
}

#[test]
fn without_an_authority_no_certificate_is_verified() {
    let server = Server::tls("  client_auth_type: VerifyClientCertIfGiven\n", &[]);
    let stranger = Identity::self_signed("stranger");
    assert!(server.admits(None));
    assert!(!server.admits(Some(&stranger.shown_with_key_of(&stranger))));
}

#[test]
fn a_self_signed_certificate_that_is_listed_is_admitted_while_it_is_valid() {
    let admits = |listed: &Identity, shown: &Identity| {
        let keys = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n";
        let server = Server::tls(keys, &[("ca.crt", listed.certificate())]);
        server.admits(Some(&shown.shown_with_key_of(shown)))
    };
    let listed = Identity::authority("self");
    assert!(admits(&listed, &listed));
    assert!(!admits(&listed, &Identity::authority("self")), "same name, another certificate");
    let expired = Identity::expired_authority("self");
    assert!(!admits(&expired, &expired));
    let plain = Identity::self_signed("self");
    assert!(admits(&plain, &plain));
}

#[test]
fn only_the_allowed_names_are_admitted() {
    let authority = Identity::authority("trusted");
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());
    let ip = |address: &str| SanType::IpAddress(address.parse().unwrap());
    let names = "  client_allowed_sans: [scraper.example.com, 192.0.2.7, 'spiffe://x/scraper']\n";
    let files = [("ca.crt", authority.certificate())];
    for keys in [
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n",
        "  client_auth_type: RequireAnyClientCert\n",
    ] {
        let server = Server::tls(&format!("{keys}{names}"), &files);
        for (borne, expected) in [
            (vec![dns("scraper.example.com")], true),
            (vec![dns("else.example.com"), ip("192.0.2.7")], true),
            (vec![uri("spiffe://x/scraper")], true),
            (vec![dns("scraper.example.org")], false),
            (vec![dns("*.example.com")], false),
            (vec![ip("192.0.2.8")], false),
            (vec![uri("spiffe://x/other")], false),
            (vec![], false),
        ] {
            let client = authority.signs(borne.clone());
            let shown = client.shown_with_key_of(&client);
            assert_eq!(server.admits(Some(&shown)), expected, "{keys} {borne:?}");
        }
    }
}

#[test]
fn every_path_asks_for_the_password() {
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
    let text = format!("basic_auth_users:\n  alice: {}\n{headers}", hash("secret"));
    let server = Server::start(&text, &[]);
    let garbage = "Authorization: Basic ???\r\n";
    let bearer = "Authorization: Bearer YWxpY2U6c2VjcmV0\r\n";
    for header in ["", ALICE_WRONG, MALLORY_SECRET, garbage, bearer] {
        for path in ["/", "/no-such-path"] {
            let answer = server.plain(path, header).unwrap();
            assert!(answer.starts_with("HTTP/1.1 401"), "{path} {header}: {answer}");
            assert!(answer.contains("www-authenticate: Basic\r\n"), "{answer}");
            assert!(answer.contains("x-frame-options: deny\r\n"), "{answer}");
        }
    }
    for _ in 0..2 {
        let answer = server.plain("/", ALICE_SECRET).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("x-frame-options: deny\r\n"), "{answer}");
    }
    assert!(server.plain("/no-such-path", ALICE_SECRET).unwrap().starts_with("HTTP/1.1 404"));
}

#[test]
fn more_requests_than_the_limit_are_refused() {
    let server = Server::start("rate_limit:\n  interval: 1h\n  burst: 2\n", &[]);
    let status = || server.plain("/", "").unwrap()[9..12].to_owned();
    assert_eq!([status(), status(), status()], ["200", "200", "429"]);
}

#[test]
fn users_are_followed_and_a_broken_file_changes_nothing() {
    let server = Server::start(&format!("basic_auth_users:\n  alice: {}\n", hash("old")), &[]);
    let admitted = || server.plain("/", ALICE_SECRET).unwrap().starts_with("HTTP/1.1 200");
    assert!(!admitted());
    server.write("web.yml", &format!("basic_auth_users:\n  alice: {}\n", hash("secret")));
    eventually(admitted);
    server.write("web.yml", "basic_auth_users:\n  alice: no hash\n");
    std::thread::sleep(Duration::from_secs(3));
    assert!(admitted());
    server.write("web.yml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n");
    std::thread::sleep(Duration::from_secs(3));
    assert!(admitted(), "TLS cannot begin while plain HTTP is served");
    server.write("web.yml", &format!("basic_auth_users:\n  bob: {}\n", hash("secret")));
    eventually(|| !admitted());
}

#[test]
fn certificates_are_followed() {
    let server = Server::tls("", &[]);
    let shown = || {
        let (_, connection) = server.encrypted(Client::new()).ok()?;
        Some(connection.peer_certificates()?[0].clone())
    };
    assert_eq!(shown(), Some(server.identity.der()));
    let renewed = Identity::self_signed("localhost");
    server.write("server.crt", &renewed.certificate());
    std::thread::sleep(Duration::from_secs(3));
    assert!(shown().is_some(), "the new certificate waits for its key");
    server.write("server.key", &renewed.key());
    // A client that trusts only the old certificate no longer connects.
    eventually(|| shown().is_none());
}

fn eventually(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never happened");
        std::thread::sleep(Duration::from_millis(100));
    }
}
