//! PEM text that stands in the web configuration or in a file that it names.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::serve::web_config::{Files, Refusal};

/// PEM text and the key of the configuration that it came from.
pub(super) struct Pem {
    key: String,
    file: Option<String>,
    text: Vec<u8>,
}

impl Pem {
    /// Reads what `key` and `key`_file say; as in the toolkit the file wins over the inline text.
    pub(super) fn read(
        key: &str,
        inline: Option<&String>,
        file: Option<&String>,
        directory: &Path,
        files: &mut Files,
    ) -> Result<Option<Self>, Refusal> {
        let section = "tls_server_config";
        if let Some(name) = file {
            let key = format!("{section}.{key}_file");
            let path = directory.join(name);
            let text = files.read(&path).map_err(|error| {
                let path = path.display();
                let why =
                    format!("{name:?} cannot be read: {path}: {error}; check name and rights");
                Refusal::at(&key, why)
            })?;
            return Ok(Some(Self { key, file: Some(name.clone()), text }));
        }
        let key = format!("{section}.{key}");
        Ok(inline.map(|text| Self { key, file: None, text: text.clone().into_bytes() }))
    }

    /// All certificates; a text without any is refused.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Refusal> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        let expected = "expected one or more PEM certificates (BEGIN CERTIFICATE)";
        match found {
            Ok(certificates) if certificates.is_empty() => {
                Err(self.refuse(format!("no certificate found; {expected}")))
            }
            Ok(certificates) => Ok(certificates),
            Err(_) => Err(self.refuse(format!("this PEM is broken or cut off; {expected}"))),
        }
    }

    /// The first private key.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Refusal> {
        // The reason is left out: the library's message may quote lines of the key.
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|_| {
            self.refuse("no private key found; expected one in PEM without a passphrase")
        })
    }

    /// Where the text came from, for messages about something else.
    pub(super) fn origin(&self) -> &str {
        self.file.as_ref().unwrap_or(&self.key)
    }

    pub(super) fn refuse(&self, why: impl std::fmt::Display) -> Refusal {
        match &self.file {
            Some(name) => Refusal::at(&self.key, format!("{name:?}: {why}")),
            None => Refusal::at(&self.key, why),
        }
    }
}
