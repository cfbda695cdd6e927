//! What a certificate says of itself: whether its time has come, and whether it is an authority.

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// What a certificate is meant for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may vouch for other certificates.
    Authority,
    /// It stands for its holder only.
    Leaf,
}

/// The standing of a certificate that is within its dates.
///
/// rustls shows neither dates nor constraints of a certificate, but it judges them, in this order, before it looks for
/// a path to an authority. So a search for a path among no authorities, which cannot succeed, tells both by how it
/// fails.
///
/// # Errors
///
/// What rustls says of a certificate that is outside its dates.
pub(crate) fn of(certificate: &ParsedCertificate<'_>, now: UnixTime) -> Result<Standing, Error> {
    let nobody = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], now, &[]) {
        Err(Error::InvalidCertificate(
            error @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::BadEncoding),
        )) => Err(Error::InvalidCertificate(error)),
        // rustls has no error of its own for this one. Should the text ever change, every bundle of authorities stops
        // vouching, which the tests cannot overlook.
        Err(Error::InvalidCertificate(CertificateError::Other(error)))
            if error.to_string() == "CaUsedAsEndEntity" =>
        {
            Ok(Standing::Authority)
        }
        Ok(()) | Err(_) => Ok(Standing::Leaf),
    }
}
