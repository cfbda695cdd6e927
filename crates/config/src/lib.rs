//! Settings of hosts and plugins: validated values with documented defaults, from a file, the environment and code.
//!
//! A [`Loader`] loads a [`PluginConfig`] or a [`HostConfig`]. Values that the program sets take precedence over the environment,
//! the environment over the file, and the file over the defaults. All faults are reported at once, each [`Fault`] with its variable
//! or with its line and column. [`settings`] describes every setting. The structs, their documentation and the descriptions come
//! from the same tables.
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
//! The crate searches for no file, reads only the environment that it is given, and has no global state. The variables of the
//! handshake belong to `rpcplugin-handshake`. Certificates and keys are passed on unread, and `Debug` hides them.
//!
//! # Features
//!
//! `config-file` (default) reads settings from files in TOML and JSON, and writes them as TOML.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::config`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod catalog;
mod error;
mod loader;
mod os;
mod registry;
mod schema;
mod side;
mod tables;
mod value;

pub use catalog::{Configuration, settings};
pub use error::{ConfigError, Fault, FaultKind, Origin};
#[cfg(feature = "config-file")]
pub use loader::Format;
pub use loader::{EffectiveSetting, IgnoredBecause, IgnoredVariable, Loaded, Loader};
pub use registry::{Registry, RegistryError};
pub use rpcplugin_core::{PortRange, PortRangeError, TcpPorts};
pub use schema::Setting;
pub use side::Side;
pub use tables::{
    HostConfig, HostTls, Http2Config, KeepaliveConfig, LegacyPolicy, LegacySetting, PluginConfig, PluginTls,
    RateLimitConfig, RetryConfig, SupervisionConfig, legacy_settings,
};
pub use value::{ByteSize, EnvPolicy, LogLevel, Pem, Rate, Rates, SecretPem, TcpPort, TransportKind};
