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

mod catalog;
mod error;
mod loader;
mod registry;
mod schema;
mod side;
mod tables;
mod value;

pub use catalog::{Configuration, settings};
pub use error::{ConfigError, Fault, FaultKind, Origin};
pub use loader::{EffectiveSetting, Format, IgnoredBecause, IgnoredVariable, Loaded, Loader};
pub use registry::{Registry, RegistryError};
pub use rpcplugin_core::{PortRange, PortRangeError, TcpPorts};
pub use schema::Setting;
pub use side::Side;
pub use tables::{
    HostConfig, HostTls, Http2Config, KeepaliveConfig, LegacyPolicy, LegacySetting, PluginConfig, PluginTls,
    RateLimitConfig, RetryConfig, SupervisionConfig, legacy_settings,
};
pub use value::{ByteSize, EnvPolicy, LogLevel, Pem, Rate, Rates, SecretPem, TcpPort, TransportKind};
