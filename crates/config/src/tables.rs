//! The settings: one table for each side, and the groups that stand in them.

mod checks;
mod cookie;
mod groups;
mod host;
mod legacy;
mod plugin;
mod ports;
mod tls;

pub use groups::{Http2Config, KeepaliveConfig, RateLimitConfig, RetryConfig, SupervisionConfig};
pub use host::HostConfig;
pub use legacy::{LegacyPolicy, LegacySetting, legacy_settings};
pub use plugin::PluginConfig;
pub use tls::{HostTls, PluginTls};
