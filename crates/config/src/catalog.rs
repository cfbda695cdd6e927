//! All settings, and the two configurations that they make.

use std::sync::LazyLock;

use crate::{
    error::ConfigError,
    schema::{Check, Group, Setting, check_made_in_code},
    side::Side,
    tables::{HostConfig, PluginConfig},
};

/// [`PluginConfig`] or [`HostConfig`].
#[expect(private_bounds, reason = "the trait is sealed: the two structs of settings are all there are")]
pub trait Configuration: Sealed + Default + Clone {}

impl Configuration for PluginConfig {}
impl Configuration for HostConfig {}

/// What makes a struct of settings a configuration of one side.
pub(crate) trait Sealed: Group + Check {
    const SIDE: Side;

    /// Whether the values are possible and go together.
    fn checked(&self) -> Result<(), ConfigError> {
        check_made_in_code(self, Self::SIDE)
    }
}

impl Sealed for PluginConfig {
    const SIDE: Side = Side::Plugin;
}

impl Sealed for HostConfig {
    const SIDE: Side = Side::Host;
}

/// Every setting, those of the plugin first, each side in the order of its struct. One that both sides have is
/// listed for each.
#[must_use]
pub fn settings() -> &'static [Setting] {
    static ALL: LazyLock<Vec<Setting>> = LazyLock::new(|| {
        let sides = [(Side::Plugin, PluginConfig::TABLE), (Side::Host, HostConfig::TABLE)];
        let mut all = Vec::new();
        for (side, table) in sides {
            table.describe("", side, &mut all);
        }
        all
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{HostTls, PluginTls};

    #[test]
    fn every_default_can_be_read() {
        // Each `Default` reads the defaults of its table; a bad one panics here.
        let (plugin, host) = (PluginConfig::default(), HostConfig::default());
        let retry = crate::RetryConfig::default();
        let (limit, keepalive) = (crate::RateLimitConfig::default(), crate::KeepaliveConfig::default());
        assert_eq!((plugin.tls, host.tls), (PluginTls::AUTO, HostTls::AUTO), "secure by default");
        assert_eq!((retry.max_retries, limit.burst_capacity, keepalive.permitted), (3, 200, false));
    }

    #[test]
    fn every_setting_is_described() {
        for setting in settings() {
            let name = &setting.name;
            assert!(
                setting.effect.ends_with('.') && !setting.effect.contains("  "),
                "{name}: {}",
                setting.effect
            );
            assert!(!setting.allowed.is_empty() && !setting.env.is_empty(), "{name}");
            let counts = setting.kind.contains("Duration") || setting.kind.contains("ByteSize");
            assert_eq!(counts, !setting.unit.is_empty(), "{name}");
        }
    }
}
