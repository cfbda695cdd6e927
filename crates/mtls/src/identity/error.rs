//! Why an identity cannot be made or loaded.

use std::time::SystemTime;

use miette::Diagnostic;
use thiserror::Error;

use super::algorithm::KeyAlgorithm;
use crate::pem::{PemError, PemOrigin};
use crate::validity::utc;

/// Why there is no identity.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum IdentityError {
    /// The text of the certificates or of the key cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Pem(#[from] PemError),
    /// The key is of a kind that this build cannot sign with.
    #[error("the private key in {origin} is of an unsupported kind: {algorithm}")]
    #[diagnostic(
        code(rpcplugin::security::identity_unsupported_key),
        help("use an RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519 key")
    )]
    UnsupportedKey {
        /// Where the key was read.
        origin: PemOrigin,
        /// The kind of the key.
        algorithm: &'static str,
    },
    /// The key is damaged, or of a kind that is not even recognised.
    #[error("the private key in {origin} cannot be used")]
    #[diagnostic(
        code(rpcplugin::security::identity_unusable_key),
        help(
            "check it with `openssl pkey -noout -text`: it must be an undamaged RSA (2048 bits or more), P-256, P-384, \
             P-521 or Ed25519 key"
        )
    )]
    UnusableKey {
        /// Where the key was read.
        origin: PemOrigin,
    },
    /// The key does not belong to the first certificate.
    #[error("the private key in {key} does not belong to the first certificate in {certificates}")]
    #[diagnostic(
        code(rpcplugin::security::identity_key_mismatch),
        help(
            "give the key the certificate was made with, and put that certificate before those of its issuers"
        )
    )]
    KeyMismatch {
        /// Where the certificates were read.
        certificates: PemOrigin,
        /// Where the key was read.
        key: PemOrigin,
    },
    /// The certificate has run out.
    #[error("the certificate in {origin} expired on {}", utc(*.not_after))]
    #[diagnostic(
        code(rpcplugin::security::identity_expired),
        help("renew the certificate, or set this machine's clock if it is wrong")
    )]
    Expired {
        /// Where the certificate was read.
        origin: PemOrigin,
        /// The last moment at which it was valid.
        not_after: SystemTime,
    },
    /// The certificate's time has not come.
    #[error("the certificate in {origin} is not valid before {}", utc(*.not_before))]
    #[diagnostic(
        code(rpcplugin::security::identity_not_yet_valid),
        help("set this machine's clock if it is wrong, or wait until the certificate is valid")
    )]
    NotYetValid {
        /// Where the certificate was read.
        origin: PemOrigin,
        /// The first moment at which it is valid.
        not_before: SystemTime,
    },
    /// No key of the asked kind can be made by this build.
    #[error("this program cannot make {algorithm:?} keys")]
    #[diagnostic(
        code(rpcplugin::security::identity_algorithm_unavailable),
        help("use P256, or build with the feature `aws-lc-rs` of rpcplugin")
    )]
    AlgorithmUnavailable {
        /// The kind that was asked for.
        algorithm: KeyAlgorithm,
    },
    /// The key or its certificate cannot be made.
    #[error("a one-time identity cannot be made")]
    #[diagnostic(
        code(rpcplugin::security::identity_generate),
        help("check that this machine's source of randomness works")
    )]
    Generate {
        /// What the cryptography said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
