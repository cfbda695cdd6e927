//! Whether a certificate is within its dates.

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// Checks the dates of `certificate` and nothing else about it.
///
/// rustls exposes no dates. It does judge them before anything else when it looks for a path to an authority, so a
/// search among no authorities tells: it fails for another reason exactly when the dates are in order.
pub(crate) fn check(certificate: &ParsedCertificate<'_>, now: UnixTime) -> Result<(), Error> {
    let nobody = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], now, &[]) {
        Err(Error::InvalidCertificate(
            error @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::BadEncoding),
        )) => Err(Error::InvalidCertificate(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
