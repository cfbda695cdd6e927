//! The way to a plugin: its endpoint, as this side reaches it.

use std::fmt;

use rpcplugin::{
    Endpoint,
    transport::{ConnectError, Dialer, Stream, speaks_tls},
};

/// The way to a plugin: the endpoint at which this side dials it, and the dialer of its runner.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(super) endpoint: Endpoint,
    pub(super) dialer: Dialer,
}

impl Address {
    /// Returns the endpoint.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a raw stream to the plugin.
    pub(crate) async fn dial(&self) -> Result<Stream, ConnectError> {
        self.dialer.dial(&self.endpoint).await
    }

    /// Whether the plugin speaks TLS on a new connection.
    pub(crate) async fn speaks_tls(&self) -> bool {
        speaks_tls(&self.dialer, &self.endpoint).await
    }
}

/// An endpoint that the sockets of this machine reach.
impl From<&Endpoint> for Address {
    fn from(endpoint: &Endpoint) -> Self {
        Self { endpoint: endpoint.clone(), dialer: Dialer::sockets() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}
