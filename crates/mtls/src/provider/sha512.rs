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

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"a certificate";

    /// A public key and its signature of the message.
    macro_rules! signed {
        ($curve:ident, $key:expr) => {{
            use $curve::ecdsa::{Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashSigner as _};
            let key = SigningKey::from_slice(&$key).unwrap();
            let signature: Signature = key.sign_prehash(&Sha512::digest(MESSAGE)).unwrap();
            let point = VerifyingKey::from(&key).to_encoded_point(false);
            (point.as_bytes().to_vec(), signature.to_der().as_bytes().to_vec())
        }};
    }

    #[test]
    fn a_signature_counts_for_its_own_message_and_key_only() {
        let (p256, p384) = (signed!(p256, [7; 32]), signed!(p384, [7; 48]));
        for (algorithm, (key, signature), (another, _)) in
            [(P256_SHA512, &p256, &p384), (P384_SHA512, &p384, &p256)]
        {
            algorithm.verify_signature(key, MESSAGE, signature).unwrap();
            assert!(algorithm.verify_signature(key, b"another", signature).is_err(), "{algorithm:?}");
            assert!(algorithm.verify_signature(another, MESSAGE, signature).is_err(), "{algorithm:?}");
            assert!(algorithm.verify_signature(key, MESSAGE, &signature[1..]).is_err(), "{algorithm:?}");
        }
    }
}
