//! What a user may set: validated values with documented defaults, from file, environment and code.

mod checks;
mod error;
mod groups;
mod host;
mod loader;
mod names;
mod plugin;
mod registry;
mod setting;
mod value;

pub use error::{ConfigError, Fault, FaultKind, Origin};
pub use groups::{Http2Config, KeepaliveConfig, RateLimitConfig, RetryConfig, SupervisionConfig};
pub use host::HostConfig;
pub use loader::{Configuration, Format, IgnoredBecause, IgnoredVariable, InForce, Loaded, Loader};
pub use names::{Retired, Treatment, retired};
pub use plugin::PluginConfig;
pub use registry::{Registry, RegistryError};
pub use setting::{Setting, Side, settings};
pub use value::{ByteSize, EnvPolicy, LogLevel, Pem, Rate, Rates, SecretPem, TransportKind};
