//! Opening a channel.

use super::{
    channel::PluginChannel,
    connect::{ChannelError, Connect},
    reconnect::Reconnect,
};
use crate::http2::settings::Settings;

/// Opens a connection and returns a channel over it. After the end of the connection, the channel opens another for the
/// next call.
///
/// # Errors
/// [`ChannelError`] when the stream cannot be opened or the peer does not speak HTTP/2. The peer may still reject this
/// side: a TLS 1.3 client learns that with its first call.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn connect(connector: impl Connect, settings: &Settings) -> Result<PluginChannel, ChannelError> {
    Ok(PluginChannel::over(Reconnect::connect(connector, settings).await?))
}

/// Returns a channel that opens its connection with the first call.
#[must_use]
pub fn connect_lazy(connector: impl Connect, settings: &Settings) -> PluginChannel {
    PluginChannel::over(Reconnect::lazy(connector, settings))
}
