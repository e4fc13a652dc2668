//! Certificates with their keys, made anew by each test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// A certificate and the private key that belongs to it.
pub(super) struct Identity {
    certificate: rcgen::Certificate,
    params: CertificateParams,
    key: KeyPair,
}

impl Identity {
    pub(super) fn self_signed(name: &str) -> Self {
        Self::of(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// One that calls itself an authority, as `openssl req -x509` makes them.
    pub(super) fn authority(name: &str) -> Self {
        Self::of(authority(name))
    }

    pub(super) fn expired_authority(name: &str) -> Self {
        let mut params = authority(name);
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        Self::of(params)
    }

    fn of(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), params, key }
    }

    /// A new identity that this one vouches for.
    pub(super) fn signs(&self, names: Vec<SanType>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let issuer = Issuer::from_params(&self.params, &self.key);
        Self { certificate: params.signed_by(&key, &issuer).unwrap(), params, key }
    }

    pub(super) fn certificate(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn key(&self) -> String {
        self.key.serialize_pem()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// What a TLS peer shows; with the key of another it cannot prove that it owns it.
    pub(super) fn shown_with_key_of(&self, other: &Self) -> Arc<CertifiedKey> {
        let key = PrivateKeyDer::from_pem_slice(other.key().as_bytes()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![self.der()], key))
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}
