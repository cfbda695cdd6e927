//! Trust: the certificates that a connection accepts.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;

use crate::peer::PeerCertificate;
use crate::pem::{PemError, PemText};
use crate::usage::{self, Role};
use crate::validity::{self, CertificateRole, OutOfDate};

/// The certificates of peers that a connection accepts, whichever side dials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// Exactly this certificate. Its names, dates and extensions are not checked.
    Pinned(PeerCertificate),
    /// Certificates that one of these roots issued, and the roots themselves. A server's certificate must also carry the name that
    /// was dialled. If a certificate has an extended key usage, it must allow the role. Both checks apply to the roots too.
    Roots(RootCertificates),
}

/// A bundle of at least one root certificate.
///
/// A peer may present a certificate of the bundle. Certificates of the bundle that are marked as authorities also verify the certificates
/// that they issued. Certificates outside their dates have no effect: [`out_of_date`](Self::out_of_date) lists them.
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

/// The roots that verify other certificates in one role.
struct Issuers {
    role: Role,
    roots: Arc<RootCertStore>,
    /// The error for an authority of the bundle whose extended key usage does not allow the role.
    refusal: Option<rustls::Error>,
}

impl RootCertificates {
    /// Reads a bundle: PEM text, or `file://` and the path of a file with PEM text.
    ///
    /// # Errors
    ///
    /// [`PemError`] if the file cannot be read, if the text has no certificate or a damaged one, or if all certificates are outside
    /// their dates.
    pub fn from_pem(bundle: &str) -> Result<Self, PemError> {
        let text = PemText::resolve(bundle, "certificate")?;
        let certificates = text.certificates()?;
        let now = UnixTime::now();
        let (mut servers, mut clients) = (Issuers::none(Role::Server), Issuers::none(Role::Client));
        let mut out_of_date = Vec::new();
        for (index, certificate) in certificates.iter().enumerate() {
            match role_of(certificate, now) {
                // A web verifier would let every certificate of the bundle verify others.
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

    /// The certificates of the bundle that were outside their dates when it was read, each with its number counted from 1.
    pub fn out_of_date(&self) -> impl Iterator<Item = (usize, OutOfDate)> + '_ {
        self.inner.out_of_date.iter().copied()
    }

    /// Whether the bundle has exactly this certificate.
    pub(crate) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.inner.certificates.iter().any(|known| known.as_ref() == certificate.as_ref())
    }

    /// The roots that verify other certificates in this role. The store may be empty.
    pub(crate) fn roots(&self, role: Role) -> Arc<RootCertStore> {
        Arc::clone(&self.issuers(role).roots)
    }

    /// The error if no root verifies others in this role because of an extended key usage.
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

    /// Adds an authority if its extended key usage allows the role: rustls does not keep the extensions of its roots.
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
