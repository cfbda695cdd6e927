//! Certificates that host and plugin have from elsewhere, and not from the handshake: the flags that name their files.

use std::path::{Path, PathBuf};

use crate::{error::ExitsWith, exit::Exit};
use clap::Args;
use rpcplugin::{
    config::{HostConfig, HostTls, Pem, SecretPem},
    mtls::{Identity, IdentityError, MutualTls, PemError, RootCertificates, TlsError, Trust},
    transport::Security,
};

/// What a plugin with certificates of its own (go-plugin: `TLSProvider`) is reached with.
#[derive(Debug, Clone, Args)]
pub(crate) struct TlsFiles {
    /// The certificate chain to present to a plugin with certificates of its own, as PEM. AutoMTLS is not offered then.
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca"])]
    cert: Option<PathBuf>,
    /// The private key of that certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The authorities that issued the plugin's certificate, or that certificate itself.
    #[arg(long, value_name = "FILE", requires = "cert")]
    ca: Option<PathBuf>,
}

/// The files make no TLS.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum TlsFilesError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Authorities(#[from] PemError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tls(#[from] TlsError),
}

impl TlsFiles {
    /// Whom this side presents itself as and whom it accepts, if files were given.
    pub(crate) fn read(&self) -> Result<Option<(Identity, Trust)>, TlsFilesError> {
        let Some([cert, key, ca]) = self.files() else { return Ok(None) };
        let identity = Identity::from_pem(&cert, &key)?;
        let authorities = RootCertificates::from_pem(&ca)?;
        Ok(Some((identity, Trust::Roots(authorities))))
    }

    /// The security of a connection by these files.
    pub(crate) fn security(&self) -> Result<Option<Security>, TlsFilesError> {
        let Some((identity, trust)) = self.read()? else { return Ok(None) };
        Ok(Some(Security::Mutual(MutualTls::new(identity, trust)?)))
    }

    /// Has a host use the files.
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

/// A file as the settings name it.
fn as_url(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("file://{}", path.display())
}

impl ExitsWith for TlsFilesError {
    const EXIT: Exit = Exit::Usage;
}
