//! What a user may set: validated values with documented defaults, from file, environment and code.
//!
//! A [`Loader`] makes a [`PluginConfig`] or a [`HostConfig`]: what the program sets counts more than the environment,
//! which counts more than a file, which counts more than the defaults. Whatever is wrong is told at once, each
//! [`Fault`] with the variable, or the line and column, where it was made. This is the only crate of the project that
//! has defaults, and [`settings`] describes each of them; the structs, their documentation and the description are
//! made from the same tables, so that they cannot differ.
//!
//! ```
//! use rpcplugin_config::{Format, Loader};
//!
//! let loader = Loader::new()
//!     .text("plugin.toml", "grace = '5s'\nhttp2.max_frame = 'huge'", Format::Toml)
//!     .env([("PLUGIN_AUTO_MTLS", "maybe"), ("PLUGIN_COLOUR", "red")]);
//! let error = loader.plugin().unwrap_err();
//! let faults: Vec<String> = error.faults().iter().map(ToString::to_string).collect();
//! assert_eq!(faults, [
//!     r#"PLUGIN_AUTO_MTLS: auto_mtls cannot be "maybe""#,
//!     r#"plugin.toml:2:19: http2.max_frame cannot be "huge""#,
//! ]);
//! ```
//!
//! What it does not do: it looks for no file that nobody named, reads no environment but the one it is given, keeps
//! no global, and does not look at the variables by which a host makes its offer to a plugin; those belong to the
//! handshake. Certificates and keys are handed on unread, under a `Debug` that hides them.

mod checks;
mod error;
mod groups;
mod host;
mod loader;
mod names;
mod plugin;
mod registry;
mod setting;
mod tls;
mod value;

pub use error::{ConfigError, Fault, FaultKind, Origin};
pub use groups::{Http2Config, KeepaliveConfig, RateLimitConfig, RetryConfig, SupervisionConfig};
pub use host::HostConfig;
pub use loader::{Configuration, EffectiveSetting, Format, IgnoredBecause, IgnoredVariable, Loaded, Loader};
pub use names::{LegacyPolicy, LegacySetting, retired};
pub use plugin::PluginConfig;
pub use registry::{Registry, RegistryError};
pub use setting::{Setting, Side, settings};
pub use tls::{HostTls, PluginTls};
pub use value::{ByteSize, EnvPolicy, LogLevel, Pem, Rate, Rates, SecretPem, TransportKind};
