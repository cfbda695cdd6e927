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
        let Some([cert, key, ca]) = self.files() else { return Ok(None) };
        let identity = Identity::from_pem(&cert, &key)?;
        let roots = RootCertificates::from_pem(&ca)?;
        Ok(Some((identity, Trust::Roots(roots))))
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
        let (Some(cert), Some(key), Some(ca)) = (&self.cert, &self.key, &self.ca) else { return None };
        Some([cert, key, ca].map(|path| as_url(path)))
    }
}

/// Returns the form in which settings name a file.
fn as_url(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("file://{}", path.display())
}
