//! Accepts whom a bundle of certificates vouches for.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use super::words::in_words;
use crate::standing;
use crate::trust::RootCertificates;
use crate::usage::{self, Role};

/// Accepts a certificate that is in the bundle itself, or that an authority in the bundle vouches for.
///
/// Both need the extended key usage of their role, if they have that extension, and a server's must carry the dialed name.
///
/// The first half is what Go and OpenSSL do too, and what web verification alone would refuse: a self-signed
/// authority certificate presented as one's own, or a bundle that holds the peer's certificate without its issuer.
#[derive(Debug)]
pub(crate) struct AuthoritiesVerifier {
    authorities: RootCertificates,
    roots: Arc<RootCertStore>,
    /// None where nobody in the bundle vouches for others, which rustls does not build a verifier for.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl AuthoritiesVerifier {
    pub(crate) fn new(
        authorities: RootCertificates,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let (roots, client_roots) = (authorities.roots(Role::Server), authorities.roots(Role::Client));
        let clients = if client_roots.is_empty() {
            None
        } else {
            let builder = WebPkiClientVerifier::builder_with_provider(client_roots, Arc::clone(provider));
            Some(builder.build()?)
        };
        Ok(Self { authorities, roots, clients, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for AuthoritiesVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if self.authorities.contains(end_entity) {
            standing::of(&certificate, now)?;
            usage::check(end_entity, Role::Server)?;
        } else if let Some(refusal) = self.authorities.refusal_of_usage(Role::Server) {
            return Err(refusal);
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                self.algorithms.all,
            )
            .map_err(in_words)?;
        }
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for AuthoritiesVerifier {
    /// None, as for a pinned peer: the hint can only make a client with a certificate from elsewhere hide it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.authorities.contains(end_entity) {
            standing::of(&ParsedCertificate::try_from(end_entity)?, now)?;
            usage::check(end_entity, Role::Client)?;
            return Ok(ClientCertVerified::assertion());
        }
        match &self.clients {
            Some(clients) => clients.verify_client_cert(end_entity, intermediates, now).map_err(in_words),
            None => Err(self
                .authorities
                .refusal_of_usage(Role::Client)
                .unwrap_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
