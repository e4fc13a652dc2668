//! The `client_allowed_sans` key: which names a client's certificate may bear.

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::NAMES;
use crate::serve::web_config::Refusal;

/// Names of which a certificate must bear one, exactly as written.
#[derive(Debug)]
pub(super) struct AllowedNames(Vec<Name>);

#[derive(Debug)]
enum Name {
    Dns(String),
    Ip(IpAddr),
    Uri(String),
}

impl AllowedNames {
    pub(super) fn new(written: &[String]) -> Result<Self, Refusal> {
        if written.is_empty() {
            let why = "no name is listed, so that no client could connect; list one, or remove \
                       the key";
            return Err(Refusal::at(NAMES, why));
        }
        written.iter().map(|name| Name::of(name)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the certificate bears one of the names.
    pub(super) fn name(&self, certificate: &CertificateDer<'_>) -> bool {
        EndEntityCert::try_from(certificate)
            .is_ok_and(|certificate| self.0.iter().any(|name| name.is_of(&certificate)))
    }
}

impl Name {
    fn of(written: &str) -> Result<Self, Refusal> {
        if let Ok(address) = written.parse() {
            return Ok(Self::Ip(address));
        }
        if written.contains(':') {
            return Ok(Self::Uri(written.to_owned()));
        }
        if written.contains('@') {
            let why = format!(
                "{written:?} is an e-mail address, which halo's TLS library (rustls) does not \
                 read from certificates; use a DNS name, an IP address or a URI"
            );
            return Err(Refusal::at(NAMES, why));
        }
        Ok(Self::Dns(written.to_owned()))
    }

    fn is_of(&self, certificate: &EndEntityCert<'_>) -> bool {
        match self {
            Self::Dns(name) => certificate.valid_dns_names().any(|borne| borne == name),
            Self::Uri(name) => certificate.valid_uri_names().any(|borne| borne == name),
            Self::Ip(address) => {
                let address = ServerName::IpAddress((*address).into());
                certificate.verify_is_valid_for_subject_name(&address).is_ok()
            }
        }
    }
}
