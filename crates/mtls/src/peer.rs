//! The certificate of a peer.

use std::fmt;
use std::sync::Arc;

use miette::Diagnostic;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::der::{element, is_p521};
use crate::pem::{self, PemError, PemText};

/// A certificate of a peer, in DER.
///
/// Certificates are equal if their bytes are equal. `Display` and `Debug` show the short form of the fingerprint. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PeerCertificate {
    der: Arc<[u8]>,
}

impl PeerCertificate {
    /// Parses a certificate in DER, such as the decoded field of a handshake line.
    ///
    /// # Errors
    ///
    /// [`PeerCertificateError::NotX509`] if the bytes are not an X.509 certificate of version 3.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, PeerCertificateError> {
        let der = CertificateDer::from(der.into());
        ParsedCertificate::try_from(&der).map_err(|source| PeerCertificateError::NotX509 { source })?;
        Ok(Self::from_parsed(&der))
    }

    /// Parses the first `CERTIFICATE` block of PEM text, such as the value of `PLUGIN_CLIENT_CERT`.
    ///
    /// The text comes from the peer, so it never names a file.
    ///
    /// # Errors
    ///
    /// [`PeerCertificateError::NotPem`] if the text has no valid certificate.
    pub fn from_pem(text: &str) -> Result<Self, PeerCertificateError> {
        let first = PemText::inline(text)
            .first_certificate()
            .map_err(|source| PeerCertificateError::NotPem { source })?;
        Ok(Self::from_parsed(&first))
    }

    /// Takes a certificate that has been parsed before.
    pub(crate) fn from_parsed(der: &CertificateDer<'_>) -> Self {
        Self { der: Arc::from(der.as_ref()) }
    }

    /// Whether the key of the certificate is on P-521.
    pub(crate) fn has_p521_key(&self) -> bool {
        let der = CertificateDer::from(&*self.der);
        let key = ParsedCertificate::try_from(&der).map(|parsed| parsed.subject_public_key_info());
        key.is_ok_and(|key| element(&key).is_some_and(|(_, key, _)| is_p521(key)))
    }

    /// The DER encoding.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as one PEM block with a trailing newline.
    #[must_use]
    pub fn pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, &self.der)
    }

    /// The SHA-256 digest of the DER encoding, 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.der).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// `sha256:` and the first 16 hexadecimal digits of the fingerprint.
impl fmt::Display for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", &self.fingerprint()[..16])
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificate({self})")
    }
}

/// The error for an invalid certificate of a peer.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum PeerCertificateError {
    /// The bytes are not an X.509 certificate of version 3.
    #[error("the peer's certificate is not an X.509 certificate of version 3")]
    #[diagnostic(
        code(rpcplugin::security::peer_not_x509),
        help(
            "check which program the peer is, and its version: it sent damaged data or a certificate of an older version"
        )
    )]
    NotX509 {
        /// The parser's error.
        source: rustls::Error,
    },
    /// The first block of the PEM text is not a valid certificate.
    #[error("the PEM text of the peer's certificate is invalid")]
    #[diagnostic(
        code(rpcplugin::security::peer_not_pem),
        help("check which program launched this one, and its version")
    )]
    NotPem {
        /// The fault in the text.
        source: PemError,
    },
}
