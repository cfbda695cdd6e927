//! The one certificate that the other side must present.

use std::fmt;
use std::sync::Arc;

use miette::Diagnostic;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::pem::{self, PemError, PemText};

/// Exactly one certificate, known by its DER encoding.
///
/// Two are equal when every byte is. `Display` and `Debug` show the short form of the fingerprint, fit for logs.
/// Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PeerCertificate {
    der: Arc<[u8]>,
}

impl PeerCertificate {
    /// Takes the certificate whose DER encoding this is, for instance the decoded certificate field of a handshake
    /// line.
    ///
    /// # Errors
    ///
    /// [`PeerCertificateError::NotX509`] if the bytes are not one X.509 version 3 certificate.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, PeerCertificateError> {
        let der = CertificateDer::from(der.into());
        ParsedCertificate::try_from(&der).map_err(|source| PeerCertificateError::NotX509 { source })?;
        Ok(Self::from_parsed(&der))
    }

    /// Takes the first `CERTIFICATE` block of `text`, for instance of the variable by which a host offers its
    /// certificate.
    ///
    /// The text comes from the other side, so it is never taken for the name of a file.
    ///
    /// # Errors
    ///
    /// [`PeerCertificateError::NotPem`] if the text holds no readable certificate.
    pub fn from_pem(text: &str) -> Result<Self, PeerCertificateError> {
        let first = PemText::inline(text)
            .first_certificate()
            .map_err(|source| PeerCertificateError::NotPem { source })?;
        Ok(Self::from_parsed(&first))
    }

    /// For a certificate that is known to parse.
    pub(crate) fn from_parsed(der: &CertificateDer<'_>) -> Self {
        Self { der: Arc::from(der.as_ref()) }
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

/// Why the certificate of the other side cannot be taken.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum PeerCertificateError {
    /// The bytes are not an X.509 certificate, or one of a version before 3.
    #[error("the peer's certificate is not an X.509 certificate of version 3")]
    #[diagnostic(
        code(rpcplugin::security::peer_not_x509),
        help(
            "the other side sent damaged data, or a certificate of an older version: check which program answered, and its \
             version"
        )
    )]
    NotX509 {
        /// What the parser found wrong.
        source: rustls::Error,
    },
    /// The text is not PEM with a readable certificate first.
    #[error("the peer's certificate cannot be read from its PEM text")]
    #[diagnostic(
        code(rpcplugin::security::peer_not_pem),
        help("the cause says more: check which program started this one, and its version")
    )]
    NotPem {
        /// What is wrong with the text.
        source: PemError,
    },
}
