//! Errors of identities.

use std::time::SystemTime;

use miette::Diagnostic;
use thiserror::Error;

use super::algorithm::KeyAlgorithm;
use crate::pem::{PemError, PemOrigin};
use crate::validity::utc;

/// The error of an identity that cannot be generated or loaded.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum IdentityError {
    /// The text of the certificates or of the key cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Pem(#[from] PemError),
    /// The algorithm of the key is not supported.
    #[error("the algorithm of the private key in {origin} is not supported: {algorithm}")]
    #[diagnostic(
        code(rpcplugin::security::identity_unsupported_key),
        help("use an RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519 key")
    )]
    UnsupportedKey {
        /// The origin of the key.
        origin: PemOrigin,
        /// The algorithm.
        algorithm: &'static str,
    },
    /// The key is on P-521, and this program is built without P-521.
    #[error("the private key in {origin} is a P-521 key, and this program is built without P-521")]
    #[diagnostic(
        code(rpcplugin::security::identity_p521_not_built),
        help("enable the feature `p521` of rpcplugin in this program, or use a P-256 key")
    )]
    P521NotBuilt {
        /// The origin of the key.
        origin: PemOrigin,
    },
    /// The key is damaged, or its algorithm is unknown.
    #[error("the private key in {origin} cannot be used")]
    #[diagnostic(
        code(rpcplugin::security::identity_unusable_key),
        help(
            "check the key with `openssl pkey -noout -text`; use an RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519 key"
        )
    )]
    UnusableKey {
        /// The origin of the key.
        origin: PemOrigin,
    },
    /// The key does not belong to the first certificate.
    #[error("the private key in {key} does not belong to the first certificate in {certificates}")]
    #[diagnostic(
        code(rpcplugin::security::identity_key_mismatch),
        help("give the key of the certificate, and put that certificate before those of its issuers")
    )]
    KeyMismatch {
        /// The origin of the certificates.
        certificates: PemOrigin,
        /// The origin of the key.
        key: PemOrigin,
    },
    /// The certificate has expired.
    #[error("the certificate in {origin} expired on {}", utc(*.not_after))]
    #[diagnostic(
        code(rpcplugin::security::identity_expired),
        help("renew the certificate, or correct this machine's clock")
    )]
    Expired {
        /// The origin of the certificate.
        origin: PemOrigin,
        /// The end of its validity.
        not_after: SystemTime,
    },
    /// The certificate is not valid yet.
    #[error("the certificate in {origin} is not valid before {}", utc(*.not_before))]
    #[diagnostic(
        code(rpcplugin::security::identity_not_yet_valid),
        help("correct this machine's clock, or wait until the certificate is valid")
    )]
    NotYetValid {
        /// The origin of the certificate.
        origin: PemOrigin,
        /// The start of its validity.
        not_before: SystemTime,
    },
    /// This build cannot generate keys of the algorithm.
    #[error("this program cannot generate {algorithm:?} keys")]
    #[diagnostic(
        code(rpcplugin::security::identity_algorithm_unavailable),
        help("use P256, or build with the feature `aws-lc-rs` of rpcplugin")
    )]
    AlgorithmUnavailable {
        /// The algorithm.
        algorithm: KeyAlgorithm,
    },
    /// The key or its certificate cannot be generated.
    #[error("an ephemeral identity cannot be generated")]
    #[diagnostic(
        code(rpcplugin::security::identity_generate),
        help("check that this machine's source of randomness works")
    )]
    Generate {
        /// The error of the cryptography.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
