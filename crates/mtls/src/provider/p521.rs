//! Verification of ECDSA on P-521, which ring does not support and every go-plugin peer uses.
//!
//! The code handles only public data (a peer's certificate, its signature, the transcript), so timing reveals nothing.

mod signing;

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{Signature, VerifyingKey};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::sha512::{P256_SHA512, P384_SHA512};

pub(super) use signing::Keys;

/// Adds P-521, and SHA-512 on the shorter curves, to `supported`.
///
/// TLS 1.3 ties a signature scheme to one curve and uses the first algorithm of its mapping. In TLS 1.2 a Go peer signs with its P-521 key
/// and the first hash of our list, so P-521 is also added after ring's curves for the shorter hashes.
pub(super) fn added_to(supported: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let mut all = supported.all.to_vec();
    all.extend([P521_SHA512, P521_SHA384, P521_SHA256, P384_SHA512, P256_SHA512]);

    let mut mapping: Vec<_> = supported
        .mapping
        .iter()
        .map(|&(scheme, algorithms)| match scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => (scheme, appended(algorithms, P521_SHA256)),
            SignatureScheme::ECDSA_NISTP384_SHA384 => (scheme, appended(algorithms, P521_SHA384)),
            _ => (scheme, algorithms),
        })
        .collect();
    mapping.push((SignatureScheme::ECDSA_NISTP521_SHA512, &[P521_SHA512, P384_SHA512, P256_SHA512]));

    // rustls requires static lists. The caller builds its provider once per process.
    WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.leak() }
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

fn appended(algorithms: &[Algorithm], last: Algorithm) -> &'static [Algorithm] {
    let mut longer = algorithms.to_vec();
    longer.push(last);
    longer.leak()
}

const P521_SHA256: Algorithm = &EcdsaP521 { hash: Hash::Sha256 };
const P521_SHA384: Algorithm = &EcdsaP521 { hash: Hash::Sha384 };
const P521_SHA512: Algorithm = &EcdsaP521 { hash: Hash::Sha512 };

#[derive(Debug)]
struct EcdsaP521 {
    hash: Hash,
}

#[derive(Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify_prehash(&self.hash.as_integer(message), &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.hash {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }
}

impl Hash {
    /// The digest as the big-endian integer that ECDSA computes with. The p521 crate refuses digests shorter
    /// than half the field, so the shorter ones are given their leading zeros here, which changes no value.
    fn as_integer(&self, message: &[u8]) -> [u8; 64] {
        let mut integer = [0; 64];
        match self {
            Self::Sha256 => integer[32..].copy_from_slice(&Sha256::digest(message)),
            Self::Sha384 => integer[16..].copy_from_slice(&Sha384::digest(message)),
            Self::Sha512 => integer.copy_from_slice(&Sha512::digest(message)),
        }
        integer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: &[u8] = include_bytes!("../../tests/data/go-plugin-p521.point");
    const MESSAGE: &[u8] = b"signed by Go";
    const SIGNATURES: [(Algorithm, &[u8]); 3] = [
        (P521_SHA256, include_bytes!("../../tests/data/go-plugin-p521.sha256.signature")),
        (P521_SHA384, include_bytes!("../../tests/data/go-plugin-p521.sha384.signature")),
        (P521_SHA512, include_bytes!("../../tests/data/go-plugin-p521.sha512.signature")),
    ];

    #[test]
    fn signatures_made_by_go_are_verified() {
        for (algorithm, signature) in SIGNATURES {
            assert!(algorithm.verify_signature(POINT, MESSAGE, signature).is_ok(), "{algorithm:?}");
        }
    }

    #[test]
    fn a_signature_counts_for_its_own_message_hash_and_key_only() {
        for (index, (algorithm, signature)) in SIGNATURES.into_iter().enumerate() {
            let refused = |point: &[u8], message: &[u8], signature: &[u8]| {
                assert!(algorithm.verify_signature(point, message, signature).is_err(), "{algorithm:?}");
            };
            refused(POINT, b"signed by someone", signature);
            refused(POINT, MESSAGE, SIGNATURES[(index + 1) % 3].1);
            refused(POINT, MESSAGE, &signature[1..]);
            refused(POINT, MESSAGE, b"");
            refused(&POINT[1..], MESSAGE, signature);
            refused(b"", MESSAGE, signature);
            for at in 0..signature.len() {
                let mut changed = signature.to_vec();
                changed[at] ^= 1;
                refused(POINT, MESSAGE, &changed);
            }
        }
    }

    #[test]
    fn the_first_algorithm_of_every_scheme_is_the_one_that_tls13_means() {
        let supported = added_to(rustls::crypto::ring::default_provider().signature_verification_algorithms);
        for (scheme, point) in [
            (SignatureScheme::ECDSA_NISTP256_SHA256, alg_id::ECDSA_P256),
            (SignatureScheme::ECDSA_NISTP384_SHA384, alg_id::ECDSA_P384),
            (SignatureScheme::ECDSA_NISTP521_SHA512, alg_id::ECDSA_P521),
        ] {
            let (_, algorithms) = supported.mapping.iter().find(|(known, _)| *known == scheme).unwrap();
            assert_eq!(algorithms[0].public_key_alg_id(), point, "{scheme:?}");
        }
    }
}
