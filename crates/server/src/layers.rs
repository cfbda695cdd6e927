//! The tower layers around the plugin's own services.

mod in_flight;
#[cfg(feature = "rate-limit")]
mod rate_limit;

use rpcplugin_config::{ByteSize, PluginConfig};
use rpcplugin_transport::{MessageLimits, ServiceLayers, Services};

#[cfg(feature = "rate-limit")]
pub use rate_limit::{RateLimit, RateLimited};

pub(crate) use self::in_flight::InFlightCalls;
use crate::error::ServeError;

/// Puts all layers around the plugin's own services, which have their limits already. The user's layers are around the limits: they
/// see refused calls too. A call without a trace costs next to nothing.
pub(crate) fn around(limited: Services, users: &ServiceLayers, calls: &InFlightCalls) -> Services {
    users.wrap(limited).traced().layer(calls)
}

/// Refuses a rate limit, unless the plugin is built with rate limits.
pub(crate) fn check(config: &PluginConfig, has_rate_limits: bool) -> Result<(), ServeError> {
    match config.rate_limit {
        Some(_) if !has_rate_limits => Err(ServeError::RateLimitNotBuilt),
        _ => Ok(()),
    }
}

/// The limits on the messages of a service.
pub(crate) fn message_limits(config: &PluginConfig) -> MessageLimits {
    MessageLimits::new(
        config.max_receive_message_size.map(ByteSize::as_u64),
        config.max_send_message_size.map(ByteSize::as_u64),
    )
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;
    use rpcplugin_config::RateLimitConfig;

    use super::*;

    #[test]
    fn a_rate_limit_needs_its_feature() {
        let mut config = PluginConfig::default();
        check(&config, false).expect("no rate limit is set");
        config.rate_limit = Some(RateLimitConfig::default());
        check(&config, true).expect("the plugin is built with rate limits");
        let error = check(&config, false).expect_err("the limit would have no effect");
        assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::config::rate_limit_not_built");
        assert!(error.help().expect("help").to_string().contains("`rate-limit`"));
    }
}
