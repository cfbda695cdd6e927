//! The flags that name certificate files, for plugins with their own certificates.

use std::path::{Path, PathBuf};

use crate::{error::ExitsWith, exit::Exit};
use clap::Args;
use rpcplugin::{
    config::{HostConfig, HostTls, Pem, SecretPem},
    tls::{Identity, IdentityError, MutualTls, PemError, RootCertificates, TlsError, Trust},
    transport::Security,
};

/// The certificates to use with a plugin that has its own certificates (go-plugin: `TLSProvider`).
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsFiles {
    /// The PEM file with the certificate chain to present to a plugin with its own certificates. Disables AutoMTLS.
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca"])]
    cert: Option<PathBuf>,
    /// The PEM file with the private key of --cert.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The PEM file with the roots of the plugin's certificate, or with that certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    ca: Option<PathBuf>,
}

/// The certificate files cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum TlsFilesError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Roots(#[from] PemError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tls(#[from] TlsError),
}

impl ExitsWith for TlsFilesError {
    const EXIT: Exit = Exit::Usage;
}

impl TlsFiles {
    /// Reads the files. Returns the identity of this side and the trusted roots.
    pub(crate) fn read(&self) -> Result<Option<(Identity, Trust)>, TlsFilesError> {
        self.files().as_ref().map(read).transpose()
    }

    /// Returns the security with other files: the certificate chain of this side, its key, and the roots.
    pub(crate) fn security_of(files: [&Path; 3]) -> Result<Security, TlsFilesError> {
        let (identity, trust) = read(&files.map(as_url))?;
        Ok(Security::Mutual(MutualTls::new(identity, trust)?))
    }

    /// Returns the paths of the files: certificate, key and roots.
    pub(crate) fn paths(&self) -> Option<[&Path; 3]> {
        Some([self.cert.as_deref()?, self.key.as_deref()?, self.ca.as_deref()?])
    }

    /// Returns the security of a connection with these files.
    pub(crate) fn security(&self) -> Result<Option<Security>, TlsFilesError> {
        let Some((identity, trust)) = self.read()? else { return Ok(None) };
        Ok(Some(Security::Mutual(MutualTls::new(identity, trust)?)))
    }

    /// Sets the files in a host's settings.
    pub(crate) fn apply(&self, config: &mut HostConfig) {
        let Some([cert, key, ca]) = self.files() else { return };
        config.tls = HostTls::Given {
            certificate: Pem::new(cert),
            private_key: SecretPem::new(key),
            server_roots: Some(Pem::new(ca)),
        };
    }

    /// Whether files were given.
    pub(crate) fn is_given(&self) -> bool {
        self.files().is_some()
    }

    fn files(&self) -> Option<[String; 3]> {
        self.paths().map(|paths| paths.map(as_url))
    }
}

/// Reads a certificate chain with its key, and roots.
fn read([cert, key, ca]: &[String; 3]) -> Result<(Identity, Trust), TlsFilesError> {
    let identity = Identity::from_pem(cert, key)?;
    let roots = RootCertificates::from_pem(ca)?;
    Ok((identity, Trust::Roots(roots)))
}

/// Returns the form in which settings name a file.
fn as_url(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("file://{}", path.display())
}
