//! All settings, and the two configurations.

use std::sync::LazyLock;

use crate::{
    error::ConfigError,
    schema::{Check, Group, Setting, check_made_in_code},
    side::Side,
    tables::{HostConfig, PluginConfig},
};

/// A configuration: [`PluginConfig`] or [`HostConfig`].
#[expect(private_bounds, reason = "the trait is sealed: there are only the two configurations")]
pub trait Configuration: Sealed + Default + Clone {}

impl Configuration for PluginConfig {}
impl Configuration for HostConfig {}

/// Seals [`Configuration`].
pub(crate) trait Sealed: Group + Check {
    const SIDE: Side;

    /// Checks the values and their combinations.
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

/// Describes every setting: those of the plugin first, each side in the order of its struct. A setting of both sides is listed
/// twice.
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
