//! What a certificate says of itself: whether its time has come, and whether it is an authority.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use time::OffsetDateTime;

/// What a certificate is meant for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CertificateRole {
    /// It may vouch for other certificates.
    Authority,
    /// It stands for its holder only.
    Leaf,
}

/// A certificate whose time is over or has not come. `Display` says which, with the date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutOfDate {
    /// Its time is over.
    Expired {
        /// The last moment at which it was valid.
        not_after: SystemTime,
    },
    /// Its time has not come.
    NotYetValid {
        /// The first moment at which it is valid.
        not_before: SystemTime,
    },
}

impl OutOfDate {
    /// Reads it from what [`role_of`] says.
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

/// The standing of a certificate that is within its dates.
///
/// rustls shows neither dates nor constraints of a certificate, but it judges them, in this order, before it looks for
/// a path to an authority. So a search for a path among no authorities, which cannot succeed, tells both by how it
/// fails.
///
/// # Errors
///
/// What rustls says of a certificate that is outside its dates.
pub(crate) fn role_of(certificate: &ParsedCertificate<'_>, now: UnixTime) -> Result<CertificateRole, Error> {
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
