//! What a user may set: validated values with documented defaults, from file, environment and code.

mod groups;
mod host;
mod plugin;
mod setting;
mod value;

pub use groups::{Http2Config, KeepaliveConfig, RateLimitConfig, RetryConfig, SupervisionConfig};
pub use host::HostConfig;
pub use plugin::PluginConfig;
pub use setting::{Setting, Side, settings};
pub use value::{ByteSize, EnvPolicy, LogLevel, Pem, Rate, Rates, SecretPem, TransportKind};
