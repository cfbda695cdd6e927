//! The part that all verifiers share: both of rustls' traits, and the check of the handshake's signature.

use std::fmt::Debug;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Decides which certificates are accepted.
pub(crate) trait AcceptCertificate: Debug + Send + Sync {
    /// Accepts the certificate of a server that was dialled by this name.
    fn accept_server(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error>;

    /// Accepts the certificate of a client.
    fn accept_client(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error>;
}

/// A verifier for both roles.
///
/// It always checks the signature over the handshake: a certificate is public, and only its key proves who presents it.
#[derive(Debug)]
pub(crate) struct PeerVerifier<A> {
    certificates: A,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<A> PeerVerifier<A> {
    pub(crate) fn new(certificates: A, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { certificates, algorithms }
    }
}

/// The methods that check a handshake's signature, which rustls has in both traits.
macro_rules! signature_checks {
    () => {
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
    };
}

impl<A: AcceptCertificate> ServerCertVerifier for PeerVerifier<A> {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.certificates.accept_server(leaf, intermediates, name, now)?;
        Ok(ServerCertVerified::assertion())
    }

    signature_checks!();
}

impl<A: AcceptCertificate> ClientCertVerifier for PeerVerifier<A> {
    /// Empty: a Go client does not send its certificate when a list that is not empty lacks its issuer.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.certificates.accept_client(leaf, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    signature_checks!();
}
