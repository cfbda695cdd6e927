//! Whom a connection accepts.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;

use crate::peer::PeerCertificate;
use crate::pem::{PemError, PemText};
use crate::usage::{self, Role};
use crate::validity::{self, CertificateRole, OutOfDate};

/// Whom to accept on the other side of a connection, whichever side dials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// The holder of exactly this certificate's key. Names, dates and extensions play no part: the certificate
    /// itself was agreed upon.
    Pinned(PeerCertificate),
    /// Whoever presents a certificate that one of these authorities vouches for, or that is one of these itself.
    /// A server's certificate must also carry the name that was dialed, one of the bundle too. An extended key usage, where
    /// a certificate has one, must allow the role, of those in the bundle too.
    Roots(RootCertificates),
}

/// A bundle of at least one certificate to trust.
///
/// Each of them may be presented by its holder. Those that are marked as authorities, and are within their dates when
/// the bundle is read, also vouch for the certificates that they signed. Those that are not within their dates are good for
/// nothing: [`out_of_date`](Self::out_of_date) tells of them.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct RootCertificates {
    inner: Arc<Inner>,
}

struct Inner {
    certificates: Vec<CertificateDer<'static>>,
    servers: Issuers,
    clients: Issuers,
    out_of_date: Vec<(usize, OutOfDate)>,
}

/// Those that vouch for others in one role.
struct Issuers {
    role: Role,
    roots: Arc<RootCertStore>,
    /// Why an authority of the bundle does not, if its extended key usage leaves out the role.
    refusal: Option<rustls::Error>,
}

impl RootCertificates {
    /// Reads a bundle of certificates: PEM text, or `file://` and the path of a file with such text.
    ///
    /// # Errors
    ///
    /// [`PemError`] if the file cannot be read, if there is no certificate in the text, if any one of them is damaged, or if
    /// none of them is within its dates.
    pub fn from_pem(bundle: &str) -> Result<Self, PemError> {
        let text = PemText::resolve(bundle, "certificate")?;
        let certificates = text.certificates()?;
        let now = UnixTime::now();
        let (mut servers, mut clients) = (Issuers::none(Role::Server), Issuers::none(Role::Client));
        let mut out_of_date = Vec::new();
        for (index, certificate) in certificates.iter().enumerate() {
            match role_of(certificate, now) {
                // Without this a web verifier would let any certificate of the bundle vouch for others.
                Ok(CertificateRole::Leaf) => {}
                Ok(CertificateRole::Authority) => {
                    for issuers in [&mut servers, &mut clients] {
                        issuers.add(certificate).map_err(|source| text.bad_certificate(index, source))?;
                    }
                }
                Err(error) => out_of_date.extend(OutOfDate::from_error(&error).map(|why| (index + 1, why))),
            }
        }
        match out_of_date.first() {
            Some((_, why)) if out_of_date.len() == certificates.len() => {
                Err(PemError::OutOfDate { origin: text.origin(), why: *why })
            }
            _ => Ok(Self { inner: Arc::new(Inner { certificates, servers, clients, out_of_date }) }),
        }
    }

    /// The certificates of the bundle that were not within their dates when it was read, each by its number counted from 1.
    pub fn out_of_date(&self) -> impl Iterator<Item = (usize, OutOfDate)> + '_ {
        self.inner.out_of_date.iter().copied()
    }

    /// Whether exactly this certificate is in the bundle.
    pub(crate) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.inner.certificates.iter().any(|known| known.as_ref() == certificate.as_ref())
    }

    /// Those that vouch for others in this role; there may be none.
    pub(crate) fn roots(&self, role: Role) -> Arc<RootCertStore> {
        Arc::clone(&self.issuers(role).roots)
    }

    /// Why nothing of the bundle vouches for others in this role, if that is for want of the extended key usage.
    pub(crate) fn refusal_of_usage(&self, role: Role) -> Option<rustls::Error> {
        let issuers = self.issuers(role);
        issuers.refusal.clone().filter(|_| issuers.roots.is_empty())
    }

    fn issuers(&self, role: Role) -> &Issuers {
        match role {
            Role::Server => &self.inner.servers,
            Role::Client => &self.inner.clients,
        }
    }
}

impl Issuers {
    fn none(role: Role) -> Self {
        Self { role, roots: Arc::new(RootCertStore::empty()), refusal: None }
    }

    /// Adds an authority, if its extended key usage allows the role: rustls forgets the extensions of what it trusts.
    fn add(&mut self, certificate: &CertificateDer<'static>) -> Result<(), rustls::Error> {
        match usage::check(certificate, self.role) {
            Ok(()) => Arc::make_mut(&mut self.roots).add(certificate.clone()),
            Err(refusal) => {
                self.refusal.get_or_insert(refusal);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inner.certificates.iter().map(PeerCertificate::from_parsed)).finish()
    }
}

fn role_of(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<CertificateRole, rustls::Error> {
    validity::role_of(&ParsedCertificate::try_from(certificate)?, now)
}
