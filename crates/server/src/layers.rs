//! The tower layers around the plugin's own services.

mod in_flight;
#[cfg(feature = "rate-limit")]
mod rate_limit;

use rpcplugin_config::{ByteSize, PluginConfig};
use rpcplugin_transport::{MessageLimits, ServiceLayers, Services};

#[cfg(feature = "rate-limit")]
pub use rate_limit::{RateLimit, RateLimited};

pub(crate) use self::in_flight::InFlightCalls;

/// Puts all layers around the plugin's own services, which have their limits already. The user's layers are around the limits: they
/// see refused calls too. A call without a trace costs next to nothing.
pub(crate) fn around(limited: Services, users: &ServiceLayers, calls: &InFlightCalls) -> Services {
    users.wrap(limited).traced().layer(calls)
}

/// The limits on the messages of a service.
pub(crate) fn message_limits(config: &PluginConfig) -> MessageLimits {
    MessageLimits::new(
        config.max_receive_message_size.map(ByteSize::as_u64),
        config.max_send_message_size.map(ByteSize::as_u64),
    )
}
