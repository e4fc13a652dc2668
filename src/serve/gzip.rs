//! gzip for those who ask for it, as Prometheus does at every scrape.
//!
//! A compressor is kept: making one costs more than compressing an exposition with it.

use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use libdeflater::{CompressionLvl, Compressor};

/// A compressor that is used again.
pub(super) struct Gzip(Mutex<Compressor>);

impl Default for Gzip {
    fn default() -> Self {
        // An exposition is so repetitive that the first level leaves little more than the sixth,
        // in half of its time. The level that the package calls fastest does not compress.
        let level = CompressionLvl::new(1).unwrap_or_default();
        Self(Mutex::new(Compressor::new(level)))
    }
}

impl Gzip {
    /// The text as a gzip file (RFC 1952).
    pub(super) fn pack(&self, text: &str) -> Option<Vec<u8>> {
        let mut compressor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut packed = vec![0; compressor.gzip_compress_bound(text.len())];
        let length = compressor.gzip_compress(text.as_bytes(), &mut packed).ok()?;
        packed.truncate(length);
        Some(packed)
    }
}

/// Whether a client accepts gzip (RFC 9110, 12.5.3). Without a word about it, it does not.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut by_star = false;
    for choice in lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')) {
        let (coding, weight) = choice.split_once(';').unwrap_or((choice, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        let is_wanted = weight.is_ok_and(|weight| weight > 0.0);
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("gzip") => return is_wanted,
            "*" => by_star = is_wanted,
            _ => {}
        }
    }
    by_star
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::is_accepted;

    #[test]
    fn what_clients_say_is_what_they_get() {
        let cases = [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("br;q=1.0, *;q=0.1", true),
            ("identity", false),
            ("", false),
            ("gzip;q=0", false),
            ("*, gzip; q=0.000", false),
            ("gzip;q=nonsense", false),
        ];
        for (text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            assert_eq!(is_accepted(&headers), expected, "{text}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }
}
