//! Whether a plugin under mutual TLS lets in who is not its host.
//!
//! That the connection is encrypted and that this side knows the plugin says nothing of whom the plugin knows: some
//! libraries offer their certificate and ask for none.

use rpcplugin::{Plugin, transport::Security};
use serde::Serialize;

use crate::bare::{Stranger, is_served};

/// What became of strangers who called the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strangers {
    /// Neither one without a certificate was served, nor one with a certificate that nobody knows.
    Refused,
    /// One with a certificate that nobody knows was served.
    ServedWithAnyCertificate,
    /// One without a certificate was served.
    ServedWithoutCertificate,
}

impl Strangers {
    /// Calls the plugin as strangers would, on connections of their own. None without mutual TLS: everybody is served
    /// then.
    pub(super) async fn call(plugin: &Plugin) -> Option<Self> {
        let (Security::Mutual(tls), Some(certificate)) = (plugin.security(), plugin.certificate()) else {
            return None;
        };
        let served = |stranger| is_served(stranger, plugin.endpoint(), tls.identity(), certificate);
        Some(match tokio::join!(served(Stranger::Nobody), served(Stranger::Unknown)) {
            (true, _) => Self::ServedWithoutCertificate,
            (false, true) => Self::ServedWithAnyCertificate,
            (false, false) => Self::Refused,
        })
    }
}
