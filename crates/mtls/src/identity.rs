//! A certificate chain and the private key that belongs to it.

mod algorithm;
mod ephemeral;
mod error;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

pub use algorithm::KeyAlgorithm;
pub use error::IdentityError;

use crate::peer::PeerCertificate;
use crate::pem::{self, PemError, PemOrigin, PemText};
use crate::provider::{provider, verifies_p521};
use crate::validity::{self, OutOfDate};

/// A certificate chain with its private key.
///
/// Cloning is cheap. `Debug` shows the fingerprint of the certificate and never the key.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    certified: Arc<CertifiedKey>,
    leaf: CertificateDer<'static>,
    /// The encoded key, which is wiped when it is dropped. rustls keeps a copy of its own as long as connections can be made.
    key: Zeroizing<PrivateKeyDer<'static>>,
}

impl Identity {
    /// Generates an ephemeral identity with a P-256 key.
    ///
    /// The certificate is self-signed. It carries the names `localhost`, `127.0.0.1` and `::1`, allows both roles, and is not an authority.
    /// It is valid from five minutes ago for about thirty years.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Generate`] if the system provides no randomness.
    ///
    /// # Protocol
    ///
    /// Go accepts such a certificate in both roles. Differs: go-plugin (`mtls.go`, tag v1.8.0) uses P-521 and marks the certificate as an
    /// authority, which peers built on BoringSSL and rustls refuse.
    pub fn generate() -> Result<Self, IdentityError> {
        Self::generate_with(KeyAlgorithm::default())
    }

    /// Generates an ephemeral identity like [`generate`](Self::generate), with a key of another algorithm.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Generate`] if the system provides no randomness. [`IdentityError::AlgorithmUnavailable`] for
    /// [`KeyAlgorithm::P521`] without the feature `aws-lc-rs`.
    pub fn generate_with(algorithm: KeyAlgorithm) -> Result<Self, IdentityError> {
        let (certificate, key) = ephemeral::issue(algorithm, UnixTime::now())?;
        let signing_key = provider()
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|source| IdentityError::Generate { source: source.into() })?;
        let certified = CertifiedKey::new(vec![certificate.clone()], signing_key);
        Ok(Self::assemble(certified, certificate, Zeroizing::new(key)))
    }

    /// Loads an identity: its certificate chain, leaf first, and its private key.
    ///
    /// Each argument is PEM text, or `file://` and the path of a file with PEM text. The key may be PKCS#8, PKCS#1 or SEC1, and RSA (2048
    /// bits or more), P-256, P-384, P-521 or Ed25519. The first key of several is used. The permissions of a key file are not checked.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Pem`] if a text cannot be read. Other variants if the key cannot be used, if it does not belong to the first
    /// certificate, or if that certificate is outside its dates.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, IdentityError> {
        Self::from_pem_at(certificates, key, UnixTime::now())
    }

    fn from_pem_at(certificates: &str, key: &str, now: UnixTime) -> Result<Self, IdentityError> {
        let certificates_text = PemText::resolve(certificates, "certificate")?;
        let chain = certificates_text.certificates()?;
        let leaf = chain.first().expect("a chain that was read without error is not empty").clone();

        let key_text = PemText::resolve(key, "private key")?;
        let key = Zeroizing::new(key_text.private_key()?);
        let signing_key = provider().key_provider.load_private_key(key.clone_key()).map_err(|_| {
            let algorithms = provider().signature_verification_algorithms;
            unusable_key(&key, key_text.origin(), &algorithms)
        })?;

        let certified = CertifiedKey::new(chain, signing_key);
        if certified.keys_match().is_err() {
            return Err(IdentityError::KeyMismatch {
                certificates: certificates_text.origin(),
                key: key_text.origin(),
            });
        }
        check_dates(&leaf, now, certificates_text.origin())?;

        Ok(Self::assemble(certified, leaf, key))
    }

    fn assemble(
        certified: CertifiedKey,
        leaf: CertificateDer<'static>,
        key: Zeroizing<PrivateKeyDer<'static>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { certified: Arc::new(certified), leaf, key }) }
    }

    /// The leaf certificate in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.inner.leaf
    }

    /// The leaf certificate as a PEM block with a trailing newline.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, &self.inner.leaf)
    }

    /// The leaf certificate, for the peer to pin.
    #[must_use]
    pub fn peer_certificate(&self) -> PeerCertificate {
        PeerCertificate::from_parsed(&self.inner.leaf)
    }

    /// Returns the whole identity as text, key included, for another process such as the next version of a host that reattaches to its
    /// plugins. Every program with the text can impersonate this one.
    #[must_use]
    pub fn export(&self) -> ExportedIdentity {
        let chain = &self.inner.certified.cert;
        let key = &self.inner.key;
        ExportedIdentity {
            certificates: chain.iter().map(|der| pem::encode(pem::CERTIFICATE, der)).collect(),
            private_key: Zeroizing::new(pem::encode(pem::key_label(key), key.secret_der())),
        }
    }

    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.inner.certified)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.peer_certificate())
    }
}

/// An identity as PEM text, from [`Identity::export`] and for [`Identity::from_pem`].
///
/// The text has a private key: keep it out of logs, environments, and files that other users can read. The key is wiped when it is
/// dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct ExportedIdentity {
    certificates: String,
    private_key: Zeroizing<String>,
}

impl ExportedIdentity {
    /// The certificate chain, leaf first.
    #[must_use]
    pub fn certificates_pem(&self) -> &str {
        &self.certificates
    }

    /// The private key, which is secret.
    #[must_use]
    pub fn private_key_pem(&self) -> &str {
        &self.private_key
    }
}

impl fmt::Debug for ExportedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportedIdentity")
            .field("certificates", &self.certificates)
            .field("private_key", &"[secret]")
            .finish()
    }
}

/// Refuses a certificate outside its dates.
fn check_dates(leaf: &CertificateDer<'_>, now: UnixTime, origin: PemOrigin) -> Result<(), IdentityError> {
    let checked = ParsedCertificate::try_from(leaf).and_then(|leaf| validity::role_of(&leaf, now));
    let Err(source) = checked else { return Ok(()) };
    Err(match OutOfDate::from_error(&source) {
        Some(OutOfDate::Expired { not_after }) => IdentityError::Expired { origin, not_after },
        Some(OutOfDate::NotYetValid { not_before }) => IdentityError::NotYetValid { origin, not_before },
        None => PemError::BadCertificate { origin, number: 1, source }.into(),
    })
}

/// The error for a key that the provider refused, with the algorithm if it is not supported.
fn unusable_key(
    key: &PrivateKeyDer<'_>,
    origin: PemOrigin,
    algorithms: &WebPkiSupportedAlgorithms,
) -> IdentityError {
    let der = key.secret_der();
    let holds = |oid: &[u8]| der.windows(oid.len()).any(|window| window == oid);
    if holds(P521) && !verifies_p521(algorithms) {
        return IdentityError::P521NotBuilt { origin };
    }
    let named = UNSUPPORTED_KEYS.iter().find(|(_, oid)| holds(oid));
    match named {
        Some(&(algorithm, _)) => IdentityError::UnsupportedKey { origin, algorithm },
        None => IdentityError::UnusableKey { origin },
    }
}

/// The encoded object identifier of P-521 in key files.
const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// Algorithms that are not supported, by the encoded object identifiers in key files.
const UNSUPPORTED_KEYS: &[(&str, &[u8])] = &[
    ("ECDSA on P-224", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21]),
    ("ECDSA on secp256k1", &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]),
    ("Ed448", &[0x06, 0x03, 0x2b, 0x65, 0x71]),
    ("X25519", &[0x06, 0x03, 0x2b, 0x65, 0x6e]),
    ("DSA", &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01]),
    ("RSA-PSS", &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a]),
];

#[cfg(test)]
mod tests {
    #[cfg(feature = "ring")]
    #[test]
    fn a_p521_key_is_refused_by_name_in_a_build_without_p521() {
        use miette::Diagnostic as _;
        use rustls::pki_types::pem::PemObject as _;

        use super::*;

        let pem = include_str!("../tests/data/go-plugin-p521.pkcs8.pem");
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
        let ring = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let error = unusable_key(&key, PemOrigin::Inline, &ring);
        assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::security::identity_p521_not_built");
        assert!(error.help().expect("help").to_string().contains("`p521`"));
        let other = PrivateKeyDer::Pkcs8([0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71].to_vec().into());
        let error = unusable_key(&other, PemOrigin::Inline, &ring);
        assert!(matches!(error, IdentityError::UnsupportedKey { algorithm: "Ed448", .. }), "{error}");
    }
}
