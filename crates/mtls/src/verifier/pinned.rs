//! Accepts one certificate, compared byte by byte.

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};

use super::peer_verifier::AcceptCertificate;
use crate::peer::PeerCertificate;

/// Accepts exactly one certificate.
///
/// # Protocol
///
/// go-plugin peers present a self-signed authority certificate as their own, which a web verifier refuses. Comparing
/// bytes accepts it and is stricter, because no certificate signed by it is accepted.
#[derive(Debug)]
pub(crate) struct Pinned(pub(crate) PeerCertificate);

impl Pinned {
    fn compare(&self, presented: &CertificateDer<'_>) -> Result<(), Error> {
        if presented.as_ref() == self.0.der() {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }
}

impl AcceptCertificate for Pinned {
    fn accept_server(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _now: UnixTime,
    ) -> Result<(), Error> {
        self.compare(leaf)
    }

    fn accept_client(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<(), Error> {
        self.compare(leaf)
    }
}
