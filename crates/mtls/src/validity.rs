//! The validity of a certificate: its dates, and whether it is an authority.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use time::OffsetDateTime;

/// The role that a certificate has by its constraints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CertificateRole {
    /// An authority, which issues certificates.
    Authority,
    /// A leaf.
    Leaf,
}

/// The reason why a certificate is outside its dates. `Display` shows it with the date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutOfDate {
    /// The certificate has expired.
    Expired {
        /// The end of its validity.
        not_after: SystemTime,
    },
    /// The certificate is not valid yet.
    NotYetValid {
        /// The start of its validity.
        not_before: SystemTime,
    },
}

impl OutOfDate {
    /// Converts an error of [`role_of`].
    pub(crate) fn from_error(error: &Error) -> Option<Self> {
        match error {
            Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
                Some(Self::Expired { not_after: system_time(*not_after) })
            }
            Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
                Some(Self::NotYetValid { not_before: system_time(*not_before) })
            }
            _ => None,
        }
    }
}

impl fmt::Display for OutOfDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { not_after } => write!(f, "expired on {}", utc(*not_after)),
            Self::NotYetValid { not_before } => write!(f, "is not valid before {}", utc(*not_before)),
        }
    }
}

/// Returns the role of a certificate that is within its dates.
///
/// rustls exposes neither dates nor constraints of a certificate. It checks them, in this order, before it searches a path to a root. A
/// search without roots always fails, and its error shows the result of both checks.
///
/// # Errors
///
/// The error of rustls for a certificate outside its dates.
pub(crate) fn role_of(certificate: &ParsedCertificate<'_>, now: UnixTime) -> Result<CertificateRole, Error> {
    let no_roots = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(certificate, &no_roots, &[], now, &[]) {
        Err(Error::InvalidCertificate(
            error @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::BadEncoding),
        )) => Err(Error::InvalidCertificate(error)),
        // rustls has no variant for this error. If the text changes, no bundle of roots verifies anything, and tests fail.
        Err(Error::InvalidCertificate(CertificateError::Other(error)))
            if error.to_string() == "CaUsedAsEndEntity" =>
        {
            Ok(CertificateRole::Authority)
        }
        Ok(()) | Err(_) => Ok(CertificateRole::Leaf),
    }
}

fn system_time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

pub(crate) fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match i64::try_from(seconds).map(OffsetDateTime::from_unix_timestamp) {
        Ok(Ok(utc)) => format!("{} {:02}:{:02} UTC", utc.date(), utc.hour(), utc.minute()),
        _ => "a date beyond the year 9999".to_owned(),
    }
}
