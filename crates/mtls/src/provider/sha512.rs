//! ECDSA on P-256 and P-384 with SHA-512, which ring does not support and some authorities use.
//!
//! The code handles only public data.

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha512};

pub(super) const P256_SHA512: &dyn SignatureVerificationAlgorithm = &EcdsaSha512 { curve: Curve::P256 };
pub(super) const P384_SHA512: &dyn SignatureVerificationAlgorithm = &EcdsaSha512 { curve: Curve::P384 };

#[derive(Debug)]
struct EcdsaSha512 {
    curve: Curve,
}

#[derive(Debug)]
enum Curve {
    P256,
    P384,
}

/// Verifies with the crate of one curve. Both crates truncate a digest that is longer than the curve's numbers, as ECDSA requires.
macro_rules! verify {
    ($curve:ident, $public_key:expr, $message:expr, $signature:expr) => {{
        use $curve::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _};
        let key = VerifyingKey::from_sec1_bytes($public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der($signature).map_err(|_| InvalidSignature)?;
        key.verify_prehash(&Sha512::digest($message), &signature).map_err(|_| InvalidSignature)
    }};
}

impl SignatureVerificationAlgorithm for EcdsaSha512 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match self.curve {
            Curve::P256 => verify!(p256, public_key, message, signature),
            Curve::P384 => verify!(p384, public_key, message, signature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.curve {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }
}
