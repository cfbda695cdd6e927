//! Checks whether a plugin under mutual TLS refuses clients that are not its host.
//!
//! The connection of the host does not show this: some libraries present a certificate and do not require one from the client.

use rpcplugin::{Plugin, transport::Security};
use serde::Serialize;

use crate::raw_host::{Address, Impostor, is_served};

/// How the plugin treats unauthorized clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnauthorizedClients {
    /// It refuses clients without a certificate and with an unknown certificate.
    Refused,
    /// It serves clients with an unknown certificate.
    ServedWithAnyCertificate,
    /// It serves clients without a certificate.
    ServedWithoutCertificate,
}

impl UnauthorizedClients {
    /// Calls the plugin as unauthorized clients, on separate connections. Returns `None` without mutual TLS.
    pub(super) async fn probe(plugin: &Plugin) -> Option<Self> {
        let (Security::Mutual(tls), Some(certificate)) = (plugin.security(), plugin.certificate()) else {
            return None;
        };
        let address = Address::from(plugin.endpoint());
        let served = |impostor| is_served(impostor, &address, tls.identity(), certificate);
        Some(match tokio::join!(served(Impostor::NoCertificate), served(Impostor::UnknownCertificate)) {
            (true, _) => Self::ServedWithoutCertificate,
            (false, true) => Self::ServedWithAnyCertificate,
            (false, false) => Self::Refused,
        })
    }
}
