//! The error for an unsupported signature algorithm, by name. rustls shows the bytes of its object identifier.

use std::{fmt, sync::Arc};

use rustls::{CertificateError, Error, OtherError};

use crate::provider::{provider, verifies_p521};
use crate::usage::object_identifier;

/// The error for a certificate with an unsupported signature algorithm.
#[derive(Debug)]
struct UnsupportedSignature {
    algorithm: String,
}

/// Replaces the errors of rustls that show only an object identifier.
pub(super) fn in_words(error: Error) -> Error {
    let algorithm = match &error {
        Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id, ..
            },
        ) => name(signature_algorithm_id),
        _ => return error,
    };
    // rustls shows errors inside a certificate error in the form of `Debug`.
    Error::Other(OtherError(Arc::new(UnsupportedSignature { algorithm })))
}

impl fmt::Display for UnsupportedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the peer's certificate, or one between it and a root, is signed with {}, which is not supported: issue it again with \
             SHA-256, SHA-384 or SHA-512 and an RSA, P-256, P-384, P-521 or Ed25519 key",
            self.algorithm
        )?;
        if verifies_p521(&provider().signature_verification_algorithms) {
            return Ok(());
        }
        f.write_str(
            "; P-521, and SHA-512 on P-256 and P-384, need the feature `p521` of rpcplugin in this program",
        )
    }
}

impl std::error::Error for UnsupportedSignature {}

/// OpenSSL's name of the algorithm, or the numbers of its object identifier.
fn name(identifier: &[u8]) -> String {
    let numbers = object_identifier(identifier).unwrap_or_default();
    let known = NAMES.iter().find(|(known, _)| *known == numbers);
    known.map_or_else(|| format!("the algorithm {numbers}"), |(_, name)| (*name).to_owned())
}

/// Algorithms in use, now or in the past.
const NAMES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.2.840.10040.4.3", "dsaWithSHA1"),
    ("2.16.840.1.101.3.4.3.2", "dsa_with_SHA256"),
    ("2.16.840.1.101.3.4.3.10", "ecdsa_with_SHA3-256"),
    ("1.3.101.113", "Ed448"),
    ("1.2.156.10197.1.501", "SM2-with-SM3"),
];
