//! The elements of DER.

use rustls::pki_types::alg_id;

/// The consecutive elements of DER.
pub(crate) fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(der)?;
        der = rest;
        Some((tag, content))
    })
}

/// The tag and the content of the first element, and the rest.
pub(crate) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) + usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Whether the identifier of an algorithm is that of P-521 keys.
pub(crate) fn is_p521(identifier: &[u8]) -> bool {
    element(identifier).is_some_and(|(tag, content, _)| tag == SEQUENCE && content == &*alg_id::ECDSA_P521)
}

/// Of versions.
#[cfg(all(feature = "ring", feature = "p521", not(feature = "aws-lc-rs")))]
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const OCTET_STRING: u8 = 0x04;
