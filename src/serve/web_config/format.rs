//! The keys of the file, exactly as the exporter-toolkit documents them.
//!
//! Only the shape is checked here: a key that is not written below is refused by the parser.
//! Values stay text, so that a refused one can be named together with its key.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file; every section may be missing or empty.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct File {
    pub(in crate::serve) tls_server_config: Option<TlsServer>,
    pub(in crate::serve) http_server_config: Option<HttpServer>,
    pub(in crate::serve) basic_auth_users: Option<BTreeMap<String, String>>,
    pub(in crate::serve) rate_limit: Option<RateLimit>,
}

/// `tls_server_config`.
#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct TlsServer {
    pub(in crate::serve) cert: Option<String>,
    pub(in crate::serve) key: Option<String>,
    pub(in crate::serve) client_ca: Option<String>,
    pub(in crate::serve) cert_file: Option<String>,
    pub(in crate::serve) key_file: Option<String>,
    pub(in crate::serve) client_ca_file: Option<String>,
    pub(in crate::serve) client_auth_type: Option<String>,
    pub(in crate::serve) client_allowed_sans: Option<Vec<String>>,
    pub(in crate::serve) min_version: Option<String>,
    pub(in crate::serve) max_version: Option<String>,
    pub(in crate::serve) cipher_suites: Option<Vec<String>>,
    pub(in crate::serve) prefer_server_cipher_suites: Option<bool>,
    pub(in crate::serve) curve_preferences: Option<Vec<String>>,
}

impl TlsServer {
    /// The section with what is blank taken as not written, as Go takes it.
    pub(in crate::serve) fn without_blanks(mut self) -> Self {
        let texts = [
            &mut self.cert,
            &mut self.key,
            &mut self.client_ca,
            &mut self.cert_file,
            &mut self.key_file,
            &mut self.client_ca_file,
            &mut self.client_auth_type,
            &mut self.min_version,
            &mut self.max_version,
        ];
        for text in texts {
            text.take_if(|text| text.is_empty());
        }
        // An empty `client_allowed_sans` is kept: it is no name, which is not the same as any name.
        for list in [&mut self.cipher_suites, &mut self.curve_preferences] {
            list.take_if(|list| list.is_empty());
        }
        self
    }
}

/// `http_server_config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct HttpServer {
    pub(in crate::serve) http2: Option<bool>,
    pub(in crate::serve) headers: Option<BTreeMap<String, String>>,
}

/// `rate_limit`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct RateLimit {
    pub(in crate::serve) interval: Option<String>,
    pub(in crate::serve) burst: Option<String>,
}
