//! The tower layers around the plugin's own services.

mod in_flight;
mod rate_limit;

use rpcplugin_config::{ByteSize, PluginConfig};
use rpcplugin_transport::{MessageLimits, ServiceLayers, Services};

pub use rate_limit::{RateLimit, RateLimited};

pub(crate) use self::in_flight::InFlightCalls;

/// Puts all layers around the plugin's own services. Limits that are not set cost nothing. A call without a trace costs next
/// to nothing.
pub(crate) fn around(
    own: Services,
    config: &PluginConfig,
    rate_limit: Option<&RateLimit>,
    users: &ServiceLayers,
    calls: &InFlightCalls,
) -> Services {
    let mut own = own.limited(message_limits(config));
    if let Some(limit) = rate_limit {
        // Around the message limits, so that a refused call costs nothing else.
        own = own.layer(limit);
    }
    // The user's layers are around the limits: they see refused calls too.
    users.wrap(own).traced().layer(calls)
}

/// The limits on the messages of a service.
pub(crate) fn message_limits(config: &PluginConfig) -> MessageLimits {
    MessageLimits::new(
        config.max_receive_message_size.map(ByteSize::as_u64),
        config.max_send_message_size.map(ByteSize::as_u64),
    )
}
