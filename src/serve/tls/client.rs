//! Which clients may connect: `client_auth_type`, `client_ca` and `client_allowed_sans`.

mod san;

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use self::san::AllowedNames;
use super::Pem;
use crate::serve::web_config::{Refusal, TlsServer};

const TYPE: &str = "tls_server_config.client_auth_type";
const NAMES: &str = "tls_server_config.client_allowed_sans";

/// Builds what decides about the certificates of clients.
pub(super) fn verifier(
    section: &TlsServer,
    authorities: Option<&Pem>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Refusal> {
    let written = section.client_auth_type.as_deref().unwrap_or("NoClientCert");
    let (mandatory, verified) = match written {
        "NoClientCert" => return nobody_asked(section, authorities),
        "RequestClientCert" => (false, false),
        // The second is an old name that the toolkit still takes.
        "RequireAnyClientCert" | "RequireClientCert" => (true, false),
        "VerifyClientCertIfGiven" => (false, true),
        "RequireAndVerifyClientCert" => (true, true),
        unknown => {
            let why = format!(
                "{unknown:?} is not known; set NoClientCert, RequestClientCert, \
                 RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
            );
            return Err(Refusal::at(TYPE, why));
        }
    };
    if mandatory && verified && authorities.is_none() {
        let why = "RequireAndVerifyClientCert needs client_ca_file: halo does not let every \
                   client in that a public authority knows; set it";
        return Err(Refusal::at(TYPE, why));
    }
    let allowed = section.client_allowed_sans.as_deref().map(AllowedNames::new).transpose()?;
    if allowed.is_some() && !mandatory {
        return Err(names_unused(written));
    }
    let (authorities, hints) = match authorities {
        Some(pem) => Authorities::of(pem, provider).map(|(known, hints)| (Some(known), hints))?,
        None => (None, Vec::new()),
    };
    let trust = match authorities {
        _ if !verified => Trust::Anybody,
        Some(known) => Trust::Known(known),
        None => Trust::Nobody,
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(Arc::new(Verifier { mandatory, trust, allowed, hints, algorithms }))
}

fn nobody_asked(
    section: &TlsServer,
    authorities: Option<&Pem>,
) -> Result<Arc<dyn ClientCertVerifier>, Refusal> {
    if authorities.is_some() {
        let why = "NoClientCert never uses client_ca; set RequireAndVerifyClientCert, or remove \
                   client_ca";
        return Err(Refusal::at(TYPE, why));
    }
    if section.client_allowed_sans.is_some() {
        return Err(names_unused("NoClientCert"));
    }
    Ok(Arc::new(NoClientAuth))
}

fn names_unused(written: &str) -> Refusal {
    let why = format!(
        "{written} lets clients in without a certificate, so that no name could be compared; set \
         client_auth_type to RequireAndVerifyClientCert or RequireAnyClientCert"
    );
    Refusal::at(NAMES, why)
}

/// Whose certificates are accepted.
#[derive(Debug)]
enum Trust {
    Anybody,
    Known(Authorities),
    /// Go would ask the authorities of the system; halo asks none, so that none is trusted.
    Nobody,
}

/// The certificates of `client_ca`.
#[derive(Debug)]
struct Authorities {
    chains: Arc<dyn ClientCertVerifier>,
    listed: Vec<CertificateDer<'static>>,
}

impl Authorities {
    fn of(
        pem: &Pem,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(Self, Vec<DistinguishedName>), Refusal> {
        let listed = pem.certificates()?;
        let mut roots = RootCertStore::empty();
        for certificate in &listed {
            roots.add(certificate.clone()).map_err(|error| {
                pem.refuse(format!("not a usable authority: {error}; remove it from the file"))
            })?;
        }
        let hints = roots.subjects();
        let chains =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
                .build()
                .map_err(|error| pem.refuse(error))?;
        Ok((Self { chains, listed }, hints))
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        match self.chains.verify_client_cert(certificate, chain, now) {
            // A self-signed client certificate (openssl req -x509) calls itself an authority,
            // which webpki refuses and Go accepts where that very certificate is listed.
            // webpki has compared the dates before it says so.
            Err(error) if is_authority(&error) && self.listed.contains(certificate) => Ok(()),
            verdict => verdict.map(|_| ()),
        }
    }
}

fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error else {
        return false;
    };
    inner.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

#[derive(Debug)]
struct Verifier {
    mandatory: bool,
    trust: Trust,
    allowed: Option<AllowedNames>,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.trust {
            Trust::Anybody => {}
            Trust::Known(authorities) => authorities.verify(certificate, chain, now)?,
            Trust::Nobody => return Err(CertificateError::UnknownIssuer.into()),
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.name(certificate)) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
