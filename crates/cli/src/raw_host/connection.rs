//! Connections of the host to a plugin.

use std::time::Duration;

use rpcplugin::{
    PluginChannel,
    transport::{
        SecureStream, Security, Stream,
        http2::{self, ChannelError, Connect},
        yamux,
    },
};
use tonic::{Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::address::Address;

/// Opens a channel as the plugin's host does.
pub(crate) async fn channel(address: &Address, security: Security) -> Result<PluginChannel, ChannelError> {
    http2::connect(Direct { address: address.clone(), security }, &settings()).await
}

struct Direct {
    address: Address,
    security: Security,
}

impl Connect for Direct {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(self.security.client(self.address.dial().await?).await?)
    }
}

/// A multiplexed connection. Dropping it ends its streams.
pub(crate) struct Multiplexed {
    session: yamux::Session,
}

impl Multiplexed {
    pub(crate) async fn open(address: &Address) -> Result<Self, ChannelError> {
        let connection = address.dial().await?;
        Ok(Self { session: yamux::Session::client(connection, yamux::Config::default()) })
    }
}

/// Opens a channel on a stream of a multiplexed connection.
pub(crate) async fn multiplexed_channel(
    connection: &Multiplexed,
    security: Security,
) -> Result<PluginChannel, ChannelError> {
    http2::connect(StreamOf { session: connection.session.clone(), security }, &settings()).await
}

struct StreamOf {
    session: yamux::Session,
    security: Security,
}

impl Connect for StreamOf {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let opened = self.session.open().await;
        let stream = opened
            .map_err(|error| ChannelError::Other { what: "no stream can be opened", source: error.into() })?;
        Ok(self.security.client(Stream::other(stream)).await?)
    }
}

/// Whether a gRPC server responded to a call, even with an error. The status of a broken connection has a source.
pub(crate) fn is_response<T>(result: &Result<T, Status>) -> bool {
    result.as_ref().err().is_none_or(|status| std::error::Error::source(status).is_none())
}

/// Makes a health call for a service. Returns the number of the `ServingStatus`.
pub(crate) async fn health(channel: PluginChannel, service: impl Into<String>) -> Result<i32, Status> {
    let mut request = Request::new(HealthCheckRequest { service: service.into() });
    request.set_timeout(RESPONSE_TIMEOUT);
    HealthClient::new(channel).check(request).await.map(|answer| answer.into_inner().status)
}

pub(super) fn settings() -> http2::Settings {
    let mut settings = http2::Settings::default();
    settings.handshake_timeout = RESPONSE_TIMEOUT;
    settings
}

/// The limit for a response of the plugin.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
