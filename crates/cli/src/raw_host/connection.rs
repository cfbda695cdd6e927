//! Connections to a plugin: those of its host, and those of strangers.

use std::time::Duration;

use rpcplugin::{
    Endpoint, PluginChannel,
    transport::{
        SecureStream, Security, Stream, dial,
        http2::{self, Connect, ChannelError},
        yamux,
    },
};
use tonic::{Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// A channel as the plugin's host opens it.
pub(crate) async fn channel(endpoint: &Endpoint, security: Security) -> Result<PluginChannel, ChannelError> {
    http2::connect(Direct { endpoint: endpoint.clone(), security }, &settings()).await
}

struct Direct {
    endpoint: Endpoint,
    security: Security,
}

impl Connect for Direct {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(self.security.client(dial(&self.endpoint).await?).await?)
    }
}

/// One connection that carries many streams. Dropping it ends them.
pub(crate) struct Multiplexed {
    session: yamux::Session,
}

impl Multiplexed {
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, ChannelError> {
        let connection = dial(endpoint).await?;
        Ok(Self { session: yamux::Session::client(connection, yamux::Config::default()) })
    }
}

/// A channel upon a stream of a multiplexed connection.
pub(crate) async fn multiplexed_channel(
    connection: &Multiplexed,
    security: Security,
) -> Result<PluginChannel, ChannelError> {
    http2::connect(OneOfMany { session: connection.session.clone(), security }, &settings()).await
}

struct OneOfMany {
    session: yamux::Session,
    security: Security,
}

impl Connect for OneOfMany {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let opened = self.session.open().await;
        let stream = opened
            .map_err(|error| ChannelError::Other { what: "no stream can be opened", source: error.into() })?;
        Ok(self.security.client(Stream::other(stream)).await?)
    }
}

/// Whether a call was answered by a gRPC server, in whatever way: what breaks on the way has a source.
pub(crate) fn answered<T>(result: &Result<T, Status>) -> bool {
    result.as_ref().err().is_none_or(|status| std::error::Error::source(status).is_none())
}

/// What the plugin says of the health of a service: the number of `ServingStatus`.
pub(crate) async fn health(channel: PluginChannel, service: impl Into<String>) -> Result<i32, Status> {
    let mut request = Request::new(HealthCheckRequest { service: service.into() });
    request.set_timeout(ANSWER_TIMEOUT);
    HealthClient::new(channel).check(request).await.map(|answer| answer.into_inner().status)
}

pub(super) fn settings() -> http2::Settings {
    let mut settings = http2::Settings::default();
    settings.handshake_timeout = ANSWER_TIMEOUT;
    settings
}

/// How long a peer may take to answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
