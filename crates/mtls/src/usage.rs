//! The extended key usage of certificates, where rustls does not check it.

use rustls::{CertificateError, Error, ExtendedKeyPurpose};

use crate::der::{OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, element, elements};

/// The role in which a certificate is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

/// Refuses a certificate whose extended key usage does not allow the role. A certificate without the extension allows every role.
///
/// # Protocol
///
/// Go's `x509.Verify` checks every certificate of a chain like this, including the roots. rustls does not check the extensions of roots.
pub(crate) fn check(certificate: &[u8], role: Role) -> Result<(), Error> {
    let Some(purposes) = purposes(certificate) else { return Ok(()) };
    let (wanted, required) = match role {
        Role::Server => (SERVER_AUTH, ExtendedKeyPurpose::ServerAuth),
        Role::Client => (CLIENT_AUTH, ExtendedKeyPurpose::ClientAuth),
    };
    if purposes.iter().any(|purpose| *purpose == wanted || *purpose == ANY) {
        return Ok(());
    }
    let presented = purposes.into_iter().map(named).collect();
    Err(CertificateError::InvalidPurposeContext { required, presented }.into())
}

/// The object identifiers in the extension, or `None` without the extension. An invalid extension has no identifiers.
fn purposes(certificate: &[u8]) -> Option<Vec<&[u8]>> {
    let (SEQUENCE, certificate, _) = element(certificate)? else { return None };
    let (SEQUENCE, signed, _) = element(certificate)? else { return None };
    let (_, extensions) = elements(signed).find(|(tag, _)| *tag == EXTENSIONS)?;
    let (SEQUENCE, extensions, _) = element(extensions)? else { return None };
    let value = elements(extensions).find_map(|(_, extension)| {
        let mut parts = elements(extension);
        (parts.next()? == (OBJECT_IDENTIFIER, EXTENDED_KEY_USAGE)).then(|| parts.last())?
    })?;
    let listed = match value {
        (OCTET_STRING, value) => element(value).filter(|(tag, ..)| *tag == SEQUENCE),
        _ => None,
    };
    let listed = listed.map_or(&[][..], |(_, listed, _)| listed);
    Some(elements(listed).filter(|(tag, _)| *tag == OBJECT_IDENTIFIER).map(|(_, oid)| oid).collect())
}

/// The purpose, for messages.
fn named(oid: &[u8]) -> ExtendedKeyPurpose {
    match oid {
        SERVER_AUTH => ExtendedKeyPurpose::ServerAuth,
        CLIENT_AUTH => ExtendedKeyPurpose::ClientAuth,
        _ => ExtendedKeyPurpose::Other(numbers(oid)),
    }
}

/// The object identifier at the start of DER, as numbers with dots.
pub(crate) fn object_identifier(der: &[u8]) -> Option<String> {
    let (OBJECT_IDENTIFIER, oid, _) = element(der)? else { return None };
    Some(numbers(oid).iter().map(ToString::to_string).collect::<Vec<_>>().join("."))
}

/// The numbers of an object identifier.
fn numbers(oid: &[u8]) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut number = 0_usize;
    for byte in oid {
        number = number.wrapping_shl(7) + usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first);
                number -= first * 40;
            }
            numbers.push(number);
            number = 0;
        }
    }
    numbers
}

/// `[3]`, explicit, in the signed part.
const EXTENSIONS: u8 = 0xa3;

/// 2.5.29.37
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// 2.5.29.37.0
const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
/// 1.3.6.1.5.5.7.3.1
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// 1.3.6.1.5.5.7.3.2
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_are_decoded() {
        assert_eq!(numbers(SERVER_AUTH), [1, 3, 6, 1, 5, 5, 7, 3, 1]);
        assert_eq!(numbers(ANY), [2, 5, 29, 37, 0]);
        assert_eq!(numbers(&[0x2b, 0x84, 0x77]), [1, 3, 631]);
    }

    #[test]
    fn purposes_of_tls_have_names() {
        assert_eq!(named(SERVER_AUTH), ExtendedKeyPurpose::ServerAuth);
        assert_eq!(named(CLIENT_AUTH), ExtendedKeyPurpose::ClientAuth);
        assert_eq!(named(ANY), ExtendedKeyPurpose::Other(vec![2, 5, 29, 37, 0]));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(mut der in proptest::collection::vec(0u8.., 0..80), nested: bool) {
            if nested {
                let length = u8::try_from(der.len()).unwrap_or_default();
                der.splice(0..0, [SEQUENCE, length + 2, SEQUENCE, length]);
            }
            let _ = check(&der, Role::Server);
        }
    }
}
