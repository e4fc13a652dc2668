//! Go's names for TLS versions, cipher suites and curves, and what our TLS library has of them.

use rustls::crypto::{SupportedKxGroup, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

use crate::serve::web_config::{Refusal, TlsServer};

const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLS12", &TLS12), ("TLS13", &TLS13)];

const CURVES: [(&str, NamedGroup); 3] = [
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
    ("X25519", NamedGroup::X25519),
];

/// HTTP/2 demands one of these of every server that speaks TLS 1.2 (RFC 7540, section 9.2.2).
const HTTP2: [&str; 2] =
    ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];

/// The protocol versions from `min_version` to `max_version`.
pub(super) fn versions(
    section: &TlsServer,
) -> Result<Vec<&'static SupportedProtocolVersion>, Refusal> {
    let index = |key: &str, written: Option<&String>, default: usize| {
        let Some(name) = written else { return Ok(default) };
        VERSIONS.iter().position(|(known, _)| known == name).ok_or_else(|| {
            let to_do = "remove the key or set TLS12";
            missing(&format!("tls_server_config.{key}"), name, &VERSIONS.map(|v| v.0), to_do)
        })
    };
    let first = index("min_version", section.min_version.as_ref(), 0)?;
    let last = index("max_version", section.max_version.as_ref(), VERSIONS.len() - 1)?;
    if first > last {
        let why = format!(
            "{:?} is newer than max_version {:?}, so that no version is left; lower it",
            VERSIONS[first].0, VERSIONS[last].0
        );
        return Err(Refusal::at("tls_server_config.min_version", why));
    }
    Ok(VERSIONS[first..=last].iter().map(|(_, version)| *version).collect())
}

/// The suites of TLS 1.3, always all, and after them those of `cipher_suites` for TLS 1.2.
///
/// As in Go, a name of TLS 1.3 may stand in the list and changes nothing.
pub(super) fn suites(
    section: &TlsServer,
    versions: &[&SupportedProtocolVersion],
    http2: bool,
) -> Result<Vec<SupportedCipherSuite>, Refusal> {
    let key = "tls_server_config.cipher_suites";
    let names = section.cipher_suites.as_deref().unwrap_or_default();
    if names.is_empty() {
        return Ok(ring::ALL_CIPHER_SUITES.to_vec());
    }
    let all = ring::ALL_CIPHER_SUITES.iter().copied();
    let mut chosen: Vec<_> = all.filter(|suite| is_of(suite, ProtocolVersion::TLSv1_3)).collect();
    for name in names {
        let Some(suite) = ring::ALL_CIPHER_SUITES.iter().find(|suite| go_name(suite) == *name)
        else {
            let known: Vec<_> = ring::ALL_CIPHER_SUITES.iter().map(go_name).collect();
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            return Err(missing(key, name, &known, "remove it from the list"));
        };
        if !chosen.contains(suite) {
            chosen.push(*suite);
        }
    }
    let speaks = |version| versions.iter().any(|spoken| spoken.version == version);
    if !speaks(ProtocolVersion::TLSv1_2) {
        return Ok(chosen);
    }
    if http2 && !names.iter().any(|name| HTTP2.contains(&name.as_str())) {
        let why = format!(
            "HTTP/2 needs at least one of {}; add one, or set http_server_config.http2: false",
            HTTP2.join(", ")
        );
        return Err(Refusal::at(key, why));
    }
    if !speaks(ProtocolVersion::TLSv1_3)
        && !chosen.iter().any(|suite| is_of(suite, ProtocolVersion::TLSv1_2))
    {
        let why = "no suite of TLS 1.2 is listed, but max_version allows nothing newer; add one";
        return Err(Refusal::at(key, why));
    }
    Ok(chosen)
}

/// The curves of `curve_preferences` in their order, or all.
pub(super) fn curves(section: &TlsServer) -> Result<Vec<&'static dyn SupportedKxGroup>, Refusal> {
    let names = section.curve_preferences.as_deref().unwrap_or_default();
    if names.is_empty() {
        return Ok(ring::ALL_KX_GROUPS.to_vec());
    }
    names
        .iter()
        .map(|name| {
            let group = CURVES.iter().find(|(known, _)| known == name).map(|(_, group)| *group);
            ring::ALL_KX_GROUPS
                .iter()
                .copied()
                .find(|supported| Some(supported.name()) == group)
                .ok_or_else(|| {
                    let key = "tls_server_config.curve_preferences";
                    missing(key, name, &CURVES.map(|(known, _)| known), "remove it from the list")
                })
        })
        .collect()
}

fn missing(key: &str, name: &str, known: &[&str], to_do: &str) -> Refusal {
    let (last, others) = known.split_last().unwrap_or((&"nothing", &[]));
    let known = format!("{} and {last}", others.join(", "));
    let why =
        format!("{name:?} is not available: halo's TLS library (rustls) has {known}; {to_do}");
    Refusal::at(key, why)
}

fn is_of(suite: &SupportedCipherSuite, version: ProtocolVersion) -> bool {
    suite.version().version == version
}

fn go_name(suite: &SupportedCipherSuite) -> String {
    suite.suite().as_str().unwrap_or_default().replace("TLS13_", "TLS_")
}
