//! The types that all crates of rpcplugin share.
//!
//! A *host* is the program that launches plugins (go-plugin: the client). A *plugin* is the program that a host launches, and its
//! process (go-plugin: the server). This crate has their common values: the [version](AppVersion) of the application's protocol, the
//! [endpoint](Endpoint) on which a plugin listens, the [magic cookie](MagicCookie) by which a plugin knows that a host launched it,
//! and the [numbers](ServiceId) of brokered services.
//!
//! The crate does no I/O, reads no environment, and knows neither gRPC nor TLS. Each type validates its value when it is created.
//!
//! ```
//! use rpcplugin_core::{AppVersion, Endpoint, MagicCookie, Versions};
//!
//! let cookie = MagicCookie::new("KV_PLUGIN", "hello")?;
//! let served = Versions::new([1, 3, 2])?;
//! assert_eq!(served.newest(), AppVersion(3));
//! assert!(Endpoint::parse("unix", "/tmp/plugin1").is_ok());
//! assert!(!format!("{cookie:?}").contains("hello"), "a cookie never reaches a log");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! the modules of `rpcplugin`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod cookie;
mod endpoint;
mod instance;
mod metadata;
mod os;
mod pid;
mod report;
mod service_id;
mod tcp_ports;
mod trace_context;
mod version;
mod visible;

pub use cookie::{CookieError, MagicCookie};
pub use endpoint::{Endpoint, EndpointError, HostPort, SocketPath};
pub use instance::{ConfigurationError, InstanceConfiguration, InstanceId, InstanceIdError};
pub use metadata::{
    MetadataError, MetadataField, MetadataScanner, PluginMetadata, PluginMetadataBuilder, check_embedded,
    embedded,
};
pub use pid::Pid;
pub use report::{ErrorCategory, PlainReport, causes, innermost, plain_reports, with_causes};
pub use semver;
pub use service_id::ServiceId;
pub use tcp_ports::{PortRange, PortRangeError, TcpPorts};
pub use trace_context::TraceContext;
pub use version::{AppVersion, CORE_PROTOCOL_VERSION, Versions, VersionsError};
pub use visible::{Visible, disturbs};
