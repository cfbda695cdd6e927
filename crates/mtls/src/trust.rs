//! Whom a connection accepts.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::peer::PeerCertificate;
use crate::pem::{PemError, PemText};

/// Whom to accept on the other side of a connection, whichever side dials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// The holder of exactly this certificate's key. Names, dates and extensions play no part: the certificate
    /// itself was agreed upon.
    Pinned(PeerCertificate),
    /// Whoever presents a certificate that one of these authorities vouches for, or that is one of these itself.
    /// A server's certificate must also carry the name that was dialed.
    Authorities(Authorities),
}

/// A bundle of at least one certificate to trust.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Authorities {
    inner: Arc<Inner>,
}

struct Inner {
    certificates: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Reads a bundle of certificates: PEM text, or `file://` and the path of a file with such text.
    ///
    /// # Errors
    ///
    /// [`PemError`] if the file cannot be read, if there is no certificate in the text, or if any one of them is
    /// damaged.
    pub fn from_pem(bundle: &str) -> Result<Self, PemError> {
        let text = PemText::resolve(bundle, "certificate")?;
        let certificates = text.certificates()?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            roots.add(certificate.clone()).map_err(|source| text.bad_certificate(index, source))?;
        }
        Ok(Self { inner: Arc::new(Inner { certificates, roots: Arc::new(roots) }) })
    }

    /// Whether exactly this certificate is in the bundle.
    pub(crate) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.inner.certificates.iter().any(|known| known.as_ref() == certificate.as_ref())
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.inner.roots)
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inner.certificates.iter().map(PeerCertificate::from_parsed)).finish()
    }
}
