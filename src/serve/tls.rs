//! The `tls_server_config` section made into a configuration of rustls.

mod client;
mod names;
mod pem;
mod plain;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, ServerConfig};

use self::pem::Pem;
pub(super) use self::plain::RefusePlain;
use super::web_config::{Files, Refusal, TlsServer};

/// What a TLS server is built from.
pub(super) struct Server<'a> {
    pub(super) section: TlsServer,
    /// Where relative paths start: the directory of the web configuration.
    pub(super) directory: &'a Path,
    pub(super) http2: bool,
}

impl Server<'_> {
    /// None where the section asks for nothing: then plain HTTP is served.
    pub(super) fn build(&self, files: &mut Files) -> Result<Option<Arc<ServerConfig>>, Refusal> {
        let section = &self.section;
        if *section == TlsServer::default() {
            return Ok(None);
        }
        let mut read = |key, inline, file| Pem::read(key, inline, file, self.directory, files);
        let certificate = read("cert", section.cert.as_ref(), section.cert_file.as_ref())?;
        let certificate = certificate.ok_or_else(|| absent("cert"))?;
        let key = read("key", section.key.as_ref(), section.key_file.as_ref())?;
        let key = key.ok_or_else(|| absent("key"))?;
        let authorities =
            read("client_ca", section.client_ca.as_ref(), section.client_ca_file.as_ref())?;

        let versions = names::versions(section)?;
        let provider = Arc::new(CryptoProvider {
            cipher_suites: names::suites(section, &versions, self.http2)?,
            kx_groups: names::curves(section)?,
            ..ring::default_provider()
        });
        let identity = identity(&certificate, &key, &provider)?;
        let verifier = client::verifier(section, authorities.as_ref(), &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|error| Refusal::at("tls_server_config", error))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.ignore_client_order = section.prefer_server_cipher_suites.unwrap_or(true);
        let protocols: &[&[u8]] = if self.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Some(Arc::new(config)))
    }
}

fn absent(key: &str) -> Refusal {
    let why =
        format!("missing, but the section asks for TLS; set {key}_file, or remove the section");
    Refusal::at(&format!("tls_server_config.{key}_file"), why)
}

/// The certificate chain with its key, proven to belong together.
fn identity(
    certificate: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Refusal> {
    let chain = certificate.certificates()?;
    let loaded = provider.key_provider.load_private_key(key.private_key()?).map_err(|error| {
        let has = "halo's TLS library (rustls) has RSA of 2048 to 4096 bits, ECDSA P-256, ECDSA \
                   P-384 and Ed25519";
        key.refuse(format!("this private key cannot be used: {error}; {has}"))
    })?;
    let identity = CertifiedKey::new(chain, loaded);
    match identity.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(identity),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let why = format!(
                "this private key does not belong to the certificate in {}; set the two that \
                 were issued together, the server's own certificate first in its file",
                certificate.origin()
            );
            Err(key.refuse(why))
        }
        Err(error) => {
            let why = format!("not a usable X.509 version 3 certificate: {error}; issue a new one");
            Err(certificate.refuse(why))
        }
    }
}
