//! The handshake between a host and a plugin: two values in text form.
//!
//! The host passes a [`HostEnv`] to the plugin as environment variables. The plugin prints a [`HandshakeLine`] on stdout. With the
//! two values both sides know how to open a channel: the version of the application's protocol, the endpoint, the certificates, and
//! whether brokered connections share one socket.
//!
//! A host that attaches to a running plugin has a [`ReattachConfig`] instead, in JSON.
//!
//! This crate parses and renders these values. It does no I/O: a lookup function stands for the environment. The crate is
//! property-tested and fuzzed.
//!
//! ```
//! use rpcplugin_core::{AppVersion, Versions};
//! use rpcplugin_handshake::{HandshakeLine, negotiate};
//!
//! let line = HandshakeLine::parse("1|3|unix|/tmp/plugin2654984751|grpc|")?;
//! assert_eq!(line.version, AppVersion(3));
//!
//! let chosen = negotiate(Some(&Versions::new([1, 2])?), &Versions::new([2, 3])?);
//! assert_eq!(chosen.version, AppVersion(2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Protocol
//! go-plugin `client.go` `Client.Start` and `server.go` `Serve`, v1.0.0 to v1.8.0.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::handshake`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod cookie_check;
mod go_strconv;
mod handshake_line;
mod host_env;
mod lane;
mod negotiation;
mod reattach;

pub use cookie_check::{CookieRefused, check_cookie};
pub use handshake_line::{HandshakeLine, HandshakeLineError, HandshakeLineFault, Multiplexing};
pub use host_env::{HostEnv, HostEnvFault, ReceivedEnv, variable};
pub use lane::LaneOffer;
pub use negotiation::{Negotiated, VersionNotOffered, accept_version, negotiate};
pub use reattach::{ReattachConfig, ReattachConfigs, ReattachError};
pub use rpcplugin_core::{PortRange, PortRangeError, TcpPorts};
