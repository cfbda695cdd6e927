//! Accepts certificates that a bundle of roots contains or issued.

use std::sync::Arc;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, Error, RootCertStore};

use super::peer_verifier::AcceptCertificate;
use super::unsupported_signature::in_words;
use crate::trust::RootCertificates;
use crate::usage::{self, Role};
use crate::validity;

/// Accepts a certificate that is in the bundle itself, or that an authority in the bundle issued.
///
/// An extended key usage, if the certificate has one, must allow the role. A server's certificate must also carry the dialled
/// name.
///
/// Go and OpenSSL also accept a certificate of the bundle itself. Web verification alone would refuse a self-signed authority
/// certificate presented as a leaf, and a bundle that holds the peer's certificate without its issuer.
#[derive(Debug)]
pub(crate) struct Roots {
    bundle: RootCertificates,
    servers: Arc<RootCertStore>,
    /// `None` if no certificate of the bundle can issue others: rustls does not build a verifier for an empty store.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Roots {
    pub(crate) fn new(
        bundle: RootCertificates,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let (servers, client_roots) = (bundle.roots(Role::Server), bundle.roots(Role::Client));
        let clients = if client_roots.is_empty() {
            None
        } else {
            let builder = WebPkiClientVerifier::builder_with_provider(client_roots, Arc::clone(provider));
            Some(builder.build()?)
        };
        Ok(Self { bundle, servers, clients, algorithms: provider.signature_verification_algorithms })
    }
}

impl AcceptCertificate for Roots {
    fn accept_server(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = ParsedCertificate::try_from(leaf)?;
        if self.bundle.contains(leaf) {
            validity::role_of(&certificate, now)?;
            usage::check(leaf, Role::Server)?;
        } else if let Some(refusal) = self.bundle.refusal_of_usage(Role::Server) {
            return Err(refusal);
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.servers,
                intermediates,
                now,
                self.algorithms.all,
            )
            .map_err(in_words)?;
        }
        verify_server_name(&certificate, name)
    }

    fn accept_client(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.bundle.contains(leaf) {
            validity::role_of(&ParsedCertificate::try_from(leaf)?, now)?;
            return usage::check(leaf, Role::Client);
        }
        match &self.clients {
            Some(clients) => {
                clients.verify_client_cert(leaf, intermediates, now).map(|_| ()).map_err(in_words)
            }
            None => Err(self
                .bundle
                .refusal_of_usage(Role::Client)
                .unwrap_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))),
        }
    }
}
