//! Signing with P-521 keys of given certificates.
//!
//! The code handles secret keys. The p521 crate computes in constant time, and each signature uses fresh randomness of the system.
//! Ephemeral identities never have such keys.

use std::fmt;
use std::sync::Arc;

use p521::ecdsa::signature::hazmat::PrehashSigner;
use p521::ecdsa::{Signature, SigningKey, VerifyingKey};
use rustls::crypto::KeyProvider;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id};
use rustls::sign::{self, Signer, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha512};

use crate::der::{INTEGER, OCTET_STRING, SEQUENCE, element, elements, is_p521};

/// Loads the keys that ring supports, and P-521 keys.
#[derive(Debug)]
pub(in crate::provider) struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn sign::SigningKey>, Error> {
        match Key::read(&key) {
            Some(key) => Ok(Arc::new(key)),
            None => rustls::crypto::ring::sign::any_supported_type(&key),
        }
    }
}

/// A P-521 key. TLS ties such keys to SHA-512.
#[derive(Clone)]
struct Key(Arc<SigningKey>);

impl Key {
    /// The key, if it is one of these.
    fn read(der: &PrivateKeyDer<'_>) -> Option<Self> {
        let number = match der {
            PrivateKeyDer::Pkcs8(der) => number_in_pkcs8(der.secret_pkcs8_der())?,
            PrivateKeyDer::Sec1(der) => number_in_sec1(der.secret_sec1_der(), true)?,
            _ => return None,
        };
        let key = SigningKey::from_slice(number).ok()?;
        Some(Self(Arc::new(key)))
    }
}

impl sign::SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SCHEME).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        let point = VerifyingKey::from(&*self.0).to_encoded_point(false);
        Some(public_key_to_spki(&alg_id::ECDSA_P521, point.as_bytes()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signed: Result<Signature, _> = self.0.sign_prehash(&Sha512::digest(message));
        let signature = signed.map_err(|error| Error::General(format!("P-521 cannot sign: {error}")))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a P-521 key")
    }
}

/// The secret number of a P-521 key in PKCS#8: a version, the algorithm, and the key in the form of SEC1.
fn number_in_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (SEQUENCE, content, _) = element(der)? else { return None };
    let (INTEGER, _, algorithm) = element(content)? else { return None };
    let (_, _, key) = element(algorithm)?;
    let (OCTET_STRING, key, _) = element(key)? else { return None };
    is_p521(algorithm).then(|| number_in_sec1(key, false))?
}

/// The secret number of a P-521 key in the form of SEC1 (RFC 5915): a version, the number, and optionally the curve.
fn number_in_sec1(der: &[u8], curve_required: bool) -> Option<&[u8]> {
    let (SEQUENCE, content, _) = element(der)? else { return None };
    let (INTEGER, _, number) = element(content)? else { return None };
    let (OCTET_STRING, number, optional) = element(number)? else { return None };
    let curve = elements(optional).find_map(|(tag, curve)| (tag == CURVE).then_some(curve));
    let curve_fits = curve.map_or(!curve_required, |curve| curve == P521);
    (curve_fits && number.len() == NUMBER_LENGTH).then_some(number)
}

/// `[0]`, explicit, in SEC1.
const CURVE: u8 = 0xa0;

/// The encoded object identifier of P-521: 1.3.132.0.35.
const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// 521 bits in bytes.
const NUMBER_LENGTH: usize = 66;

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP521_SHA512;

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::sign::SigningKey as _;

    use super::*;
    use crate::provider::p521::P521_SHA512;

    const POINT: &[u8] = include_bytes!("../../../tests/data/go-plugin-p521.point");
    const FORMS: [&[u8]; 2] = [
        include_bytes!("../../../tests/data/go-plugin-p521.pkcs8.pem"),
        include_bytes!("../../../tests/data/go-plugin-p521.sec1.pem"),
    ];

    #[test]
    fn both_forms_of_a_key_sign_what_its_public_key_verifies() {
        for form in FORMS {
            let key = Key::read(&PrivateKeyDer::from_pem_slice(form).unwrap()).unwrap();
            let signature = key.choose_scheme(&[SCHEME]).unwrap().sign(b"message").unwrap();
            P521_SHA512.verify_signature(POINT, b"message", &signature).unwrap();
            assert!(P521_SHA512.verify_signature(POINT, b"another", &signature).is_err());
        }
    }

    #[test]
    fn a_key_of_another_curve_is_not_read() {
        let PrivateKeyDer::Sec1(sec1) = PrivateKeyDer::from_pem_slice(FORMS[1]).unwrap() else {
            panic!("SEC1")
        };
        let mut der = sec1.secret_sec1_der().to_vec();
        let curve = der.windows(P521.len()).position(|window| window == P521).unwrap();
        der[curve + P521.len() - 1] ^= 1;
        assert!(number_in_sec1(&der, true).is_none() && number_in_sec1(&der, false).is_none());
    }

    #[test]
    fn no_other_scheme_is_signed() {
        let key = Key::read(&PrivateKeyDer::from_pem_slice(FORMS[0]).unwrap()).unwrap();
        assert!(key.choose_scheme(&[SignatureScheme::ECDSA_NISTP384_SHA384]).is_none());
        assert_eq!(format!("{key:?}"), "a P-521 key");
    }
}
