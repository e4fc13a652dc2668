//! The file behind `--web.config.file`: which are accepted, which are refused and how, and what a
//! server does with them.

mod identity;
mod plain;
mod server;
mod serving;

use std::fs;
use std::path::{Path, PathBuf};

use halo::serve::web_config::WebConfig;
use tempfile::TempDir;

use identity::Identity;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/configs/web");

/// A directory with the certificates and keys that the fixtures name.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &str| fs::write(directory.path().join(name), content).unwrap();
    let server = Identity::self_signed("localhost");
    write("server.crt", &server.certificate());
    write("server.key", &server.key());
    let authority = Identity::authority("halo test authority");
    write("ca.crt", &authority.certificate());
    write("ca.key", &authority.key());
    write("garbage.pem", "this is no PEM\n");
    write("torn.crt", &server.certificate()[..120]);
    let not_der = |label| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    write("not_der.crt", &not_der("CERTIFICATE"));
    write("not_der.key", &not_der("PRIVATE KEY"));
    fs::create_dir(directory.path().join("directory")).unwrap();
    directory
}

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(Path::new(FIXTURES).join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Puts a fixture beside the certificates and loads it from there.
fn load(directory: &Path, fixture: &Path) -> Result<WebConfig, String> {
    let copy = directory.join(fixture.file_name().unwrap());
    fs::copy(fixture, &copy).unwrap();
    WebConfig::load(&copy).map_err(|error| {
        let message = error.to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!message.contains("top-secret"), "{message}");
        message.replace(&format!("{}/", directory.display()), "")
    })
}

#[test]
fn every_valid_file_is_accepted() {
    let directory = directory();
    for fixture in fixtures("valid") {
        let config = load(directory.path(), &fixture).unwrap();
        let text = fs::read_to_string(&fixture).unwrap();
        let name = fixture.display();
        assert_eq!(config.has_tls(), text.contains("server.crt"), "{name}");
        let files: Vec<_> = config.files().map(|file| file.file_name().unwrap()).collect();
        assert_eq!(files[0], fixture.file_name().unwrap());
        for file in ["server.crt", "server.key", "ca.crt"] {
            assert_eq!(files.iter().any(|read| *read == file), text.contains(file), "{name}");
        }
    }
}

#[test]
fn every_invalid_file_is_refused_with_its_line() {
    let directory = directory();
    let mut wrong = Vec::new();
    for fixture in fixtures("invalid") {
        let message = load(directory.path(), &fixture).unwrap_err();
        let expected = fs::read_to_string(fixture.with_extension("expected")).unwrap_or_default();
        if expected.trim_end() != message {
            wrong.push(format!(
                "{}\n  expected {expected}\n  found    {message}",
                fixture.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_that_is_missing_is_refused_by_name() {
    let error = WebConfig::load(Path::new("/nowhere/web.yml")).unwrap_err().to_string();
    let expected = "/nowhere/web.yml: the file cannot be read: No such file or directory";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_file_without_a_byte_is_plain_http() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    fs::write(&path, "").unwrap();
    assert!(!WebConfig::load(&path).unwrap().has_tls());
    assert!(!WebConfig::default().has_tls());
}

#[test]
fn certificates_may_stand_in_the_file_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    let server = Identity::self_signed("localhost");
    let block = |text: String| format!("    {}", text.trim_end().replace('\n', "\n    "));
    let text = format!(
        "tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n  cert: |\n{}\n  key: \
         |\n{}\n  client_ca: |\n{}\n",
        block(server.certificate()),
        block(server.key()),
        block(Identity::authority("inline").certificate()),
    );
    fs::write(&path, text).unwrap();
    let config = WebConfig::load(&path).unwrap();
    assert!(config.has_tls());
    assert_eq!(config.files().collect::<Vec<_>>(), [path.as_path()]);
}

#[test]
fn what_is_shown_of_a_configuration_has_no_secret() {
    let directory = directory();
    let fixture = Path::new(FIXTURES).join("valid/every_key.yml");
    let shown = format!("{:?}", load(directory.path(), &fixture).unwrap());
    assert!(!shown.contains("$2"), "{shown}");
}
