//! The certificates of a host and a plugin that have their own.

use std::path::{Path, PathBuf};

use clap::Args;

use super::context::TwoSided;
use crate::plugin_args::{TlsFiles, TlsFilesError};

/// The certificate files for both sides.
#[derive(Debug, Args)]
pub(super) struct GivenCertificates {
    #[command(flatten)]
    plugin: TlsFiles,
    /// The PEM file with the certificate chain to present to a host with its own certificates, in the place of the plugin's.
    #[arg(long, value_name = "FILE", requires_all = ["host_key", "host_ca", "cert"])]
    host_cert: Option<PathBuf>,
    /// The PEM file with the private key of --host-cert.
    #[arg(long, value_name = "FILE", requires = "host_cert")]
    host_key: Option<PathBuf>,
    /// The PEM file with the roots of the host's certificate, or with that certificate.
    #[arg(long, value_name = "FILE", requires = "host_cert")]
    host_ca: Option<PathBuf>,
}

impl GivenCertificates {
    /// Reads the files. Without those for the host, both sides get the same.
    pub(super) fn read(&self) -> Result<Option<TwoSided>, TlsFilesError> {
        let Some(plugin) = self.plugin.paths() else { return Ok(None) };
        let host = self.for_host().unwrap_or(plugin);
        Ok(Some(TwoSided { host: TlsFiles::security_of(host)?, plugin: TlsFiles::security_of(plugin)? }))
    }

    /// Returns the files with the flags that name them.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let of_plugin = self
            .plugin
            .paths()
            .into_iter()
            .flat_map(|paths| ["--cert", "--key", "--ca"].into_iter().zip(paths));
        let flags = ["--host-cert", "--host-key", "--host-ca"];
        let of_host = self.for_host().into_iter().flat_map(move |paths| flags.into_iter().zip(paths));
        of_plugin.chain(of_host)
    }

    fn for_host(&self) -> Option<[&Path; 3]> {
        Some([self.host_cert.as_deref()?, self.host_key.as_deref()?, self.host_ca.as_deref()?])
    }
}
