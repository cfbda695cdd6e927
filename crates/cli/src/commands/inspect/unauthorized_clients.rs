//! Whether a plugin under mutual TLS lets in who is not its host.
//!
//! That the connection is encrypted and that this side knows the plugin says nothing of whom the plugin knows: some
//! libraries offer their certificate and ask for none.

use rpcplugin::{Plugin, transport::Security};
use serde::Serialize;

use crate::raw_host::{Impostor, is_served};

/// What became of strangers who called the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnauthorizedClients {
    /// Neither one without a certificate was served, nor one with a certificate that nobody knows.
    Refused,
    /// One with a certificate that nobody knows was served.
    ServedWithAnyCertificate,
    /// One without a certificate was served.
    ServedWithoutCertificate,
}

impl UnauthorizedClients {
    /// Calls the plugin as strangers would, on connections of their own. None without mutual TLS: everybody is served
    /// then.
    pub(super) async fn call(plugin: &Plugin) -> Option<Self> {
        let (Security::Mutual(tls), Some(certificate)) = (plugin.security(), plugin.certificate()) else {
            return None;
        };
        let served = |impostor| is_served(impostor, plugin.endpoint(), tls.identity(), certificate);
        Some(match tokio::join!(served(Impostor::NoCertificate), served(Impostor::UnknownCertificate)) {
            (true, _) => Self::ServedWithoutCertificate,
            (false, true) => Self::ServedWithAnyCertificate,
            (false, false) => Self::Refused,
        })
    }
}
